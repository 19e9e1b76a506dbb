"""What may still be written is waited for at the end, and read only once it has been quiet."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.discover import discover
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger import rows as ledger_rows
from cxr_edge.scoring import scorer
from cxr_edge.types import FoundFile, Reason, Root, Status
from tests.factories import chest, write_tree
from tests.images.films import png
from tests.nights import SETTINGS, Night, Told

SECONDS = 0.03
RULE = SettleRule(SECONDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One film that has been quiet, one that has only just come."""
    root = write_tree(tmp_path / "in", {"quiet.png": png(chest())})
    time.sleep(2 * SECONDS)
    return write_tree(root, {"young.png": png(chest(tilt=-110))})


class Clock:
    """Stands still at the moment when the young film came, but for who sleeps."""

    def __init__(self, now_ns: int) -> None:
        self.began_ns = now_ns
        self.slept = 0.0

    def time_ns(self) -> int:
        return self.began_ns + int(self.slept * 10**9)

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@pytest.fixture(autouse=True)
def clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock((folder / "young.png").stat().st_ctime_ns)
    monkeypatch.setattr(scorer, "time", standing)
    return standing


def reasons(rows: list[Any]) -> dict[str, Reason | None]:
    return {row.path: row.reason for row in rows}


def test_a_young_file_is_waited_for_at_the_end(night: Night, folder: Path) -> None:
    """Its row is there before the wait: a kill meanwhile does not lose it."""
    seen = []
    told = Told()
    told.on_waiting = lambda: seen.append((told.done, list(night.workers.asked)))
    rows = night.run(folder, told=told, settle=RULE)
    assert reasons(rows) == {"quiet.png": None, "young.png": None}
    assert night.complete
    assert seen == [(2, ["quiet.png"])]
    assert told.waited_for == [(1, pytest.approx(SECONDS))]
    assert told.done == 2, "counted once"
    assert night.workers.asked == ["quiet.png", "young.png"]


def test_the_wait_is_as_long_as_the_rule_says(night: Night, folder: Path, clock: Clock) -> None:
    clock.began_ns += 10_000_000
    night.run(folder, settle=RULE)
    assert clock.slept == pytest.approx(SECONDS - 0.01, abs=1e-6)


def test_real_workers_check_again_what_they_read(night: Night, folder: Path) -> None:
    """A file that changes in the wait stays deferred, and its bytes are not in its row."""
    told = Told(on_waiting=lambda: (folder / "young.png").write_bytes(png(chest(tilt=5))))
    with Workers(1, SETTINGS) as workers:
        quiet, young = night.run(folder, told=told, workers=workers, settle=RULE)
    assert quiet.status is Status.SCORED
    assert (young.status, young.reason) == (Status.DEFERRED, Reason.STILL_CHANGING)
    assert (young.sha256, young.probability) == ("", None)
    assert night.complete, "every file has its row"


def same_size_and_time(film: Path) -> None:
    before = film.stat()
    film.write_bytes(film.read_bytes()[::-1])
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))


MEANWHILE = {
    "it grows": lambda film: film.write_bytes(film.read_bytes() + b"more"),
    "it is replaced": lambda film: film.with_name("quiet.png").replace(film),
    "it changes in secret": same_size_and_time,
}


@pytest.mark.parametrize("change", MEANWHILE.values(), ids=MEANWHILE)
def test_what_changes_in_the_wait_stays_deferred(change: Any, night: Night, folder: Path) -> None:
    told = Told(on_waiting=lambda: change(folder / "young.png"))
    assert reasons(night.run(folder, told=told, settle=RULE)) == {
        "quiet.png": None,
        "young.png": Reason.STILL_CHANGING,
    }


def swap(folder: Path, outside: Path) -> None:
    """Put a link in the place of a folder."""
    folder.rename(outside.with_name("was"))
    folder.symlink_to(outside)


def test_a_folder_swapped_in_the_wait_gives_no_outside_bytes(
    night: Night, folder: Path, tmp_path: Path
) -> None:
    """The ledger keeps names alone; the folder that a film was found below is remembered."""
    write_tree(folder, {"sub/young.png": png(chest(tilt=-90))})
    write_tree(tmp_path / "outside", {"young.png": png(chest(tilt=-80))})

    told = Told(on_waiting=lambda: swap(folder / "sub", tmp_path / "outside"))
    with Workers(1, SETTINGS) as workers:
        rows = night.run(folder, told=told, workers=workers, settle=RULE)
    (swapped,) = (row for row in rows if row.path == "sub/young.png")
    assert (swapped.reason, swapped.sha256) == (Reason.SYMLINK, "")


