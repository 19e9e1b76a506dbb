"""The support table in docs/dicom.md is the one in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_edge.images.dicom_syntax import SYNTAXES
from tests.images import dicoms
from tests.images.dicoms import ENCODERS
from tests.images.foreign import FOREIGN

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dicom.md"

ENCODED_BY = {
    dicoms.RLE: "pydicom",
    dicoms.JPEG_BASELINE: "GDCM, Pillow",
    dicoms.JPEG_EXTENDED: "GDCM",
    dicoms.JPEG_LOSSLESS: "GDCM, by hand",
    dicoms.JPEG_LOSSLESS_SV1: "GDCM, by hand",
    dicoms.JPEG_LS: "CharLS",
    dicoms.JPEG_LS_NEAR: "CharLS",
    dicoms.J2K_LOSSLESS: "OpenJPEG",
    dicoms.J2K: "OpenJPEG",
    dicoms.HTJ2K_LOSSLESS: "OpenJPH",
    dicoms.HTJ2K_RPCL: "OpenJPH",
    dicoms.HTJ2K: "OpenJPH",
}


def row(uid: str) -> str:
    syntax = SYNTAXES[uid]
    made = ENCODED_BY.get(uid, "pydicom")
    foreign = f"`{FOREIGN[uid]}`" if uid in FOREIGN else "none"
    return f"| {syntax.name} | `{uid}` | {syntax.package} | {made} | {foreign} |"


@pytest.mark.parametrize("uid", SYNTAXES)
def test_the_page_has_the_syntax(uid: str) -> None:
    assert row(uid) in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_page_has_no_other() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "| `1.2." in line]
    assert lines == [row(uid) for uid in SYNTAXES]


def test_every_encoder_is_named() -> None:
    assert set(ENCODED_BY) == set(ENCODERS)
