"""One result per file, in order, whatever the files, the batches and the threads do."""

from __future__ import annotations

import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from cxr_edge import scoring
from cxr_edge.discover import discover
from cxr_edge.errors import ImageError
from cxr_edge.runtime import Runner
from cxr_edge.scoring import ScoringOptions, score
from cxr_edge.types import (
    DecodedImage,
    FileContent,
    FoundFile,
    InputWarning,
    Reason,
    Result,
    Status,
)
from tests.factories import FakeRunner, write_tree
from tests.images.films import in_16_bits, jpeg, oriented, pages, png, scene, tiff

SIZE = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Good films, films with warnings, and no films, mixed."""
    root = write_tree(
        tmp_path / "in",
        {
            "a.jpg": jpeg(),
            "b.png": png(in_16_bits()),
            "c.tif": tiff(),
            "cut.jpg": jpeg()[:-2],
            "empty.png": b"",
            "misnamed.png": jpeg(),
            "notes.txt": b"hello",
            "pages.tif": pages("TIFF"),
            "same-as-a.jpg": jpeg(),
            "small.png": png(scene(5, 40)),
            "turned.jpg": oriented("JPEG", 6),
        },
    )
    (root / "link.png").symlink_to("b.png")
    return root


EXPECTED = {
    "a.jpg": (Status.SCORED, None, ()),
    "b.png": (Status.SCORED, None, ()),
    "c.tif": (Status.SCORED, None, ()),
    "cut.jpg": (Status.NOT_SCORED, Reason.TRUNCATED, ()),
    "empty.png": (Status.NOT_SCORED, Reason.EMPTY, ()),
    "link.png": (Status.NOT_SCORED, Reason.SYMLINK, ()),
    "misnamed.png": (Status.SCORED, None, (InputWarning.EXTENSION_MISMATCH,)),
    "notes.txt": (Status.NOT_SCORED, Reason.UNRECOGNISED, ()),
    "pages.tif": (Status.NOT_SCORED, Reason.MULTI_FRAME, ()),
    "same-as-a.jpg": (Status.SCORED, None, ()),
    "small.png": (Status.SCORED, None, (InputWarning.LOW_RESOLUTION,)),
    "turned.jpg": (Status.SCORED, None, (InputWarning.ORIENTATION_APPLIED,)),
}


def scored(
    folder: Path, runner: Runner | None = None, *, workers: int = 2, batch_size: int = 32
) -> list[Result]:
    options = ScoringOptions(SIZE, workers, batch_size)
    return list(score(discover([folder]), runner or FakeRunner(), options))


def by_name(results: list[Result]) -> dict[str, Result]:
    return {result.path: result for result in results}


def test_one_result_per_file_in_order(folder: Path) -> None:
    made = [(item.path, (item.status, item.reason, item.warnings)) for item in scored(folder)]
    assert made == list(EXPECTED.items())


def test_facts_of_a_scored_film(folder: Path) -> None:
    film = by_name(scored(folder))["a.jpg"]
    assert (film.width, film.height, film.format) == (64, 48, "JPEG")
    assert len(film.sha256) == 64
    assert film.modified_utc.endswith("Z")
    assert film.probability == round(film.probability or 0, 6)


def test_facts_of_a_film_that_could_not_be_decoded(folder: Path) -> None:
    cut = by_name(scored(folder))["cut.jpg"]
    assert (len(cut.sha256), cut.width, cut.format) == (64, None, "")


def test_facts_of_what_was_never_read(folder: Path) -> None:
    link = by_name(scored(folder))["link.png"]
    assert (link.sha256, link.modified_utc) == ("", "")


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 7, 32])
@pytest.mark.parametrize("workers", [1, 4])
def test_batches_and_workers_change_nothing(
    folder: Path, tiny_runner: Runner, workers: int, batch_size: int
) -> None:
    plain = scored(folder, tiny_runner)
    assert scored(folder, tiny_runner, workers=workers, batch_size=batch_size) == plain


def test_only_what_has_pixels_is_in_a_batch(folder: Path) -> None:
    runner = FakeRunner()
    scored(folder, runner, batch_size=4)
    assert runner.batches == [3, 1, 3]


@pytest.mark.parametrize("files", [{}, {"a": b""}], ids=["empty folder", "no film"])
def test_nothing_to_score_asks_no_network(files: dict[str, bytes], tmp_path: Path) -> None:
    runner = FakeRunner()
    assert len(scored(write_tree(tmp_path, files), runner)) == len(files)
    assert runner.batches == []


BAD_ANSWERS = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "above one": 1.5,
    "just above one": float(np.nextafter(np.float32(1), np.float32(2))),
    "below zero": -0.25,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_impossible_probability_is_no_score(folder: Path, answer: float) -> None:
    for result in scored(folder, FakeRunner(answer)):
        if EXPECTED[result.path][0] is Status.SCORED:
            assert (result.status, result.reason) == (Status.NOT_SCORED, Reason.BAD_OUTPUT)
            assert result.probability is None


@pytest.mark.parametrize("answer", [0.0, 1.0, 0.5])
def test_the_ends_of_the_range_are_scores(folder: Path, answer: float) -> None:
    assert by_name(scored(folder, FakeRunner(answer)))["a.jpg"].probability == answer


def test_scores_are_recorded_as_they_are_printed(folder: Path) -> None:
    third = by_name(scored(folder, FakeRunner(1 / 3)))["a.jpg"].probability
    assert third == 0.333333


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: Any) -> NoReturn:
        raise error

    return fail


SECRET = "DOE^JANE"
DEFECTS = {
    "a defect": RuntimeError(SECRET),
    "a recursion": RecursionError(SECRET),
    "an assertion": AssertionError(SECRET),
}


@pytest.mark.parametrize("step", ["read_file", "decode", "to_network_input"])
@pytest.mark.parametrize("error", DEFECTS.values(), ids=DEFECTS)
def test_a_defect_costs_one_row_and_tells_no_secret(
    step: str,
    error: Exception,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The defect strikes the second file alone."""
    before, real, calls = scored(folder), getattr(scoring, step), []

    def fragile(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise error
        return real(*args)

    monkeypatch.setattr(scoring, step, fragile)
    with caplog.at_level(logging.WARNING):
        after = scored(folder, workers=1)
    different = [new for new, old in zip(after, before, strict=True) if new != old]
    assert [(item.path, item.status, item.reason) for item in different] == [
        ("b.png", Status.NOT_SCORED, Reason.INTERNAL_ERROR)
    ]
    (record,) = caplog.records
    assert f"unexpected {type(error).__name__} while reading b.png" in record.getMessage()
    assert "fragile" in record.getMessage(), "where it happened"
    assert SECRET not in caplog.text


def test_a_refused_image_is_not_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scored(folder)
    assert caplog.records == []


def test_a_runner_that_fails_ends_the_run(folder: Path) -> None:
    with pytest.raises(ValueError, match="out of memory"):
        scored(folder, FakeRunner(ValueError("out of memory")))


def test_too_few_scores_end_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = FakeRunner()
    real = runner.predict
    monkeypatch.setattr(runner, "predict", lambda images: real(images[1:]))
    with pytest.raises(RuntimeError, match="6 scores for 7 films"):
        scored(folder, runner)


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any number of films that need no disk."""
    content = FileContent(b"", "", "")
    monkeypatch.setattr(scoring, "read_file", lambda path: content)
    film = DecodedImage(scene(), "PNG")
    monkeypatch.setattr(scoring, "decode", lambda data, name: film)


def endless(taken: list[int], count: int = 10_000) -> Iterator[FoundFile]:
    for number in range(count):
        taken.append(number)
        yield FoundFile(Path("/nowhere"), str(number))


@pytest.mark.usefixtures("no_disk")
def test_files_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []
    options = ScoringOptions(SIZE, workers=3, batch_size=10)
    ahead = [
        len(taken) - done
        for done, _ in enumerate(score(endless(taken), FakeRunner(), options), start=1)
    ]
    assert len(ahead) == 10_000
    assert max(ahead) <= 3 * options.batch_size


@pytest.mark.usefixtures("no_disk")
def test_nobody_reads_on_when_the_run_is_given_up() -> None:
    taken: list[int] = []
    results = score(endless(taken), FakeRunner(), ScoringOptions(SIZE, batch_size=10))
    next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert len(taken) <= 30


def test_an_interrupted_run_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the queue is not decoded any more."""
    begun, threads = [], threading.active_count()
    never = threading.Event()

    def slow(path: Path) -> NoReturn:
        begun.append(path)
        never.wait(0.5 if len(begun) > 25 else 0.001)
        raise ImageError(Reason.EMPTY)

    monkeypatch.setattr(scoring, "read_file", slow)
    results = score(endless([]), FakeRunner(), ScoringOptions(SIZE, 1, batch_size=20))
    monkeypatch.setattr(scoring, "_infer", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(results)
    assert len(begun) < 30
    assert threading.active_count() == threads


def test_memory_does_not_grow_with_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 films of 1 MB each pass through less than 40 MB."""
    monkeypatch.setattr(scoring, "read_file", lambda path: FileContent(bytes(100_000), "", ""))
    monkeypatch.setattr(
        scoring,
        "decode",
        lambda data, name: DecodedImage(np.zeros((1000, 1000), np.uint8), "PNG"),
    )
    tracemalloc.start()
    options = ScoringOptions(SIZE, workers=4, batch_size=16)
    for _ in score(endless([], 300), FakeRunner(), options):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6


@pytest.mark.parametrize("field", ["size", "workers", "batch_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_options_must_be_positive(field: str, value: int) -> None:
    values = {"size": 8, "workers": 1, "batch_size": 1, field: value}
    with pytest.raises(ValueError, match="at least 1"):
        ScoringOptions(**values)
