"""A sheet for one picture: matplotlib's Agg canvas, which needs no display and no pyplot state.

Black on nothing: a dark page inverts it. Shapes and dashes tell apart what colours do; these are
told apart by colour-blind people too (Okabe, Ito: Color Universal Design, 2008).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, RED = "#0072B2", "#D55E00"
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar in a file name is a dollar
}
WIDE, SMALL = (4.8, 4.4), (3.4, 3.2)  # inches: not wider than a phone, where 9 pt stay legible
_DPI = 160
LONGEST_NAME = 24  # letters; a longer one leaves no room for its figure


@dataclass(frozen=True)
class Plot:
    """A PNG, and words for who cannot see it; sides in pixels."""

    png: bytes
    alt: str
    width: int
    height: int


def plain(name: str) -> str:
    """A name, short and in letters that matplotlib's font has."""
    letters = name.encode("ascii", "backslashreplace").decode()
    return letters if len(letters) <= LONGEST_NAME else f"{letters[: LONGEST_NAME - 3]}..."


def sheet(inches: tuple[float, float] = WIDE) -> Figure:
    """An empty picture; draw on it inside `matplotlib.rc_context(STYLE)`."""
    return Figure(figsize=inches, layout="constrained")


def plot(figure: Figure, alt: str) -> Plot:
    """The picture as it lies in a page."""
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    # Without matplotlib's version: the same figures give the same bytes wherever they are drawn.
    figure.savefig(stream, dpi=_DPI, transparent=True, metadata={"Software": None})
    width, height = (round(inches * _DPI) for inches in figure.get_size_inches())
    return Plot(stream.getvalue(), alt, width, height)
