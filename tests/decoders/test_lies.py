"""Decoder processes whose answers make no sense: no other film is hurt."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from cxr_edge.decoders import pool as pool_module
from cxr_edge.decoders.messages import FilmFacts
from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepared import Decoded, Prepared
from cxr_edge.intake.read import read_film
from cxr_edge.types import FoundFile, Reason
from tests.decoders.conftest import Start
from tests.decoders.harness import (
    BAD,
    given_up,
    never,
    other,
    prepared,
    same,
)
from tests.nights import SETTINGS

LIAR = """
def lie(values, pixels):
    {body}
    return json.dumps(values).encode() + b"\\n" + pixels
connection.recv_bytes()  # the settings
connection.send_bytes(b"ready ")
while True:
    request = json.loads(connection.recv_bytes())
    values = {{"facts": {honest}, "view": None, "trouble": ""}}
    if request["suffix"] == {bad!r}:
        connection.send_bytes(lie(values, bytes(64)))
    else:
        connection.send_bytes(json.dumps(values).encode() + b"\\n" + bytes(64))
"""
HONEST = Decoded(width=64, height=48, pixels=np.zeros((SETTINGS.size,) * 2 + (1,), np.uint8))


def liar(body: str) -> str:
    facts = msgspec.to_builtins(msgspec.convert(HONEST, FilmFacts, from_attributes=True))
    bad = base64.b64encode(b".bad").decode()
    return other(LIAR.format(body=body, honest=facts, bad=bad))


def honest(file: FoundFile) -> Prepared:
    """The outcome where such a decoder does not lie."""
    with contextlib.closing(read_film(file)) as held:
        return Prepared.of(file.display, held, HONEST)


LIES = {
    "no JSON": 'return b"\\xff\\xfe rubbish"',
    "no line end": "return json.dumps(values).encode() + pixels",
    "a field missing": 'del values["trouble"]',
    "a file on its way": 'values["facts"]["reason"] = "still_changing"',
    "a score": 'values["facts"].update(status="scored", reason=None, probability=0.0)',
    "a terabyte": 'os.write(connection.fileno(), b"\\xff" * 4 + (2**40).to_bytes(8, "big"))',
    "a film too wide": 'values["facts"]["width"] = 10**30',
    "a byte more": 'pixels += b"\\0"',
    "a byte less": "pixels = pixels[:-1]",
    "too much": "pixels *= 100_000",
    "a view that nobody asked for": 'values["view"], pixels = [2, 2], pixels + bytes(4)',
}


FALSE_VIEWS = {
    "none": "pass",
    "larger than a page shows": 'values["view"], pixels = [385, 1], pixels + bytes(385)',
    "a byte more": 'values["view"], pixels = [2, 2], pixels + bytes(5)',
    "less than nothing": 'values["view"], pixels = [-1, 4], pixels + bytes(4)',
}


@pytest.mark.parametrize("body", FALSE_VIEWS.values(), ids=FALSE_VIEWS)
def test_a_view_that_makes_no_sense(body: str, start: Start, films: list[FoundFile]) -> None:
    start(liar(body))
    (bad,) = (film for film in films if film.display == BAD)
    with Workers(1, replace(SETTINGS, view=True)) as pool:
        ((_, made),) = pool.prepare([bad], never)
    assert made == given_up(bad, Reason.DECODER_CRASHED)


@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
def test_an_answer_that_makes_no_sense(body: str, start: Start, films: list[FoundFile]) -> None:
    """Such a process is not asked again; what it was asked besides is asked of another."""
    start(liar(body))
    made = prepared(films)
    assert len(made) == len(films)
    for file in films:
        bad = file.display == BAD
        expected = given_up(file, Reason.DECODER_CRASHED) if bad else honest(file)
        assert same(made[file.display], expected)


def test_an_answer_too_many(start: Start, films: list[FoundFile]) -> None:
    """Of a film that is done already: such a process is not believed again."""
    start(liar('connection.send_bytes(json.dumps(values).encode() + b"\\n" + pixels)'))
    made = prepared(films)
    assert set(made) == {film.display for film in films}
    for file in films:
        assert same(made[file.display], honest(file))


def test_a_decoder_that_speaks_unasked(films: list[FoundFile]) -> None:
    """Nothing is to blame, and nothing ends."""
    with Workers(1, SETTINGS) as pool:
        assert [item.pixels is None for _, item in pool.prepare(films[:1], never)] == [False]
        (worker,) = pool._workers
        with pytest.raises(ValueError, match="nothing"):
            worker.receive(b"{}\n", SETTINGS)
        assert pool._replace(worker) == []
        assert len(list(pool.prepare(films[1:], never))) == len(films) - 1


TRICKLE = """
connection.recv_bytes()
connection.send_bytes(b"ready ")
connection.recv_bytes()
os.write(connection.fileno(), (100).to_bytes(4, "big"))
while True:
    {body}
"""


@pytest.mark.parametrize(
    "body",
    ["time.sleep(60)", 'time.sleep(0.05); os.write(connection.fileno(), b"{")'],
    ids=["half an answer", "a byte at a time"],
)
def test_an_answer_that_never_ends_costs_its_film(
    body: str, start: Start, films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_SECONDS", 0.5)
    start(other(TRICKLE.format(body=body)))
    made = prepared(films[:1])
    assert made == {"a0.png": given_up(films[0], Reason.TIMEOUT)}
