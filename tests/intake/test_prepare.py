"""One file becomes one prepared result, whatever is in it and whatever goes wrong."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.intake import prepare as prepare_module
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import Prepared
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.types import (
    DecodedImage,
    FoundFile,
    InputWarning,
    Reason,
    Result,
    Stamp,
    Status,
    Study,
)
from tests.factories import chest, in_12_bits, raising, write_tree
from tests.images.films import encode, jpeg, pages, png, tiff
from tests.nights import SETTINGS

SIZE = SETTINGS.size


def turned() -> bytes:
    """A film on its side, with the orientation that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(np.rot90(chest()), "JPEG", quality=95, exif=exif)


FILMS: dict[str, tuple[bytes, str, tuple[str, ...]]] = {
    "a.jpg": (jpeg(chest()), "JPEG", ()),
    "b.png": (png(in_12_bits(chest())), "PNG", ()),
    "c.tif": (tiff(chest()), "TIFF", ()),
    "misnamed.png": (jpeg(chest()), "JPEG", ("extension_mismatch",)),
    "small.png": (png(chest(6, 8)), "PNG", ("low_resolution",)),
    "turned.jpg": (turned(), "JPEG", ("orientation_applied",)),
    "negative.png": (png(255 - chest()), "PNG", ("inverted",)),
}
NO_FILMS = {
    "cut.jpg": (jpeg(chest())[:-2], Reason.TRUNCATED),
    "empty.png": (b"", Reason.EMPTY),
    "notes.bin": (b"\0hello", Reason.UNRECOGNISED),
    "pages.tif": (pages("TIFF"), Reason.MULTI_FRAME),
}


def found(folder: Path, name: str, data: bytes) -> FoundFile:
    (file,) = discover([write_tree(folder, {name: data})])
    return file


@pytest.fixture
def film(tmp_path: Path) -> FoundFile:
    return found(tmp_path, "a.jpg", FILMS["a.jpg"][0])


@pytest.mark.parametrize(
    ("name", "data", "kind", "warnings"),
    [(name, *rest) for name, rest in FILMS.items()],
    ids=FILMS,
)
def test_film(name: str, data: bytes, kind: str, warnings: tuple[str, ...], tmp_path: Path) -> None:
    """It has pixels, and a reason not to be scored until somebody scores it."""
    made = prepare(found(tmp_path, name, data), SETTINGS)
    assert (made.result.format, made.result.warnings) == (kind, warnings)
    assert (made.result.status, made.result.reason) == (Status.NOT_SCORED, Reason.INTERNAL_ERROR)
    assert made.pixels is not None
    assert (made.pixels.dtype, made.pixels.shape) == (np.uint8, (SIZE, SIZE, 1))


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.tif", "turned.jpg"])
def test_pixels_are_those_of_the_film(name: str, tmp_path: Path) -> None:
    made = prepare(found(tmp_path, name, FILMS[name][0]), SETTINGS)
    assert made.pixels is not None
    apart = made.pixels.astype(int) - to_network_input(without_border(chest()), SIZE)
    assert np.abs(apart).max() <= 2


@pytest.mark.parametrize(
    ("name", "data", "reason"), [(name, *rest) for name, rest in NO_FILMS.items()], ids=NO_FILMS
)
def test_what_is_no_film_has_its_reason_and_its_hash(
    name: str, data: bytes, reason: Reason, tmp_path: Path
) -> None:
    file = found(tmp_path, name, data)
    os.utime(file.path, (0, 1_795_000_000))
    file = replace(file, stamp=Stamp.of(file.path.stat()))
    made = prepare(file, SETTINGS)
    assert made == Prepared(
        Result.without_score(
            name,
            reason,
            sha256=hashlib.sha256(data).hexdigest(),
            modified_utc="2026-11-18T11:06:40Z",
        ),
        stamp=file.stamp,
    )


