"""`history.html`: the nights as one file that opens from disk with no network."""

from __future__ import annotations

from pathlib import Path

from cxr_edge.report.context import BANNER
from cxr_edge.report.environment import page_environment, policy, source
from cxr_edge.report.folder import check_target, write_folder
from cxr_edge.watch.history import History, flag_rate, median_score
from cxr_edge.watch.plots import plots

PAGE = "history.html"


def render_page(history: History) -> bytes:
    """The page; every value is escaped, and no script runs in it."""
    environment = page_environment()
    style = source(environment, "base.css", "history.css")
    page = environment.get_template("history.html.j2").render(
        banner=BANNER,
        flag_rate=flag_rate,
        history=history,
        median_score=median_score,
        plots=plots(history.nights) if history.nights else [],
        policy=policy(style),
        style=style,
    )
    return page.encode("utf-8")


def write_page(history: History, out: Path) -> None:
    """Write the page into the new folder `out`.

    Raises:
        InputError: it exists and is not an empty folder.
        ReportError: it could not be written; nothing is left behind.
    """
    check_target(out, "--html")
    write_folder({PAGE: lambda: [render_page(history)]}, out)
