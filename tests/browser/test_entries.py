"""What the reader answers in a browser: kept over a reload, saved as CSV, printed."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cxr_edge.report.csv import render_csv
from cxr_edge.types import IDENTITY_FIELDS, Band
from tests.browser.conftest import Open
from tests.browser.made import film, night
from tests.factories import report

if TYPE_CHECKING:
    from playwright.sync_api import Page

NIGHT = night()
ROWS = tuple(NIGHT.rows)
COLUMNS = "rank,path,sha256,probability,flagged,read_by,pneumonia,comment,run"


def open_row(page: Page, rank: int) -> Any:
    row = page.locator(f".rows > li:has(summary .rank:text-is('{rank}'))")
    row.locator("summary .rank").click()
    return row


def answer(page: Page, rank: int, pneumonia: str, comment: str = "") -> None:
    row = open_row(page, rank)
    row.locator(f"[type=radio][value='{pneumonia}']").check()
    if comment:
        row.locator(".words").fill(comment)


def saved(page: Page) -> str:
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == f"triage-reader-{NIGHT.context.run_id}.csv"
    return download.value.path().read_text(encoding="utf-8")


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_answers_are_saved_with_every_row(open_page: Open) -> None:
    """`read by` is typed once; a comment may be anything; the rest is as in triage.csv."""
    page = open_page(NIGHT)
    page.fill("#by", '=Dr. "A", B')
    answer(page, 1, "yes", "-1 + 2;=3")
    answer(page, 3, "cannot tell")
    page.select_option("#sort", "name")
    page.select_option("#band", "flagged")
    text = saved(page)
    flagged = sum(row.band is Band.FLAGGED for row in ROWS)
    shown = page.locator("#shown").inner_text()
    assert shown == f"{flagged} of {len(ROWS)} rows; 2 read; 2 answers saved"
    assert text.startswith(f"{COLUMNS}\n") and text.endswith("\n") and "\r" not in text
    lines = lines_of(text)
    assert {line.pop("run") for line in lines} == {NIGHT.context.run_id}
    columns = ("read_by", "pneumonia", "comment")
    entries = {line["rank"]: tuple(line.pop(name) for name in columns) for line in lines}
    reader = '\'=Dr. "A", B'
    assert {rank: entry for rank, entry in entries.items() if any(entry)} == {
        "1": (reader, "yes", "'-1 + 2;'=3"),
        "3": (reader, "cannot tell", ""),
    }
    triage = io.StringIO(b"".join(render_csv(NIGHT)).decode(), newline="")
    assert lines == [{name: line[name] for name in lines[0]} for line in csv.DictReader(triage)]


def test_a_row_that_was_read_looks_read_also_after_a_reload(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.fill("#by", "AB")
    answer(page, 2, "no", "scar")
    page.reload()
    assert page.input_value("#by") == "AB"
    row = page.locator(".rows > li").nth(1)
    assert row.locator(".entry").inner_text() == "read by AB: no, scar"
    other = page.locator(".rows > li").nth(2)
    ground = "each => getComputedStyle(each).backgroundColor"
    assert row.evaluate(ground) != other.evaluate(ground)
    assert page.locator(".entry").count() == 1
    opened = open_row(page, 2)
    assert opened.locator("[value=no]").is_checked()
    assert opened.locator(".words").input_value() == "scar"
    page.select_option("#show", "unread")
    assert page.locator(".rows > li:not([hidden])").count() == len(ROWS) - 1
    (line,) = (line for line in lines_of(saved(page)) if line["read_by"])
    assert (line["rank"], line["pneumonia"], line["comment"]) == ("2", "no", "scar")
    opened.locator(".clear").dispatch_event("click")
    page.reload()
    assert page.locator(".entry").count() == 0


def test_another_night_s_list_begins_anew(open_page: Open) -> None:
    """In the same browser, where what is older than thirty nights goes."""
    page = open_page(NIGHT)
    answer(page, 2, "no")
    page.evaluate("localStorage.setItem('cxr-edge 20260101T000000.000000Z 2', '{}')")
    other = replace(NIGHT, context=replace(NIGHT.context, run_id="20261123T200000.000000Z"))
    again = open_page(other, context=page.context)
    assert again.locator(".entry").count() == 0
    kept = again.evaluate("Object.keys(localStorage)")
    assert kept == [f"cxr-edge {NIGHT.context.run_id} 2"]


REFUSES = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"


def test_where_a_browser_keeps_nothing_it_says_so_and_asks_before_it_is_closed(
    open_page: Open,
) -> None:
    page = open_page(NIGHT, before=REFUSES)
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay)
    answer(page, 2, "yes")
    assert "This browser keeps no answers" in page.locator("#shown").inner_text()
    saved(page)
    page.reload()
    assert asked == [], "everything was saved"
    answer(page, 2, "yes")
    page.reload()
    assert asked == ["beforeunload"]


def test_an_answer_is_about_every_film_of_a_study(open_page: Open) -> None:
    identity = {"patient_id": "P", "study_uid": "1.2"}
    films = (film("a", 0.9, identity=identity), film("b", 0.1, identity=identity), film("c", 0.8))
    made = report(*films, identity_fields=IDENTITY_FIELDS, run_id=NIGHT.context.run_id)
    page = open_page(made)
    answer(page, 1, "yes")
    lines = lines_of(saved(page))
    assert [(line["rank"], line["path"], line["pneumonia"]) for line in lines] == [
        ("1", "a", "yes"),
        ("2", "c", ""),
        ("3", "b", "yes"),
    ]
    assert [line["probability"] for line in lines] == ["0.900000", "0.800000", "0.100000"]


def test_printed_rows_leave_room_for_the_reader(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.fill("#by", "AB")
    answer(page, 1, "yes")
    page.emulate_media(media="print")
    note = (
        "nth => getComputedStyle(document.querySelectorAll('.rows > li')[nth], '::after').content"
    )
    assert page.evaluate(note, 0) == '"read by AB: yes"'
    assert page.evaluate(note, 1).startswith('"read by ____')
    assert [page.locator(name).first.is_visible() for name in ("#tools", ".reader", ".rows")] == [
        *(False, False, True)
    ]
