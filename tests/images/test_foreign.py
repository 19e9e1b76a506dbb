"""What is not read is named, and the first of several pictures is the film."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.images.jpeg import end_of_image, frame_kind
from cxr_edge.types import Reason
from tests.images import dicoms
from tests.images.dicoms import levels_of
from tests.images.films import encode, jpeg, pages, scene, tiff


def in_a_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("film.png", b"film")
    return stream.getvalue()


def in_a_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("film.png"))
    return stream.getvalue()


def media(brand: bytes, *compatible: bytes) -> bytes:
    box = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">L", 8 + len(box)) + b"ftyp" + box + bytes(100)


ARCHIVE, UNSUPPORTED = Reason.ARCHIVE, Reason.UNSUPPORTED_FORMAT
NAMED: dict[str, tuple[bytes, Reason]] = {
    "ZIP": (in_a_zip(), ARCHIVE),
    "tar": (in_a_tar(), ARCHIVE),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), ARCHIVE),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c" + bytes(50), ARCHIVE),
    "JPEG-LS": (dicoms.jpeg_ls_stream(0, levels_of(8), 8), UNSUPPORTED),
    "JPEG of 12 bits": (dicoms.jpeg_extended_stream(levels_of(12), 12), UNSUPPORTED),
    "JPEG of 16 bits": (dicoms.lossless_jpeg_by_hand(levels_of(16), 16), UNSUPPORTED),
    "AVIF": (media(b"avif"), UNSUPPORTED),
    "HEIC": (media(b"heic"), UNSUPPORTED),
    "JPEG XL": (b"\xff\x0a" + bytes(50), UNSUPPORTED),
    "JPEG 2000": (encode(scene(), "JPEG2000"), UNSUPPORTED),
    "GIF": (encode(scene(), "GIF"), UNSUPPORTED),
    "WebP": (encode(scene(), "WEBP"), UNSUPPORTED),
    "PDF": (b"%PDF-1.7\n" + bytes(50), UNSUPPORTED),
    "text": (b"just a text", Reason.NO_FILM),
    "": (b"just\0bytes", Reason.UNRECOGNISED),
}


@pytest.mark.parametrize(("name", "case"), NAMED.items(), ids=NAMED)
def test_name(name: str, case: tuple[bytes, Reason]) -> None:
    data, reason = case
    with pytest.raises(ImageError) as caught:
        decode(data, "film")
    assert (caught.value.reason, caught.value.format) == (reason, name)


@pytest.mark.parametrize("name", ["film.jpg", "film.JPEG", "1.2.840.dcm", "a.tif"])
def test_a_text_in_place_of_a_film_is_looked_at(name: str) -> None:
    """A download saved an error page; its film must not end among what is none."""
    with pytest.raises(ImageError) as caught:
        decode(b"<html>503 Service Unavailable</html>", name)
    assert (caught.value.reason, caught.value.format) == (Reason.UNRECOGNISED, "text")


@pytest.mark.parametrize("name", ["notes.txt", "index.html", "README", "jpg"])
def test_any_other_text_is_no_film(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(b"<html>503 Service Unavailable</html>", name)
    assert caught.value.reason is Reason.NO_FILM


def test_brand_among_those_it_is_compatible_with() -> None:
    with pytest.raises(ImageError) as caught:
        decode(media(b"mp42", b"isom", b"avif"), "film")
    assert caught.value.format == "AVIF"


@pytest.mark.parametrize("at_least", [0, 16, 24])
def test_lossless_jpeg_is_the_film_itself(at_least: int) -> None:
    data = dicoms.lossless_jpeg_by_hand(levels_of(8), 8)
    assert np.array_equal(decode(data, "film.jpg", "", at_least).pixels, scene())


FILM, PREVIEW = scene(200, 240), Image.fromarray(scene(50, 60))


def several(image_format: str, *others: Image.Image, **options: Any) -> bytes:
    # Copies: Pillow leaves the settings of one encoder behind for the next.
    copies = [other.copy() for other in others]
    return encode(FILM, image_format, save_all=True, append_images=copies, **options)


PHONE = several("MPO", PREVIEW, quality=95)
FIRST: dict[str, bytes] = {
    "JPEG with a preview": PHONE,
    "JPEG with half a preview": PHONE[:-200],
    "TIFF with a thumbnail": several("TIFF", PREVIEW),
}


@pytest.mark.parametrize("data", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("at_least", [0, 50])
def test_first_page_is_the_film(data: bytes, at_least: int) -> None:
    image = decode(data, "film", "", at_least)
    assert (image.height, image.width) == FILM.shape
    alone = decode(jpeg(FILM) if image.format == "JPEG" else tiff(FILM), "film", "", at_least)
    assert np.abs(image.pixels.astype(int) - alone.pixels).mean() < 1
    assert image.warnings == ()


SEVERAL = {
    "two films": pages("TIFF"),
    "thumbnail first": encode(
        PREVIEW.copy(), "TIFF", save_all=True, append_images=[Image.fromarray(FILM)]
    ),
    "a film among previews": several("TIFF", PREVIEW, Image.fromarray(FILM)),
}


@pytest.mark.parametrize("data", SEVERAL.values(), ids=SEVERAL)
def test_which_is_the_film_is_not_known(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, "film")
    assert caught.value.reason is Reason.MULTI_FRAME


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_film_that_is_cut_before_its_preview(cut: float) -> None:
    film = end_of_image(PHONE)
    for data in (PHONE[: int(film * cut)], PHONE[: int(film * cut)].ljust(len(PHONE), b"\0")):
        with pytest.raises(ImageError) as caught:
            decode(data, "film.jpg")
        assert caught.value.reason is Reason.TRUNCATED


def test_bytes_of_a_maker_behind_a_jpeg() -> None:
    data = jpeg() + b"MAKER\xff\xda\x00\x01 and more"
    assert np.array_equal(decode(data, "film.jpg").pixels, decode(jpeg(), "film.jpg").pixels)


STREAMS = {
    "baseline": (jpeg(), (0xC0, 8)),
    "progressive": (jpeg(progressive=True), (0xC2, 8)),
    "restarts": (jpeg(restart_marker_rows=1), (0xC0, 8)),
    "JPEG-LS": (dicoms.jpeg_ls_stream(0, levels_of(8), 8), (0xF7, 8)),
    "lossless": (dicoms.lossless_jpeg_by_hand(levels_of(12), 12), (0xC3, 12)),
}


@pytest.mark.parametrize(("data", "kind"), STREAMS.values(), ids=STREAMS)
def test_segments(data: bytes, kind: tuple[int, int]) -> None:
    assert frame_kind(data) == kind
    assert end_of_image(data + b"more") == len(data)
    assert {end_of_image(data[:cut]) for cut in range(0, len(data), 7)} <= {0}
    assert {end_of_image(data[:cut].ljust(2000, b"\0")) for cut in range(2, len(data), 7)} <= {0}
