"""The page at seven: the first patient at once, how long they wait, what is new, how old it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from cxr_edge.report import Report
from cxr_edge.types import IDENTITY_FIELDS, LANGUAGES, InputWarning, Reason
from tests.browser.conftest import DESKTOP, PHONE, Open
from tests.browser.made import film
from tests.factories import report
from tests.report.pictures import pictured

if TYPE_CHECKING:
    from playwright.sync_api import Page


def morning(**facts: Any) -> Report:
    """Patients with two films, a doubt, a file without a score, and one that is no film."""

    def of(name: str, probability: float | None, patient: str, **more: Any) -> Any:
        identity = {"patient_id": patient, "accession_number": f"A-{patient}"}
        identity |= {"study_uid": f"1.2.{patient}", "acquired": "2026-11-22T22:30:00"}
        return film(name, probability, **{"identity": identity, "new": False, **more})

    rows = (
        of("1.dcm", 0.31, "4711", warnings=(InputWarning.PATIENT_AGE,), new=True),
        of("2.dcm", 0.91, "4712"),
        of("3.dcm", 0.62, "4712"),
        of("4.dcm", 0.88, "4713", new=True),
        of("5.dcm", 0.12, "4714"),
        film("6.dcm.part", None, reason=Reason.TEMPORARY_NAME, new=False),
        film("DICOMDIR", None, reason=Reason.NO_FILM, new=False),
    )
    template = "https://pacs.example/{accession_number}"
    plain = {"identity_fields": IDENTITY_FIELDS, "viewer_url": template, "prevalence": 0.1}
    return report(*rows, **{**plain, "gone": 2, **facts})


def first_row(page: Page) -> float:
    box = page.locator(".rows > li").first.bounding_box()
    assert box
    return box["y"]


@pytest.mark.parametrize("films", [False, True], ids=["bare", "with films"])
def test_the_first_patient_stands_at_the_top(open_page: Open, films: bool) -> None:
    """With prevalence, films and counts above, and the banner."""
    made = pictured(morning()) if films else morning()
    page = open_page(made, viewport=DESKTOP)
    assert first_row(page) < 250
    banner = page.locator(".banner").bounding_box()
    assert banner and banner["y"] == 0
    counts = page.locator(".counts").bounding_box()
    assert counts and counts["height"] < 30, "one line"


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_language_the_first_patient_is_seen_at_once(
    open_page: Open, language: str
) -> None:
    """With the banner in two languages, on two lines."""
    assert first_row(open_page(morning(language=language), viewport=DESKTOP)) < 280


def test_on_a_phone_the_first_patient_is_on_the_first_screen(open_page: Open) -> None:
    page = open_page(morning(), viewport=PHONE)
    assert first_row(page) < 500
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


WAITS = {
    "2026-11-22T23:20:00Z": ", waiting 50\u00a0min",
    "2026-11-23T06:30:00Z": ", waiting 8\u00a0h",
    "2026-11-26T07:00:00Z": ", waiting 3\u00a0d",
    "2026-11-22T20:00:00Z": "",
}


@pytest.mark.parametrize("now", WAITS)
def test_how_long_a_patient_waits(open_page: Open, now: str) -> None:
    """By the page's own clock; one that runs behind says nothing."""
    page = open_page(morning(), now=now, timezone_id="UTC")
    row = page.locator("#flagged .rows > li").first
    assert row.locator(".waiting").text_content() == WAITS[now]


AGES = {
    "2026-11-23T19:59:00Z": "",
    "2026-11-23T20:01:00Z": "24\u00a0h",
    "2026-11-29T20:00:00Z": "7",
}


@pytest.mark.parametrize("now", AGES)
def test_an_old_page_says_so(open_page: Open, now: str) -> None:
    page = open_page(morning(), now=now)
    stale = page.locator("#stale")
    assert stale.is_visible() is bool(AGES[now])
    if AGES[now]:
        assert f"This list is {AGES[now]}" in stale.inner_text()


def test_an_old_page_without_scripts_says_nothing_false(open_page: Open) -> None:
    page = open_page(morning(), java_script_enabled=False)
    assert page.locator("#stale").is_hidden()
    assert page.locator(".waiting").first.text_content() == ""


def test_only_what_is_new(open_page: Open) -> None:
    page = open_page(morning())
    assert page.locator(".new").all_inner_texts() == ["new", "new"]
    page.select_option("#show", "new")
    shown = page.locator(".rows > li:not([hidden]) .who").all_text_contents()
    assert shown == ["4711", "4713"]
    star = "getComputedStyle(document.querySelector('.new'), '::before').content"
    assert "★" in page.evaluate(star), "a mark that is not colour alone"


def test_no_films_are_folded_and_found(open_page: Open) -> None:
    page = open_page(morning())
    row = page.locator("#other .rows > li")
    assert row.is_hidden()
    page.fill("#find", "dicomdir")
    assert row.is_visible()
    page.fill("#find", "")
    page.click("#other .fold > summary")
    assert row.is_hidden()


def test_a_link_leads_to_the_viewer_and_only_when_it_is_clicked(open_page: Open) -> None:
    page = open_page(morning())
    link = page.locator("#attention a.who").first
    assert link.get_attribute("href") == "https://pacs.example/A-4711"
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert page.locator("#attention details[open]").count() == 0


def test_what_engineers_ask_for_is_folded(open_page: Open) -> None:
    page = open_page(pictured(morning()))
    row = page.locator("#flagged .rows > li").first
    row.locator("summary .rank").click()
    assert row.locator(".file").first.is_visible()
    code = row.locator("code").first
    assert code.is_hidden()
    row.locator(".engineers > summary").first.click()
    assert code.inner_text() == hashlib.sha256(b"2.dcm").hexdigest()
    assert "logit" in row.locator(".engineers").first.inner_text()
    assert row.locator(".reader").count() == 1
    assert row.locator(".further .films").count() == 1, "each film of the study beside its map"
