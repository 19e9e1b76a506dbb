"""How the page looks in a browser: contrast, widths, focus, names of controls, and screenshots."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cxr_edge.report import Report
from tests.browser.conftest import DESKTOP, PHONE, Open
from tests.browser.made import film, night, night_with_films
from tests.factories import report
from tests.report.pictures import pictured

# Every page at every width, in every theme.
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.sync_api import Page

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
PAGES = {"bare": night(), "with films": night_with_films()}
VIEWPORTS = {"desktop": DESKTOP, "phone": PHONE}


def open_everything(page: Page) -> None:
    """Every row and every explanation, as a reader could."""
    page.evaluate(
        "() => document.querySelectorAll('details').forEach(each => { each.open = true; })"
    )
    page.wait_for_function("() => document.querySelectorAll('.reader').length > 0")


@pytest.mark.parametrize("made", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_contrast(open_page: Open, made: Report, scheme: str, media: str) -> None:
    page = open_page(made, color_scheme=scheme)
    open_everything(page)
    page.emulate_media(media=media)
    seen: dict[str, Any] = page.evaluate(CONTRAST)
    assert seen["texts"] > 500
    assert seen["found"] == []


def test_the_contrast_test_can_fail(open_page: Open) -> None:
    page = open_page(PAGES["bare"])
    page.evaluate("() => document.body.style.setProperty('--quiet', '#8a929a')")
    assert any("Nov" in each for each in page.evaluate(CONTRAST)["found"])


def test_help_has_contrast_too(open_page: Open) -> None:
    page = open_page(PAGES["bare"], color_scheme="dark")
    page.click("#keys")
    assert page.locator("#help").is_visible()
    assert page.evaluate(CONTRAST)["found"] == []


@pytest.mark.parametrize("made", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("viewport", VIEWPORTS.values(), ids=VIEWPORTS)
def test_nothing_sticks_out_sideways(
    open_page: Open, made: Report, viewport: dict[str, int]
) -> None:
    page = open_page(made, viewport=viewport)
    widest = "() => document.documentElement.scrollWidth"
    assert page.evaluate(widest) == viewport["width"]
    open_everything(page)
    assert page.evaluate(widest) == viewport["width"]


def test_the_focus_is_seen(open_page: Open) -> None:
    page = open_page(PAGES["bare"])
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    for key in ("Tab", "j", "2", "/"):
        page.keyboard.press(key)
        assert page.evaluate(outline) == "solid", key


def test_a_focused_row_is_not_under_the_tools(open_page: Open) -> None:
    page = open_page(PAGES["bare"])
    page.keyboard.press("3")
    for _ in range(60):
        page.keyboard.press("k")
        tools, row = page.locator("#tools").bounding_box(), page.locator(":focus").bounding_box()
        assert tools and row
        is_below = row["y"] >= tools["y"] + tools["height"] - 1
        assert is_below or row["y"] + row["height"] <= tools["y"]


def test_every_control_has_a_name(open_page: Open) -> None:
    page = open_page(PAGES["with films"])
    open_everything(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, [role=img], summary, a")]
            .filter(each => !(each.labels?.length || each.ariaLabel || each.textContent.trim()))
            .map(each => each.outerHTML.slice(0, 80))"""
    )
    assert nameless == []


def test_flags_are_told_without_colour(open_page: Open) -> None:
    """A shape and a word beside it; and no green, least of all for `unflagged`."""
    page = open_page(PAGES["bare"])
    shapes = page.evaluate(
        """() => Object.fromEntries(["true", "false"].map(flagged => {
            const cell = document.querySelector(`li[data-flagged=${flagged}] .decision`);
            const style = getComputedStyle(cell, "::before");
            return [cell.textContent, [style.clipPath !== "none", style.borderRadius]];
        }))"""
    )
    assert shapes == {"flagged": [True, "0px"], "not flagged": [False, "50%"]}


def many(number: int) -> Report:
    """As many films, four in ten of them flagged."""
    rows = (
        film(f"2026-11-22/ward-{each % 7}/IM-{each:05}-0001.jpeg", (each * 617 % 1000) / 1000)
        for each in range(number)
    )
    return report(*rows, threshold=0.6)


LARGE = {"312": 312, "312 with films": 312, "5000": 5000}


@pytest.mark.parametrize("case", LARGE)
def test_a_large_page_works(open_page: Open, case: str) -> None:
    made = many(LARGE[case])
    page = open_page(pictured(made) if "films" in case else made)
    timing = page.evaluate(
        """() => new Promise(done => requestAnimationFrame(() => setTimeout(() => {
            const entry = performance.getEntriesByType("navigation")[0];
            done([entry.domInteractive, entry.loadEventEnd, performance.now()].map(Math.round));
        })))"""
    )
    seconds = {}
    for name, act in {
        "jump": lambda: page.keyboard.press("2"),
        "step": lambda: page.keyboard.press("j"),
        "find": lambda: page.fill("#find", "ward-3"),
        "sort": lambda: page.select_option("#sort", "name"),
    }.items():
        then = time.monotonic()
        act()
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        seconds[name] = round(time.monotonic() - then, 2)
    print(f"\n{case}: DOM ready, loaded, first frame {timing} ms; {seconds} s")  # noqa: T201
    found = sum("ward-3" in row.result.path for row in made.rows)
    assert page.locator("#shown").inner_text().endswith("; sorted by name")
    left = page.locator(".rows > li:not([hidden])").count()
    assert left == found
    assert left > 0


SHOTS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
}


@pytest.mark.skipif("CXR_SCREENSHOTS" not in os.environ, reason="no CXR_SCREENSHOTS")
@pytest.mark.parametrize("name", SHOTS)
def test_screenshots(open_page: Open, name: str) -> None:
    """For people to look at: the top, an opened row, and the list on paper."""
    folder = Path(os.environ["CXR_SCREENSHOTS"])
    page = open_page(night_with_films(), **SHOTS[name])
    page.screenshot(path=folder / f"triage-{name}.png")
    row = page.locator(".rows > li:has(.film)").nth(3)
    row.locator("summary").first.click()
    row.scroll_into_view_if_needed()
    page.screenshot(path=folder / f"triage-{name}-opened.png")
    if name == "light":
        page.pdf(path=folder / "triage-print.pdf", format="A4")
    assert (folder / f"triage-{name}-opened.png").stat().st_size > 10_000
