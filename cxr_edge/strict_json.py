"""Plain JSON values to dataclasses, strictly: nothing missing, unknown, coerced or NaN."""

from __future__ import annotations

import json
import math
import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any


def read(kind: Any, value: Any, where: str) -> Any:
    """Read a value as a type annotation says.

    Args:
        kind: a dataclass, `tuple`, `dict`, optional or plain JSON type.
        value: what `json.loads` gave.
        where: named in errors.

    Raises:
        TypeError: a value of another type.
        ValueError: a field missing, unknown or refused by its dataclass; NaN, infinity.
        OverflowError: an integer that no float can hold.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return None if value is None else read(options[0], value, where)
    if is_dataclass(kind):
        return _read_dataclass(typing.cast("type", kind), _typed(value, dict, where), where)
    if origin is tuple:
        items = _typed(value, list, where)
        return tuple(
            read(k, v, where) for k, v in zip(_item_types(kind, items), items, strict=True)
        )
    if origin is dict:
        inner = typing.get_args(kind)[1]
        return {
            _typed(k, str, where): read(inner, v, f"{where}.{k}")
            for k, v in _typed(value, dict, where).items()
        }
    if kind is Any:
        json.dumps(value, allow_nan=False)
        return value
    if kind is float:
        return float(_typed(value, (int, float), where))
    return _typed(value, kind, where)


def _read_dataclass(kind: type, values: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = {item.name for item in fields(kind)}
    if set(values) != names:
        raise ValueError(f"{where}: fields {sorted(set(values) ^ names)} missing or unknown")
    return kind(**{key: read(hints[key], value, f"{where}.{key}") for key, value in values.items()})


def _item_types(kind: Any, items: list[Any]) -> list[Any]:
    """`tuple[int, ...]` repeats its type; `tuple[float, float]` names each."""
    arguments = typing.get_args(kind)
    return [arguments[0]] * len(items) if arguments[-1] is Ellipsis else list(arguments)


def _typed(value: Any, kind: Any, where: str) -> Any:
    """A bool is no number, NaN and infinity no figures, half a character no text."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{where}: {value!r} is not {getattr(kind, '__name__', kind)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: not a number")
    if isinstance(value, str):
        value.encode()  # a page that quotes a lone surrogate could not be written
    return value
