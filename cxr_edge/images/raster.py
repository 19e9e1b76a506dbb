"""JPEG, PNG and TIFF, 8 and 16 bit, through Pillow with every silent leniency closed."""

from __future__ import annotations

import io
import itertools
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import (
    Image,
    ImageFile,
    ImageOps,
    MpoImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from cxr_edge.errors import ImageError
from cxr_edge.images.jpeg import JPEG_LS, LOSSLESS, end_of_image, frame_kind
from cxr_edge.images.tail import MAX_PARTS, check_effort, has_jpeg_end
from cxr_edge.images.tiff import check_complete
from cxr_edge.types import MAX_PIXELS, DecodedImage, InputWarning, Reason

_EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "TIFF": {".tif", ".tiff"},
}
_PHOTOMETRIC_INTERPRETATION = 262
_WHITE_IS_ZERO = 0
_NEW_SUBFILE_TYPE = 254
_MOST_PREVIEWS = 4
_EXIF_ORIENTATION = 0x0112
_STORED_BITS = (8, 10, 12, 14, 16)
_TOO_LARGE = (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning)
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339
_SIGNED = 2
# Films have 256 greys at least, as in DICOM; a palette's index may be shorter than its colours.
_FEW_BITS = re.compile("^L;[24]")
_SIXTEEN_BITS = ";16"
_DARK = 64  # of 256: 14 of 16 bits
_COLOUR_CELLS = 64  # a side
_COLOUR_SPREAD = 24  # levels between the channels of a cell; JPEG noise of a grey film: below 20
_LEVELS_AT_ONCE = 2**20  # an index array of NumPy takes eight bytes a level

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Pillow warns about odd metadata and goes on; the pixels are checked here instead. Once for the
# process: `catch_warnings` swaps a global, which films decoded side by side would mix up.
warnings.filterwarnings("ignore", module=r"PIL\.")


