"""One recorded row per file, whatever the files, the batches and earlier runs do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import refused
from cxr_edge.ledger import rows as ledger_module
from cxr_edge.runtime import Runner
from cxr_edge.types import Reason, Result, Stamp, Status
from tests.factories import FakeRunner, InThisProcess, chest, in_12_bits, write_tree
from tests.images.films import jpeg, pages, png, tiff
from tests.nights import SETTINGS, Night, Told

FILES = {
    "a.jpg": jpeg(chest()),
    "b.png": png(in_12_bits(chest(tilt=90))),
    "c.tif": tiff(chest(tilt=70)),
    "cut.jpg": jpeg(chest())[:-2],
    "empty.png": b"",
    "misnamed.png": jpeg(chest(tilt=50)),
    "notes.txt": b"\0hello",
    "pages.tif": pages("TIFF"),
    "same-as-a.jpg": jpeg(chest()),
    "small.png": png(chest(6, 8)),
    "sub/d.png": png(chest(tilt=-110)),
}
REASONS = {
    "cut.jpg": Reason.TRUNCATED,
    "empty.png": Reason.EMPTY,
    "link.png": Reason.SYMLINK,
    "notes.txt": Reason.UNRECOGNISED,
    "pages.tif": Reason.MULTI_FRAME,
    "upload.part": Reason.TEMPORARY_NAME,
}
# Damage may have been the machine's: such a file is read again every night.
RETRIED = {name for name, reason in REASONS.items() if reason in ("truncated", "corrupt")}
SCORED = set(FILES) - set(REASONS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good films, films with warnings, and no films, mixed."""
    root = write_tree(tmp_path / "in", FILES)
    (root / "link.png").symlink_to("b.png")
    (root / "upload.part").write_bytes(png(chest()))
    return root


@pytest.fixture
def known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been there for a while when they were recorded."""
    monkeypatch.setattr(ledger_module, "_STAMP_TICK_NS", -1)


def by_name(results: list[Result]) -> dict[str, Result]:
    return {result.path: result for result in results}


def test_one_row_per_file(night: Night, folder: Path) -> None:
    made = by_name(night.run(folder))
    assert night.complete
    assert set(made) == SCORED | set(REASONS)
    assert {name: row.reason for name, row in made.items() if row.reason} == REASONS
    assert {name for name, row in made.items() if row.status is Status.SCORED} == SCORED
    assert made["misnamed.png"].warnings == ("extension_mismatch",)
    assert made["small.png"].warnings == ("low_resolution",)
    assert night.told.done == len(made)


def test_facts_of_a_scored_film(night: Night, folder: Path) -> None:
    film = by_name(night.run(folder))["a.jpg"]
    assert (film.width, film.height, film.format, len(film.sha256)) == (64, 48, "JPEG", 64)
    assert film.modified_utc.endswith("Z")
    assert film.probability == round(film.probability or 0, 6)


@pytest.mark.usefixtures("known_at_once")
def test_what_took_too_long_comes_last_the_next_time(
    night: Night, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not there is a settle rule; it has one row, and is asked for once."""
    slow = "a.jpg"
    first = InThisProcess(SETTINGS)
    real = first._prepared
    monkeypatch.setattr(
        first,
        "_prepared",
        lambda file: (
            replace(refused(file, Reason.TIMEOUT), stamp=Stamp.of(file.path.stat()))
            if file.display == slow
            else real(file)
        ),
    )
    made = by_name(night.run(folder, workers=first))
    assert made[slow].reason is Reason.TIMEOUT
    assert first.asked[0] == slow
    again = by_name(night.run(folder))
    assert again[slow].status is Status.SCORED
    assert night.workers.asked[-1] == slow
    assert night.workers.asked.count(slow) == 1
    assert night.told.done == len(again)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 32])
def test_batches_change_nothing(
    batch_size: int, night: Night, folder: Path, tiny_runner: Runner
) -> None:
    plain = night.run(folder, runner=tiny_runner)
    again = night.run(folder, runner=tiny_runner, settings="other", batch_size=batch_size)
    assert again == plain
    assert len({row.probability for row in plain}) > 4


def test_workers_change_nothing(night: Night, folder: Path, tiny_runner: Runner) -> None:
    plain = night.run(folder, runner=tiny_runner)
    with Workers(2, SETTINGS) as workers:
        again = night.run(folder, runner=tiny_runner, settings="other", workers=workers)
    assert again == plain


def test_the_order_of_arrival_changes_nothing(night: Night, folder: Path) -> None:
    plain = night.run(folder, batch_size=3)
    backwards = list(discover([folder]))[::-1]
    assert night.run(backwards, settings="other", batch_size=3) == plain


def test_only_what_has_pixels_is_in_a_batch(night: Night, folder: Path) -> None:
    """Nor the same bytes twice."""
    night.run(folder, batch_size=4)
    # a b c cut | empty misnamed notes pages | same-as-a small d
    assert night.runner.batches == [3, 1, 2]
    night.run(folder, settings="other")
    assert night.runner.batches == [6]


