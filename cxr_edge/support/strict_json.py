"""Plain JSON values to dataclasses, strictly: nothing missing, unknown, coerced or NaN."""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

Reader = Callable[[Any, str], Any]

# Metadata of a field that may be left out where it has its default. A default alone makes none so:
# what a decoder process answers has to be whole.
OMITTABLE = types.MappingProxyType({"omittable": True})


def leave_out_defaults(values: dict[str, Any], kind: type) -> None:
    """Of the plain values of a dataclass: what says nothing new changes no text and no hash."""
    for entry in fields(kind):
        if entry.metadata == OMITTABLE and values[entry.name] == entry.default:
            del values[entry.name]


def read(kind: Any, value: Any, where: str) -> Any:
    """Read a value as a type annotation says.

    Args:
        kind: a dataclass, `tuple`, `dict`, `StrEnum`, optional or plain JSON type.
        value: what `json.loads` gave.
        where: named in errors.

    Raises:
        TypeError: a value of another type.
        ValueError: a field missing, unknown or refused by its dataclass; NaN, infinity.
        OverflowError: an integer that no float can hold.
    """
    return _reader(kind)(value, where)


@functools.cache
def _reader(kind: Any) -> Reader:
    """What reads one type; made once, because decoders answer about thousands of files."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _optional(next(k for k in typing.get_args(kind) if k is not type(None)))
    if is_dataclass(kind):
        return _dataclass(typing.cast("type", kind))
    if origin is tuple:
        return _tuple(typing.get_args(kind))
    if origin is dict:
        return _dict(typing.get_args(kind)[1])
    if kind is Any:
        return _anything
    if kind is float:
        return _number
    if kind is str:
        return _text
    if issubclass(kind, StrEnum):
        return _word(kind)
    return lambda value, where: _typed(value, kind, where)


def _word(kind: type[StrEnum]) -> Reader:
    members = {member.value: member for member in kind}  # in a fifth of the time of `kind(value)`
    return lambda value, where: members.get(_text(value, where)) or kind(value)


def _number(value: Any, where: str) -> float:
    return float(_typed(value, int if type(value) is int else float, where))


def _text(value: Any, where: str) -> str:
    """Half a character is none: a page that quotes a lone surrogate could not be written."""
    if type(value) is str and value.isascii():
        return value
    text: str = _typed(value, str, where)
    text.encode()
    return text


def _optional(kind: Any) -> Reader:
    reader = _reader(kind)
    return lambda value, where: None if value is None else reader(value, where)


def _dataclass(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    readers = {item.name: _reader(hints[item.name]) for item in fields(kind)}
    required = {item.name for item in fields(kind) if item.metadata != OMITTABLE}

    def reader(value: Any, where: str) -> Any:
        values = _typed(value, dict, where)
        if not required <= values.keys() <= readers.keys():
            different = sorted(required - values.keys() | values.keys() - readers.keys())
            raise ValueError(f"{where}: fields {different} missing or unknown")
        return kind(**{key: readers[key](item, f"{where}.{key}") for key, item in values.items()})

    return reader


def _tuple(kinds: tuple[Any, ...]) -> Reader:
    """`tuple[int, ...]` repeats its type; `tuple[float, float]` names each."""
    readers = [_reader(kind) for kind in kinds if kind is not Ellipsis]

    def reader(value: Any, where: str) -> tuple[Any, ...]:
        items = _typed(value, list, where)
        each = readers * len(items) if kinds[-1] is Ellipsis else readers
        return tuple(inner(item, where) for inner, item in zip(each, items, strict=True))

    return reader


def _dict(kind: Any) -> Reader:
    inner = _reader(kind)

    def reader(value: Any, where: str) -> dict[str, Any]:
        return {
            _text(key, where): inner(item, f"{where}.{key}")
            for key, item in _typed(value, dict, where).items()
        }

    return reader


def _anything(value: Any, _: str) -> Any:
    json.dumps(value, allow_nan=False)
    return value


def _typed(value: Any, kind: Any, where: str) -> Any:
    """A bool is no number, NaN and infinity no figures."""
    if type(value) is not kind:
        raise TypeError(f"{where}: {value!r} is not {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where}: not a number")
    return value