@pytest.mark.parametrize("others", ["none", "recalled"])
def test_nor_does_one_where_no_other_film_is_read(
    others: str, night: Night, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later night, where all other films are known, or there are none."""
    monkeypatch.setattr(ledger_rows, "_STAMP_TICK_NS", -1)
    (folder / "young.png").unlink()
    if others == "none":
        (folder / "quiet.png").unlink()
    night.run(folder, settle=RULE)
    write_tree(folder, {"sub/young.png": png(chest(tilt=-90))})
    write_tree(tmp_path / "outside", {"young.png": png(chest(tilt=-80))})

    told = Told(on_waiting=lambda: swap(folder / "sub", tmp_path / "outside"))
    with Workers(1, SETTINGS) as workers:
        rows = night.run(folder, told=told, workers=workers, settle=RULE)
    assert told.recalled_files == (others == "recalled")
    (swapped,) = (row for row in rows if row.path == "sub/young.png")
    assert (swapped.reason, swapped.sha256) == (Reason.SYMLINK, "")


def test_folders_are_found_again_however_many_there_are() -> None:
    """A list of films may name as many folders as films."""
    watch = scorer._Watch(RULE)
    roots = [Root(Path(f"/in/{number}"), 1, number) for number in range(10_000)]
    inner = Root(Path("/in/7/sub"), 1, 10_000)
    for root in [*roots, inner]:
        watch.remember(FoundFile(root.path / "a.dcm", "a.dcm", root=root))
    began = time.process_time()
    found = [watch.look_again(FoundFile(root.path / "b.dcm", "b.dcm")).root for root in roots[:200]]
    assert time.process_time() - began < 1
    assert found == roots[:200]
    assert watch.look_again(FoundFile(inner.path / "b.dcm", "b.dcm")).root == inner
    assert watch.look_again(FoundFile(Path("/out/b.dcm"), "b.dcm")).root is None


def test_what_goes_in_the_wait_is_missing(night: Night, folder: Path) -> None:
    told = Told(on_waiting=(folder / "young.png").unlink)
    assert reasons(night.run(folder, told=told, settle=RULE))["young.png"] is Reason.MISSING


def test_what_changed_early_in_the_wait_and_then_was_quiet_is_scored(
    night: Night, folder: Path, clock: Clock
) -> None:
    """A copy over a slow line: what counts is that all of it has been there for a while."""
    whole = png(chest(tilt=5))

    def change_and_rest() -> None:
        (folder / "young.png").write_bytes(whole)
        clock.sleep(10)

    rows = night.run(folder, told=Told(on_waiting=change_and_rest), settle=RULE)
    assert reasons(rows) == {"quiet.png": None, "young.png": None}
    assert rows[1].sha256 == hashlib.sha256(whole).hexdigest()


def test_what_changes_between_finding_and_reading_is_deferred(night: Night, folder: Path) -> None:
    """It was quiet when it was found, and nobody knows for how long it has been since."""
    found = list(discover([folder]))[:1]
    (folder / "quiet.png").write_bytes(png(chest(tilt=30)))
    assert reasons(night.run(found, settle=RULE)) == {"quiet.png": Reason.STILL_CHANGING}


def test_what_stays_deferred_is_scored_by_the_next_run(
    night: Night, folder: Path, clock: Clock
) -> None:
    told = Told(on_waiting=lambda: (folder / "young.png").write_bytes(png(chest(tilt=5))))
    assert night.run(folder, told=told, settle=RULE)[1].status is Status.DEFERRED
    clock.sleep(10)
    assert reasons(night.run(folder, settle=RULE)) == {"quiet.png": None, "young.png": None}


def test_without_a_rule_nothing_is_waited_for(night: Night, folder: Path) -> None:
    assert reasons(night.run(folder)) == {"quiet.png": None, "young.png": None}
    assert night.told.waited_for == []


@pytest.mark.parametrize("seconds", [315_532_800, 0], ids=["1980", "1970"])
def test_a_copy_that_never_got_its_time_is_not_read(
    seconds: int, night: Night, folder: Path
) -> None:
    """Waiting does not help, so nobody waits."""
    (folder / "young.png").unlink()
    os.utime(folder / "quiet.png", (seconds, seconds))
    assert reasons(night.run(folder, settle=RULE)) == {"quiet.png": Reason.IMPLAUSIBLE_TIME}
    assert (night.workers.asked, night.told.waited_for) == ([], [])
    assert reasons(night.run(folder)) == {"quiet.png": None}


def test_a_clock_that_is_ahead_holds_nothing_back_for_ever(night: Night, folder: Path) -> None:
    tomorrow = time.time() + 86400
    os.utime(folder / "young.png", (tomorrow, tomorrow))
    assert reasons(night.run(folder, settle=RULE))["young.png"] is None
    assert night.told.waited_for == [(1, pytest.approx(SECONDS))]


def test_a_stop_ends_the_wait(night: Night, folder: Path, clock: Clock) -> None:
    """The young file keeps its row, and the run is not complete."""
    stopped: list[bool] = []
    told = Told(on_waiting=lambda: stopped.append(True))
    rows = night.run(folder, told=told, settle=RULE, stop=lambda: bool(stopped))
    assert clock.slept == 0
    assert not night.complete
    assert reasons(rows)["young.png"] is Reason.STILL_CHANGING


@pytest.mark.parametrize("problem", [Reason.TEMPORARY_NAME, Reason.SYMLINK])
def test_what_is_ruled_out_by_its_name_or_kind_is_not_waited_for(
    problem: Reason, night: Night, folder: Path
) -> None:
    files = [replace(file, problem=problem) for file in discover([folder])]
    rows = night.run(files, settle=SettleRule(60))
    assert set(reasons(rows).values()) == {problem}
    assert (night.complete, night.told.waited_for, night.workers.asked) == (True, [], [])
