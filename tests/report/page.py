"""A page as its reader's browser takes it apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from cxr_edge.report import Report
from tests.factories import html_of

Attributes = tuple[tuple[str, str | None], ...]

VOID = {"meta", "input"}
BLOCKS = {"p", "li", "th", "td", "dt", "dd"}


@dataclass
class Row:
    """One item of the list: the text of everything in it that has a class, by class."""

    attributes: dict[str, str | None]
    texts: dict[str, str] = field(default_factory=dict)
    films: list[str] = field(default_factory=list)


@dataclass
class Page(HTMLParser):
    """Every tag with its attributes, all text, the rows by band, and what is neither.

    Attributes:
        tags: end tags too, with a slash in front.
        text: of the page, scripts and styles left out.
        foreign: comments, declarations and processing instructions.
    """

    source: str
    tags: list[tuple[str, Attributes]] = field(default_factory=list)
    text: str = ""
    foreign: list[str] = field(default_factory=list)
    bands: dict[str, list[Row]] = field(default_factory=dict)
    raw: dict[str, list[str]] = field(default_factory=lambda: {"style": [], "script": []})
    stack: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        values = dict(attrs)
        if tag == "section" and values.get("class") == "band":
            self.bands[str(values["id"])] = []
        elif tag == "li" and self._within("ol"):
            self._rows().append(Row(values))
        elif tag == "image" and self._within("li"):
            self._rows()[-1].films.append(str(values["href"]))
        if tag not in VOID:
            self.stack.append((tag, values))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))
        if tag in BLOCKS:
            self.handle_data(" ")
        assert self.stack.pop()[0] == tag, f"{tag} is closed where it is not open"

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1][0] in self.raw:
            self.raw[self.stack[-1][0]].append(data)
            return
        self.text += data
        if self._within("ol") and self._within("li"):
            for name in self._classes():
                texts = self._rows()[-1].texts
                texts[name] = texts.get(name, "") + data

    def handle_comment(self, data: str) -> None:
        self.foreign.append(data)

    def handle_pi(self, data: str) -> None:
        self.foreign.append(data)

    def unknown_decl(self, data: str) -> None:
        self.foreign.append(data)

    def rows(self) -> list[Row]:
        """Every row, in the order of the page."""
        return [row for rows in self.bands.values() for row in rows]

    def _rows(self) -> list[Row]:
        return list(self.bands.values())[-1]

    def _within(self, tag: str) -> bool:
        return any(name == tag for name, _ in self.stack)

    def _classes(self) -> Iterator[str]:
        return (str(values["class"]) for _, values in self.stack if values.get("class"))


def words(text: str) -> str:
    """Text with single spaces, as a browser shows it."""
    return " ".join(text.split())


def page(made: Report) -> Page:
    """The page of a report."""
    return Page(html_of(made).decode("utf-8"))
