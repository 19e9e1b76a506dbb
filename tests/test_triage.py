"""The reading list: bands, ranks, duplicates, and what must never change them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.support.text import display_name
from cxr_edge.triage import Counts, TriageRow, band, count, place, reading_key
from cxr_edge.types import NOTES, Band, InputWarning, Reason, Result, doubts
from tests.factories import result

WARNED = (InputWarning.LOW_RESOLUTION,)


def triage(results: Iterable[Result], threshold: float) -> list[TriageRow]:
    """Sorted as the ledger sorts: by the bytes of the key."""
    key = reading_key(threshold)

    def order(item: Result) -> bytes:
        doubtful = bool(doubts(item.warnings))
        return key(
            *(item.probability, doubtful, item.reason, item.modified_utc, item.path)
        ).encode()

    return list(place(sorted(results, key=order), threshold))


def paths(results: list[Result], threshold: float = 0.5) -> list[str]:
    return [row.result.path for row in triage(results, threshold)]


def test_bands_in_order() -> None:
    rows = triage(
        [
            result("unflagged", 0.1),
            result("flagged", 0.9),
            result("broken", None),
            result("warned", 0.2, warnings=WARNED),
            result("later", None, reason=Reason.STILL_CHANGING),
        ],
        0.5,
    )
    assert [(row.rank, row.band, row.flagged, row.result.path) for row in rows] == [
        (1, Band.ATTENTION, False, "warned"),
        (2, Band.ATTENTION, None, "broken"),
        (3, Band.ATTENTION, None, "later"),
        (4, Band.FLAGGED, True, "flagged"),
        (5, Band.UNFLAGGED, False, "unflagged"),
    ]


def test_attention_puts_scores_first_highest_on_top() -> None:
    rows = [
        result("no score", None),
        result("zero", 0.0, warnings=WARNED),
        result("low", 0.2, warnings=WARNED),
        result("high", 0.9, warnings=WARNED),
    ]
    assert paths(rows) == ["high", "low", "zero", "no score"]


def test_notes_move_no_film() -> None:
    rows = [result("low", 0.2, warnings=tuple(NOTES)), result("high", 0.9, warnings=tuple(NOTES))]
    assert paths(rows) == ["high", "low"]
    assert [row.band for row in triage(rows, 0.5)] == [Band.FLAGGED, Band.UNFLAGGED]
    doubtful = result("both", 0.1, warnings=(*NOTES, *WARNED))
    assert paths([*rows, doubtful]) == ["both", "high", "low"]


def test_flagged_by_probability_then_path() -> None:
    """Whenever they came."""
    late, early = ({"modified_utc": f"2026-11-22T0{hour}:00:00Z"} for hour in (3, 1))
    rows = [
        result("b", 0.8, **early),
        result("c", 0.9, **late),
        result("a", 0.8, **late),
        result("B", 0.8),
    ]
    assert paths(rows) == ["c", "B", "a", "b"]
    assert paths([replace(row, warnings=WARNED) for row in rows]) == ["c", "B", "a", "b"]


def test_unflagged_in_order_of_arrival_then_path() -> None:
    rows = [
        result("late", 0.4, modified_utc="2026-11-22T03:00:00Z"),
        result("b", 0.1, modified_utc="2026-11-22T01:00:00Z"),
        result("a", 0.3, modified_utc="2026-11-22T01:00:00Z"),
        result("no stamp", 0.2),
    ]
    assert paths(rows) == ["no stamp", "a", "b", "late"]


@pytest.mark.parametrize(
    ("probability", "flagged"),
    [(0.205073, False), (0.205074, True), (0.205075, True), (0.0, False), (1.0, True)],
)
def test_at_the_threshold_is_flagged(probability: float, flagged: bool) -> None:
    (row,) = triage([result(probability=probability)], 0.205074)
    assert row.flagged is flagged
    assert row.band is (Band.FLAGGED if flagged else Band.UNFLAGGED)


def test_scores_are_told_apart_to_their_last_decimal() -> None:
    rows = [result(name, p) for name, p in (("c", 0.500001), ("a", 0.5), ("b", 0.999999))]
    assert paths(rows) == ["b", "c", "a"]
    warned = [replace(row, warnings=WARNED) for row in (*rows, result("d", 1.0))]
    assert paths(warned) == ["d", "b", "c", "a"]


def test_names_sort_by_code_point() -> None:
    names = ["a", "B", "é", "\ufffd", "\U0001f9b4", "a b", "a/b", "ab", "~"]
    rows = [result(name, 0.9) for name in names]
    assert paths(rows) == sorted(names)


@pytest.mark.parametrize(
    ("probability", "warned", "where"),
    [
        (None, False, Band.ATTENTION),
        (None, True, Band.ATTENTION),
        (0.9, True, Band.ATTENTION),
        (0.1, True, Band.ATTENTION),
        (0.5, False, Band.FLAGGED),
        (0.499999, False, Band.UNFLAGGED),
    ],
)
def test_band(probability: float | None, warned: bool, where: Band) -> None:
    assert band(probability, warned, 0.5) is where


def test_place_is_lazy() -> None:
    def endless() -> Iterator[Result]:
        while True:
            yield result()

    rows = place(endless(), 0.5)
    assert [next(rows).rank for _ in range(3)] == [1, 2, 3]


BAD_ROWS: dict[str, tuple[Band, bool | None, Result]] = {
    "flagged without a score": (Band.ATTENTION, True, result(probability=None)),
    "scored and undecided": (Band.UNFLAGGED, None, result()),
    "no score, unflagged": (Band.UNFLAGGED, None, result(probability=None)),
    "no score, flagged band": (Band.FLAGGED, None, result(probability=None)),
    "flagged among the unflagged": (Band.UNFLAGGED, True, result()),
    "unflagged among the flagged": (Band.FLAGGED, False, result()),
}


@pytest.mark.parametrize(("band", "flagged", "item"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_row_refuses(band: Band, flagged: bool | None, item: Result) -> None:
    with pytest.raises(ValueError, match=r"a\.png"):
        TriageRow(1, band, flagged, item)


RIGHT = {
    "found": 6,
    "scored": 3,
    "not_scored": 2,
    "deferred": 1,
    "attention": 4,
    "flagged": 1,
    "unflagged": 1,
}


def test_counts_add_up() -> None:
    assert Counts(**RIGHT).found == 6


@pytest.mark.parametrize("field", RIGHT)
def test_counts_refuse_any_single_change(field: str) -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Counts(**{**RIGHT, field: RIGHT[field] + 1})


def test_count() -> None:
    rows = triage([result("a", 0.9), result("b", 0.1), result("c", None)], 0.5)
    assert count(rows) == Counts(3, 2, 1, 0, 1, 1, 1)
    assert not count(rows).complete
    assert count(rows[1:]).complete


def test_nothing_found() -> None:
    assert count(triage([], 0.5)) == Counts(0, 0, 0, 0, 0, 0, 0)
    assert count([]).complete


probabilities = st.integers(0, 10**6).map(lambda millionths: millionths / 10**6)
stamps = st.sampled_from(["", "2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"])
hashes = st.sampled_from(["", "1" * 64, "2" * 64, "3" * 64])
warnings = st.lists(st.sampled_from(InputWarning), max_size=2, unique=True).map(tuple)


@st.composite
def any_result(draw: st.DrawFn, path: str) -> Result:
    facts: dict[str, Any] = {"sha256": draw(hashes), "modified_utc": draw(stamps)}
    if draw(st.booleans()):
        return result(path, draw(probabilities), warnings=draw(warnings), **facts)
    return Result.without_score(path, draw(st.sampled_from(Reason)), **facts)


names = st.text(min_size=1, max_size=3).map(display_name)
folders = st.lists(names, unique=True, max_size=12).flatmap(
    lambda names: st.tuples(*(any_result(name) for name in names))
)


@given(folders, probabilities, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(
    results: tuple[Result, ...], threshold: float, rng: Any
) -> None:
    shuffled = list(results)
    rng.shuffle(shuffled)
    assert triage(shuffled, threshold) == triage(results, threshold)


@given(folders, probabilities)
def test_every_file_has_one_row(results: tuple[Result, ...], threshold: float) -> None:
    rows = triage(results, threshold)
    assert [row.rank for row in rows] == list(range(1, len(results) + 1))
    assert sorted(row.result.path for row in rows) == sorted(item.path for item in results)
    order = list(Band)
    bands = [order.index(row.band) for row in rows]
    assert bands == sorted(bands)
    assert count(rows).found == len(results)


def decisions(rows: list[TriageRow]) -> dict[str, Any]:
    """What was decided on each path, and the order, without the ranks."""
    return {row.result.path: (row.band, row.flagged, row.result) for row in rows}


@given(folders, probabilities, st.sampled_from(Reason))
def test_a_broken_file_changes_no_other_row(
    results: tuple[Result, ...], threshold: float, reason: Reason
) -> None:
    before = triage(results, threshold)
    after = triage([*results, result("broken file", None, reason=reason)], threshold)
    rest = [row for row in after if row.result.path != "broken file"]
    assert list(decisions(rest).items()) == list(decisions(before).items())


@given(folders, probabilities)
def test_a_second_copy_changes_no_score(results: tuple[Result, ...], threshold: float) -> None:
    copies = [replace(item, path=f"{item.path} copy") for item in results]
    rows = decisions(triage([*results, *copies], threshold))
    for path, (where, flagged, item) in decisions(triage(results, threshold)).items():
        copied_band, copied_flag, copied = rows[f"{path} copy"]
        assert (copied_band, copied_flag, copied.probability) == (where, flagged, item.probability)
        assert rows[path][:2] == (where, flagged)
        assert rows[path][2].probability == item.probability


@given(folders, probabilities, probabilities)
def test_a_lower_threshold_never_flags_less(
    results: tuple[Result, ...], one: float, other: float
) -> None:
    strict, lenient = (
        {row.result.path for row in triage(results, threshold) if row.flagged}
        for threshold in (max(one, other), min(one, other))
    )
    assert strict <= lenient
