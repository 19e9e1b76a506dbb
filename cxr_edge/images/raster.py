"""JPEG, PNG and TIFF, 8 and 16 bit, through Pillow with every silent leniency closed."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from cxr_edge.errors import ImageError
from cxr_edge.types import DecodedImage, InputWarning, Reason

MAX_PIXELS = 36_000_000  # 6,000 x 6,000: above any radiography detector

_EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "TIFF": {".tif", ".tiff"},
}
_PHOTOMETRIC_INTERPRETATION = 262
_WHITE_IS_ZERO = 0
_EXIF_ORIENTATION = 0x0112
_STORED_BITS = (8, 10, 12, 14, 16)

# Pillow warns about odd metadata and goes on; the pixels are checked here instead. Once for the
# process: `catch_warnings` swaps a global, which films decoded side by side would mix up.
warnings.filterwarnings("ignore", module=r"PIL\.")


def _read(data: bytes, name: str, image_format: str) -> DecodedImage:
    """Open, check, load and turn to grey; every Pillow error becomes an `ImageError`."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES must stay False")
    try:
        if image_format == "PNG":
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                image.verify()  # the checksums, which loading the pixels does not look at
        with Image.open(io.BytesIO(data), formats=(image_format,)) as image:
            _check_header(image, image_format)
            # Asked before loading: Pillow turns a TIFF while it loads, and then forgets.
            oriented = image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9)
            image.load()
            upright = ImageOps.exif_transpose(image) if oriented else image
            pixels = _grey(upright, inverted=_is_white_zero_16bit(image))
    except ImageError:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise ImageError(Reason.TOO_LARGE, str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageError(Reason.CORRUPT, "header cannot be read") from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ...
        raise ImageError(_damage(error), str(error)) from error
    return DecodedImage(pixels, image_format, _warnings(name, image_format, oriented))


def _read_jpeg(data: bytes, name: str) -> DecodedImage:
    # A half-copied, preallocated JPEG decodes without an error: its tail is grey. The end-of-image
    # marker must come after the last start-of-scan marker.
    if data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda"):
        raise ImageError(Reason.TRUNCATED, "no end-of-image marker")
    return _read(data, name, "JPEG")


def _read_png(data: bytes, name: str) -> DecodedImage:
    if b"IEND\xaeB`\x82" not in data:
        raise ImageError(Reason.TRUNCATED, "no IEND chunk")
    return _read(data, name, "PNG")


def _read_tiff(data: bytes, name: str) -> DecodedImage:
    return _read(data, name, "TIFF")


SIGNATURES: dict[bytes, Callable[[bytes, str], DecodedImage]] = {
    b"\xff\xd8\xff": _read_jpeg,
    b"\x89PNG\r\n\x1a\n": _read_png,
    b"II*\x00": _read_tiff,
    b"MM\x00*": _read_tiff,
    b"II+\x00": _read_tiff,  # BigTIFF
    b"MM\x00+": _read_tiff,
}


def _check_header(image: Image.Image, image_format: str) -> None:
    """What the header alone rules out, before a pixel is decoded."""
    # Not `n_frames`, which walks the whole file: minutes for a TIFF of a hundred thousand pages.
    if image.format != image_format or getattr(image, "is_animated", False):
        raise ImageError(Reason.MULTI_FRAME, f"{image.format} with several frames")
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(Reason.TOO_LARGE, f"{image.width} x {image.height} pixels")


def _grey(image: Image.Image, *, inverted: bool) -> NDArray[np.uint8]:
    """Uint8 [H, W], one rule per pixel mode; `Image.convert` would clip 16 bits to white."""
    if image.mode.startswith("I;16") or image.mode == "I":
        levels = np.array(image)
        if np.any(levels == image.info.get("transparency")):
            raise ImageError(Reason.ALPHA, "partly transparent")
        return _eight_bits(levels, inverted=inverted)
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = _opaque(image)
    if image.mode == "L":
        return np.array(image)
    if image.mode in ("RGB", "P"):
        return np.array(image.convert("RGB").convert("L"))
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        raise ImageError(Reason.COLOUR_SPACE, image.mode)
    raise ImageError(Reason.PIXEL_TYPE, f"pixel mode {image.mode}")


def _opaque(image: Image.Image) -> Image.Image:
    """Drop an alpha channel that hides nothing."""
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        raise ImageError(Reason.ALPHA, "partly transparent")
    return rgba.convert("RGB")


def _eight_bits(levels: NDArray[np.generic], *, inverted: bool) -> NDArray[np.uint8]:
    """Scale to 0..255 from the smallest usual bit depth (8, 10, 12, 14, 16) that holds the values.

    Detectors store 10 to 14 bits in 16-bit files without saying so; dividing those by 257 would
    leave a nearly black film.
    """
    wide = levels.astype(np.int64)
    lowest, highest = int(wide.min()), int(wide.max())
    if lowest < 0 or highest > 0xFFFF:
        raise ImageError(Reason.PIXEL_TYPE, f"grey levels {lowest} to {highest}")
    full = next(2**bits - 1 for bits in _STORED_BITS if highest < 2**bits)
    if inverted:
        wide = full - wide
    grey: NDArray[np.int64] = (wide * 255 + full // 2) // full
    return grey.astype(np.uint8)


def _is_white_zero_16bit(image: Image.Image) -> bool:
    """Pillow turns 8-bit white-is-zero TIFFs round, 16-bit ones not."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or image.mode == "L":
        return False
    return bool(tags.get(_PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO)


def _damage(error: Exception) -> Reason:
    """Missing bytes or wrong bytes."""
    text = str(error).lower()
    cut = isinstance(error, EOFError | struct.error) or "truncated" in text or "end of" in text
    return Reason.TRUNCATED if cut else Reason.CORRUPT


def _warnings(name: str, image_format: str, oriented: bool) -> tuple[InputWarning, ...]:
    found = []
    suffix = PurePath(name).suffix.lower()
    if suffix and suffix not in _EXTENSIONS[image_format]:
        found.append(InputWarning.EXTENSION_MISMATCH)
    if oriented:
        found.append(InputWarning.ORIENTATION_APPLIED)
    return tuple(found)