@pytest.mark.parametrize("batch_size", [1, 32])
def test_same_bytes_under_two_names(batch_size: int, night: Night, tmp_path: Path) -> None:
    """One inference, two rows; the second says whose bytes it has."""
    twins = write_tree(tmp_path / "in", dict.fromkeys(("a.png", "b.png"), png(chest())))
    one, other = night.run(twins, batch_size=batch_size)
    assert night.runner.batches == [1]
    assert other == replace(
        one, path="b.png", modified_utc=other.modified_utc, duplicate_of="a.png"
    )
    assert one.probability is not None


@pytest.mark.parametrize("files", [{}, {"a": b""}], ids=["empty folder", "no film"])
def test_nothing_to_score_asks_no_network(
    files: dict[str, bytes], night: Night, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    assert len(night.run(write_tree(tmp_path / "in", files))) == len(files)
    assert (night.complete, night.runner.batches) == (True, [])


@pytest.mark.usefixtures("known_at_once")
def test_a_second_run_reads_and_infers_nothing(night: Night, folder: Path) -> None:
    first = night.run(folder)
    assert night.run(folder) == first
    assert (night.runner.batches, set(night.workers.asked)) == ([], RETRIED)
    assert night.told.done == len(first)


def test_a_second_run_right_after_reads_again_and_infers_nothing(
    night: Night, folder: Path
) -> None:
    """So soon a file could have changed within one tick of the clock that stamps it."""
    first = night.run(folder)
    assert night.run(folder) == first
    assert night.runner.batches == []
    assert set(night.workers.asked) == set(FILES)


@pytest.mark.usefixtures("known_at_once")
def test_other_settings_score_again(night: Night, folder: Path) -> None:
    first = night.run(folder)
    assert night.run(folder, settings="other") == first
    assert night.runner.batches == [6]


@pytest.mark.usefixtures("known_at_once")
@pytest.mark.parametrize("change", ["other bytes", "same bytes written again", "another name"])
def test_what_changed_is_read_again(change: str, night: Night, folder: Path) -> None:
    first = by_name(night.run(folder))
    name = "moved.jpg" if change == "another name" else "misnamed.png"
    if change == "another name":
        (folder / "misnamed.png").rename(folder / name)
    else:
        data = FILES[name] if "same" in change else png(chest(tilt=-50))
        (folder / name).write_bytes(data)
    again = by_name(night.run(folder))
    assert set(night.workers.asked) == {name} | RETRIED
    assert night.runner.batches == ([1] if change == "other bytes" else [])
    same = again[name].probability == first["misnamed.png"].probability
    assert same == (change != "other bytes")


BAD_ANSWERS = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "above one": 1.5,
    "just above one": float(np.nextafter(np.float32(1), np.float32(2))),
    "below zero": -0.25,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_impossible_probability_is_no_score(answer: float, night: Night, folder: Path) -> None:
    """And nobody believes it tomorrow."""
    for row in night.run(folder, runner=FakeRunner(answer)):
        if row.path in SCORED:
            assert (row.status, row.reason) == (Status.NOT_SCORED, Reason.BAD_OUTPUT)
            assert row.probability is None
    again = night.run(folder)
    assert {row.path for row in again if row.status is Status.SCORED} == SCORED


@pytest.mark.parametrize("answer", [0.0, 1.0, 0.5])
def test_the_ends_of_the_range_are_scores(answer: float, night: Night, folder: Path) -> None:
    assert by_name(night.run(folder, runner=FakeRunner(answer)))["a.jpg"].probability == answer


def test_scores_are_recorded_as_they_are_printed(night: Night, folder: Path) -> None:
    third = by_name(night.run(folder, runner=FakeRunner(1 / 3)))["a.jpg"].probability
    assert third == 0.333333


@pytest.mark.usefixtures("known_at_once")
def test_what_another_device_scored_says_so_and_is_scored_again(night: Night, folder: Path) -> None:
    """The settings are those of the device the run began on; the next night asks that one again."""

    class Elsewhere(FakeRunner):
        def predict(self, images: Any) -> Any:
            return replace(super().predict(images), device="cpu")

    moved = night.run(folder, runner=Elsewhere(), batch_size=4)
    assert {row.path for row in moved if row.device == "cpu"} == SCORED
    assert {row.device for row in moved if row.path not in SCORED} == {""}
    assert night.runner.batches == [3, 1, 3]  # the same bytes again: never another device's score
    assert night.run(folder) == moved  # it goes on
    assert night.runner.batches == []
    for run in night.runs:
        run.finish({})
    again = night.run(folder)
    assert night.runner.batches == [6]
    assert again == [replace(row, device="") for row in moved]


@pytest.mark.parametrize("stop_after", [0, 1, 3, 5])
def test_a_stopped_run_goes_on_where_it_was(stop_after: int, night: Night, folder: Path) -> None:
    """Its last batch is recorded; the next run asks the network for the rest alone."""
    told = Told()
    first = night.run(folder, told=told, batch_size=2, stop=lambda: told.done >= stop_after)
    assert not night.complete
    assert stop_after <= len(first) == told.done < len(FILES)
    asked_first = sum(night.runner.batches)
    again = night.run(folder, batch_size=2)
    assert night.complete
    assert asked_first + sum(night.runner.batches) == 6
    assert set(first) <= {replace(row, duplicate_of="") for row in again} | set(again)
    assert again == night.run(folder, settings="uninterrupted")


@pytest.mark.parametrize("value", [0, -1])
def test_a_batch_has_at_least_one_film(value: int, night: Night, folder: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        night.run(folder, batch_size=value)
