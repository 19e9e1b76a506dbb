"""The list in a browser: filter, sort, keys, maps and the reader's entries."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from cxr_edge.report.texts import remarks_of, texts
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band
from tests.browser.conftest import Open
from tests.browser.made import night, night_with_films

if TYPE_CHECKING:
    from playwright.sync_api import Page

NIGHT = night()
ROWS = tuple(NIGHT.rows)


def shown(page: Page, what: str = "rank") -> list[str]:
    """The text of one cell of every row that can be seen, from the top."""
    script = """what => [...document.querySelectorAll(`.rows > li summary .${what}`)]
        .filter(cell => !cell.closest("li").hidden && !cell.closest("section").hidden)
        .map(cell => cell.firstChild.data)"""
    texts: list[str] = page.evaluate(script, what)
    return texts


def ranks(rows: list[TriageRow]) -> list[str]:
    return [str(row.rank) for row in rows]


def test_hostile_names_are_text(open_page: Open) -> None:
    page = open_page(NIGHT)
    assert shown(page, "who") == [row.result.path for row in ROWS]
    assert page.title() == "Chest x-ray triage 22 Nov 2026 20:00 +00:00"
    assert page.locator("img").count() == 0


def test_one_band_alone(open_page: Open) -> None:
    page = open_page(NIGHT)
    for band in Band:
        page.select_option("#band", band)
        wanted = ranks([row for row in ROWS if row.band is band])
        assert shown(page) == wanted
        assert page.locator(".band:visible h2").count() == 1
        assert page.locator("#shown").inner_text() == f"{len(wanted)} of {len(ROWS)} rows"
    page.select_option("#band", "")
    assert shown(page) == ranks(list(ROWS))


def test_every_remark_finds_its_rows(open_page: Open) -> None:
    page = open_page(NIGHT)
    codes = sorted({code.value for row in ROWS for code in remarks_of(row.result)})
    options = page.locator("#remark option").evaluate_all("all => all.map(o => o.value)")
    assert options == ["", *codes]
    for code in codes:
        page.select_option("#remark", code)
        found = [row for row in ROWS if code in remarks_of(row.result)]
        assert shown(page) == ranks(found)
        chosen = page.locator("#remark option:checked").inner_text()
        assert chosen == f"{texts().remark(code).name} ({len(found)})"


FOUND = {
    "part of a name": ("plain/3", ["plain/3.dcm"]),
    "two words in any order": ("dcm plain/3", ["plain/3.dcm"]),
    "a remark": ("implausible", ["refused/implausible_time.dcm"]),
    "nothing": ("no such film", []),
}


def test_find(open_page: Open) -> None:
    page = open_page(NIGHT)
    for what, (text, names) in FOUND.items():
        page.fill("#find", text)
        assert shown(page, "who") == names, what
        assert page.locator("#shown").inner_text() == f"{len(names)} of {len(ROWS)} rows"


def test_filters_add_up(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.select_option("#remark", "modality")
    page.fill("#find", "both")
    assert shown(page, "who") == ["both.png"]
    page.select_option("#band", "flagged")
    assert shown(page) == []


def by_probability(row: TriageRow) -> tuple[bool, float]:
    probability = row.result.probability
    return probability is None, -(probability or 0)


ORDERS: dict[str, Any] = {
    "score": by_probability,
    "name": lambda row: row.result.path.encode("utf-16-be"),
    "time": lambda row: (not row.result.modified_utc, row.result.modified_utc),
    "rank": lambda row: row.rank,
}


def test_sort_keeps_the_bands(open_page: Open) -> None:
    """After each other one: an order must not depend on the one before."""
    page = open_page(NIGHT)
    for before, order in itertools.permutations(ORDERS, 2):
        by_band = [[row for row in ROWS if row.band is band] for band in Band]
        wanted = [rank for rows in by_band for rank in ranks(sorted(rows, key=ORDERS[order]))]
        page.select_option("#sort", before)
        page.select_option("#sort", order)
        assert shown(page) == wanted, (before, order)


def focused(page: Page) -> str:
    """The rank of the row that has the focus, or the id or the name of what else has it."""
    answer: str = page.evaluate("""() => {
        const here = document.activeElement;
        return here.matches(".rows summary") ? here.querySelector(".rank").textContent
            : here.id || here.localName;
    }""")
    return answer


def test_keys_go_through_the_list(open_page: Open) -> None:
    page = open_page(NIGHT)
    flagged = ranks([row for row in ROWS if row.band is Band.FLAGGED])
    unflagged = ranks([row for row in ROWS if row.band is Band.UNFLAGGED])
    steps = [
        *(("j", "1"), ("j", "2"), ("ArrowDown", "3"), ("k", "2"), ("ArrowUp", "1"), ("k", "1")),
        *(("2", "flagged-title"), ("j", flagged[0]), ("j", flagged[1])),
        *(("3", "unflagged-title"), ("j", unflagged[0]), ("k", flagged[-1])),
        *(("1", "attention-title"), ("j", "1")),
    ]
    for key, wanted in steps:
        page.keyboard.press(key)
        assert focused(page) == wanted, key


def test_keys_pass_over_what_is_filtered_out(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.fill("#find", "plain/")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("j")
    assert focused(page) == shown(page)[0]


def test_enter_opens_a_row(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    assert page.locator(".rows > li > details[open]").count() == 1
    assert page.locator(".rows .opened").first.is_visible()
    page.keyboard.press("Enter")
    assert page.locator(".rows > li > details[open]").count() == 0


def test_slash_finds_and_letters_stay_letters_there(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.keyboard.press("/")
    assert focused(page) == "find"
    page.keyboard.type("jo1?/")
    assert page.input_value("#find") == "jo1?/"
    page.keyboard.press("Escape")
    assert focused(page) != "find"


def test_keys_are_explained_and_can_be_switched_off(open_page: Open) -> None:
    """WCAG 2.1.4: some readers dictate, and every word would be a command."""
    page = open_page(NIGHT)
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.uncheck("#single")
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    page.keyboard.press("j")
    assert focused(page) == "body"
    page.click("#keys")
    page.check("#single")
    page.click("#close")
    page.keyboard.press("1")
    assert focused(page) == "attention-title"


def maps(page: Page) -> set[bool]:
    found: list[bool] = page.locator(".rows .map").evaluate_all(
        "all => all.map(one => one.checkVisibility())"
    )
    return set(found)


def test_maps_are_switched_by_box_and_key(open_page: Open) -> None:
    page = open_page(night_with_films())
    assert maps(page) == {True}
    for switch, on in (
        (lambda: page.uncheck("#overlay"), False),
        (lambda: page.keyboard.press("o"), True),
        (lambda: page.keyboard.press("o"), False),
        (lambda: page.click("label[for=overlay]"), True),
    ):
        switch()
        assert maps(page) == {on}
        assert page.is_checked("#overlay") is on
    assert page.locator(".rows .film:not(.map)").first.is_visible()


def test_maps_are_switched_without_scripts(open_page: Open) -> None:
    page = open_page(night_with_films(), java_script_enabled=False)
    assert page.locator(".map").first.is_visible()
    page.click("label[for=overlay]")
    assert page.locator(".rows .map:visible").count() == 0
    assert page.locator(".rows .film:visible").count() > 0


def test_a_film_is_larger_in_an_opened_row(open_page: Open) -> None:
    page = open_page(night_with_films())
    row = page.locator(".rows > li:has(.film)").first
    small = row.locator(".film").first.bounding_box()
    row.locator("summary").first.click()
    large = row.locator(".film").first.bounding_box()
    assert small and large
    assert large["width"] > 3 * small["width"]


def test_everything_can_be_read_without_scripts(open_page: Open) -> None:
    page = open_page(NIGHT, java_script_enabled=False)
    assert page.locator(".rows > li").count() == len(ROWS)
    assert page.locator("#stale").is_hidden()
    assert page.locator("#tools").is_hidden()
    assert page.locator("noscript .note").is_visible()
    row = page.locator(".rows > li").first
    assert row.locator(".opened").is_hidden()
    row.locator("summary").first.click()
    assert row.locator(".opened").is_visible()


def test_escape_in_the_search_field_leaves_no_hidden_filter(open_page: Open) -> None:
    """The browser empties the field: the rows come back with it."""
    page = open_page(NIGHT)
    page.keyboard.press("/")
    page.keyboard.type("no such film")
    assert shown(page) == []
    page.keyboard.press("Escape")
    words = page.input_value("#find")
    assert (shown(page) == ranks(list(ROWS))) == (words == "")


def test_paper_says_what_filter_and_order_have_done(open_page: Open) -> None:
    page = open_page(NIGHT)
    page.emulate_media(media="print")
    assert not page.locator("#printed").is_visible()
    page.evaluate("document.getElementById('band').value = 'flagged'")
    page.locator("#band").dispatch_event("change")
    page.evaluate("document.getElementById('sort').value = 'name'")
    page.locator("#sort").dispatch_event("change")
    said = page.locator("#printed").inner_text()
    flagged = sum(row.band is Band.FLAGGED for row in ROWS)
    assert said == f"Filtered: {flagged} of {len(ROWS)} rows, not in reading order"
    page.emulate_media(media="screen")
    assert not page.locator("#printed").is_visible()
