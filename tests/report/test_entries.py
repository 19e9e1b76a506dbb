"""Entries of the page: a study with its films, what is new, whose they are, and where they lead."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from cxr_edge.ledger.identities import EarlierScore
from cxr_edge.report import Report, entries
from cxr_edge.report.csv import render_csv
from cxr_edge.report.rows import row_values
from cxr_edge.types import IDENTITY_FIELDS, Band, InputWarning, Reason, Result
from tests.factories import report, result, undefused
from tests.report.page import Page, Row, page, words


def film(name: str, probability: float | None, study: str, **facts: Any) -> Result:
    """A film of patient P and accession A of a study; other fields as given."""
    identity = {"patient_id": f"P{study}", "accession_number": f"A{study}", "study_uid": study}
    plain = {"sha256": hashlib.sha256(name.encode()).hexdigest(), "new": False}
    return result(name, probability, **{**plain, "identity": identity, **facts})


def identified(*films: Result, **facts: Any) -> Report:
    return report(*films, **{"identity_fields": IDENTITY_FIELDS, **facts})


def who(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.texts["rank"], row.texts["who"]) for row in rows]


NIGHT = identified(
    film("a1", 0.2, "1"),
    film("a2", 0.9, "1"),
    film("b1", 0.8, "2"),
    film("c1", 0.7, "3", warnings=(InputWarning.BLANK,)),
    film("c2", 0.95, "3"),
    result("no-header.png", 0.6, new=False),
    film("d1", 0.1, ""),
)


def test_a_study_is_one_entry_where_its_first_film_stands() -> None:
    """Not flagged films of a flagged study are inside it, as is a film of one in attention."""
    made = page(NIGHT)
    assert {band: who(rows) for band, rows in made.bands.items()} == {
        "attention": [("1", "P3")],
        "flagged": [("3", "P1"), ("4", "P2"), ("5", "no-header.png")],
        "unflagged": [("7", "P")],
    }
    assert "7 files, 3 studies Attention 1 Flagged 4 Not flagged 2" in words(made.text)
    (study,) = (row for row in made.bands["flagged"] if row.texts["who"] == "P1")
    assert study.texts["path"] == "a2a1"
    assert "Further film of this study: 0.20, not flagged" in words(study.texts["opened"])
    assert words(study.texts["tag"]) == "Accession A12 films in this study"


def test_the_csv_stays_per_film() -> None:
    lines = list(csv.DictReader(io.StringIO(b"".join(render_csv(NIGHT)).decode())))
    assert [line["path"] for line in lines] == [row.result.path for row in NIGHT.rows]


def test_without_identity_every_film_is_an_entry() -> None:
    bare = report(*(replace(row.result, identity={}) for row in NIGHT.rows))
    assert len(page(bare).rows()) == 7
    assert "7 files Attention" in words(page(bare).text)


def test_a_study_of_hundreds_is_cut_and_says_so() -> None:
    many = identified(*(film(f"{n:03}", 0.9, "1") for n in range(300)))
    (row,) = page(many).rows()
    assert row.texts["path"].count("0") > entries.FILMS_OF_STUDY
    left = 300 - entries.FILMS_OF_STUDY - 1
    assert f"Further films of this study that are not shown: {left}." in row.texts["opened"]


def test_films_of_a_study_that_is_not_listed_are_not_listed_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entries, "LISTED", dict.fromkeys(Band, 1))
    made = page(identified(film("a", 0.9, "1"), film("b", 0.8, "2"), film("b2", 0.1, "2")))
    assert [row.texts["who"] for row in made.rows()] == ["P1"]
    assert "The first 1 of 2; triage.csv has all of them." in made.text


def test_a_remark_of_any_film_counts_its_study_once() -> None:
    blank = (InputWarning.BLANK,)
    made = page(identified(*(film(str(n), 0.9, "1", warnings=blank) for n in range(3))))
    assert "nearly blank (1)" in made.text


def test_what_is_new_is_marked_counted_and_can_be_filtered() -> None:
    made = page(report(result("a", 0.9), result("b", 0.8, new=False), gone=3))
    assert [row.texts.get("new") for row in made.rows()] == ["new", None]
    assert ["data-new" in row.attributes for row in made.rows()] == [True, False]
    assert "New 1 Gone 3" in words(made.text)
    assert "new (1)" in made.text


@pytest.mark.parametrize("new", [True, False])
def test_where_all_or_none_is_new_nothing_is_marked(new: bool) -> None:
    made = page(report(result("a", 0.9, new=new), result("b", 0.8, new=new)))
    assert not any("new" in row.texts for row in made.rows())
    assert "New" not in made.text and "Gone" not in made.text


def test_no_films_come_last_and_folded() -> None:
    made = page(report(result("DICOMDIR", None, reason=Reason.NO_FILM), result("a", 0.9)))
    assert list(made.bands) == ["attention", "flagged", "unflagged", "other"]
    folds = [dict(attributes).get("class") for tag, attributes in made.tags if tag == "details"]
    assert folds.index("fold") == 1, "behind the row of the one film"


def test_earlier_scores_of_the_patient_stand_in_the_row() -> None:
    """Those that the ledger has up to the day of the film."""
    plain = film("a", 0.9, "1")
    own = replace(plain, identity={**plain.identity, "acquired": "2026-11-22T21:14:05"})
    known = {(own.sha256, "2026-11-22"): (EarlierScore("2026-11-01T10:00:00", 0.2),)}
    made = replace(identified(own), earlier=lambda *asked: known.get(asked, ()))
    (row,) = page(made).rows()
    assert words(row.texts["tag"]).endswith("Earlier: 2026-11-01 0.20")


def links(made: Page) -> list[str | None]:
    return [dict(a)["href"] for tag, a in made.tags if tag == "a" and dict(a).get("target")]


def test_rows_are_links_into_the_viewer() -> None:
    template = "https://pacs.example/s/{study_uid}?a={accession_number}"
    made = page(replace(NIGHT, context=replace(NIGHT.context, viewer_url=template)))
    assert links(made) == [f"https://pacs.example/s/{n}?a=A{n}" for n in (3, 1, 2)]
    assert links(page(NIGHT)) == []


HOSTILE = {
    "markup": '"><script>alert(1)</script>',
    "formula": '=HYPERLINK("x")',
    "template": "{{ 7 * 7 }}{0}",
    "address": "../../x?y#z&a=b c%2F",
    "escaped": "\\x1b[31m\\u202e",
    "long": "x" * 65536,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_identity_is_text_in_every_output(text: str) -> None:
    def night(value: str) -> Report:
        identity = dict.fromkeys(IDENTITY_FIELDS, value)
        template = "https://pacs.example/{patient_id}"
        return identified(
            film("a", 0.9, "", identity=identity),
            film("b", 0.8, "", identity=identity),
            viewer_url=template,
        )

    made, plain = page(night(text)), page(night("plain"))

    def shape(parsed: Page) -> list[tuple[str, list[str]]]:
        return [(tag, [name for name, _ in attributes]) for tag, attributes in parsed.tags]

    assert shape(made) == shape(plain)
    (link,) = links(made)
    assert link and link.startswith("https://pacs.example/")
    assert not set(link.removeprefix("https://pacs.example/")) & set("/?#&\"'<> ")
    assert made.rows()[0].texts["who"] == text
    (first, _) = csv.DictReader(io.StringIO(b"".join(render_csv(night(text))).decode()))
    assert first["patient_id"][:1] not in "=+-@"
    assert undefused(first["patient_id"]) == text
    (row, _) = night(text).rows
    assert json.loads(json.dumps(row_values(row, IDENTITY_FIELDS)))["patient_id"] == text


def test_patients_who_share_a_study_uid_are_entries_of_their_own() -> None:
    """As some archives and anonymisers make them."""
    films = [
        film(f"{n}", 0.9, "1", identity={"patient_id": f"P{n}", "study_uid": "1"}) for n in range(3)
    ]
    made = page(identified(*films))
    assert {name for _, name in who(made.bands["flagged"])} == {"P0", "P1", "P2"}
