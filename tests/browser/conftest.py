"""Headless Chromium, and pages opened in it that must ask for nothing and complain of nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import html_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
NOW = "2026-11-23T06:00:00Z"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser that the system has; Playwright's own is not used."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Witness:
    """What a page asks for and complains of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """From before the page is loaded."""
        page.on("request", self._requested)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")


Open = Callable[..., "Page"]


def watched(chromium: Browser, path: Path, options: dict[str, Any]) -> tuple[Page, str, Witness]:
    """A page opened from disk, on a desktop unless the options say otherwise.

    Args:
        chromium: the browser.
        path: of the page.
        options: of Playwright; `now` for the page's clock, ten hours after the list was made unless
            given; `before`, a script that runs first; `context`, that of a page to stay beside.
    """
    now, before = options.pop("now", NOW), options.pop("before", "")
    beside = options.pop("context", None)
    page = (beside or chromium.new_context(**{"viewport": DESKTOP, **options})).new_page()
    # Playwright's own clock stops timers and frames too.
    page.add_init_script(f"{{ const now = Date.parse('{now}'); Date.now = () => now; }} {before}")
    witness = Witness()
    witness.watch(page)
    page.goto(path.as_uri())
    return page, path.as_uri(), witness


@pytest.fixture
def open_page(open_content: Open) -> Open:
    """`open_page(report, viewport=..., ...)`."""
    return lambda made, **options: open_content(html_of(made), **options)


@pytest.fixture
def open_content(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """`open_content(html, viewport=..., ...)`; in the end nothing but the file was asked for."""
    opened: list[tuple[Page, str, Witness]] = []

    def open_it(content: bytes, **options: Any) -> Page:
        path = tmp_path / f"page-{len(opened)}.html"
        path.write_bytes(content)
        opened.append(watched(chromium, path, options))
        return opened[-1][0]

    yield open_it
    for page, uri, witness in opened:
        page.context.close()
        own = [url for url in witness.requests if not url.startswith(("data:", "blob:"))]
        assert (set(own), witness.complaints) == ({uri}, [])
