"""A cluster whose parts die, and object storage that fails: one more run, and the same bytes."""

from __future__ import annotations

import csv
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cxr_edge.engines.chunks import FILMS_PER_CHUNK
from tests.engines.conftest import ROOT, Failures, RayCluster
from tests.engines.runs import command, ended, environment, started, table, until_it_scores
from tests.factories import chest, write_tree
from tests.faults.conftest import Figures
from tests.faults.tiers import LONG, SEED, tier
from tests.images.films import jpeg, png

pytestmark = pytest.mark.slow

FILMS = 200
FILMS_IN_STORAGE = 40
SHARE_OF_FAILURES = 0.05
IN_FLIGHT = 2 * FILMS_PER_CHUNK  # of a worker
FILL = """
import sys, fsspec
system = fsspec.filesystem("s3")
system.mkdir("films")
system.put(sys.argv[1] + "/", "films/night", recursive=True)
"""


def write_films(folder: Path, count: int) -> Path:
    """So many films, all different, and files that are none."""
    films = {f"{n // 50}/{n:03}.png": png(chest(300, 400, tilt=n - 100)) for n in range(count)}
    return write_tree(folder, {**films, "a.jpg": jpeg(), "cut.jpg": jpeg()[:-2], "c.txt": b"hello"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_films(tmp_path_factory.mktemp("films"), FILMS)


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("local")
    ended(started(folder, place, None))
    return table(place)


def kill_some(processes: list[int], rng: random.Random) -> None:
    """One of them, as the out-of-memory killer does."""
    if processes:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(processes), signal.SIGKILL)


def lose_a_node_and_add_one(cluster: RayCluster) -> None:
    cluster.lose_a_node()
    cluster.add_a_node()


def test_whatever_dies_at_a_random_moment(
    folder: Path, expected: bytes, tmp_path: Path, ray_cluster: RayCluster, figures: Figures
) -> None:
    then, rng = time.monotonic(), random.Random(SEED)
    fates: dict[str, Callable[[subprocess.Popen[str]], None]] = {
        "worker": lambda _: kill_some(ray_cluster.actors(), rng),
        "decoder": lambda _: kill_some(ray_cluster.decoders(), rng),
        "node": lambda _: lose_a_node_and_add_one(ray_cluster),
        "driver": lambda process: process.kill(),
    }
    twice: Counter[str] = Counter()
    for number, fate in zip(range(tier(4, 100)), itertools.cycle(fates), strict=False):
        place = tmp_path / str(number)
        process = started(folder, place, ray_cluster)
        until_it_scores(place, process)
        time.sleep(rng.uniform(0, 2))
        fates[fate](process)
        _, stderr = process.communicate()
        killed = process.returncode == -signal.SIGKILL
        had_written = (place / "out").exists()  # and dies before it could say what it had done
        if killed and not had_written:
            stderr = ended(started(folder, place, ray_cluster))
        assert table(place) == expected, (number, fate, stderr)
        if not (killed and had_written):
            twice[fate] = max(twice[fate], handed_out_twice(stderr))
    figures(rounds=number + 1, most_twice=dict(twice), seconds=round(time.monotonic() - then))
    assert max(twice.values()) <= IN_FLIGHT


def handed_out_twice(stderr: str) -> int:
    found = re.search(r"(\d+) films were handed out twice", stderr)
    assert found, stderr
    return int(found[1])


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory, storage: dict[str, str]) -> tuple[str, Path]:
    """A prefix of object storage, and the same films in a folder."""
    folder = write_films(tmp_path_factory.mktemp("stored"), FILMS_IN_STORAGE)
    subprocess.run(
        [sys.executable, "-c", FILL, str(folder)],
        env={**os.environ, **storage, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return "s3://films/night", folder


def by_name(place: Path) -> list[dict[str, str]]:
    """Rows, but for what depends on the order of arrival."""
    rows = list(csv.DictReader(table(place).decode().splitlines()))
    for row in rows:
        for column in ("rank", "modified_utc", "duplicate_of"):
            del row[column]
    return sorted(rows, key=lambda row: row["path"])


@pytest.mark.parametrize("on_cluster", [False, True], ids=["this machine", "cluster"])
def test_storage_that_fails(
    on_cluster: bool,
    bucket: tuple[str, Path],
    storage: dict[str, str],
    failures: Failures,
    tmp_path: Path,
    ray_cluster: RayCluster,
    figures: Figures,
) -> None:
    """Errors, throttling, resets, halves and latency cost time, and no row."""
    url, folder = bucket
    ended(started(folder, tmp_path / "plain", None))
    cluster = ray_cluster if on_cluster else None
    before, then = len(failures.kinds), time.monotonic()
    with failures.of(SHARE_OF_FAILURES):
        process = subprocess.Popen(
            command(url, tmp_path / "url", *on(cluster)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment(cluster), **storage},
        )
        ended(process)
    kinds = Counter(failures.kinds[before:])
    figures(failures=dict(kinds), seconds=round(time.monotonic() - then))
    assert kinds
    assert by_name(tmp_path / "url") == by_name(tmp_path / "plain")


def on(cluster: RayCluster | None) -> tuple[str, ...]:
    return ("--cluster", cluster.address) if cluster else ()


@pytest.mark.skipif(not LONG, reason="minutes; in the long tier")
@pytest.mark.parametrize("model", ["cnn3_50.onnx", "cnn3_50.tflite"])
def test_two_thousand_films(
    model: str, tmp_path: Path, ray_cluster: RayCluster, figures: Figures
) -> None:
    """Films of tests/data, each with bytes of its own, on three nodes and on this machine."""
    shipped = sorted((ROOT / "tests/data/incoming").glob("*.jpeg"))
    folder = write_tree(
        tmp_path / "films",
        {
            f"{n // 500}/{n:04}.jpeg": with_comment(path.read_bytes(), n)
            for n, path in zip(range(2000), itertools.cycle(shipped), strict=False)
        },
    )
    seconds = {}
    for name, cluster in (("local", None), ("cluster", ray_cluster)):
        then = time.monotonic()
        ended(started(folder, tmp_path / name, cluster, "--model", model))
        seconds[name] = round(time.monotonic() - then, 1)
    figures(films=2000, model=model, **seconds, load=os.getloadavg()[0])
    assert table(tmp_path / "cluster") == table(tmp_path / "local")
    assert table(tmp_path / "local").count(b"\n") == 2001


def with_comment(data: bytes, number: int) -> bytes:
    """A JPEG with a comment behind its first marker."""
    text = f"{number:08}".encode()
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2) + text + data[2:]
