"""A worker of a cluster, called in this process: it proves its model, and scores as `Local`."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.engines.chunks import Chunk
from cxr_edge.engines.forward_passes import Networks
from cxr_edge.engines.provenance import software
from cxr_edge.engines.worker import Kit, Provenance, Worker
from cxr_edge.intake.discover import discover, listed
from cxr_edge.ledger.rows import Entry
from cxr_edge.runtime import Runner
from cxr_edge.types import FoundFile
from tests.factories import chest, write_tree
from tests.images.films import png
from tests.nights import Night

FILMS = {f"{number:02}.png": png(chest(tilt=10 * number - 90)) for number in range(10)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", {**FILMS, "notes.txt": b"hello"})


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


def begun(worker: Worker, kit: Kit, *, lost: int = 0) -> Provenance | str:
    packed = pickle.dumps(kit)
    for start in range(0, len(packed) - lost, 1000):
        worker.take(packed[start : start + 1000])
    return worker.begin(hashlib.sha256(packed).hexdigest())


def test_rows_are_those_of_this_machine(
    worker: Worker, kit: Kit, folder: Path, night: Night, tiny_runner: Runner
) -> None:
    files = list(discover([folder]))
    begun(worker, kit)
    answer = worker.score(Chunk(files))
    entries = [Entry(files[place], result, stamp) for place, result, stamp in answer.rows]
    plain = night.run(files, runner=tiny_runner)
    night.runs[-1].record(entries)
    assert night.rows() == plain
    assert len(plain) == len(entries) == len(FILMS) + 1
    assert answer.sandbox


def test_it_says_what_decides_its_scores(worker: Worker, kit: Kit, tiny_runner: Runner) -> None:
    assert worker.software() == software()
    assert begun(worker, kit) == Provenance.of(kit.choice, Networks(tiny_runner))


def test_a_model_that_did_not_arrive_whole_is_refused(worker: Worker, kit: Kit) -> None:
    assert begun(worker, kit, lost=1000) == "the model did not arrive whole"


def test_another_model_is_refused(worker: Worker, kit: Kit) -> None:
    answer = begun(worker, replace(kit, content=b"onnx"))
    assert isinstance(answer, str)
    assert "refuses the model" in answer or "not" in answer


def test_a_folder_that_is_not_here_is_named(worker: Worker, kit: Kit, folder: Path) -> None:
    files = list(discover([folder]))
    begun(worker, kit)
    folder.rename(folder.with_name("elsewhere"))
    assert worker.score(Chunk(files)).unseen == (files[0].root,)
    folder.mkdir()
    assert worker.score(Chunk(files)).unseen == (files[0].root,), "another folder of that name"


@pytest.mark.parametrize("header_only", [False, True])
def test_films_of_other_folders_have_their_rows(
    header_only: bool, worker: Worker, kit: Kit, tmp_path: Path
) -> None:
    """A list may name a folder for each film."""
    folder = write_tree(tmp_path / "in", {f"{name[:2]}/{name}": FILMS[name] for name in FILMS})
    files = list(listed(map(str, sorted(folder.glob("*/*")))))
    begun(worker, kit)
    shutil.rmtree(folder / "03")
    answer = worker.score(Chunk(files, header_only=header_only))
    assert answer.unseen == (files[3].root,)
    assert {place for place, _, _ in answer.rows} == {*range(10)} - {3}
    assert all(result.path == files[place].display for place, result, _ in answer.rows)


def test_a_share_has_another_device_number_elsewhere(
    worker: Worker, kit: Kit, folder: Path
) -> None:
    files = [
        replace(file, root=file.root and replace(file.root, device=12345))
        for file in discover([folder])
    ]
    begun(worker, kit)
    answer = worker.score(Chunk(files))
    assert sum(result.reason is None for _, result, _ in answer.rows) == len(FILMS)


def test_a_file_that_changed_since_it_was_found_is_no_score(
    worker: Worker, kit: Kit, folder: Path
) -> None:
    (file,) = (each for each in discover([folder]) if each.display == "03.png")
    os.utime(file.path, (0, 0))
    begun(worker, kit)
    ((_, result, _),) = worker.score(Chunk([file])).rows
    assert result.reason == "still_changing"


def test_a_stop_begins_nothing_more(worker: Worker, kit: Kit, folder: Path) -> None:
    begun(worker, kit)
    worker.stop()
    assert worker.score(Chunk(list(discover([folder])))).rows == []


def test_headers_alone(worker: Worker, kit: Kit, folder: Path) -> None:
    begun(worker, kit)
    files: list[FoundFile] = list(discover([folder]))
    rows = worker.score(Chunk(files, header_only=True)).rows
    assert len(rows) == len(files)
    assert all(result.probability is None and result.sha256 for _, result, _ in rows)
