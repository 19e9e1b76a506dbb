"""Where pages come from: one Jinja environment, and a policy that lets a page use itself alone."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

import jinja2

_PACKAGE = Path(__file__).parent.parent
TEMPLATES = (_PACKAGE / "report" / "templates", _PACKAGE / "evaluate" / "templates")


@functools.cache
def page_environment() -> jinja2.Environment:
    """Templates of all pages, compiled once; values are escaped, and a missing one is an error.

    For who adds nothing to it; else `new_environment`.
    """
    return new_environment()


def new_environment() -> jinja2.Environment:
    """The same, of the caller's own."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
    """What a page holds itself."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
