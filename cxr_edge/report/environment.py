"""The Jinja environment of all pages, and a policy that lets a page use itself alone."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket

_PACKAGE = Path(__file__).parent.parent
TEMPLATES = tuple(_PACKAGE / each / "templates" for each in ("report", "evaluate", "watch"))
COMPILED = _PACKAGE / "report" / "compiled"
_OPTIONS: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}


class _CompiledAhead(jinja2.BytecodeCache):
    """Templates as the build of the package has compiled them.

    They save 56 ms of the 370 ms of CPU time that a run of 20 films takes in its main process.
    An outdated file is never found: its name holds the hash of all that it was made from. A
    template that has changed since, a damaged file, and everything in a checkout is compiled when
    used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The name alone, wherever the file lies: so does the code."""
        return name

    def get_source_checksum(self, source: str) -> str:
        """SHA-256: a machine in FIPS mode may refuse Jinja's SHA-1."""
        return hashlib.sha256(source.encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Load by Python's own loader, which checks that byte code is of this Python."""
        module = _module_name(bucket.key, bucket.checksum)
        path = str(self._folder / f"{module}.py")
        # A file that is missing or damaged must not cost a night its report.
        with contextlib.suppress(OSError, EOFError, SyntaxError, ValueError, TypeError):
            code = SourceFileLoader(module, path).get_code(module)
            bucket.code = code if code and "root" in code.co_names else None

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write nothing: the package may be read-only, and code does not belong into the state."""


def _module_name(template: str, checksum: str) -> str:
    made_of = (template, checksum, jinja2.__version__, sorted(_OPTIONS.items()))
    return "template_" + hashlib.sha256(repr(made_of).encode()).hexdigest()


def compiled_templates() -> dict[str, str]:
    """Python modules by file name, one per template of the report; `setup.py` writes them."""
    environment = new_environment()
    modules = {}
    for path in sorted(TEMPLATES[0].glob("*.j2")):
        text = source(environment, path.name)
        checksum = _CompiledAhead(COMPILED).get_source_checksum(text)
        module = _module_name(path.name, checksum)
        modules[f"{module}.py"] = environment.compile(text, path.name, path.name, raw=True)
    return modules


@functools.cache
def page_environment() -> jinja2.Environment:
    """Templates of all pages, compiled once; values are escaped, and a missing one is an error.

    For callers that add nothing to it; others take `new_environment`.
    """
    return new_environment()


def new_environment() -> jinja2.Environment:
    """Make an environment that the caller may change."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        bytecode_cache=_CompiledAhead(COMPILED),
        **_OPTIONS,
    )


def source(environment: jinja2.Environment, *names: str) -> str:
    """Style sheets or scripts as they are, one after the other."""
    loader = environment.loader
    if loader is None:  # pragma: no cover
        raise ValueError("an environment without templates")
    return "".join(loader.get_source(environment, name)[0] for name in names)


def policy(style: str, script: str = "") -> str:
    """The Content-Security-Policy of a page: its own style and script by hash, embedded images.

    Nothing else runs, loads, links or sends; `style` attributes and handlers in tags are off too.
    """
    scripts = f"; script-src {_digest(script)}" if script else ""
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}{scripts}; "
        "base-uri 'none'; form-action 'none'"
    )


def data_uri(media_type: str, content: bytes) -> str:
    """Embed content in a page."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
