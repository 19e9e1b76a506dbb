"""A film beside its evidence map, with its result burned in: no patient's name, no date."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxr_edge.hospital.answer import Answer
from cxr_edge.model.spec import ModelSpec
from cxr_edge.report.context import BANNER
from cxr_edge.report.evidence import LEVELS, strengths
from cxr_edge.report.film import grid_of
from cxr_edge.types import Band, Picture

_PANEL = 640  # pixels a side, for film and map alike
_EDGE = 24
_HEAD, _CAPTION, _FOOT = 150, 66, 104
SIZE = (2 * _PANEL + 3 * _EDGE, _HEAD + _PANEL + _CAPTION + _FOOT)  # width and height
_BACKGROUND, _TEXT, _QUIET = (0, 0, 0), (255, 255, 255), (190, 190, 190)
_BARS = {
    Band.ATTENTION: (138, 74, 0),
    Band.FLAGGED: (150, 20, 30),
    Band.UNFLAGGED: (52, 62, 72),
}
_WHAT_TO_DO = {
    Band.ATTENTION: "ATTENTION. Read it first: the software is in doubt",
    Band.FLAGGED: "FLAGGED. Please read this study first",
    Band.UNFLAGGED: "No flag. Not a diagnosis: read as usual",
}
# Orange and blue, which people tell apart whatever their eyes; as on the page.
_COLOURS = {1: (213, 94, 0), -1: (0, 114, 178)}
_LEAST_CELL = 14  # pixels of a cell that has room for a sign
_REMARK_LINES, _REMARK_WIDTH = 2, 120


@dataclass(frozen=True)
class _Panel:
    """A film scaled into its square; `scale` is pixels of the drawing per pixel of the film."""

    image: Image.Image
    left: int
    top: int
    scale: float


def draw(picture: Picture, answer: Answer, spec: ModelSpec) -> NDArray[np.uint8]:
    """Film and map side by side.

    Args:
        picture: the film as pages show it, and its evidence.
        answer: the result that it shows.
        spec: of the model that scored it.

    Returns:
        RGB [height, width, 3], of `SIZE`.
    """
    whole = Image.new("RGB", SIZE, _BACKGROUND)
    film = _film(picture.film)
    whole.paste(film.image, (_EDGE + film.left, _HEAD + film.top))
    map_left = 2 * _EDGE + _PANEL
    whole.paste(_under_map(film, picture, spec), (map_left + film.left, _HEAD + film.top))
    pen = ImageDraw.Draw(whole)
    _head(pen, answer)
    _captions(pen, map_left, spec)
    _foot(pen, answer)
    return np.asarray(whole)


def _film(pixels: NDArray[np.uint8]) -> _Panel:
    height, width = pixels.shape
    scale = _PANEL / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(pixels).resize(shape, Image.Resampling.BICUBIC).convert("RGB")
    return _Panel(image, (_PANEL - shape[0]) // 2, (_PANEL - shape[1]) // 2, scale)


def _under_map(film: _Panel, picture: Picture, spec: ModelSpec) -> Image.Image:
    """The film with every cell coloured by its share, and a sign in it."""
    if not spec.can_point:
        return film.image
    mask = Image.new("RGBA", film.image.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(mask)
    grid, steps = grid_of(picture, spec), strengths(picture.evidence)
    width, height = grid.cell_width * film.scale, grid.cell_height * film.scale
    for row, column in np.argwhere(steps > 0).tolist():
        left = grid.left * film.scale + column * width
        top = grid.top * film.scale + row * height
        sign = 1 if picture.evidence[row, column] > 0 else -1
        opacity = round(255 * (0.10 + 0.50 * int(steps[row, column]) / LEVELS))
        box = (left, top, left + max(width - 1, 0), top + max(height - 1, 0))
        pen.rectangle(box, fill=(*_COLOURS[sign], opacity))
        if min(width, height) >= _LEAST_CELL:
            _sign(pen, box, sign)
    return Image.alpha_composite(film.image.convert("RGBA"), mask).convert("RGB")


def _sign(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], sign: int) -> None:
    """A plus or a minus in the middle of a cell."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    arm = 4
    pen.line((x - arm, y, x + arm, y), fill=(255, 255, 255, 210), width=2)
    if sign > 0:
        pen.line((x, y - arm, x, y + arm), fill=(255, 255, 255, 210), width=2)


def _head(pen: ImageDraw.ImageDraw, answer: Answer) -> None:
    """Head of a capture: what to do and why, in a bar of the band's colour; below it the banner."""
    pen.rectangle((0, 0, SIZE[0], _HEAD - 46), fill=_BARS[answer.band])
    pen.text((_EDGE, 14), _WHAT_TO_DO[answer.band], fill=_TEXT, font=_font(42))
    pen.text((_EDGE, 66), figures(answer), fill=_TEXT, font=_font(26))
    pen.text((_EDGE, _HEAD - 40), BANNER, fill=_TEXT, font=_font(24))


def figures(answer: Answer) -> str:
    """Score and threshold with two digits, or with all where two would not tell them apart."""
    score, threshold = answer.probability or 0.0, answer.algorithm.threshold
    point = answer.algorithm.operating_point[:24]
    if f"{score:.2f}" == f"{threshold:.2f}":
        short, limit = answer.figure, answer.threshold
    else:
        short, limit = _two_digits(score), _two_digits(threshold)
    return f"Score for pneumonia: {short}. Flagged from {limit} on ({point})"


def _two_digits(value: float) -> str:
    """Two decimals, never 0 or 1: no score says that something is certain."""
    if value > 0.99:
        return "above 0.99"
    return "below 0.01" if value < 0.01 else f"{value:.2f}"


def _captions(pen: ImageDraw.ImageDraw, map_left: int, spec: ModelSpec) -> None:
    top, font = _HEAD + _PANEL + 8, _font(20)
    pen.text((_EDGE, top), "Reduced copy of the film: do not read from it", fill=_QUIET, font=font)
    if not spec.can_point:
        text = "This model cannot show what moved its score"
        pen.text((map_left, top), text, fill=_QUIET, font=font)
        return
    left: float = map_left
    words = (("+ raised the score", _COLOURS[1]), ("- lowered the score", _COLOURS[-1]))
    for text, colour in words:
        pen.rectangle((left, top + 4, left + 16, top + 20), fill=colour)
        pen.text((left + 24, top), text, fill=_TEXT, font=font)
        left += 24 + pen.textlength(text, font=font) + 32
    text = "What moved the score. It does not show where disease is"
    pen.text((map_left, top + 28), text, fill=_QUIET, font=font)


def _foot(pen: ImageDraw.ImageDraw, answer: Answer) -> None:
    """Remarks, and the model with score and threshold in all digits."""
    top = SIZE[1] - _FOOT
    names = f"Remarks: {', '.join(answer.remark_names)}" if answer.remark_names else ""
    for number, line in enumerate(textwrap.wrap(names, _REMARK_WIDTH)[:_REMARK_LINES]):
        pen.text((_EDGE, top + 26 * number), line, fill=_TEXT, font=_font(20))
    algorithm = answer.algorithm
    made_by = (
        f"cxr-edge {algorithm.software}, {algorithm.name} {algorithm.version} "
        f"({algorithm.sha256[:16]}), score {answer.figure}, threshold {answer.threshold}. "
        "Nobody has verified it."
    )
    pen.text((_EDGE, SIZE[1] - 40), made_by, fill=_QUIET, font=_font(18))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own, so that a server without fonts draws the same."""
    return ImageFont.load_default(size)
