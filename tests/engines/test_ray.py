"""The same night on this machine and on a cluster: the same bytes, whatever dies meanwhile.

Slow: each run starts workers on three nodes. `test_chunks` and `test_worker` hold the heart of it.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.engines.conftest import RayCluster
from tests.engines.runs import ended, night, rows, started, table, until_it_scores
from tests.factories import chest, write_tree
from tests.images import dicoms
from tests.images.films import jpeg, png

pytestmark = pytest.mark.slow

COUNT = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many films that a run lasts, and files that are none."""
    films = {
        f"{number // 80}/{number:03}.png": png(chest(300, 400, tilt=number))
        for number in range(COUNT)
    }
    others = {"a.jpg": jpeg(), "b.dcm": dicoms.film(), "cut.jpg": jpeg()[:-2], "c.txt": b"hello"}
    return write_tree(tmp_path_factory.mktemp("films"), {**films, **others})


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What this machine alone says."""
    return night(folder, tmp_path_factory.mktemp("local"))


def test_the_same_bytes(
    folder: Path, expected: bytes, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    stderr = ended(started(folder, tmp_path, ray_cluster))
    assert table(tmp_path) == expected
    assert stderr.count("note: node ") == 3, stderr
    assert "0 films were handed out twice" in stderr
    facts: dict[str, Any] = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["sandbox"]
    assert ray_cluster.is_left_alone()


def test_the_same_bytes_of_tflite_and_of_headers(
    folder: Path, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    options = ("--model", "cnn3_50.tflite", "--identify")
    plain = night(folder, tmp_path / "plain", None, *options)
    assert night(folder, tmp_path / "cluster", ray_cluster, *options) == plain


def test_workers_that_are_killed_cost_their_chunks_a_second_time(
    folder: Path, expected: bytes, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    process = started(folder, tmp_path, ray_cluster)
    until_it_scores(tmp_path, process)
    for pid in ray_cluster.actors()[:2]:
        os.kill(pid, signal.SIGKILL)
    stderr = ended(process)
    assert table(tmp_path) == expected
    assert "0 films were handed out twice" not in stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_driver_that_ends_goes_on(
    number: signal.Signals,
    folder: Path,
    expected: bytes,
    tmp_path: Path,
    ray_cluster: RayCluster,
) -> None:
    process = started(folder, tmp_path, ray_cluster)
    until_it_scores(tmp_path, process)
    process.send_signal(number)
    ended(process, -number if number == signal.SIGKILL else 128 + number)
    assert 0 < rows(tmp_path) < COUNT
    assert night(folder, tmp_path, ray_cluster) == expected


def test_a_folder_that_is_not_there_and_no_cluster(tmp_path: Path, folder: Path) -> None:
    with_nobody = ("--cluster", "127.0.0.1:9")
    stderr = ended(started(folder, tmp_path, None, *with_nobody), 2)
    assert "no Ray cluster can be used at 127.0.0.1:9" in stderr


def test_a_node_that_is_lost(
    folder: Path, expected: bytes, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    """The last test: the cluster has fewer nodes afterwards."""
    process = started(folder, tmp_path, ray_cluster)
    until_it_scores(tmp_path, process)
    ray_cluster.lose_a_node()
    ended(process)
    assert table(tmp_path) == expected
