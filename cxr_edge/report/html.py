"""`triage.html`: one file that opens from disk with no network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2

from cxr_edge.report.context import BANNER, Report
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band

ROWS_PER_BAND = 4000  # the CSV has them all

_TEMPLATES = Path(__file__).parent / "templates"

_BAND_TITLES = {
    Band.ATTENTION: (
        "Attention",
        "Not scored, deferred, or scored with a warning. Read these first.",
    ),
    Band.FLAGGED: ("Flagged", "At or above the operating point, highest probability first."),
    Band.UNFLAGGED: ("Unflagged", "Below the operating point, in the order they arrived."),
}


def style_hash(style: str) -> str:
    """What a page's security policy names its own style sheet by."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def render_html(report: Report) -> bytes:
    """The report page.

    Every value is escaped by Jinja; the policy in the page allows no script and no request, and
    its own style sheet by hash only.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_TEMPLATES / "triage.css").read_text(encoding="utf-8")
    page = environment.get_template("triage.html.j2").render(
        banner=BANNER,
        bands=_bands(report),
        context=report.context,
        counts=report.counts,
        point=report.context.spec.operating_points.get(report.context.operating_point),
        style=style,
        style_hash=style_hash(style),
    )
    return page.encode("utf-8")


def _bands(report: Report) -> list[tuple[Band, str, str, int, list[TriageRow]]]:
    """Each band with its size and the first of its rows: a page of 100,000 helps nobody."""
    sizes = report.counts
    shown: dict[Band, list[TriageRow]] = {band: [] for band in Band}
    for row in report.rows:
        if len(shown[row.band]) < ROWS_PER_BAND:
            shown[row.band].append(row)
    return [
        (band, *_BAND_TITLES[band], getattr(sizes, band.value), rows)
        for band, rows in shown.items()
    ]
