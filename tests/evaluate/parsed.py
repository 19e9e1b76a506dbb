"""The evaluation page, parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from cxr_edge.evaluate.page import Pictures, render_page
from cxr_edge.evaluate.results import Evaluation
from tests.evaluate.made import picture

Tag = tuple[str, tuple[tuple[str, str | None], ...]]


@dataclass
class Page(HTMLParser):
    """Tags with attributes in order, and the text of each section."""

    tags: list[Tag] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=lambda: {"": ""})
    hidden: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        self.hidden = tag in ("style", "title")
        if tag in ("section", "footer"):
            self.sections[dict(attrs).get("id") or tag] = ""

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.sections[list(self.sections)[-1]] += data + " "

    def text(self, section: str | None = None) -> str:
        """One section's text, or all of it, with single spaces."""
        chosen = self.sections.values() if section is None else [self.sections[section]]
        return " ".join(" ".join(chosen).split())

    @property
    def shape(self) -> list[Tag]:
        """Tags without the attributes that hold pictures or words."""
        return [
            (tag, tuple(pair for pair in pairs if pair[0] not in ("src", "alt", "href")))
            for tag, pairs in self.tags
        ]


def page(made: Evaluation, pictures: Pictures | None = None) -> Page:
    parser = Page()
    parser.feed(render_page(made, pictures or {}).decode("utf-8"))
    parser.close()
    return parser


def pictures_of(made: Evaluation) -> Pictures:
    return {
        model.model_sha256: {
            each.result.sha256: picture() for each in (*model.missed, *model.false_alarms)
        }
        for model in made.models
    }
