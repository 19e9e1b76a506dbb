"""Half-copied and mutated DICOM files: refused, or the film itself; always soon, always silent."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.images import decode
from cxr_edge.images.dicom_syntax import SYNTAXES
from cxr_edge.types import DecodedImage, InputWarning, Reason
from tests.images.damage import MUTATIONS, cuts, outcome
from tests.images.dicoms import BIG_ENDIAN, ENCODERS, EXPLICIT, IMPLICIT, film
from tests.images.films import scene

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

NATIVE = {SYNTAXES[uid].name: film(syntax=uid) for uid in (IMPLICIT, EXPLICIT, BIG_ENDIAN)}
ENCAPSULATED = {SYNTAXES[uid].name: film(bits=8, syntax=uid) for uid in ENCODERS}
FILMS = {**NATIVE, **ENCAPSULATED}
DAMAGE = {Reason.TRUNCATED, Reason.CORRUPT, Reason.NO_PIXEL_DATA, Reason.UNRECOGNISED}


@pytest.mark.parametrize("data", FILMS.values(), ids=FILMS)
def test_short_file_is_refused_at_every_cut(data: bytes) -> None:
    assert {outcome(data[:cut]) for cut in cuts(data, 200)} <= DAMAGE


@pytest.mark.parametrize("data", ENCAPSULATED.values(), ids=ENCAPSULATED)
def test_zero_filled_tail_of_compressed_pixels_is_refused_at_every_cut(data: bytes) -> None:
    """But for the last four bytes, which are zeros in a whole file."""
    ends = [cut for cut in cuts(data, 200) if cut < len(data) - 4]
    assert {outcome(data[:cut].ljust(len(data), b"\0")) for cut in ends} <= DAMAGE


@pytest.mark.parametrize("data", NATIVE.values(), ids=NATIVE)
def test_zero_filled_tail_of_plain_pixels_is_refused(data: bytes) -> None:
    """Or doubted, at the edge of a row. What is left can be a few samples of noise."""
    whole = pixels_of(data)
    for cut in cuts(data, 200):
        made = outcome(data[:cut].ljust(len(data), b"\0"))
        if isinstance(made, DecodedImage) and InputWarning.CUT_SHORT not in made.warnings:
            assert np.count_nonzero(made.pixels != whole) <= 2, cut
        elif isinstance(made, DecodedImage):
            assert is_near_an_edge_of_a_row(len(data) - cut), cut
        else:
            assert made in DAMAGE


def is_near_an_edge_of_a_row(missing: int) -> bool:
    """By two samples of two bytes."""
    return (missing + 4) % (scene().shape[1] * 2) <= 8


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return decode(data, "film.dcm").pixels


FUZZ_SEED = int(os.environ.get("CXR_FUZZ_SEED", "20261122"))
ROUNDS = 40


@pytest.mark.parametrize("name", FILMS)
def test_mutants_are_refused_or_decoded(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(f"{FUZZ_SEED} {name}")
    for number in range(ROUNDS):
        data = bytearray(FILMS[name])
        for mutate in rng.choices(MUTATIONS, k=rng.randint(1, 3)):
            mutate(data, rng)
        began = time.monotonic()
        outcome(bytes(data))
        assert time.monotonic() - began < 5, number
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("name", ENCAPSULATED)
def test_damage_inside_a_code_stream(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A run of zeros where a block of the disk is bad; how often it shows is in docs/dicom.md."""
    data = ENCAPSULATED[name]
    start = data.rindex(b"\xfe\xff\x00\xe0") + 200
    for position in range(start, len(data) - 40, max(1, (len(data) - start) // 50)):
        outcome(data[:position] + bytes(16) + data[position + 16 :])
    assert "".join(capfd.readouterr()) == ""
