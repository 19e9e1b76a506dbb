# `make demo` and `make test` need Python 3.11 or later with venv, and nothing else.

PYTHON ?= python3
SOURCES := $(shell find cxr_edge models training/recipes -type f 2>/dev/null)

.PHONY: help demo test test-slow test-all faults bench docs lint types lock release clean

help:
	@echo "make demo   runtime alone in .venv-demo, then the bundled model over tests/data/incoming"
	@echo "make test   everything the tests need in .venv, then the quick ones: minutes"
	@echo "make test-all   the slow ones too;  make test-slow   those alone"
	@echo "make faults the long tier of tests/faults: hours of broken films, kills and full disks"
	@echo "make bench  minutes of measuring beside Keras and naive loops; BENCH='--full --out docs' for hours"
	@echo "make docs   the manual as a site: build/site/docs/index.html opens from disk"
	@echo "make lint   ruff;  make types   mypy;  make clean   remove what these made"
	@echo "make lock   requirements/lock-cpu.txt anew;  make release   what docs/release.md says"

demo: .venv-demo/installed
	@# Exit code 3 is right here: three of the files cannot be scored, and the report lists them.
	.venv-demo/bin/cxr-edge score tests/data/incoming --model cnn3_128 --settle 0 \
	  --state build/demo/state --out build/demo/$$(date -u +%Y%m%dT%H%M%SZ) || [ $$? -eq 3 ]

# A process per core, up to four: each may hold TensorFlow. A file's tests share what they made.
PYTEST := .venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --durations=20

test: .venv/installed
	$(PYTEST) -m "not slow"

test-slow: .venv/installed
	$(PYTEST) -m slow

test-all: test test-slow

faults: .venv/installed
	CXR_FAULTS=long .venv/bin/python -m pytest tests/faults tests/hospital/test_*_kill.py \
		tests/hospital/test_archive_loop.py -s

bench: .venv/installed .venv-bench/installed
	.venv/bin/python -m tests.latency --python .venv-bench/bin/python $(BENCH)
	.venv/bin/python -m tests.latency.cluster

docs: .venv/installed
	rm -rf build/site
	.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env \
	  --conf-dir docs --doctree-dir build/doctrees . build/site
	@echo "the manual: $(CURDIR)/build/site/docs/index.html"

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed
	.venv/bin/mypy

lock: .venv-lock/installed
	CUSTOM_COMPILE_COMMAND="make lock" .venv-lock/bin/pip-compile --quiet --upgrade \
	  --generate-hashes --strip-extras --no-emit-options --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --extra cpu \
	  --output-file requirements/lock-cpu.txt setup.cfg
	@echo "now: .venv/bin/python -m tests.licences, and make test"

release: .venv/installed
	.ci/release dist

# What a lock holds depends on the Python that resolves it: only the oldest supported one's fits all.
.venv-lock/installed: setup.cfg
	@oldest=$$(sed -n 's/^python_requires *= *>=//p' setup.cfg); \
	given=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	[ "$$given" = "$$oldest" ] || { echo "make lock needs Python $$oldest, the oldest in setup.cfg;" \
	  "this is $$given: make lock PYTHON=python$$oldest" >&2; exit 1; }
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check "pip-tools>=7.5"
	@touch $@

.venv-demo/installed: setup.cfg setup.py pyproject.toml $(SOURCES)
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet --disable-pip-version-check ".[cpu]"
	@touch $@

.venv-bench/installed: setup.cfg setup.py pyproject.toml $(SOURCES)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check ".[cpu,tflite]"
	@touch $@

.venv/installed: setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

clean:
	rm -rf .venv .venv-demo .venv-bench .venv-lock build dist *.egg-info .coverage
	rm -rf .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Reports and ledgers of your own runs stay: reports/ here, and a folder for each set of"
	@echo "INPUTs in $${XDG_STATE_HOME:-$$HOME/.local/state}/cxr-edge, or where --state said."
