"""A machine in trouble must not make a whole film a damaged one."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images import decode, dicom_frame
from cxr_edge.types import Reason
from tests.images import dicoms
from tests.images.dicoms import film
from tests.images.films import jpeg, png, tiff

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

FILMS = {"DICOM": film(), "JPEG": jpeg(), "PNG": png(), "TIFF": tiff()}


def reason_of(data: bytes) -> Reason:
    with pytest.raises(ImageError) as caught:
        decode(data, "film")
    return caught.value.reason


def let_decoding_raise(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(dicom_frame, "samples", fail)
    monkeypatch.setattr(Image, "open", fail)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("data", FILMS.values(), ids=FILMS)
def test_error_of_the_system(data: bytes, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    let_decoding_raise(OSError(number, os.strerror(number)), monkeypatch)
    assert reason_of(data) is Reason.IO_ERROR


@pytest.mark.parametrize("data", FILMS.values(), ids=FILMS)
def test_decoder_that_cannot_be_loaded_is_no_property_of_the_film(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_decoding_raise(ImportError("failed to map segment from shared object"), monkeypatch)
    with pytest.raises(ImportError, match="segment"):
        decode(data, "film")


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """No file, no pipe: the process is at its limit."""
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, kept[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, kept)


SYNTAXES = {
    "JPEG": dicoms.JPEG_LOSSLESS_SV1,
    "JPEG-LS": dicoms.JPEG_LS,
}
PACKED = {name: film(syntax=syntax) for name, syntax in SYNTAXES.items()}


@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED)
def test_out_of_file_descriptors(data: bytes, request: pytest.FixtureRequest) -> None:
    decode(data, "film")  # the decoder is loaded
    request.getfixturevalue("no_descriptors")
    assert reason_of(data) is Reason.IO_ERROR
