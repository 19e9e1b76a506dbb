"""What a release states about itself is consistent, and its recipes name what is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import cxr_edge

ROOT = Path(__file__).resolve().parent.parent


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(text_of("CITATION.cff"))
    return values


def test_the_version_is_the_same_everywhere(citation: dict[str, Any]) -> None:
    assert citation["version"] == cxr_edge.__version__
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text_of("CHANGELOG.md"), re.M)
    assert released[0] == cxr_edge.__version__


def test_the_citation_holds_what_its_format_asks_for(citation: dict[str, Any]) -> None:
    """Citation File Format 1.2.0: the required fields, and what it allows for the others."""
    assert citation["cff-version"] == "1.2.0"
    assert citation.keys() >= {"message", "title", "authors", "license"}
    assert citation["type"] == "software"
    for entry in (citation, *citation["references"]):
        assert entry["title"]
        for author in entry["authors"]:
            assert author.keys() in ({"name"}, {"given-names", "family-names"})
    assert [each["type"] for each in citation["references"]] == ["report", "data"]
    assert citation["references"][1]["doi"] == "10.17632/rscbjbr9sj"


def test_the_changelog_is_short_lines_under_known_headings() -> None:
    text = text_of("CHANGELOG.md")
    headings = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= headings
    assert max(map(len, text.splitlines())) <= 100


def test_ci_runs_every_python_that_the_metadata_names() -> None:
    workflow = yaml.safe_load(text_of(".github/workflows/ci.yml"))
    job = workflow["jobs"]["everything"]
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)", text_of("setup.cfg"))
    assert job["strategy"]["matrix"]["python"] == named == ["3.11", "3.12", "3.13"]
    assert job["steps"][-1]["run"] == ".ci/run"


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in text_of("Containerfile").splitlines() if line and line[0] != "#"]
    return [(line.split(" ")[0], line.split(" ", 1)[1]) for line in lines]


def test_the_container_is_installed_by_hashes_and_runs_as_nobody() -> None:
    found = instructions()
    kinds = [instruction for instruction, _ in found]
    allowed = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "ENTRYPOINT", "CMD"}
    assert set(kinds) <= allowed
    commands = [rest for instruction, rest in found if instruction == "RUN"]
    installs = [command for command in commands if "pip install" in command]
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)
    bases = {rest.split(" ")[0] for instruction, rest in found if instruction == "FROM"}
    assert len(bases) == 1, "the environment is copied: both stages need the same Python"
    user = kinds.index("USER")
    assert found[user][1] == "cxr-edge"
    assert kinds.index("ENTRYPOINT") > user > max(i for i, k in enumerate(kinds) if k == "COPY")


def test_the_container_is_made_from_files_that_are_there() -> None:
    named = re.findall(r"requirements/\S+", text_of("Containerfile"))
    assert named
    assert all((ROOT / name).is_file() for name in named)
    ignored = text_of(".containerignore").split()
    assert not {"models", "requirements", "export", "training", "cxr_edge"} & set(ignored)


def test_make_clean_touches_nothing_of_a_users() -> None:
    recipe = text_of("Makefile").partition("\nclean:")[2]
    removed = " ".join(re.findall(r"rm -rf (.*)", recipe)).split()
    assert "build" in removed
    assert not {"reports", "runs", "my-models", "train"} & {each.rstrip("/") for each in removed}
    demo = text_of("Makefile").partition("\ndemo:")[2].partition("\n\n")[0]
    assert "--state build/demo/state" in demo
    assert "--out build/demo/" in demo


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(("version", "refused"), [("3.12", True), ("3.11", False)])
def test_a_lock_is_made_with_the_oldest_python(tmp_path: Path, version: str, refused: bool) -> None:
    """A lock of a later one lacks what the oldest needs. The Python here only says what it is."""
    for name in ("Makefile", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {version}\n")
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "lock", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode
    said = "make lock needs Python 3.11, the oldest in setup.cfg; this is 3.12"
    assert (said in made.stderr) == refused
