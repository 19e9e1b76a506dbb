"""The ledger's rows: what is remembered of a film, and what must not be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger.rows import Entry, stamp_of, stamp_text
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import Ledger, open_ledger
from cxr_edge.types import DETERMINISTIC_REASONS, InputWarning, Reason, Stamp
from tests.factories import result
from tests.ledger.entries import (
    LONG_AGO,
    NOW,
    SECOND,
    SETTINGS,
    SHA256,
    STAMP,
    entry,
    everything,
    found,
    recall,
)


@pytest.mark.parametrize(
    ("name", "stamp", "expected"),
    [("a.png", STAMP, True), ("b.png", STAMP, False), ("a.png", None, False)],
)
def test_a_film_that_held_a_decoder_too_long_is_known(
    name: str, stamp: Stamp | None, expected: bool, ledger: Ledger, run: Run
) -> None:
    """As long as its bytes are the same, under any settings; its last row counts."""
    run.record([entry(probability=None, reason=Reason.TIMEOUT)])
    assert ledger.begin("second", "other settings").timed_out(found(name, stamp)) is expected
    ledger.begin("third", SETTINGS).record([entry()])
    assert not ledger.begin("fourth", SETTINGS).timed_out(found(name, stamp))


def test_a_film_that_changed_may_be_fast_now(ledger: Ledger, run: Run) -> None:
    run.record([entry(probability=None, reason=Reason.TIMEOUT)])
    assert not run.timed_out(found(stamp=replace(STAMP, inode=1)))


EVERY_FACT = Entry(
    found(),
    result(
        "a.png",
        0.123456,
        warnings=(InputWarning.BLANK, InputWarning.VIEW_POSITION),
        width=2048,
        height=2500,
        format="DICOM",
        sha256=SHA256,
        modified_utc="2026-11-22T01:00:00Z",
        features=(0.5, 12.0),
    ),
    STAMP,
)


def test_every_fact_comes_back(ledger: Ledger, run: Run) -> None:
    run.record([EVERY_FACT])
    assert everything(run) == [EVERY_FACT.result]
    assert recall(ledger.begin("second", SETTINGS), found()) == EVERY_FACT.result


def test_notes_do_not_count_in_the_order_of_reading(run: Run) -> None:
    names = {"note": InputWarning.NONCONFORMING, "doubt": InputWarning.CLIPPED}
    run.record([entry(f"{name}.png", 0.1, warnings=(code,)) for name, code in names.items()])
    run.record([entry("flagged.png", 0.9)])
    assert [each.path for each in everything(run)] == ["doubt.png", "flagged.png", "note.png"]


CHANGED = {
    "size": replace(STAMP, size=101),
    "mtime": replace(STAMP, mtime_ns=LONG_AGO - 1),
    "ctime": replace(STAMP, ctime_ns=LONG_AGO),
    "inode": replace(STAMP, inode=8),
    "gone": None,
}


@pytest.mark.parametrize("stamp", CHANGED.values(), ids=CHANGED)
def test_a_file_that_changed_is_not_recalled(stamp: Stamp | None, ledger: Ledger, run: Run) -> None:
    run.record([entry()])
    assert recall(ledger.begin("second", SETTINGS), found(stamp=stamp)) is None


def test_another_file_or_other_settings_are_not_recalled(ledger: Ledger, run: Run) -> None:
    run.record([entry(sha256=SHA256), entry("never seen.png", stamp=None)])
    second = ledger.begin("second", SETTINGS)
    assert recall(second, found("b.png")) is None
    assert recall(second, found("never seen.png")) is None
    other = ledger.begin("third", "other settings")
    assert (recall(other, found()), other.known_probabilities([SHA256])) == (None, {})


@pytest.mark.parametrize("reason", Reason)
def test_only_what_the_bytes_say_is_recalled(reason: Reason, ledger: Ledger, run: Run) -> None:
    run.record([entry(probability=None, reason=reason, sha256=SHA256)])
    second = ledger.begin("second", SETTINGS)
    assert (recall(second, found()) is not None) == (reason in DETERMINISTIC_REASONS)
    assert second.known_probabilities([SHA256]) == {}


def test_what_another_device_scored_holds_until_the_run_is_finished(
    ledger: Ledger, run: Run
) -> None:
    """A run that goes on must not begin again; the next night asks its own device."""
    taken_over = entry(device="cpu")
    run.record([taken_over])
    assert recall(ledger.begin("goes on", SETTINGS), found()) == taken_over.result
    run.finish({})
    assert recall(ledger.begin("next night", SETTINGS), found()) is None


def test_a_bad_night_does_not_hide_an_earlier_score(ledger: Ledger, run: Run) -> None:
    run.record([entry(probability=0.25)])
    ledger.begin("second", SETTINGS).record([entry(probability=None, reason=Reason.TIMEOUT)])
    recalled = recall(ledger.begin("third", SETTINGS), found())
    assert recalled is not None
    assert recalled.probability == 0.25


def test_the_latest_word_counts_under_todays_name(ledger: Ledger, run: Run) -> None:
    run.record([entry(probability=0.25)])
    ledger.begin("second", SETTINGS).record([entry(probability=0.75)])
    renamed = replace(found(), display="incoming/a.png")
    recalled = recall(ledger.begin("third", SETTINGS), renamed)
    assert recalled == result("incoming/a.png", 0.75)


RACY = {
    "two seconds before": (NOW - 2 * SECOND, False),
    "a nanosecond more": (NOW - 2 * SECOND - 1, True),
    "just before": (NOW - 1, False),
    "after it was seen": (NOW + 5 * SECOND, False),
    "a year ahead": (NOW + 365 * 86400 * SECOND, False),
}


@pytest.mark.parametrize("field", ["mtime_ns", "ctime_ns"])
@pytest.mark.parametrize(("changed_ns", "trusted"), RACY.values(), ids=RACY)
def test_a_stamp_that_may_hide_a_change_is_not_trusted(
    field: str, changed_ns: int, trusted: bool, ledger: Ledger, run: Run
) -> None:
    """However long decoding took: it is the time before the file was read that counts."""
    stamp = replace(STAMP, **{field: changed_ns})
    run.record([entry(stamp=stamp, sha256=SHA256)])
    second = ledger.begin("second", SETTINGS)
    assert (recall(second, found(stamp=stamp)) is not None) == trusted
    assert second.known_probabilities([SHA256]) == {SHA256: 0.5}


DAMAGE = {
    "no such warning": "warnings = 'blanj'",
    "no text": "warnings = CAST(x'ff' AS TEXT)",
    "bytes for text": "warnings = x'61'",
    "text for bytes": "sha256 = 'ab'",
    "no probability": "probability = 1.985",
    "no score": "probability = NULL",
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_film_whose_row_has_a_flipped_bit_is_read_again(
    change: str, ledger: Ledger, run: Run
) -> None:
    run.record([EVERY_FACT])
    run.connection.execute(f"UPDATE item SET {change}")
    assert recall(ledger.begin("second", SETTINGS), found()) is None


def test_the_same_bytes_under_another_name_are_known(ledger: Ledger, run: Run) -> None:
    run.record([entry("a.png", 0.123456, sha256=SHA256), entry("b.png", 0.5)])
    assert run.known_probabilities([SHA256]) == {SHA256: 0.123456}
    assert ledger.begin("second", SETTINGS).known_probabilities([SHA256]) == {SHA256: 0.123456}
    assert run.known_probabilities(["cd" * 32]) == {}


@pytest.mark.parametrize("probability", ["NULL", "1.985", "'half'"])
def test_a_score_with_a_flipped_bit_is_not_known(
    probability: str, ledger: Ledger, run: Run
) -> None:
    run.record([entry(sha256=SHA256)])
    run.connection.execute(f"UPDATE item SET probability = {probability}")
    assert run.known_probabilities([SHA256]) == {}


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1203])
def test_many_are_asked_for_at_once(count: int, run: Run) -> None:
    """More than SQLite takes in a statement."""
    scores = {f"{number:064x}": number / 2000 for number in range(count)}
    run.record([entry(f"{sha256}.png", said, sha256=sha256) for sha256, said in scores.items()])
    assert run.known_probabilities([*scores, "cd" * 32]) == scores


def test_a_row_is_replaced_never_doubled(ledger: Ledger, run: Run) -> None:
    run.record([entry(probability=None, reason=Reason.STILL_CHANGING), entry("b.png")])
    run.record([entry(probability=0.75, sha256=SHA256)])
    assert everything(run) == [result("a.png", 0.75, sha256=SHA256), result("b.png")]
    second = ledger.begin("second", SETTINGS)
    second.record([entry(), entry()])
    assert len(everything(second)) == 1
    assert len(everything(run)) == 2


def test_rows_are_committed_all_or_none(run: Run) -> None:
    run.record([entry("safe.png")])
    run.connection.execute(
        "CREATE TEMP TRIGGER struck BEFORE INSERT ON item WHEN NEW.display = 'c.png' "
        "BEGIN SELECT RAISE(ABORT, 'struck'); END"
    )
    with pytest.raises(StateError, match="struck"):
        run.record([entry("a.png"), entry("safe.png", 0.9), entry("c.png")])
    assert everything(run) == [result("safe.png", 0.5)]
    run.record([entry("a.png")])
    assert len(everything(run)) == 2


def test_a_full_disk_costs_no_committed_row(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        run = ledger.begin("first", SETTINGS)
        run.record([entry(f"{n}.png", sha256=f"{n:064x}") for n in range(50)])
        run.connection.execute("PRAGMA max_page_count = 20")
        with pytest.raises(StateError, match="full") as caught:
            run.record([entry(f"{n}.png", 0.9) for n in range(5000)])
        assert "safe; make room on the disk" in caught.value.tip
        with pytest.raises(StateError, match="full"):
            run.finish({"text": "x" * 10**6})
        assert {item.probability for item in everything(run)} == {0.5}
    with open_ledger(tmp_path) as ledger:
        assert (ledger.set_aside, ledger.finished_ids()) == (None, [])
        second = ledger.begin("second", SETTINGS)
        assert [recall(second, found(f"{n}.png")) is None for n in range(51)] == [False] * 50 + [
            True
        ]


def test_files_that_were_still_changing(ledger: Ledger, run: Run) -> None:
    new = replace(STAMP, mtime_ns=2**62, ctime_ns=-1)
    changing: dict[str, Any] = {"probability": None, "reason": Reason.STILL_CHANGING}
    ledger.begin("earlier", SETTINGS).record([entry("earlier.png", **changing)])
    run.record(
        [
            entry("b\n.png", stamp=new, **changing),
            entry(b"a\xff.png", stamp=None, **changing),
            entry("c.png", None, reason=Reason.IMPLAUSIBLE_TIME),
            entry("d.png"),
        ]
    )
    # Seen by the run that recorded them, not by the one that asks.
    seen = [found(b"a\xff.png", None), found("b\n.png", new)]
    assert run.unsettled() == [replace(file, seen_ns=0) for file in seen]


ODD_NAMES = {
    "no UTF-8": b"\xff\xfe.png",
    "half a character": b"\xc3.png",
    "a line feed": b"a\nb.png",
    "a null byte": b"a\0b.png",
    "right to left": "a\u202egnp.png".encode(),
    "a formula": b"=1+1",
    "a quote": b"'; DROP TABLE item; --",
    "a backslash": rb"\xff\xfe.png",
    "255 bytes": b"x" * 255,
}


def test_odd_names_have_a_row_each(ledger: Ledger, run: Run) -> None:
    run.record([entry(name) for name in ODD_NAMES.values()])
    shown = [found(name).display for name in ODD_NAMES.values()]
    assert sorted(item.path for item in everything(run)) == sorted(set(shown))
    second = ledger.begin("second", SETTINGS)
    assert [recall(second, found(name)) for name in ODD_NAMES.values()] == [
        result(name) for name in shown
    ]


def test_a_film_is_found_by_its_bytes(ledger: Ledger, run: Run) -> None:
    """Any file of this run that had them, under a name that need not be UTF-8."""
    run.record([entry("b\n.png", sha256=SHA256), entry(b"a\xff.png", sha256=SHA256)])
    run.record([entry("c.png", sha256="cd" * 32)])
    assert run.found(SHA256) == replace(found(b"a\xff.png"), stamp=None, seen_ns=0)
    with pytest.raises(KeyError):
        run.found("ef" * 32)
    with pytest.raises(KeyError):
        ledger.begin("second", SETTINGS).found(SHA256)


def test_the_stamp_of_an_object_with_a_version(ledger: Ledger) -> None:
    first, second = (replace(STAMP, version=version) for version in ("v:1", "v:2"))
    ledger.begin("first", SETTINGS).record([entry(stamp=first)])
    later = ledger.begin("second", SETTINGS)
    assert recall(later, found(stamp=first)) is not None
    assert recall(later, found(stamp=second)) is None
    assert [stamp_of(stamp_text(each)) for each in (STAMP, first)] == [STAMP, first]
