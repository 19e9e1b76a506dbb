"""The model card `<name>.md`, generated from the spec alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from cxr_edge.errors import ExportError
from cxr_edge.evaluate.words import predictive_text
from cxr_edge.model.describe import speed_in_words
from cxr_edge.model.reliability import FilmChange, Reliability
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import with_interval
from cxr_export.goals import reached
from cxr_export.intended_use import KERMANY, REPORT_ACCURACY
from cxr_export.prevalence import at_prevalences

MOST_CHANGES = 6  # rows of changed films; the spec has all


def card_environment() -> jinja2.Environment:
    """Templates of cards, of classifiers and of scope gates."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,  # Markdown, from our own spec
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_card(spec: ModelSpec) -> str:
    """Markdown; every figure in it stands in the spec.

    Raises:
        ExportError: the spec lacks a figure that a card has to show.
    """
    environment = card_environment()
    environment.filters["interval"] = with_interval
    environment.filters["predictive"] = predictive_text
    environment.filters["speed"] = speed_in_words
    environment.globals["reached"] = reached
    kermany = spec.data_source == KERMANY
    mark = REPORT_ACCURACY.get(spec.architecture.name) if kermany else None
    others = at_prevalences(spec)
    reliability = Reliability.from_dict(spec.reliability) if spec.reliability else None
    try:
        return environment.get_template("card.md.j2").render(
            spec=spec,
            mark=mark,
            kermany=kermany,
            others=others,
            reliability=reliability,
            worst=_worst(reliability.changes[1:]) if reliability else (),
        )
    except jinja2.UndefinedError as error:
        raise ExportError(f"the card of {spec.name} lacks a figure: {error}") from error


def _worst(changes: Sequence[FilmChange]) -> list[FilmChange]:
    """The changes that turn most decisions into wrong ones, at any operating point, worst first."""

    def wrong(change: FilmChange) -> int:
        return max(turned.missed + turned.alarms for turned in change.turned.values())

    return sorted(changes, key=wrong, reverse=True)[:MOST_CHANGES]
