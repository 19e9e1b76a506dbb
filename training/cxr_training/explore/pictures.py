"""Charts and sample films of `cxr-edge explore`, each as a data URI for its page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.report.environment import data_uri
from cxr_training.explore.survey import Film, grouped, patients
from cxr_training.films.data import CLASSES

SAMPLES = 12  # films of each class and set
SAMPLE_SEED = 42
SAMPLE_PIXELS = 176  # longest side

_COLOURS = ("#2a78b8", "#d9772b")
_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
}


@dataclass(frozen=True)
class Sample:
    """One film as the page shows it."""

    name: str
    width: int
    height: int
    source: str


@dataclass(frozen=True)
class Pictures:
    """Images of the page; `sizes` is empty when all films have one size."""

    counts: str
    sizes: str
    patients: str
    samples: dict[tuple[str, str], list[Sample]]


def draw(films: Sequence[Film]) -> Pictures:
    """All pictures of a page."""
    with matplotlib.rc_context(_STYLE):
        return Pictures(_counts(films), _sizes(films), _patients(films), _samples(films))


def _counts(films: Sequence[Film]) -> str:
    """Films per set, one bar for each class."""
    sets = grouped(films, lambda film: film.set_name)
    figure = Figure(figsize=(9, 0.7 + 0.6 * len(sets)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(sets))
    for label, (name, colour) in enumerate(zip(CLASSES, _COLOURS, strict=True)):
        counts = [sum(film.file.label == label for film in group) for group in sets.values()]
        bars = axes.barh(rows + (label - 0.5) * 0.4, counts, 0.38, color=colour, label=name)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set_yticks(rows, [_plain(name) for name in sets], parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    _legend(axes)
    return _png(figure)


def _sizes(films: Sequence[Film]) -> str:
    """Histograms of width, height and aspect ratio."""
    if len({(film.width, film.height) for film in films}) == 1:
        return ""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    titles = {"width": "Width, px", "height": "Height, px", "aspect": "Width / height"}
    panels = figure.subplots(1, 3)
    for axes, (attribute, title) in zip(panels, titles.items(), strict=True):
        values = [[getattr(f, attribute) for f in films if f.file.label == i] for i in (0, 1)]
        _histogram(axes, values, np.histogram_bin_edges(np.concatenate(values), 30).tolist())
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(title)
    _legend(panels[0])
    return _png(figure)


def _patients(films: Sequence[Film]) -> str:
    """Histogram of the films that a patient has."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    axes = figure.subplots()
    by_class = [[f for f in films if f.file.label == label] for label in range(len(CLASSES))]
    values = [[len(patient.films) for patient in patients(group)] for group in by_class]
    most = max(len(patient.films) for patient in patients(films))
    _histogram(axes, values, [n + 0.5 for n in range(most + 1)])
    axes.set_yscale("log")
    axes.set(xlabel="films per patient", ylabel="patients")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes)
    return _png(figure)


def _histogram(axes: Axes, values: Sequence[Sequence[float]], edges: Sequence[float]) -> None:
    """Histogram of both classes, side by side."""
    axes.hist(values, bins=edges, color=_COLOURS, label=CLASSES)


def _legend(axes: Axes) -> None:
    """Above the axes, where no bar can be."""
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(CLASSES))


def _png(figure: Figure) -> str:
    """Transparent, so that it lies on a light and on a dark page."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=144, transparent=True)
    return data_uri("image/png", buffer.getvalue())


def _plain(name: str) -> str:
    """A set name, short and in letters that matplotlib's font has."""
    return name.encode("ascii", "backslashreplace").decode()[:30]


def _samples(films: Sequence[Film]) -> dict[tuple[str, str], list[Sample]]:
    """The same random films of each set and class every time."""
    groups = grouped(films, lambda film: (film.set_name, film.class_name))
    return {key: _some(group) for key, group in groups.items()}


def _some(films: Sequence[Film]) -> list[Sample]:
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(films))
    shown = (_sample(films[i]) for i in order)
    return list(islice((sample for sample in shown if sample), SAMPLES))


def _sample(film: Film) -> Sample | None:
    """None for a file that has gone since it was counted."""
    try:
        pixels = decode(film.file.path.read_bytes(), film.file.path.name).pixels
    except (OSError, ImageError):
        return None
    small = Image.fromarray(pixels)
    small.thumbnail((SAMPLE_PIXELS, SAMPLE_PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return Sample(film.file_name, *small.size, data_uri("image/jpeg", buffer.getvalue()))
