"""What the reader enters in a browser: saved as CSV, printed, and not lost unasked."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from cxr_edge.report.csv import render_csv
from cxr_edge.types import Band
from tests.browser.conftest import Open
from tests.browser.made import night

if TYPE_CHECKING:
    from playwright.sync_api import Page

NIGHT = night()
ROWS = tuple(NIGHT.rows)


def open_row(page: Page, rank: int) -> Any:
    row = page.locator(".rows > li").nth(rank - 1)
    row.locator("summary").click()
    return row


def saved(page: Page) -> str:
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == f"triage-reader-{NIGHT.context.run_id}.csv"
    return download.value.path().read_text(encoding="utf-8")


def test_entries_are_saved_with_every_row(open_page: Open) -> None:
    page = open_page(NIGHT)
    first, last = open_row(page, 1), open_row(page, len(ROWS))
    first.locator("input").fill('=Dr. "A", B')
    first.locator("select").select_option("yes")
    last.locator("select").select_option("no")
    page.select_option("#sort", "name")
    page.select_option("#band", "flagged")
    text = saved(page)
    flagged = sum(row.band is Band.FLAGGED for row in ROWS)
    assert page.locator("#shown").inner_text() == f"{flagged} of {len(ROWS)} rows; 2 entries saved"
    lines = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    entries = {line["rank"]: (line.pop("read_by"), line.pop("agree")) for line in lines}
    reader = '\'=Dr. "A", B'
    assert {rank: entry for rank, entry in entries.items() if any(entry)} == {
        "1": (reader, "yes"),
        str(len(ROWS)): (reader, "no"),  # whoever agreed last reads on
    }
    triage = io.StringIO(b"".join(render_csv(NIGHT)).decode(), newline="")
    wanted = [{name: line[name] for name in lines[0]} for line in csv.DictReader(triage)]
    assert lines == wanted
    assert list(lines[0]) == ["rank", "path", "sha256", "probability", "flagged"]
    assert text.endswith("\n") and "\r" not in text


def test_leaving_with_unsaved_entries_is_asked_about(open_page: Open) -> None:
    page = open_page(NIGHT)
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay)
    row = open_row(page, 2)
    page.reload()
    assert asked == [], "nothing was entered"
    row = open_row(page, 2)
    row.locator("input").fill("AB")
    saved(page)
    page.reload()
    assert asked == [], "everything was saved"
    row = open_row(page, 2)
    row.locator("input").fill("AB")
    page.reload()
    assert asked == ["beforeunload"]


def test_printed_rows_leave_room_for_the_reader(open_page: Open) -> None:
    page = open_page(NIGHT)
    open_row(page, 1).locator("input").fill("AB")
    page.emulate_media(media="print")
    note = (
        "nth => getComputedStyle(document.querySelectorAll('.rows > li')[nth], '::after').content"
    )
    assert page.evaluate(note, 0) == '"read by AB, agree -"'
    assert page.evaluate(note, 1).startswith('"read by ____')
    assert [page.locator(name).first.is_visible() for name in ("#tools", ".reader", ".rows")] == [
        *(False, False, True)
    ]
    assert page.locator(".rows > li:visible").count() == len(ROWS)