def test_facts_of_a_film(film: FoundFile) -> None:
    os.utime(film.path, (0, 1_795_000_000))
    film = replace(film, stamp=Stamp.of(film.path.stat()))
    made = prepare(film, SETTINGS)
    facts = made.result
    assert (facts.width, facts.height, facts.identity) == (64, 48, {})
    assert facts.sha256 == hashlib.sha256(film.path.read_bytes()).hexdigest()
    assert facts.modified_utc == "2026-11-18T11:06:40Z"
    assert made.stamp == film.stamp


def test_what_discovery_ruled_out_is_never_opened(
    film: FoundFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "read_film", raising(AssertionError("opened")))
    made = prepare(replace(film, problem=Reason.TEMPORARY_NAME), SETTINGS)
    assert made == Prepared(Result("a.jpg", Status.DEFERRED, Reason.TEMPORARY_NAME))


def test_file_that_changed_since_it_was_found_says_nothing_of_its_bytes(film: FoundFile) -> None:
    film.path.write_bytes(png(chest()))
    made = prepare(film, SETTINGS)
    assert made == Prepared(Result("a.jpg", Status.DEFERRED, Reason.STILL_CHANGING))


def test_the_header_says_what_is_outside_of_the_model_s_scope(
    film: FoundFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All warnings once, in the order of the vocabulary, whoever noticed."""
    noticed = (InputWarning.FOR_PROCESSING, InputWarning.MODALITY, InputWarning.LOW_RESOLUTION)
    study = Study("DX", "HAND", "LL", 70.0)
    small = DecodedImage(chest(6, 8), "DICOM", noticed, study, identity={"AccessionNumber": "A1"})
    asked = []

    def decode(data: bytes, name: str, fields: Sequence[str], at_least: int) -> DecodedImage:
        asked.append((name, fields, at_least))
        return small

    monkeypatch.setattr(prepare_module, "decode", decode)
    result = prepare(film, replace(SETTINGS, identity_fields=("AccessionNumber",))).result
    assert result.warnings == (
        InputWarning.LOW_RESOLUTION,
        InputWarning.MODALITY,
        InputWarning.BODY_PART,
        InputWarning.VIEW_POSITION,
        InputWarning.PATIENT_AGE,
        InputWarning.FOR_PROCESSING,
    )
    assert result.identity == {"AccessionNumber": "A1"}
    assert asked == [("a.jpg", ("AccessionNumber",), SETTINGS.at_least)]


SECRET = "DOE^JANE"
DEFECTS = {
    "a defect": RuntimeError(SECRET),
    "no memory": MemoryError(SECRET),
}


@pytest.mark.parametrize(
    "step", ["read_film", "decode", "without_border", "to_network_input", "pixel_warnings"]
)
@pytest.mark.parametrize("error", DEFECTS.values(), ids=DEFECTS)
def test_a_defect_costs_one_row_and_tells_no_secret(
    step: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the message, which may quote the file, nor the file's name."""
    file = found(tmp_path, f"{SECRET}.jpg", jpeg(chest()))
    fragile = raising(error)
    monkeypatch.setattr(prepare_module, step, fragile)
    with caplog.at_level(logging.WARNING):
        made = prepare(file, SETTINGS)
    assert made.result.reason is Reason.INTERNAL_ERROR
    assert made.pixels is None
    assert bool(made.result.sha256) == (step != "read_film")
    (record,) = caplog.records
    assert f"unexpected {type(error).__name__} in a film" in record.getMessage()
    assert fragile.__name__ in record.getMessage(), "where it happened"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_row(
    error: type[BaseException], film: FoundFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "decode", raising(error()))
    with pytest.raises(error):
        prepare(film, SETTINGS)


def test_a_refused_image_is_not_logged(
    film: FoundFile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prepare_module, "decode", raising(ImageError(Reason.ALPHA, "detail")))
    with caplog.at_level(logging.DEBUG):
        assert prepare(film, SETTINGS).result.reason is Reason.ALPHA
    assert caplog.records == []


@pytest.mark.parametrize("size", [0, -1])
def test_a_network_has_an_input(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        replace(SETTINGS, size=size)
