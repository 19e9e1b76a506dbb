"""Plain JSON values to dataclasses, strictly: nothing missing, unknown, coerced or NaN."""

from __future__ import annotations

import json
import types
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

_Kind = TypeVar("_Kind")

# Metadata of a field that may be left out where it has its default. A default alone does not make
# it so: most defaults are for code, and a file has to be whole.
OMITTABLE = types.MappingProxyType({"omittable": True})


_MAX_DEPTH = 32  # ten are enough for a spec


def parse(text: str | bytes) -> Any:
    """Plain values of a JSON text that does not nest so deep that who walks it would fail.

    Raises:
        ValueError: it is not JSON in UTF-8, or nests too deep.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    level, depth = [value] if isinstance(value, dict | list) else [], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError("it nests too deep")
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
    return value


def leave_out_defaults(values: dict[str, Any], kind: type) -> None:
    """Delete omittable fields at their default, so that a new field changes no text and no hash."""
    for entry in fields(kind):
        if entry.metadata == OMITTABLE and values[entry.name] == entry.default:
            del values[entry.name]


def read(kind: type[_Kind], value: Any, where: str) -> _Kind:
    """Read a value as a type annotation says.

    Args:
        kind: a dataclass, `tuple`, `dict`, `StrEnum`, optional or plain JSON type.
        value: plain values, as `json.loads` gives them.
        where: named in errors.

    Raises:
        ValueError: a value of another type; a field missing, unknown or refused by its dataclass;
            NaN, infinity, half a character, an integer that no float can hold, too deep a nest.
    """
    import msgspec  # `--help` imports this module, and would take 6 ms more

    try:
        # By way of the text: `msgspec.convert` lets NaN and half a character pass.
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        made = msgspec.json.decode(text, type=kind)
        _check_fields(made, value, "$")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {error}") from error
    return made


def _check_fields(made: Any, value: Any, path: str) -> None:
    """Refuse what msgspec lets pass in a dataclass: an unknown field, a default left out."""
    if is_dataclass(made):
        omittable = {entry.name: entry.metadata == OMITTABLE for entry in fields(made)}
        different = [n for n in value.keys() ^ omittable.keys() if not omittable.get(n)]
        if different:
            raise ValueError(f"fields {sorted(different)} missing or unknown - at `{path}`")
        for name, item in value.items():
            _check_fields(getattr(made, name), item, f"{path}.{name}")
    elif isinstance(made, dict):
        for name, item in value.items():
            _check_fields(made[name], item, f"{path}.{name}")
    elif isinstance(made, tuple):
        for each, item in zip(made, value, strict=True):
            _check_fields(each, item, f"{path}[...]")
