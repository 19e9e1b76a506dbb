"""Invariants of the values that flow."""

from __future__ import annotations

import dataclasses
import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxr_edge
from cxr_edge.support.text import display_name
from cxr_edge.types import (
    DEFERRED_REASONS,
    DETERMINISTIC_REASONS,
    DecodedImage,
    Predictions,
    Reason,
    Result,
    Stamp,
    Status,
)

# The only ones that may change: they count or collect while rows go by.
COUNTING = {"Tally", "_Tally", "Entries", "_Study", "_Outcome", "_Node", "_Worker", "Made"}


def test_every_dataclass_is_frozen() -> None:
    """What has passed its checks stays as it was."""
    names = [module.name for module in pkgutil.walk_packages(cxr_edge.__path__, "cxr_edge.")]
    values = [
        value
        for name in names
        if not name.endswith("__main__")
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, type) and dataclasses.is_dataclass(value)
    ]
    ours = {value for value in values if value.__module__.startswith("cxr_edge")}
    loose = {value.__name__ for value in ours if not value.__dataclass_params__.frozen}
    assert (len(ours) > 90, loose) == (True, COUNTING)


BAD_PIXELS = {
    "floats": np.zeros((2, 2), np.float32),
    "16 bit": np.zeros((2, 2), np.uint16),
    "three channels": np.zeros((2, 2, 3), np.uint8),
    "no rows": np.zeros((0, 2), np.uint8),
}

BAD_RESULTS: dict[str, dict[str, Any]] = {
    "a device without a score": {
        "status": Status.NOT_SCORED,
        "reason": Reason.EMPTY,
        "device": "cpu",
    },
    "scored without a score": {"status": Status.SCORED},
    "scored with a reason": {
        "status": Status.SCORED,
        "probability": 0.5,
        "reason": Reason.CORRUPT,
    },
    "not scored without a reason": {"status": Status.NOT_SCORED},
    "not scored with a score": {
        "status": Status.NOT_SCORED,
        "reason": Reason.CORRUPT,
        "probability": 0.5,
    },
    "deferred with a score": {
        "status": Status.DEFERRED,
        "reason": Reason.STILL_CHANGING,
        "probability": 0.5,
    },
    "deferred because of damage": {"status": Status.DEFERRED, "reason": Reason.CORRUPT},
    "not scored because it is on its way": {
        "status": Status.NOT_SCORED,
        "reason": Reason.STILL_CHANGING,
    },
    "below zero": {"status": Status.SCORED, "probability": -1e-9},
    "not a number": {"status": Status.SCORED, "probability": float("nan")},
}
BAD_PATHS = ["a\nb", "a\rb", "a\tb", "a\x1b[31m", "a\ud800"]


@pytest.mark.parametrize("pixels", BAD_PIXELS.values(), ids=BAD_PIXELS)
def test_decoded_image_is_a_grey_plane(pixels: Any) -> None:
    with pytest.raises(ValueError, match="pixels"):
        DecodedImage(pixels, "PNG")


def test_decoded_image_knows_its_size() -> None:
    image = DecodedImage(np.zeros((3, 5), np.uint8), "PNG")
    assert (image.width, image.height, image.extent) == (5, 3, (5, 3))


def test_a_reduced_image_knows_the_film_s_size() -> None:
    image = DecodedImage(np.zeros((3, 5), np.uint8), "JPEG", reduction=4, stored=(9, 20))
    assert (image.width, image.height, image.extent) == (20, 9, (5, 2.25))


@pytest.mark.parametrize("stored", [None, (8, 20), (13, 20), (9, 16), (9, 21)], ids=str)
def test_a_reduced_image_has_the_size_of_its_reduction(stored: tuple[int, int] | None) -> None:
    with pytest.raises(ValueError, match="reduced by 4"):
        DecodedImage(np.zeros((3, 5), np.uint8), "JPEG", reduction=4, stored=stored)


@pytest.mark.parametrize("fields", BAD_RESULTS.values(), ids=BAD_RESULTS)
def test_result_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a\.png"):
        Result("a.png", **fields)


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_result_refuses_a_name_that_cannot_be_printed(path: str) -> None:
    with pytest.raises(ValueError, match="not made fit to print"):
        Result(path, Status.SCORED, probability=0.5)
    assert Result(display_name(path), Status.SCORED, probability=0.5).path == display_name(path)


@pytest.mark.parametrize("reason", Reason)
def test_the_reason_tells_deferred_from_not_scored(reason: Reason) -> None:
    on_its_way = {"still_changing", "temporary_name", "implausible_time"}
    made = Result.without_score("a.png", reason, sha256="ab" * 32)
    assert made.status == ("deferred" if reason.value in on_its_way else "not_scored")
    assert (made.path, made.reason, made.sha256) == ("a.png", reason, "ab" * 32)


NO_FACTS: dict[str, dict[str, Any]] = {
    "sha256 of other letters": {"sha256": "z" * 64},
    "sha256 too short": {"sha256": "ab"},
    "no width": {"width": 0},
    "negative height": {"height": -1},
    "wider than any format": {"width": 10**30},
}


@pytest.mark.parametrize("facts", NO_FACTS.values(), ids=NO_FACTS)
def test_result_refuses_what_is_no_fact(facts: dict[str, Any]) -> None:
    """Decoder processes say these, and nobody trusts them."""
    with pytest.raises(ValueError, match=r"a\.png"):
        Result("a.png", Status.SCORED, probability=0.5, **facts)


def test_nothing_that_may_mend_itself_is_remembered() -> None:
    """The disk, the permissions, the machine or a defect of ours: tomorrow it may be scored."""
    tried_again = {*DEFERRED_REASONS} | {
        Reason.TRUNCATED,
        Reason.CORRUPT,
        Reason.TOO_LARGE,
        Reason.MISSING,
        Reason.PERMISSION,
        Reason.SYMLINK,
        Reason.NOT_A_FILE,
        Reason.UNREADABLE_FOLDER,
        Reason.IO_ERROR,
        Reason.DECODER_CRASHED,
        Reason.TIMEOUT,
        Reason.BAD_OUTPUT,
        Reason.INTERNAL_ERROR,
    }
    assert set(Reason) - DETERMINISTIC_REASONS == tried_again


def test_stamp_is_what_the_file_system_says(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"pixels")
    os.utime(tmp_path / "a", ns=(0, 1_795_000_000_123_456_789))
    facts = (tmp_path / "a").stat()
    assert Stamp.of(facts) == Stamp(6, 1_795_000_000_123_456_789, facts.st_ctime_ns, facts.st_ino)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_result_takes_the_whole_range(probability: float) -> None:
    assert Result("a", Status.SCORED, probability=probability).probability == probability


@pytest.mark.parametrize(
    ("probability", "evidence", "bias"),
    [
        ((3,), (2, 1, 1), (2,)),
        ((2,), (2, 1, 1), (3,)),
        ((2, 1), (2, 1, 1), (2,)),
        ((2,), (2, 1), (2,)),
    ],
    ids=["more scores", "more biases", "a column", "no map"],
)
def test_predictions_are_one_per_image(
    probability: tuple[int, ...], evidence: tuple[int, ...], bias: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="predictions of shapes"):
        Predictions(*(np.zeros(shape, np.float32) for shape in (probability, evidence, bias)))


def test_logit_is_evidence_plus_bias() -> None:
    evidence = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    bias = np.array([0.5, -1], np.float32)
    logit = Predictions(bias, evidence, bias).logit()
    assert logit.tolist() == [6.5, 21.0]
    assert logit.dtype == np.float64
