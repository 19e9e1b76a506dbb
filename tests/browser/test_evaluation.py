"""`evaluation.html` in a real browser: offline, legible, within its window."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cxr_edge.evaluate.page import Pictures, render_page
from cxr_edge.evaluate.results import Evaluation
from tests.browser.conftest import DESKTOP, PHONE, Open
from tests.evaluate.made import CASES, evaluation, profile
from tests.evaluate.parsed import pictures_of

# Every kind of evaluation, drawn and opened.
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.sync_api import Page

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
VIEWPORTS = {"desktop": DESKTOP, "phone": PHONE}
WIDTH = "() => document.documentElement.scrollWidth"


@pytest.fixture
def open_evaluation(open_content: Open) -> Open:
    """`open_evaluation(made, pictures, viewport=...)`."""

    def open_it(made: Evaluation, pictures: Pictures | None = None, **options: Any) -> Page:
        return open_content(render_page(made, pictures or {}), **options)

    return open_it


def all_details(page: Page, state: str) -> None:
    page.evaluate(
        f"() => document.querySelectorAll('details').forEach(d => {{ d.open = {state}; }})"
    )


def keep_screenshot(page: Any, name: str) -> None:
    """Where CI wants to look at them."""
    if folder := os.environ.get("CXR_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", VIEWPORTS.values(), ids=VIEWPORTS)
def test_legible_and_inside_the_window(
    open_evaluation: Open, viewport: dict[str, int], scheme: str
) -> None:
    made = evaluation(models=2, profile=profile())
    page = open_evaluation(made, pictures_of(made), viewport=viewport, color_scheme=scheme)
    all_details(page, "true")
    assert page.evaluate(WIDTH) == viewport["width"]
    seen: dict[str, Any] = page.evaluate(CONTRAST)
    assert seen["texts"] > 500
    assert seen["found"] == []
    assert page.evaluate("() => [...document.images].map(i => i.naturalWidth > 0)") == [True] * 10
    all_details(page, "false")
    keep_screenshot(page, f"evaluation-{viewport['width']}-{scheme}")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_evaluation_opens(
    open_evaluation: Open, case: Callable[[], Evaluation]
) -> None:
    page = open_evaluation(case(), viewport=PHONE)
    all_details(page, "true")
    assert page.locator("h1").is_visible()
    assert page.evaluate(WIDTH) == PHONE["width"]


def test_tables_behind_the_pictures_open_from_the_keyboard(open_evaluation: Open) -> None:
    page = open_evaluation(evaluation())
    summary = page.locator("#curves summary").first
    table = page.locator("#curves details table").first
    assert not table.is_visible()
    summary.focus()
    page.keyboard.press("Enter")
    assert table.is_visible()


def test_hostile_names_do_nothing(open_evaluation: Open) -> None:
    """A dialog would hang the page, a request or an error would be seen in the end."""
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    made = evaluation()
    (model,) = made.models
    odd = replace(model.films[1], patient=name, result=replace(model.films[1].result, path=name))
    named = replace(model, missed=(odd,), model_file=name, spec=replace(model.spec, name=name))
    films = replace(made.films, name=name, unlabelled=(name,))
    page = open_evaluation(replace(made, films=films, models=(named,)))
    assert page.locator("#mistakes").inner_text().count(name) == 2
    assert page.evaluate("() => document.scripts.length") == 0


def test_paper_is_white_in_a_dark_room(open_evaluation: Open) -> None:
    page = open_evaluation(evaluation(), color_scheme="dark")
    colour = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) != "rgb(255, 255, 255)"
    assert page.evaluate("() => getComputedStyle(document.images[0]).filter") != "none"
    page.emulate_media(media="print")
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert page.evaluate("() => getComputedStyle(document.images[0]).filter") == "none"
    assert page.evaluate(CONTRAST)["found"] == []
