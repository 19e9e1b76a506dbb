"""`triage.html`, parsed: complete, offline, and names stay text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cxr_edge.images import DECODING_VERSION
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.report import Report, html
from cxr_edge.report.context import BANNER
from cxr_edge.report.html import render_html
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_edge.types import Band, InputWarning, Reason
from tests.factories import report, result
from tests.report.page import Page, Row, words
from tests.report.pictures import pictured
from tests.tiny import tiny_spec


def page(made: Report) -> Page:
    return Page(render_html(made).decode("utf-8"))


def summary(row: Row) -> tuple[str, ...]:
    """What a closed row says."""
    names = ("rank", "name", "score", "decision", "state")
    return tuple(words(row.texts[name]) for name in names)


def summaries(made: Report) -> dict[str, list[tuple[str, ...]]]:
    return {band: [summary(row) for row in rows] for band, rows in page(made).bands.items()}


MIXED = report(
    result("broken.jpg", None, reason=Reason.TRUNCATED),
    result(
        "small.png", 0.75, warnings=(InputWarning.LOW_RESOLUTION,), width=5, height=4, format="PNG"
    ),
    result("ill.png", 0.9, width=64, height=48, format="PNG", duplicate_of="ill-again.png"),
    result("ill-again.png", 0.9, width=64, height=48, format="PNG"),
    result("well.png", 0.1, width=64, height=48, format="TIFF", sha256="ab" * 32),
    result("late.png", None, reason=Reason.STILL_CHANGING, modified_utc="2026-11-22T01:00:00Z"),
)


def test_every_row_once_in_three_bands() -> None:
    assert summaries(MIXED) == {
        "attention": [
            ("1", "small.png", "0.750000", "flagged", "scored warning: low resolution"),
            ("2", "broken.jpg", "no score", "undecided", "not scored: truncated"),
            ("3", "late.png", "no score", "undecided", "deferred: still changing"),
        ],
        "flagged": [
            ("4", "ill-again.png", "0.900000", "flagged", "scored"),
            ("5", "ill.png", "0.900000", "flagged", "scored"),
        ],
        "unflagged": [("6", "well.png", "0.100000", "not flagged", "scored")],
    }


TIMES = "\N{MULTIPLICATION SIGN}"
OPENED = {
    "1": "low resolution: The film has fewer pixels than the model looks at: a preview, perhaps. "
    f"What to do: Have the full film scored; read it without its score. PNG, 5 {TIMES} 4 pixels.",
    "2": "truncated: The end of the file is missing: a copy broke off. What to do: Copy it again "
    "from where it came, and run again. Until then read it as usual.",
    "5": f"PNG, 64 {TIMES} 48 pixels. Same bytes as ill-again.png.",
    "6": f"TIFF, 64 {TIMES} 48 pixels. sha256 {'ab' * 32}",
}


@pytest.mark.parametrize(("rank", "text"), OPENED.items(), ids=OPENED)
def test_an_opened_row_explains_itself(rank: str, text: str) -> None:
    (row,) = (row for row in page(MIXED).rows() if row.texts["rank"] == rank)
    assert words(row.texts["opened"]) == text


def test_a_time_alone_is_a_fact_too() -> None:
    (late,) = (row for row in page(MIXED).rows() if row.texts["name"] == "late.png")
    assert words(late.texts["opened"]).endswith("usual. Changed 2026-11-22T01:00:00Z.")


def test_the_threshold_is_drawn_into_every_bar() -> None:
    made = page(report(result("a", 0.8125), result("b", 0.25), threshold=0.3055))
    drawn = [dict(attributes)["d"] for tag, attributes in made.tags if tag == "path"]
    assert [each for each in drawn if each and each.startswith(("M0 5H", "M30.55 0"))] == [
        *("M0 5H81.25", "M30.55 0v10"),
        *("M0 5H25", "M30.55 0v10"),
    ]


def test_banner_and_counts() -> None:
    made = page(MIXED)
    text = words(made.text)
    assert BANNER == "Prioritisation aid. Not a diagnosis. Unflagged studies still need reading."
    assert text.removeprefix("Chest x-ray triage 2026-11-22T20:00:00Z ").startswith(BANNER)
    assert "6 found = 4 scored + 1 not scored + 1 deferred." in text
    assert "3 need attention 2 flagged 1 unflagged" in text
    for title in ("Attention (3)", "Flagged (2)", "Unflagged (1)"):
        assert title in text


FACTS = {
    "model": "tiny 1.0.0, operating point screening: flagged at 0.500000 or above",
    "population": "intended for nobody",
    "measured": "validation, used to set the threshold 0.900 0.850 to 0.950, n = 100 "
    "0.800 0.750 to 0.850, n = 100",
    "device": "Device cpu (asked for: auto) Software cxr-edge 0.1.0",
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_the_run_is_described(fact: str) -> None:
    assert fact in words(page(MIXED).text)


def test_rows_of_an_earlier_run_are_counted() -> None:
    again = words(page(report(result("a.png"), recalled=1)).text)
    assert "Unchanged files 1, whose rows are those of an earlier run." in again
    assert "Unchanged files" not in page(MIXED).text


def test_a_threshold_by_hand_was_never_measured() -> None:
    text = words(page(report(result(), operating_point="custom", threshold=0.3)).text)
    assert "operating point custom: flagged at 0.300000 or above" in text
    assert "A threshold set by hand: its sensitivity and specificity were never measured." in text
    assert "used to set the threshold" not in text


SHARE = Proportion.of(67, 117)


def test_the_site_profile_stands_in_place_of_validation() -> None:
    profile = SiteProfile.of(
        model="tiny",
        model_version="1.0.0",
        model_sha256="ab" * 32,
        preprocessing_version=PREPROCESSING_VERSION,
        decoding_version=DECODING_VERSION,
        point=OperatingPoint(0.4, "sensitivity >= 0.98", SHARE, SHARE, "films of spring"),
        data_sha256="cd" * 32,
        created_utc="2026-11-20T10:00:00Z",
    )
    run = report(result(), operating_point="site", threshold=0.4, profile=profile)
    text = words(page(run).text)
    assert "the site's films, used to set the threshold 0.573 0.482 to 0.659, n = 117" in text
    assert "sensitivity >= 0.98, on films of spring; written 2026-11-20T10:00:00Z" in text
    assert "validation, used to set the threshold" not in text


@pytest.mark.parametrize("point", ["screening", "custom"])
def test_what_other_films_measured_stands_beside_what_the_choice_measured(point: str) -> None:
    area = Estimate(0.95, 0.91, 0.98, 196, 2000)
    found = MeasuredSet("test_x", "0" * 64, {}, area, {"screening": Decisions(*[SHARE] * 3)})
    spec = replace(tiny_spec(), evaluations=(found,))
    text = words(page(report(result(), spec=spec, operating_point=point)).text)
    shares = "0.573 0.482 to 0.659, n = 117" if point == "screening" else "not measured"
    assert (
        f"test_x, not used to set the threshold {shares} {shares} 0.950 0.910 to 0.980, "
        "196 patients" in text
    )


def test_a_long_band_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each band for itself: a thousand unread files must not hide the flagged ones."""
    monkeypatch.setattr(html, "LISTED", dict.fromkeys(Band, 2))
    unread = [result(f"{number}.txt", None) for number in range(5)]
    made = page(report(*unread, result("ill-1"), result("ill-2"), result("well", 0.1)))
    assert {band: [summary(row)[:2] for row in rows] for band, rows in made.bands.items()} == {
        "attention": [("1", "0.txt"), ("2", "1.txt")],
        "flagged": [("6", "ill-1"), ("7", "ill-2")],
        "unflagged": [("8", "well")],
    }
    assert "Attention (5)" in made.text
    assert re.findall(r"The first .*them\.", made.text) == [
        "The first 2 of 5; triage.csv has all of them."
    ]
    assert "corrupt (2)" in made.text, "the filter counts what it can show"


