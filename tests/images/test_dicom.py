"""One scene in every transfer syntax, depth, sign and polarity comes out as the scene."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import ImageError
from cxr_edge.images import decode, decoder_versions, is_id_tag
from cxr_edge.images.dicom_syntax import SYNTAXES
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.types import InputWarning, Reason
from tests.images import dicoms
from tests.images.dicoms import ENCODERS, film, levels_of, lossless_jpeg_by_hand, with_code_stream
from tests.images.films import Levels, jpeg, scene

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

NATIVE = (dicoms.IMPLICIT, dicoms.EXPLICIT, dicoms.BIG_ENDIAN)
LOSSLESS = (
    *(*NATIVE, dicoms.RLE, dicoms.JPEG_LOSSLESS, dicoms.JPEG_LOSSLESS_SV1),
    *(dicoms.JPEG_LS, dicoms.J2K_LOSSLESS),
)
# Mean difference in grey levels that a syntax may lose, by bits.
LOSSY = {
    (dicoms.JPEG_BASELINE, 8): 0.1,
    (dicoms.JPEG_EXTENDED, 8): 0.1,
    (dicoms.JPEG_EXTENDED, 12): 0.1,
    (dicoms.JPEG_LS_NEAR, 8): 1.5,
    (dicoms.JPEG_LS_NEAR, 12): 0.1,
    (dicoms.J2K, 8): 0.7,
    (dicoms.J2K, 12): 0.7,
    (dicoms.J2K, 16): 0.7,
    (dicoms.HTJ2K, 8): 0.5,
}


def named(syntax: str) -> str:
    return SYNTAXES[syntax].name


def shows_the_scene(data: bytes, *, within: int = 1) -> None:
    """As decoded, and as the network sees it."""
    image = decode(data, "film.dcm")
    assert image.format == "DICOM"
    assert np.abs(image.pixels.astype(int) - scene()).max() <= within
    seen = to_network_input(without_border(image.pixels), 32).astype(int) - to_network_input(
        without_border(scene()), 32
    )
    assert np.abs(seen).max() <= within


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=named)
def test_lossless_syntax_gives_the_scene(syntax: str, bits: int, signed: bool) -> None:
    data = film(levels_of(bits, signed=signed), bits=bits, syntax=syntax)
    shows_the_scene(data)
    assert decode(data, "film.dcm").warnings == ()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("syntax", [dicoms.HTJ2K_LOSSLESS, dicoms.HTJ2K_RPCL], ids=named)
def test_high_throughput_jpeg_2000_gives_the_scene(syntax: str, bits: int) -> None:
    shows_the_scene(film(bits=bits, syntax=syntax))


@pytest.mark.parametrize(("syntax", "bits"), LOSSY, ids=lambda key: str(key))
def test_lossy_syntax_gives_nearly_the_scene(syntax: str, bits: int) -> None:
    pixels = decode(film(bits=bits, syntax=syntax), "film.dcm").pixels
    difference = np.abs(pixels.astype(int) - scene())
    assert difference.mean() <= LOSSY[syntax, bits]
    assert difference.max() <= 6


def test_every_syntax_is_tested() -> None:
    high_throughput = {dicoms.HTJ2K_LOSSLESS, dicoms.HTJ2K_RPCL}
    assert {*LOSSLESS, *high_throughput, *(syntax for syntax, _ in LOSSY)} == set(SYNTAXES)
    assert {syntax for syntax in SYNTAXES if SYNTAXES[syntax].decode} == set(ENCODERS)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=named)
def test_monochrome1_is_turned_once(syntax: str) -> None:
    levels = levels_of(12, inverted=True)
    data = film(levels, syntax=syntax, PhotometricInterpretation="MONOCHROME1")
    shows_the_scene(data)


@pytest.mark.parametrize("shape", ["INVERSE", "IDENTITY"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_polarity(photometric: str, shape: str) -> None:
    turned = photometric == "MONOCHROME1" or shape == "INVERSE"
    data = film(
        levels_of(12, inverted=turned),
        PhotometricInterpretation=photometric,
        PresentationLUTShape=shape,
    )
    shows_the_scene(data)


def rubbish_above(levels: Levels) -> Levels:
    """Old overlays in the four unused bits."""
    return (levels | np.uint16(0xA000)).astype(np.uint16)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("syntax", [*NATIVE, dicoms.RLE], ids=named)
def test_unused_bits_are_ignored(syntax: str, signed: bool) -> None:
    stored = levels_of(12, signed=signed).view(np.uint16) & np.uint16(0x0FFF)
    more = {"PixelRepresentation": int(signed), "WindowCenter": 0 if signed else 2048}
    shows_the_scene(film(rubbish_above(stored), syntax=syntax, **more))
    shows_the_scene(film(stored << 4, syntax=syntax, HighBit=15, **more))


def test_a_byte_in_words_of_a_big_endian_file() -> None:
    """OW of 8-bit samples: every other byte changes places."""
    swapped = levels_of(8).view("<u2").astype(">u2").view(np.uint8)
    data = film(swapped, bits=8, syntax=dicoms.BIG_ENDIAN)
    shows_the_scene(data.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW"))


def test_odd_number_of_bytes_is_padded() -> None:
    odd = scene()[:47, :63]
    for syntax in (dicoms.EXPLICIT, dicoms.RLE, dicoms.JPEG_LS):
        assert np.array_equal(decode(film(odd, bits=8, syntax=syntax), "").pixels, odd)


def test_even_number_of_bytes_is_padded_by_some() -> None:
    plain = film()
    at = plain.rindex(struct.pack("<L", scene().size * 2))
    padded = plain[:at] + struct.pack("<L", scene().size * 2 + 2) + plain[at + 4 :] + b"\0\0"
    shows_the_scene(padded)


def test_a_frame_in_several_fragments() -> None:
    stream = ENCODERS[dicoms.J2K_LOSSLESS](levels_of(12), 12)
    parts = [stream[:100], stream[100:500], stream[500:]]
    data = dicoms.with_fragments(parts, levels_of(12), 12, dicoms.J2K_LOSSLESS)
    shows_the_scene(data)


STREAM_BITS = {  # bits that the header says are stored, of a code stream of the other number
    "more in the stream": (12, 16),
    "fewer in the stream": (16, 12),
}


@pytest.mark.parametrize(("stored", "coded"), STREAM_BITS.values(), ids=STREAM_BITS)
@pytest.mark.parametrize("syntax", [dicoms.JPEG_LS, dicoms.J2K_LOSSLESS], ids=named)
def test_precision_other_than_bits_stored(syntax: str, stored: int, coded: int) -> None:
    levels = levels_of(12)
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    stream = ENCODERS[syntax](levels, coded)
    shows_the_scene(with_code_stream(stream, levels, stored, syntax, **window))


def test_a_sample_beyond_the_bits_stored_is_no_sample() -> None:
    levels = levels_of(16)
    stream = ENCODERS[dicoms.JPEG_LS](levels, 16)
    with pytest.raises(ImageError) as caught:
        decode(with_code_stream(stream, levels, 12, dicoms.JPEG_LS), "film.dcm")
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [dicoms.JPEG_LOSSLESS, dicoms.JPEG_LOSSLESS_SV1], ids=named)
def test_lossless_jpeg_by_hand(syntax: str, bits: int) -> None:
    stream = lossless_jpeg_by_hand(levels_of(bits), bits)
    shows_the_scene(with_code_stream(stream, levels_of(bits), bits, syntax))


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str
)
def test_jpeg_of_pillow(options: dict[str, Any]) -> None:
    data = with_code_stream(jpeg(**options), levels_of(8), 8, dicoms.JPEG_BASELINE)
    assert np.abs(decode(data, "film.dcm").pixels.astype(int) - scene()).mean() < 1


NAMES = {
    "film.dcm": True,
    "IM000001": True,
    "film.ima": True,
    "film.png": False,
}


@pytest.mark.parametrize(("name", "fits"), NAMES.items(), ids=NAMES)
def test_name_is_only_compared(name: str, fits: bool) -> None:
    said = () if fits else (InputWarning.EXTENSION_MISMATCH,)
    assert decode(film(), name).warnings == said


WARNED: dict[str, tuple[dict[str, Any], InputWarning]] = {
    "no window": ({"WindowCenter": None, "WindowWidth": None}, InputWarning.NO_WINDOW),
    "secondary capture": (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        InputWarning.MODALITY,
    ),
    "no modality": ({"Modality": ""}, InputWarning.MODALITY),
    "a maker's own class": ({"SOPClassUID": "1.2.3.4.5"}, InputWarning.MODALITY),
    "for processing": (
        {"PresentationIntentType": "FOR PROCESSING"},
        InputWarning.FOR_PROCESSING,
    ),
    "for processing by class": (
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"},
        InputWarning.FOR_PROCESSING,
    ),
}


@pytest.mark.parametrize(("elements", "warning"), WARNED.values(), ids=WARNED)
def test_scored_with_a_warning(elements: dict[str, Any], warning: InputWarning) -> None:
    data = film(**elements)
    assert decode(data, "film.dcm").warnings == (warning,)
    shows_the_scene(data)


@pytest.mark.parametrize("start", [b"MZ", b"\x7fELF"], ids=["Windows", "Linux"])
def test_a_program_in_front_is_said(start: bytes) -> None:
    data = start + film()[len(start) :]
    assert decode(data, "film.dcm").warnings == (InputWarning.EXECUTABLE_PREAMBLE,)


def test_a_tiff_in_front_does_not_hide_the_film() -> None:
    shows_the_scene(b"II*\0" + film()[4:])


def test_versions_of_what_decodes() -> None:
    packages = {syntax.package for syntax in SYNTAXES.values()} - {"numpy"}
    assert packages <= set(decoder_versions())


TAGS = {
    "AccessionNumber": True,
    "PatientID": True,
    "PixelData": False,
    "TransferSyntaxUID": False,
    "Accession": False,
    "(0008,0050)": False,
}


@pytest.mark.parametrize(("keyword", "is_one"), TAGS.items(), ids=TAGS)
def test_which_tags_identify(keyword: str, is_one: bool) -> None:
    assert is_id_tag(keyword) is is_one


LIMITED = """
import pathlib, resource, sys
import numpy as np
from cxr_edge.images import decode
data = pathlib.Path(sys.argv[1]).read_bytes()
resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))
pixels = decode(data, "film.dcm").pixels
assert pixels.shape == (6000, 6000), pixels.shape
print(int(pixels[0, 0]), int(pixels[-1, -1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "syntax", [dicoms.EXPLICIT, dicoms.JPEG_LOSSLESS_SV1, dicoms.JPEG_LS], ids=named
)
def test_36_megapixels_of_16_bits_fit_in_a_gigabyte(syntax: str, tmp_path: Path) -> None:
    levels = np.tile(levels_of(16), (125, 94))[:6000, :6000]
    (tmp_path / "film.dcm").write_bytes(film(levels, bits=16, syntax=syntax))
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, str(tmp_path / "film.dcm")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    ends = int(scene()[0, 0]), int(scene()[-1, 47])
    assert (made.stderr, made.stdout) == ("", f"{ends[0]} {ends[1]}\n")
