"""What a decoder process or a file says is taken as it is, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cxr_edge.support.strict_json import OMITTABLE, read
from cxr_edge.types import Reason


@dataclass(frozen=True)
class _Inner:
    text: str
    reason: Reason | None


@dataclass(frozen=True)
class _Outer:
    whole: int
    number: float
    flag: bool
    inner: _Inner
    words: tuple[Reason, ...]
    pair: tuple[int, int] | None
    named: dict[str, float]


GOOD = {
    "whole": 3,
    "number": 1,
    "flag": True,
    "inner": {"text": "Müller €", "reason": "empty"},
    "words": ["corrupt", "empty"],
    "pair": [1, 2],
    "named": {"a": 0.5},
}
BAD: dict[str, dict[str, Any]] = {
    "a bool for a whole number": {"whole": True},
    "a bool for a number": {"number": False},
    "a number for a bool": {"flag": 1},
    "a float for a whole number": {"whole": 3.0},
    "a text for a number": {"number": "1"},
    "NaN": {"number": float("nan")},
    "infinity": {"named": {"a": float("inf")}},
    "a number that no float can hold": {"number": 10**400},
    "nothing": {"whole": None},
    "half a character": {"inner": {"text": "\ud800", "reason": None}},
    "half a character as a name": {"named": {"\ud800": 1.0}},
    "a word not in the list": {"words": ["fine"]},
    "a word of another type": {"inner": {"text": "", "reason": 1}},
    "a list for a word": {"inner": {"text": "", "reason": ["empty"]}},
    "too many": {"pair": [1, 2, 3]},
    "too few": {"pair": [1]},
    "a text for a list": {"words": "empty"},
    "a list for fields": {"inner": ["", None]},
    "a field missing": {"inner": {"text": ""}},
    "a field more": {"inner": {"text": "", "reason": None, "code": ""}},
}


def test_as_it_is() -> None:
    value = read(_Outer, json.loads(json.dumps(GOOD)), "value")
    inner = _Inner("Müller €", Reason.EMPTY)
    words = (Reason.CORRUPT, Reason.EMPTY)
    assert value == _Outer(3, 1.0, True, inner, words, (1, 2), {"a": 0.5})
    assert [type(each) for each in (value.number, value.words[0])] == [float, Reason]
    assert read(_Outer, {**GOOD, "pair": None}, "value").pair is None


@dataclass(frozen=True)
class _Defaults:
    """msgspec itself would let the first be missing, and any other field be there."""

    needed: int = 0
    omittable: int = field(default=0, metadata=OMITTABLE)


WRAPPED: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "itself": (_Defaults, lambda value: value),
    "in a list": (tuple[_Defaults, ...], lambda value: [{"needed": 1}, value]),
    "by name": (dict[str, _Defaults], lambda value: {"a": value}),
    "optional": (tuple[_Defaults | None, str], lambda value: [value, ""]),
}


@pytest.mark.parametrize(("kind", "wrap"), WRAPPED.values(), ids=WRAPPED)
def test_a_default_is_left_out_only_where_the_field_says_so(
    kind: Any, wrap: Callable[[Any], Any]
) -> None:
    read(kind, wrap({"needed": 1}), "value")
    read(kind, wrap({"needed": 1, "omittable": 2}), "value")
    for wrong in ({"omittable": 2}, {}, {"needed": 1, "code": ""}):
        with pytest.raises(ValueError, match=r"^value: fields \['(needed|code)'\] .* at `\$"):
            read(kind, wrap(wrong), "value")


def test_too_deep_a_nest_is_refused() -> None:
    nest: Any = None
    for _ in range(100_000):
        nest = {"a": nest}
    with pytest.raises(ValueError, match=r"^value: maximum recursion"):
        read(dict[str, Any], {"nest": nest}, "value")


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_not_at_all(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^value"):
        read(_Outer, {**GOOD, **change}, "value")


def test_the_error_says_where() -> None:
    with pytest.raises(
        ValueError, match=r"^value: Expected `str`, got `int` - at `\$\.inner\.text`$"
    ):
        read(_Outer, {**GOOD, "inner": {"text": 5, "reason": None}}, "value")