def test_no_row_of_attention_is_left_out_of_an_ordinary_night() -> None:
    assert html.LISTED[Band.ATTENTION] >= 10_000


def test_the_identifier_that_was_asked_for_stands_under_the_name() -> None:
    (row,) = page(
        report(result("a.dcm", identity={"PatientID": "A1"}), identity_fields=("PatientID",))
    ).bands["flagged"]
    assert (row.texts["name"], row.texts["tag"]) == ("a.dcmPatientID A1", "PatientID A1")
    (bare,) = page(report(result("a.png"), identity_fields=("PatientID",))).bands["flagged"]
    assert "tag" not in bare.texts


def test_nothing_found() -> None:
    made = page(report())
    assert made.bands == {"attention": [], "flagged": [], "unflagged": []}
    assert made.text.count("None.") == 3
    assert "No file was found. Is the share mounted" in made.text
    assert "No file was found" not in page(report(result("a.png"))).text


def test_films_are_shown_with_their_sum() -> None:
    made = page(pictured(MIXED))
    assert [len(row.films) for row in made.rows()] == [0, 0, 0, 0, 0, 1]
    row = made.bands["unflagged"][0]
    assert row.films[0].startswith("data:image/jpeg;base64,")
    assert words(row.texts["opened"]).startswith(
        "logit 1.000 = rest -0.250 + raised 2.500 + lowered -1.250; "
        "largest shares: row 1, column 1: +2.00; row 2, column 2: -1.25; row 1, column 2: +0.50"
    )


PIXELS = ("This page holds pixels of patients: 1 film", "Evidence map", "not where disease is")


@pytest.mark.parametrize("text", PIXELS)
def test_a_page_with_films_says_what_it_holds(text: str) -> None:
    assert text in words(page(pictured(MIXED)).text)
    assert text not in words(page(MIXED).text)


def test_without_thumbnails_no_pixel_is_in_the_page() -> None:
    assert {tag for tag, _ in page(MIXED).tags} & {"image", "img", "picture", "canvas"} == set()
    assert b"data:image" not in render_html(MIXED)


def test_a_film_that_has_no_score_is_not_shown() -> None:
    """Its bytes may have been scored under another name in the meantime."""
    unread = report(result("a.png", None, sha256="ab" * 32))
    assert page(pictured(unread)).rows()[0].films == []


def test_a_note_is_no_warning_and_its_film_needs_no_attention() -> None:
    made = report(result("a.jpg", 0.1, warnings=(InputWarning.NONCONFORMING,)))
    (row,) = summaries(made)[Band.UNFLAGGED]
    assert row[-1] == "scored note: nonconforming"


def test_what_is_not_read_is_named() -> None:
    unread = result("a.jpg", None, reason=Reason.UNSUPPORTED_FORMAT, format="JPEG-LS")
    assert "JPEG-LS" in page(report(unread)).text
