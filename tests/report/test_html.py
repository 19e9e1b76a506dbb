"""`triage.html`, parsed: complete, offline, and names stay text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from cxr_edge.images import DECODING_VERSION
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.report import Report, entries
from cxr_edge.report.context import BANNER
from cxr_edge.report.texts import texts
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_edge.types import LANGUAGES, Band, InputWarning, Reason
from tests.factories import context, html_of, report, result
from tests.report.page import Row, page, words
from tests.report.pictures import pictured
from tests.tiny import tiny_spec


def summary(row: Row) -> tuple[str, ...]:
    """What a closed row says."""
    names = ("rank", "who", "score", "decision", "state")
    return tuple(words(row.texts.get(name, "")) for name in names)


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
    """The score has two digits here and six in the CSV; a remark says what to do."""
    low, cut, late = (texts().remark(c) for c in ("low_resolution", "truncated", "still_changing"))
    assert summaries(MIXED) == {
        "attention": [
            ("1", "small.png", "0.75", "flagged", f"{low.name}{low.advice}"),
            ("2", "broken.jpg", "no score", "undecided", f"{cut.name}{cut.advice}"),
            ("3", "late.png", "no score", "undecided", f"{late.name}{late.advice}"),
        ],
        "flagged": [
            ("4", "ill-again.png", "0.90", "flagged", ""),
            ("5", "ill.png", "0.90", "flagged", ""),
        ],
        "unflagged": [("6", "well.png", "0.10", "not flagged", "")],
    }


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.999834, "> 0.99"), (0.99, "0.99"), (0.004, "< 0.01"), (0.0, "0.00"), (1.0, "1.00")],
)
def test_no_score_looks_certain_that_is_not(probability: float, shown: str) -> None:
    (row,) = page(report(result("a", probability))).rows()
    assert row.texts["score"] == shown


TIMES = "\N{MULTIPLICATION SIGN}"
OPENED = {
    "1": "low resolution: The film has fewer pixels than the model looks at: a preview, perhaps. "
    "File small.png For engineers probability 0.750000, threshold 0.500000. "
    f"PNG, 5 {TIMES} 4 pixels. warning low_resolution.",
    "2": "file cut short: The end of the file is missing: a copy broke off. File broken.jpg "
    "For engineers reason truncated.",
    "5": "File ill.png. Same content as ill-again.png "
    f"For engineers probability 0.900000, threshold 0.500000. PNG, 64 {TIMES} 48 pixels.",
    "6": "File well.png For engineers probability 0.100000, threshold 0.500000. "
    f"TIFF, 64 {TIMES} 48 pixels. sha256 {'ab' * 32}",
}


@pytest.mark.parametrize(("rank", "text"), OPENED.items(), ids=OPENED)
def test_an_opened_row_explains_itself(rank: str, text: str) -> None:
    (row,) = (row for row in page(MIXED).rows() if row.texts["rank"] == rank)
    assert words(row.texts["opened"].replace("For engineers", " For engineers ")) == text


def test_times_are_local_with_their_offset(in_zone: Callable[[str], None]) -> None:
    """Both sides of a change to summer time, and what no calendar here holds."""
    in_zone("Europe/Berlin")
    times = {"2026-11-22T01:00:00Z": "22 Nov 2026 02:00 +01:00 file time"}
    times["2026-07-01T22:30:00Z"] = "02 Jul 2026 00:30 +02:00 file time"
    times[""] = ""
    for utc, shown in times.items():
        (row,) = page(report(result(modified_utc=utc))).rows()
        assert words(row.texts.get("when", "")) == shown
    assert "22 Nov 2026 21:00 +01:00" in page(MIXED).text


ACQUIRED_TIMES = {
    "2026-11-22T21:14:05": ("22 Nov 2026 21:14 taken", "2026-11-22T21:14:05+01:00"),
    "2026-11-22": ("22 Nov 2026 taken", "2026-11-22"),
    "no date": ("22 Nov 2026 02:00 +01:00 file time", "2026-11-22T01:00:00Z"),
}


@pytest.mark.parametrize("acquired", ACQUIRED_TIMES)
def test_a_film_that_says_when_it_was_taken(acquired: str, in_zone: Callable[[str], None]) -> None:
    in_zone("Europe/Berlin")
    film = result(modified_utc="2026-11-22T01:00:00Z", identity={"acquired": acquired})
    made = page(report(film))
    text, iso = ACQUIRED_TIMES[acquired]
    assert words(made.rows()[0].texts["when"]) == text
    assert iso in [
        dict(attributes).get("datetime") for tag, attributes in made.tags if tag == "time"
    ]


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
    assert text.removeprefix("Chest x-ray triage 22 Nov 2026 20:00 +00:00 ").startswith(BANNER)
    assert "6 found = 4 scored + 1 not scored + 1 deferred." in text
    assert "6 files Attention 3 Flagged 2 Not flagged 1 About" in text
    for title in ("Attention (3)", "Flagged (2)", "Not flagged (1)"):
        assert title in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_in_every_language(language: str) -> None:
    """With the banner in English as well: it is what the product says of itself everywhere."""
    made = page(pictured(replace(MIXED, context=context(language=language, prevalence=0.1))))
    assert dict(made.tags[0][1]).get("lang", language) == language
    text = words(made.text)
    said = texts(language)
    assert BANNER in text and said("banner") in text
    for code in ("low_resolution", "truncated", "still_changing"):
        assert said.remark(code).name in text and said.remark(code).advice in text
    if language != "en":
        english = {v for k, v in texts().page.items() if len(v.split()) > 5 and v != BANNER}
        assert not [each for each in english if words(each) in text]


FACTS = {
    "model": "tiny 1.0.0, operating point screening: flagged at 0.500000 or above",
    "threshold": "Score of 0.500 or above (screening). Highest score first.",
    "file": f"tiny 1.0.0 (tiny.onnx, sha256 {'ab' * 32})",
    "population": "Population nobody; age",
    "measured": "validation, used to set the threshold 0.900 0.850 to 0.950, n = 100 "
    "0.800 0.750 to 0.850, n = 100",
    "chosen": "Threshold made up (nothing real)",
    "use": "Not for patients Known to fail all of them",
    "device": "Device cpu (asked for: auto) Software cxr-edge 0.1.0",
    "start": "Run 20261122T200000.000000Z, 1.5 s",
}


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_the_run_is_described(fact: str) -> None:
    assert fact in words(page(MIXED).text)


def test_rows_of_an_earlier_run_are_counted() -> None:
    again = words(page(report(result("a.png"), recalled=1)).text)
    assert "Unchanged files, with rows of an earlier run 1" in again
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
    assert "sensitivity >= 0.98 (films of spring); 2026-11-20T10:00:00Z" in text
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
    monkeypatch.setattr(entries, "LISTED", dict.fromkeys(Band, 2))
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
    assert "damaged file (2)" in made.text, "the filter counts what it can show"


def test_no_row_of_attention_is_left_out_of_an_ordinary_night() -> None:
    assert entries.LISTED[Band.ATTENTION] >= 10_000


def test_the_identifier_that_was_asked_for_stands_under_the_name() -> None:
    (row,) = page(
        report(result("a.dcm", identity={"PatientID": "A1"}), identity_fields=("PatientID",))
    ).bands["flagged"]
    assert (row.texts["who"], row.texts["tag"]) == ("a.dcm", "PatientID A1")
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
    assert (
        "logit 1.000 = rest -0.250 + raised 2.500 + lowered -1.250; largest shares: "
        "row 1, column 1: +2.00; row 2, column 2: -1.25; row 1, column 2: +0.50"
    ) in words(row.texts["engineers"])


PIXELS = ("Contains images of patients.", "Films shown: 1", "Evidence map", "not where disease is")


@pytest.mark.parametrize("text", PIXELS)
def test_a_page_with_films_says_what_it_holds(text: str) -> None:
    assert text in words(page(pictured(MIXED)).text)
    shown = words(page(MIXED).text.partition("Keys")[0])
    assert text not in shown


def test_without_thumbnails_no_pixel_is_in_the_page() -> None:
    assert {tag for tag, _ in page(MIXED).tags} & {"image", "img", "picture", "canvas"} == set()
    assert b"data:image" not in html_of(MIXED)


def test_a_film_that_has_no_score_is_not_shown() -> None:
    """Its bytes may have been scored under another name in the meantime."""
    unread = report(result("a.png", None, sha256="ab" * 32))
    assert page(pictured(unread)).rows()[0].films == []


def test_a_note_is_no_warning_and_its_film_needs_no_attention() -> None:
    made = report(result("a.jpg", 0.1, warnings=(InputWarning.NONCONFORMING,)))
    (row,) = summaries(made)[Band.UNFLAGGED]
    assert row[-1] == texts().warnings["nonconforming"].name


def test_what_is_not_read_is_named() -> None:
    unread = result("a.jpg", None, reason=Reason.UNSUPPORTED_FORMAT, format="JPEG-LS")
    assert "JPEG-LS" in page(report(unread)).text