def _read(data: bytes, name: str, image_format: str, at_least: int = 0) -> DecodedImage:
    """Open, check, load and turn to grey; every Pillow error becomes an `ImageError`.

    Not so an ImportError: that a decoder cannot be loaded is the machine's fault.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES must stay False")
    try:
        if image_format == "PNG":
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                image.verify()  # the checksums, which loading the pixels does not look at
        with Image.open(io.BytesIO(data), formats=(image_format,)) as image:
            _check_header(image, image_format, data)
            layout = _layout(image)  # asking for an orientation may load a PNG
            ending: tuple[InputWarning, ...] = ()
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                ending = check_complete(image, data)
            # Asked before loading: Pillow turns a TIFF while it loads, and then forgets.
            oriented = image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9)
            stored = (image.height, image.width)
            # What an orientation turns would lie at another corner of the reduced film.
            reduction = 1 if oriented else _drafted(image, at_least)
            image.load()
            _check_range(image, layout)
            upright = _opaque(ImageOps.exif_transpose(image) if oriented else image)
            coloured = upright.mode == "RGB" and _is_coloured(upright)
            pixels = _grey(upright, inverted=_is_white_zero_16bit(image))
    except (ImageError, ImportError):
        raise
    except _TOO_LARGE as error:
        raise ImageError(Reason.TOO_LARGE, str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageError(Reason.CORRUPT, "header cannot be read") from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error ...
        raise ImageError(_damage(error), str(error)) from error
    noticed = {
        InputWarning.EXTENSION_MISMATCH: _is_misnamed(name, image_format),
        InputWarning.ORIENTATION_APPLIED: oriented,
        InputWarning.COLOUR: coloured,
        InputWarning.CUT_SHORT: InputWarning.CUT_SHORT in ending,
    }
    warned = tuple(warning for warning, holds in noticed.items() if holds)
    whole = stored if reduction > 1 else None
    return DecodedImage(pixels, image_format, warned, reduction=reduction, stored=whole)


def _read_jpeg(data: bytes, name: str, at_least: int) -> DecodedImage:
    check_effort(data)
    marker, precision = frame_kind(data)
    if marker == JPEG_LS or precision not in (0, 8):
        kind = "JPEG-LS" if marker == JPEG_LS else f"JPEG of {precision} bits"
        raise ImageError(Reason.UNSUPPORTED_FORMAT, kind, format=kind)
    if not has_jpeg_end(data):
        raise ImageError(Reason.TRUNCATED, "no end-of-image marker")
    # A lossless one has no cosine transform that could be made for fewer samples.
    return _read(data, name, "JPEG", 0 if marker == LOSSLESS else at_least)


def _drafted(image: Image.Image, at_least: int) -> int:
    """Have the decoder make fewer pixels, as it can for a JPEG; returns by how much each way.

    All of the file is decoded even so, and damage seen: only the inverse cosine transform is made
    for fewer samples.
    """
    stored = image.width
    drafted = image.draft(None, (at_least, at_least)) if at_least else None
    if drafted is None:
        return 1
    _, (_, _, width, _) = drafted
    return round(stored / width)


def _read_png(data: bytes, name: str, _: int) -> DecodedImage:
    if not _has_png_end(data):
        raise ImageError(Reason.TRUNCATED, "no IEND chunk")
    return _read(data, name, "PNG")


def _has_png_end(data: bytes) -> bool:
    """Check that the chain of chunks ends in a whole `IEND`."""
    position = len(b"\x89PNG\r\n\x1a\n")
    for _ in range(MAX_PARTS):
        if position + 8 > len(data) or not data[position + 4 : position + 8].isalpha():
            return False
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if kind == b"IEND":
            return bool(position <= len(data))
    raise ImageError(Reason.TOO_LARGE, f"a PNG of more than {MAX_PARTS} chunks")


def _read_tiff(data: bytes, name: str, _: int) -> DecodedImage:
    return _read(data, name, "TIFF")


SIGNATURES: dict[bytes, Callable[[bytes, str, int], DecodedImage]] = {
    b"\xff\xd8\xff": _read_jpeg,
    b"\x89PNG\r\n\x1a\n": _read_png,
    b"II*\x00": _read_tiff,
    b"MM\x00*": _read_tiff,
    b"II+\x00": _read_tiff,  # BigTIFF
    b"MM\x00+": _read_tiff,
}


def _check_header(image: Image.Image, image_format: str, data: bytes) -> None:
    """Refuse a file by its header alone, before a pixel is decoded."""
    several = image.format != image_format or getattr(image, "is_animated", False)
    if several and not _others_are_previews(image, data):
        raise ImageError(Reason.MULTI_FRAME, f"{image.format} with several frames")
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(Reason.TOO_LARGE, f"{image.width} x {image.height} pixels")
    if _FEW_BITS.search(_layout(image)):
        raise ImageError(Reason.PIXEL_TYPE, f"layout {_layout(image)}")
    if _bits_and_format(image) == (8, _SIGNED):
        raise ImageError(Reason.PIXEL_TYPE, "signed samples of 8 bits")


def _layout(image: Image.Image) -> str:
    """Pillow's name for how the samples lie in the file; known until they are loaded."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    arguments = tiles[0].args if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _bits_and_format(image: Image.Image) -> tuple[int, int]:
    """Bits and format of a TIFF's first sample; zeros in other formats."""
    tags = getattr(image, "tag_v2", {})
    keys = (_BITS_PER_SAMPLE, _SAMPLE_FORMAT)
    bits, kind = (tags.get(key, (0,))[0] for key in keys)
    return int(bits), int(kind)


def _check_range(image: Image.Image, layout: str) -> None:
    """Refuse 16-bit channels that use 14 bits or fewer: Pillow keeps the upper eight of each."""
    if _SIXTEEN_BITS not in layout or image.mode not in ("RGB", "RGBA", "LA"):
        return
    extrema = image.convert("RGB").getextrema()
    if max(highest for _, highest in extrema) < _DARK:  # type: ignore[misc]
        raise ImageError(Reason.PIXEL_TYPE, "channels of 16 bits that use fewer")


def _others_are_previews(image: Image.Image, data: bytes) -> bool:
    """Whether the first of several images is the film, and the others small copies of it."""
    if isinstance(image, MpoImagePlugin.MpoImageFile):
        sizes = _sizes_in_jpeg(data)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        sizes = _sizes_in_tiff(data)
    else:
        return False
    of_film = image.width * image.height
    others = list(itertools.islice(sizes, _MOST_PREVIEWS + 1))
    return len(others) <= _MOST_PREVIEWS and all(2 * size <= of_film for size in others)


