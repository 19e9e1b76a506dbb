"""A message is taken as it is, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cxr_edge.decoders.messages import (
    READY,
    Answer,
    FilmFacts,
    Request,
    Settings,
    encode,
    read_answer,
    read_request,
    read_settings,
    stamp_message,
    stamp_of,
)
from cxr_edge.intake.prepared import IntakeSettings
from cxr_edge.types import InputWarning, Reason, Result, Stamp
from tests.nights import SETTINGS

STAMP = Stamp(7381, 1_796_126_004_512_345_678, 2**62, 2**64 - 1)
FACTS: dict[str, Any] = {
    "path": "Müller €.png",
    "reason": "internal_error",
    "warnings": ["blank", "colour"],
    "width": 64,
    "height": None,
    "format": "PNG",
    "sha256": "",
    "modified_utc": "",
    "identifier": "",
}
ANSWER = {"result": FACTS, "stamp": vars(STAMP), "view": [2, 3], "trouble": ""}


def facts(**change: Any) -> dict[str, Any]:
    return {"result": {**FACTS, **change}}


BAD: dict[str, dict[str, Any]] = {
    "a bool for a whole number": facts(width=True),
    "a float for a whole number": facts(width=64.0),
    "a text for a whole number": facts(width="64"),
    "NaN": facts(width=float("nan")),
    "infinity": facts(width=float("inf")),
    "a number for a text": facts(format=1),
    "nothing": facts(path=None),
    "half a character": facts(identifier="\ud800"),
    "a reason that is not in the list": facts(reason="fine"),
    "no reason": facts(reason=None),
    "a warning that is not in the list": facts(warnings=["fine"]),
    "a text for a list": facts(warnings="blank"),
    "too many sides": {"view": [1, 2, 3]},
    "too few sides": {"view": [1]},
    "a list for fields": {"stamp": [1, 2, 3, 4]},
    "a score": facts(probability=0.5),
    "a status": facts(status="scored"),
    "a field more in the stamp": {"stamp": {**vars(STAMP), "device": 1}},
    "a field more": {"code": ""},
}


def test_an_answer_as_it_is() -> None:
    answer = read_answer(json.dumps(ANSWER))
    result = Result.without_score(
        "Müller €.png",
        Reason.INTERNAL_ERROR,
        warnings=(InputWarning.BLANK, InputWarning.COLOUR),
        width=64,
        format="PNG",
    )
    sent = msgspec.convert(result, FilmFacts, from_attributes=True)
    assert answer == Answer(sent, stamp_message(STAMP), (2, 3), "")
    assert Result.without_score(**msgspec.structs.asdict(answer.result)) == result
    assert read_answer(encode(answer)) == answer
    assert b"\n" not in encode(answer), "the pixels begin behind a line end"


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_an_answer_not_at_all(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at `\$|unknown field|malformed"):
        read_answer(json.dumps({**ANSWER, **change}))


@pytest.mark.parametrize("missing", [*ANSWER, *FACTS, *vars(STAMP)])
def test_an_answer_without_a_field(missing: str) -> None:
    """Whether its domain type has a default for it or not."""
    parts = [ANSWER, FACTS, vars(STAMP)]
    whole, result, stamp = ({k: v for k, v in each.items() if k != missing} for each in parts)
    for name, part in (("result", result), ("stamp", stamp)):
        if name in whole:
            whole[name] = part
    with pytest.raises(ValueError, match=f"missing required field `{missing}`"):
        read_answer(json.dumps(whole))


@pytest.mark.parametrize("text", [b"", b"[]", b"[" * 100_000, b'{"result":' * 100_000, READY])
def test_no_answer(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expected|truncated|malformed|unknown"):
        read_answer(text)


@pytest.mark.parametrize("stamp", [STAMP, None])
def test_a_stamp_travels(stamp: Stamp | None) -> None:
    request = read_request(encode(Request(b"/in/\xff\n.png", "a", stamp_message(stamp))))
    assert request.path == b"/in/\xff\n.png"
    assert stamp_of(request.stamp) == stamp


def test_settings_travel() -> None:
    tagged = replace(SETTINGS, id_tag="AccessionNumber")
    message = encode(msgspec.convert(tagged, Settings, from_attributes=True))
    assert msgspec.convert(read_settings(message), IntakeSettings, from_attributes=True) == tagged
