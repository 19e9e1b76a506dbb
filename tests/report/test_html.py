"""`triage.html`, parsed: complete, offline, and names stay text."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge.operating_points import Proportion
from cxr_edge.report import Report, html
from cxr_edge.report.context import BANNER
from cxr_edge.report.html import render_html
from cxr_edge.spec import Decisions, Evaluation
from cxr_edge.types import InputWarning, Reason, display_name
from tests.factories import ANY_TEXT, report, result
from tests.tiny import tiny_spec


@dataclass
class Page(HTMLParser):
    """Tags with attributes in order, all text, and the cells of each section's rows."""

    tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = field(default_factory=list)
    text: str = ""
    sections: dict[str, list[list[str]]] = field(default_factory=dict)
    in_cell: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag == "section":
            self.sections[str(dict(attrs)["id"])] = []
        elif tag == "tr" and self.sections:
            self._rows().append([])
        elif tag == "br":
            self.handle_data("\n")
        elif tag == "td":
            self.in_cell = True
            self._rows()[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self._rows()[-1][-1] += data

    def _rows(self) -> list[list[str]]:
        return list(self.sections.values())[-1]


def page(made: Report) -> Page:
    parser = Page()
    parser.feed(render_html(made).decode("utf-8"))
    parser.close()
    parser.sections = {name: [row for row in rows if row] for name, rows in parser.sections.items()}
    return parser


def table(made: Report) -> dict[str, list[list[str]]]:
    return {
        band: [[" ".join(cell.split()) for cell in row] for row in rows]
        for band, rows in page(made).sections.items()
    }


MIXED = report(
    result("broken.jpg", None, reason=Reason.TRUNCATED),
    result(
        "small.png", 0.75, warnings=(InputWarning.LOW_RESOLUTION,), width=5, height=4, format="PNG"
    ),
    result("ill.png", 0.9, width=64, height=48, format="PNG", duplicate_of="ill-again.png"),
    result("ill-again.png", 0.9, width=64, height=48, format="PNG"),
    result("well.png", 0.1, width=64, height=48, format="TIFF"),
    result("late.png", None, reason=Reason.STILL_CHANGING),
)


NONE = "no score", "unknown"
DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
FILM = f"64 {TIMES} 48"


def test_every_row_once_in_three_sections() -> None:
    made = table(MIXED)
    assert list(made) == ["attention", "flagged", "unflagged"]
    assert made["attention"] == [
        [
            "1",
            "small.png",
            "0.750000",
            "flagged",
            "scored warning: low resolution",
            f"5 {TIMES} 4 PNG",
        ],
        ["2", "broken.jpg", *NONE, "not scored: truncated", DASH],
        ["3", "late.png", *NONE, "deferred: still changing", DASH],
    ]
    assert made["flagged"] == [
        ["4", "ill-again.png", "0.900000", "flagged", "scored", f"{FILM} PNG"],
        [
            "5",
            "ill.png same bytes as ill-again.png",
            "0.900000",
            "flagged",
            "scored",
            f"{FILM} PNG",
        ],
    ]
    assert made["unflagged"] == [["6", "well.png", "0.100000", "no", "scored", f"{FILM} TIFF"]]


def test_banner_and_counts() -> None:
    text = " ".join(page(MIXED).text.split())
    assert BANNER == ("Prioritisation aid. Not a diagnosis. Unflagged studies still need reading.")
    assert BANNER in text
    assert "6 found = 4 scored + 1 not scored + 1 deferred." in text
    assert "3 need attention, 2 flagged, 1 unflagged." in text
    for title in ("Attention (3)", "Flagged (2)", "Unflagged (1)"):
        assert title in text


def test_the_banner_comes_first() -> None:
    assert page(MIXED).text.split("}")[-1].strip().startswith(BANNER)


FACTS = {
    "model": "tiny 1.0.0 (tiny.onnx, sha256 abababababababab)",
    "operating point": "screening: flagged at 0.500000 or above",
    "sensitivity": "sensitivity 0.900 (95 % interval 0.850 to 0.950, n = 100)",
    "specificity": "specificity 0.800 (95 % interval 0.750 to 0.850, n = 100); nothing real",
    "population": "Intended for nobody",
    "device": "cpu (asked for: auto)",
    "start": "2026-11-22T20:00:00Z, 1.5 s, run 20261122T200000.000000Z",
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_the_run_is_described(fact: str) -> None:
    text = re.sub(r"\s+", " ", page(MIXED).text.replace("Intended for", "Intended for "))
    assert fact in text


def test_a_threshold_by_hand_has_no_figures() -> None:
    text = page(report(result(), operating_point="custom", threshold=0.3)).text
    assert "custom: flagged at 0.300000 or above" in text
    assert "sensitivity" not in text


def test_what_other_films_measured_stands_beside_what_the_choice_measured() -> None:
    share = Proportion.of(67, 117)
    found = Evaluation("test_x", "0" * 64, {}, 0.9, {"screening": Decisions(share, share, share)})
    text = page(report(result(), spec=replace(tiny_spec(), evaluations=(found,)))).text
    measured = "specificity 0.573 (95 % interval 0.482 to 0.659, n = 117); test_x"
    assert measured in re.sub(r"\s+", " ", text)


def test_a_long_band_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each band for itself: a thousand unread files must not hide the flagged ones."""
    monkeypatch.setattr(html, "ROWS_PER_BAND", 2)
    unread = [result(f"{number}.txt", None) for number in range(5)]
    made = page(report(*unread, result("ill-1"), result("ill-2"), result("well", 0.1)))
    assert {band: [row[:2] for row in rows] for band, rows in made.sections.items()} == {
        "attention": [["1", "0.txt"], ["2", "1.txt"]],
        "flagged": [["6", "ill-1"], ["7", "ill-2"]],
        "unflagged": [["8", "well"]],
    }
    assert "Attention (5)" in made.text
    assert re.findall("The first .*", made.text) == [
        "The first 2 of 5; triage.csv has all of them."
    ]


def test_the_identifier_that_was_asked_for_stands_under_the_name() -> None:
    film = result("a.dcm", identifier="A1")
    assert table(report(film, id_tag="PatientID"))["flagged"][0][1] == "a.dcm PatientID: A1"
    bare = table(report(result("a.png"), id_tag="PatientID"))
    assert bare["flagged"][0][1] == "a.png"


def test_nothing_found() -> None:
    made = page(report())
    assert list(made.sections.values()) == [[], [], []]
    assert made.text.count("None.") == 3


# Nothing that runs, loads, links or sends.
TAGS = (
    "html head meta title style body p h1 h2 dl dt dd section div table thead tbody tr th td br "
    "span"
)
ATTRIBUTES = "lang charset http-equiv content name class role id scope"


def test_no_script_and_no_reference() -> None:
    made = page(MIXED)
    assert {tag for tag, _ in made.tags} <= set(TAGS.split())
    assert {name for _, attributes in made.tags for name, _ in attributes} <= set(
        ATTRIBUTES.split()
    )
    source = render_html(MIXED).decode()
    assert not re.search(r"https?:|//|url\(|@import|javascript:", source, re.IGNORECASE)


def test_policy_allows_the_page_its_own_style_alone() -> None:
    source = render_html(MIXED)
    policy = next(
        dict(attributes)["content"]
        for tag, attributes in page(MIXED).tags
        if dict(attributes).get("http-equiv") == "Content-Security-Policy"
    )
    (style,) = re.findall(rb"<style>(.*?)</style>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert b"style=" not in source


HOSTILE = [
    "<script>alert(1)</script>",
    "</td></tr></table></section>",
    "<!-- ",
    "\"' onmouseover=alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;&amp;&#60;",
    "javascript:alert(1)",
    "]]><![CDATA[",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text(name: str) -> None:
    def named(text: str) -> Report:
        odd = result(text, duplicate_of=text, identifier=text)
        return report(odd, id_tag="AccessionNumber", command=(text,))

    made = page(named(name))
    assert made.tags == page(named("name")).tags
    assert made.sections["flagged"][0][1] == (
        f"{name}\nsame bytes as {name}\nAccessionNumber: {name}"
    )


@settings(max_examples=20)
@given(st.lists(ANY_TEXT | st.text("<>&;\"'=/!-{}%# a"), unique=True, min_size=20, max_size=40))
def test_any_name_is_text(raw: list[str]) -> None:
    """Many names a page: a page takes longer than a name."""
    names = [display_name(name) for name in raw]
    made = page(report(*map(result, names)))
    assert made.tags == page(report(*(result(str(n)) for n in range(len(names))))).tags
    assert sorted(row[1] for row in made.sections["flagged"]) == sorted(names)


def test_hostile_spec_is_text() -> None:
    spec = replace(tiny_spec(), name="<b>", version="</title>")
    made = page(report(result(), spec=spec, model_file="<i>.onnx"))
    assert made.tags == page(report(result())).tags
    assert "<b> </title> (<i>.onnx" in made.text


def test_a_variable_that_the_template_misses_is_an_error(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "templates"  # type: ignore[operator]
    folder.mkdir()
    (folder / "triage.css").write_text("")
    (folder / "triage.html.j2").write_text("{{ context.radiologist }}")
    monkeypatch.setattr(html, "_TEMPLATES", folder)
    with pytest.raises(jinja2.UndefinedError, match="radiologist"):
        render_html(MIXED)