def _sizes_in_jpeg(data: bytes) -> Iterator[int]:
    """Pixels of the images behind the first one of a multi-picture file (CIPA DC-007)."""
    rest = data[end_of_image(data) :]
    while (start := rest.find(b"\xff\xd8\xff")) >= 0:
        rest = rest[start:]
        with Image.open(io.BytesIO(rest), formats=("JPEG",)) as other:
            yield other.width * other.height
        rest = rest[end_of_image(rest) or len(rest) :]


def _sizes_in_tiff(data: bytes) -> Iterator[int]:
    """The same of the pages behind the first; 0 for one that says that it is reduced.

    Not by `n_frames`, which walks the whole file: minutes for a hundred thousand pages.
    """
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        for page in itertools.count(1):
            try:
                image.seek(page)
            except EOFError:
                return
            reduced = int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & 1  # type: ignore[attr-defined]
            yield 0 if reduced else image.width * image.height


def _opaque(image: Image.Image) -> Image.Image:
    """Drop an alpha channel that hides nothing; colours instead of palette indices."""
    if image.mode.startswith("I") or not (
        image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info
    ):
        return image.convert("RGB") if image.mode == "P" else image
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    if rgba.getchannel("A").getextrema() != (255, 255):
        raise ImageError(Reason.ALPHA, "partly transparent")
    return rgba.convert("RGB")


def _is_coloured(image: Image.Image) -> bool:
    """A photograph, a screenshot or a tinted film: the channels of some area differ to the eye.

    The noise that JPEG adds to the colour of a grey film is gone in the mean of an area.
    """
    cells = (_COLOUR_CELLS, _COLOUR_CELLS)
    small = image.resize(cells, Image.Resampling.BOX, reducing_gap=1.0)
    return bool(np.ptp(np.asarray(small), axis=2).max() > _COLOUR_SPREAD)


def _grey(image: Image.Image, *, inverted: bool) -> NDArray[np.uint8]:
    """Uint8 [H, W], one rule per pixel mode; `Image.convert` would clip 16 bits to white."""
    if image.mode.startswith("I;16") or image.mode == "I":
        levels = np.asarray(image)
        transparent = image.info.get("transparency")
        if transparent is not None and np.any(levels == transparent):
            raise ImageError(Reason.ALPHA, "partly transparent")
        return _eight_bits(levels, inverted=inverted)
    if image.mode == "L":
        return np.asarray(image)
    if image.mode == "RGB":
        return np.asarray(image.convert("L"))
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        raise ImageError(Reason.COLOUR_SPACE, image.mode)
    raise ImageError(Reason.PIXEL_TYPE, f"pixel mode {image.mode}")


def _eight_bits(levels: NDArray[np.generic], *, inverted: bool) -> NDArray[np.uint8]:
    """Scale to 0..255 from the smallest usual bit depth (8, 10, 12, 14, 16) that holds the values.

    Detectors store 10 to 14 bits in 16-bit files without saying so; dividing those by 257 would
    leave a nearly black film.
    """
    lowest, highest = int(levels.min()), int(levels.max())
    if lowest < 0 or highest > 0xFFFF:
        raise ImageError(Reason.PIXEL_TYPE, f"grey levels {lowest} to {highest}")
    full = next(2**bits - 1 for bits in _STORED_BITS if highest < 2**bits)
    table = ((np.arange(full + 1) * 255 + full // 2) // full).astype(np.uint8)
    if inverted:
        table = table[::-1]
    pixels = np.empty(levels.shape, np.uint8)
    rows = 1 + _LEVELS_AT_ONCE // levels.shape[1]
    for start in range(0, len(levels), rows):
        pixels[start : start + rows] = table[levels[start : start + rows]]
    return pixels


def _is_white_zero_16bit(image: Image.Image) -> bool:
    """Pillow turns 8-bit white-is-zero TIFFs round, 16-bit ones not."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or image.mode == "L":
        return False
    return bool(tags.get(_PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO)


def _damage(error: Exception) -> Reason:
    """Missing bytes, wrong bytes, or the system's trouble."""
    if isinstance(error, OSError) and error.errno:  # Pillow's own have no number
        return Reason.IO_ERROR
    text = str(error).lower()
    cut = isinstance(error, EOFError | struct.error) or "truncated" in text or "end of" in text
    return Reason.TRUNCATED if cut else Reason.CORRUPT


def _is_misnamed(name: str, image_format: str) -> bool:
    suffix = PurePath(name).suffix.lower()
    return bool(suffix) and suffix not in _EXTENSIONS[image_format]
