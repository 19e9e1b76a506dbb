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
    ReadRequest,
    Request,
    Settings,
    encode,
    read_answer,
    read_read_request,
    read_request,
    read_settings,
    stamp_message,
    stamp_of,
)
from cxr_edge.intake.prepared import Decoded, IntakeSettings
from cxr_edge.types import InputWarning, Reason, Stamp
from tests.nights import SETTINGS

STAMP = Stamp(7381, 1_796_126_004_512_345_678, 2**62, 2**64 - 1, "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIb")
FACTS: dict[str, Any] = {
    "reason": "internal_error",
    "warnings": ["blank", "colour"],
    "width": 64,
    "height": None,
    "format": "PNG",
    "identity": {"AccessionNumber": "Müller €"},
    "image_features": [120.0, 50.0, 0.3, 0.25, 1e6],
}
ANSWER = {"facts": FACTS, "view": [2, 3], "trouble": ""}


def facts(**change: Any) -> dict[str, Any]:
    return {"facts": {**FACTS, **change}}


BAD: dict[str, dict[str, Any]] = {
    "a bool for a whole number": facts(width=True),
    "NaN": facts(width=float("nan")),
    "a number for a text": facts(format=1),
    "nothing": facts(identity=None),
    "half a character": facts(identity={"AccessionNumber": "\ud800"}),
    "a reason that is not in the list": facts(reason="fine"),
    "no reason": facts(reason=None),
    "a warning that is not in the list": facts(warnings=["fine"]),
    "a text for a list": facts(warnings="blank"),
    "too many sides": {"view": [1, 2, 3]},
    "a list for fields": {"facts": [1, 2, 3, 4]},
    "a border larger than the film": facts(image_features=[120.0, 50.0, 0.3, 1.0, 1e6]),
    "less than no border": facts(image_features=[120.0, 50.0, 0.3, -0.1, 1e6]),
    "a border that is no number": facts(image_features=[120.0, 50.0, 0.3, None, 1e6]),
    "a feature more": facts(image_features=[120.0, 50.0, 0.3, 0.1, 1e6, 1.0]),
    "a score": facts(probability=0.5),
    "a status": facts(status="scored"),
    "a field more": {"code": ""},
}


def test_an_answer_as_it_is() -> None:
    answer = read_answer(json.dumps(ANSWER))
    decoded = Decoded(
        Reason.INTERNAL_ERROR,
        warnings=(InputWarning.BLANK, InputWarning.COLOUR),
        width=64,
        format="PNG",
        identity={"AccessionNumber": "Müller €"},
        image_features=(120.0, 50.0, 0.3, 0.25, 1e6),
    )
    sent = msgspec.convert(decoded, FilmFacts, from_attributes=True)
    assert answer == Answer(sent, (2, 3), "")
    assert Decoded(**msgspec.structs.asdict(answer.facts)) == decoded
    assert read_answer(encode(answer)) == answer
    assert b"\n" not in encode(answer), "the pixels begin behind a line end"


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_an_answer_not_at_all(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at `\$|unknown field|malformed"):
        read_answer(json.dumps({**ANSWER, **change}))


@pytest.mark.parametrize("missing", [*ANSWER, *FACTS])
def test_an_answer_without_a_field(missing: str) -> None:
    """Whether its domain type has a default for it or not."""
    whole, part = ({k: v for k, v in each.items() if k != missing} for each in (ANSWER, FACTS))
    if "facts" in whole:
        whole["facts"] = part
    with pytest.raises(ValueError, match=f"missing required field `{missing}`"):
        read_answer(json.dumps(whole))


@pytest.mark.parametrize("text", [b"", b"[]", b"[" * 100_000, b'{"facts":' * 100_000, READY])
def test_no_answer(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expected|truncated|malformed|unknown"):
        read_answer(text)


@pytest.mark.parametrize("stamp", [STAMP, None])
def test_a_stamp_travels(stamp: Stamp | None) -> None:
    sent = ReadRequest(b"/in/\xff\n.png", None, stamp_message(stamp), 2**28)
    request = read_read_request(encode(sent))
    assert request.path == b"/in/\xff\n.png"
    assert stamp_of(request.expected) == stamp


def test_no_more_of_a_name_travels_than_its_end() -> None:
    assert read_request(encode(Request(b".\xff", header_only=False))).suffix == b".\xff"
    with pytest.raises(ValueError, match="unknown field"):
        read_request(b'{"suffix": "", "header_only": false, "path": ""}')


def test_settings_travel() -> None:
    tagged = replace(SETTINGS, identity_fields=("AccessionNumber",))
    message = encode(msgspec.convert(tagged, Settings, from_attributes=True))
    assert msgspec.convert(read_settings(message), IntakeSettings, from_attributes=True) == tagged
