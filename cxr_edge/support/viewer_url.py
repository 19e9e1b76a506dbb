"""Links into the site's own viewer, made from a template and whom a film is of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from cxr_edge.errors import InputError
from cxr_edge.types import IDENTITY_FIELDS

_FIELD = re.compile(r"\{([^{}]*)\}")
_EXAMPLE = "https://viewer.example/study/{study_uid}"


def check_template(template: str) -> None:
    """Refuse what could not become a link to a viewer.

    Raises:
        InputError: another scheme than http or https, no host, a field in the host, an unknown
            field, none at all, a lone brace, or a character that no address has.
    """
    fields = _FIELD.findall(template)
    unknown = [each for each in fields if each not in IDENTITY_FIELDS]
    if unknown or re.search("[{}]", _FIELD.sub("", template)):
        what = f"unknown field {unknown[0]!r}" if unknown else "a brace without its field"
        raise InputError(f"--viewer-url: {what}", tip=f"fields: {', '.join(IDENTITY_FIELDS)}")
    if not fields:
        raise InputError("--viewer-url names no field", tip=f"for example {_EXAMPLE}")
    if not _is_web_address(template):
        raise InputError(
            "--viewer-url is no http or https address with a host of its own",
            tip=f"for example {_EXAMPLE}",
        )


def _is_web_address(template: str) -> bool:
    if not template.isascii() or re.search(r"[\x00-\x20\x7f\\<>\"`]", template):
        return False
    try:
        parts = urlsplit(template)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "{" not in parts.netloc


def viewer_link(template: str, identity: Mapping[str, str]) -> str:
    """The address for one film, values percent-encoded; empty where a field is.

    A value of dots alone would lead to another folder, however it is encoded: no link either.
    """
    values = [identity.get(name, "") for name in _FIELD.findall(template)]
    if not all(value.strip(".") for value in values):
        return ""
    return _FIELD.sub(lambda match: quote(identity[match[1]], safe=""), template)
