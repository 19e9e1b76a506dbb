"""A night from a bucket, as from a folder, and the report back into one.

Slow: a server that speaks S3 answers some twenty requests a second. `test_objects` has the heart.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.engines.conftest import ROOT, SECRET, RayCluster
from tests.factories import chest, write_tree
from tests.images import dicoms
from tests.images.films import jpeg, png

pytestmark = pytest.mark.slow

SECONDS = 300
FILMS = {
    **{f"a/{number:02}.png": png(chest(tilt=number)) for number in range(8)},
    **{"b.jpg": jpeg(), "c.dcm": dicoms.film(), "cut.jpg": jpeg()[:-2], "d.txt": b"hello"},
}
# In a process of its own: nothing in this one opens a connection.
FILL = """
import sys, fsspec
system = fsspec.filesystem("s3")
system.mkdir("films")
system.put(sys.argv[1] + "/", "films/night", recursive=True)
"""
READ = """
import sys, fsspec
system = fsspec.filesystem("s3")
for name in ("triage.csv", "triage.parquet", "run.json", "triage.html"):
    system.get_file(sys.argv[1] + "/" + name, sys.argv[2] + "/" + name)
"""


def python(*arguments: str, environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-c", *arguments],
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        timeout=SECONDS,
        check=True,
    )


# Reads what was listed, after it was replaced; says the bytes, and what the next listing says.
VERSIONS = """
import contextlib, fsspec
from cxr_edge.intake.discover import discover
from cxr_edge.intake.objects import read_object
from cxr_edge.intake.read import content
from cxr_edge.types import Url
system = fsspec.filesystem("s3")
system.mkdir("kept")
status = {"Status": "Enabled"}
system.call_s3("put_bucket_versioning", Bucket="kept", VersioningConfiguration=status)
for number in range(3):
    system.pipe_file("kept/a.png", b"first")
(file,) = discover([Url("s3://kept")])
system.pipe_file("kept/a.png", b"second")
with contextlib.closing(read_object(file)) as held:
    assert content(held.descriptor) == b"first"
    assert held.stamp == file.stamp and file.stamp.version
(again,) = discover([Url("s3://kept")])
assert again.stamp.version not in ("", file.stamp.version)
system.rm_file("kept/a.png")
assert list(discover([Url("s3://kept")])) == []
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("films"), FILMS)


@pytest.fixture(scope="module")
def bucket(folder: Path, storage: dict[str, str]) -> str:
    python(FILL, str(folder), environment=storage)
    return "s3://films/night"


def score(place: str, state: Path, out: str, environment: dict[str, str], *more: str) -> Any:
    return subprocess.run(
        [
            *(sys.executable, "-m", "cxr_edge", "score", place, "--settle", "0"),
            *("--state", str(state), "--out", out, *more),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
    )


def rows(out: Path) -> list[dict[str, str]]:
    """By name, but for what depends on the order of arrival."""
    with (out / "triage.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    for row in read:
        for column in ("rank", "modified_utc", "duplicate_of"):
            del row[column]
    return sorted(read, key=lambda row: row["path"])


def test_the_same_rows_from_a_bucket_and_the_report_in_one(
    folder: Path, bucket: str, storage: dict[str, str], tmp_path: Path
) -> None:
    plain = score(str(folder), tmp_path / "one", str(tmp_path / "plain"), {})
    assert plain.returncode == 3, plain.stderr
    made = score(bucket, tmp_path / "two", "s3://films/reports/1", storage, "--parquet")
    assert made.returncode == 3, made.stderr
    assert "report: s3://films/reports/1/triage.html" in made.stderr
    (tmp_path / "got").mkdir()
    python(READ, "films/reports/1", str(tmp_path / "got"), environment=storage)
    assert rows(tmp_path / "got") == rows(tmp_path / "plain")
    table = pyarrow.parquet.read_table(tmp_path / "got" / "triage.parquet")
    assert table.num_rows == len(rows(tmp_path / "got"))
    written = [*(tmp_path / "two").rglob("*"), *(tmp_path / "got").iterdir()]
    assert not [each for each in written if each.is_file() and SECRET.encode() in each.read_bytes()]
    assert SECRET not in made.stderr + made.stdout
    again = score(bucket, tmp_path / "two", "s3://films/reports/1", storage)
    assert (again.returncode, "has a report already" in again.stderr) == (2, True)
    assert score(bucket, tmp_path / "two", str(tmp_path / "new"), storage).returncode == 3
    facts = json.loads((tmp_path / "new" / "run.json").read_text())
    assert facts["recalled"] == len(FILMS) - 1, "the one that was cut short is read again"


def test_the_same_rows_on_a_cluster(
    folder: Path,
    bucket: str,
    storage: dict[str, str],
    tmp_path: Path,
    ray_cluster: RayCluster,
) -> None:
    plain = score(str(folder), tmp_path / "one", str(tmp_path / "plain"), {})
    assert plain.returncode == 3, plain.stderr
    made = score(
        *(bucket, tmp_path / "two", str(tmp_path / "out"), ray_cluster.environment),
        *("--cluster", ray_cluster.address),
    )
    assert made.returncode == 3, made.stderr
    assert rows(tmp_path / "out") == rows(tmp_path / "plain")


def test_a_wrong_prefix_and_wrong_storage(
    bucket: str, storage: dict[str, str], tmp_path: Path
) -> None:
    made = score(f"{bucket}ly", tmp_path / "state", str(tmp_path / "out"), storage)
    assert (made.returncode, "does not exist" in made.stderr) == (2, True), made.stderr
    made = score("s3://nobody/x", tmp_path / "state", str(tmp_path / "out"), storage)
    assert made.returncode == 2, made.stderr


def test_a_bucket_that_keeps_versions(storage: dict[str, str]) -> None:
    python(VERSIONS, environment=storage)
