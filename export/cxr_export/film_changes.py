"""Changes of a film file that happen on its way to a reader: compression, exposure, framing.

Each takes the bytes of a film and gives the bytes of another file, so that what is measured is the
product's own way from a file to a score. Strengths are shares of the film, or grey levels of 255.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from cxr_edge.images import decode

Grey = NDArray[np.uint8]
Levels = NDArray[np.float64]
ChangeBytes = Callable[[bytes, np.random.Generator], bytes]

_SEED = 6
_USUAL_SIDE = 224  # pixels: what strengths in pixels are about; larger films get as much more
_WHITE = 255
_FASTEST = 1  # PNG loses nothing at any level


@dataclass(frozen=True)
class Change:
    """One change, by the name that the card prints."""

    name: str
    apply: ChangeBytes

    def __call__(self, film: bytes, name: str) -> bytes:
        """Another file of the same film; the same every time, whatever films come with it.

        Args:
            film: a file that can be decoded.
            name: its name; chance depends on it.
        """
        return self.apply(film, np.random.default_rng((_SEED, zlib.crc32(name.encode()))))


def _grey(film: bytes) -> Grey:
    return decode(film, "film").pixels


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=_FASTEST)
    return stream.getvalue()


def _picture(change: Callable[[Image.Image], Image.Image]) -> ChangeBytes:
    return lambda film, _: _png(change(Image.fromarray(_grey(film))))


def _levels(change: Callable[[Levels], Levels]) -> ChangeBytes:
    return lambda film, _: _png(_rounded(change(_grey(film).astype(np.float64))))


def _rounded(levels: Levels) -> Image.Image:
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))


def _jpeg(quality: int) -> ChangeBytes:
    def change(film: bytes, _: np.random.Generator) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(_grey(film)).save(stream, "JPEG", quality=quality)
        return stream.getvalue()

    return change


def _sixteen_bits(film: bytes, _: np.random.Generator) -> bytes:
    return _png(Image.fromarray(_grey(film).astype(np.uint16) * 257))


def _noise(deviation: float) -> ChangeBytes:
    def change(film: bytes, rng: np.random.Generator) -> bytes:
        levels = _grey(film).astype(np.float64)
        return _png(_rounded(levels + rng.normal(0, deviation, levels.shape)))

    return change


def _blur(sigma: float) -> ChangeBytes:
    def change(image: Image.Image) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(sigma * min(image.size) / _USUAL_SIDE))

    return _picture(change)


def _contrast(factor: float) -> ChangeBytes:
    return _levels(lambda levels: levels.mean() + factor * (levels - levels.mean()))


def _gamma(exponent: float) -> ChangeBytes:
    return _levels(lambda levels: 255 * (levels / 255) ** exponent)


def _rotate(degrees: float) -> ChangeBytes:
    """The corners that appear are black, as on a scanner."""
    return _picture(lambda image: image.rotate(degrees, Image.Resampling.BILINEAR))


def _crop(share: float) -> ChangeBytes:
    def change(image: Image.Image) -> Image.Image:
        across, down = round(share * image.width), round(share * image.height)
        return image.crop((across, down, image.width - across, image.height - down))

    return _picture(change)


def _border(share: float, level: int, text: str = "") -> ChangeBytes:
    """Around the film, not over it: whatever changes a decision is the border's doing.

    Args:
        share: of the film's side, at each side.
        level: of grey.
        text: printed in the border below, in black.
    """

    def change(image: Image.Image) -> Image.Image:
        across, down = round(share * image.width), round(share * image.height)
        framed = Image.new("L", (image.width + 2 * across, image.height + 2 * down), level)
        framed.paste(image, (across, down))
        font = ImageFont.load_default(0.5 * down)
        place = (framed.width / 2, framed.height - down / 2)
        ImageDraw.Draw(framed).text(place, text, 0, font, anchor="mm")
        return framed

    return _picture(change)


def _margins(share: float, level: int) -> ChangeBytes:
    """Margins left, right and below the film: a sheet that ends at its top."""

    def change(image: Image.Image) -> Image.Image:
        across, down = round(share * image.width), round(share * image.height)
        framed = Image.new("L", (image.width + 2 * across, image.height + down), level)
        framed.paste(image, (across, 0))
        return framed

    return _picture(change)


def _letters(text: str, height: float, *, right: bool) -> ChangeBytes:
    """White letters in an upper corner, as markers of side and of portable machines lie.

    Args:
        text: what is burned in.
        height: of the font, a share of the film's.
        right: corner of the picture; the patient's left.
    """

    def change(image: Image.Image) -> Image.Image:
        size, margin = height * image.height, 0.04 * image.width
        place = (image.width - margin if right else margin, margin)
        font = ImageFont.load_default(size)
        ImageDraw.Draw(image).text(place, text, _WHITE, font, anchor="ra" if right else "la")
        return image

    return _picture(change)


def _smaller(side: int) -> ChangeBytes:
    """The shorter side reduced to so many pixels and enlarged again."""

    def change(image: Image.Image) -> Image.Image:
        scale = side / min(image.size)
        small = image.resize((round(image.width * scale), round(image.height * scale)), _BILINEAR)
        return small.resize(image.size, _BILINEAR)

    return _picture(change)


_BILINEAR = Image.Resampling.BILINEAR

UNCHANGED = Change("none", lambda film, _: film)
CHANGES = (
    UNCHANGED,
    *(Change(f"JPEG quality {quality}", _jpeg(quality)) for quality in (95, 70, 50, 30)),
    Change("16 bits a pixel", _sixteen_bits),
    *(Change(f"blur, sigma {sigma} px", _blur(sigma)) for sigma in (1, 2)),
    *(Change(f"noise, sigma {sigma} levels", _noise(sigma)) for sigma in (5, 15)),
    Change("darker by 32 levels", _levels(lambda levels: levels - 32)),
    Change("brighter by 32 levels", _levels(lambda levels: levels + 32)),
    *(Change(f"contrast x {factor}", _contrast(factor)) for factor in (0.7, 1.3)),
    *(Change(f"gamma {exponent}", _gamma(exponent)) for exponent in (0.7, 1.4)),
    *(Change(f"turned by {degrees:+} degrees", _rotate(degrees)) for degrees in (-10, -5, 5, 10)),
    *(Change(f"cropped by {share:.0%} a side", _crop(share)) for share in (0.05, 0.1)),
    *(Change(f"black border of {share:.0%}", _border(share, 0)) for share in (0.05, 0.1)),
    *(Change(f"white border of {share:.0%}", _border(share, _WHITE)) for share in (0.05, 0.1)),
    Change("white border of 8% with text", _border(0.08, _WHITE, "1234567  01.02.2020  13:45")),
    Change("white on three sides, 5%", _margins(0.05, _WHITE)),
    Change("letter R burned in", _letters("R", 0.09, right=False)),
    Change("letters L PORTABLE burned in", _letters("L PORTABLE", 0.05, right=True)),
    *(Change(f"reduced to {side} px and enlarged", _smaller(side)) for side in (112, 64)),
    Change("inverted", _levels(lambda levels: 255 - levels)),
)
