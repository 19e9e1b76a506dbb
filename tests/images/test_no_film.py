"""What is certainly no film, told by its bytes; whatever may be one stays unknown."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import Reason
from tests.images.dicoms import film


def executable() -> bytes:
    return b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(100)


def icon(size: int = 100) -> bytes:
    entry = struct.pack("<8xII", size, 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + bytes(100)


CATALOG = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "Catalog".encode("utf-16-le")
NO_FILMS = {
    "autorun": (b"[autorun]\r\nopen=viewer.exe\r\nicon=viewer.ico\r\n", "text"),
    "with umlauts of Windows": ("Bitte für die Ärzte öffnen\r\n".encode("cp1252"), "text"),
    "of a Chinese CD": ("请打开浏览器\n".encode(), "text"),
    "UTF-16": ("\ufeff[ViewState]\r\nMode=\r\n".encode("utf-16-le"), "text"),
    "a page": (b"<!DOCTYPE html><html lang='en'></html>", "text"),
    "a viewer": (executable(), "program"),
    "a library": (b"\x7fELF" + bytes(60), "program"),
    "of a Mac": (b"\xcf\xfa\xed\xfe" + bytes(60), "program"),
    "of Java": (b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(60), "program"),
    "a shortcut": (b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46" + bytes(9), "program"),
    "thumbs.db": (CATALOG, "thumbnails"),
    "thumbcache": (b"CMMM" + bytes(60), "thumbnails"),
    ".DS_Store": (b"\0\0\0\x01Bud1" + bytes(60), "folder settings"),
    "an icon": (icon(), "icon"),
}


def refusal(data: bytes, name: str = "film.dcm") -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data, name)
    return caught.value


@pytest.mark.parametrize(("data", "kind"), NO_FILMS.values(), ids=NO_FILMS)
def test_it_is_told_by_its_bytes_and_named(data: bytes, kind: str) -> None:
    """Its name says nothing: it is that of a film, but for a text, which would be looked at."""
    error = refusal(data, "notes" if kind == "text" else "film.dcm")
    assert (error.reason, error.format) == (Reason.NO_FILM, kind)


MAYBE = {
    "noise": bytes(range(256)),
    "zeros": bytes(1000),
    "a few letters among bytes": b"hello\0\x01",
    "a cut program": b"MZ" + bytes(30),
    "an icon that points elsewhere": icon(5000),
    "a document of an office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "a grey map in digits": b"P2\n2 2\n255\n0 1 2 3\n",
    "a megabyte of digits": b"0 12 255 31\n" * 100_000,
    "half of it no text": b"text" + bytes(range(128, 160)),
    "white space": b" \n\n ",
    "the first bytes of a TIFF": b"II*",
}


@pytest.mark.parametrize("data", MAYBE.values(), ids=MAYBE)
def test_whatever_may_be_a_film_stays_unknown(data: bytes) -> None:
    assert refusal(data, "notes.txt").reason is Reason.UNRECOGNISED


@given(st.binary(min_size=4000, max_size=4000))
def test_random_bytes_are_no_text(data: bytes) -> None:
    if b"\0" in data:
        assert refusal(data, "notes").reason is not Reason.NO_FILM


OBJECTS = {
    "directory": ("1.2.840.10008.1.3.10", "DICOM directory"),
    "basic text report": ("1.2.840.10008.5.1.4.1.1.88.11", "DICOM report"),
    "dose report": ("1.2.840.10008.5.1.4.1.1.88.67", "DICOM report"),
    "key object": ("1.2.840.10008.5.1.4.1.1.88.59", "DICOM key object"),
    "presentation state": ("1.2.840.10008.5.1.4.1.1.11.1", "DICOM presentation state"),
    "encapsulated PDF": ("1.2.840.10008.5.1.4.1.1.104.1", "DICOM document"),
    "ECG": ("1.2.840.10008.5.1.4.1.1.9.1.1", "DICOM waveform"),
}


@pytest.mark.parametrize(("uid", "kind"), OBJECTS.values(), ids=OBJECTS)
def test_objects_of_dicom_without_a_picture(uid: str, kind: str) -> None:
    error = refusal(film(SOPClassUID=uid, PixelData=None))
    assert (error.reason, error.format) == (Reason.NO_FILM, kind)


def test_a_directory_may_have_icons() -> None:
    icons = film(SOPClassUID="1.2.840.10008.1.3.10")
    meta, at = icons[:132], icons.index(b"\x08\x00\x16\x00UI")
    records = b"\x04\x00\x20\x12SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    error = refusal(meta + icons[132:at] + records + icons[at:])
    assert (error.reason, error.format) == (Reason.NO_FILM, "DICOM directory")


@pytest.mark.parametrize("uid", [uid for uid, _ in OBJECTS.values()])
def test_a_picture_under_a_class_without_one_may_be_a_film(uid: str) -> None:
    assert refusal(film(SOPClassUID=uid)).reason is Reason.NOT_AN_IMAGE
