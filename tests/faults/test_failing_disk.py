"""A disk that fails or is full costs the report of the night at most, and says so."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.cli.installed import BINARY, installed
from tests.cli.reports import is_night_line
from tests.factories import names_in, write_tree
from tests.faults import shim
from tests.faults.conftest import Figures
from tests.faults.night import (
    INCOMPLETE,
    Ended,
    Plan,
    Ward,
    check_tidy,
    check_whole_or_absent,
    cxr_edge,
    film,
    in_pairs,
    reference,
    rows_of,
    spread,
    write_films,
)
from tests.faults.tiers import LONG, tier
from tests.images.films import png

# Whole runs, one for each call that fails.
pytestmark = [installed, pytest.mark.slow]

ERRORS = ("ENOSPC", "EIO", "EACCES")


@pytest.fixture(scope="module")
def plan(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("disk")
    ward = Ward(write_films(folder / "in", 15), tiny)
    return Plan(ward, reference(ward, folder / "reference"), folder)


def check_said(ended: Ended, out: Path, expected: bytes) -> None:
    """A whole report and exit code 3, or none, 1 and a sentence."""
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    assert ended.returncode in (INCOMPLETE, 1)
    assert check_whole_or_absent(out, expected) is (ended.returncode == INCOMPLETE)
    if ended.returncode == 1:
        assert re.search(rb"^error: ", ended.stderr, re.MULTILINE), ended.stderr.decode()


def check_mended(plan: Plan, place: Path, out: str) -> None:
    """The next run, on a whole disk, has the report of an undisturbed night."""
    ended = cxr_edge(plan.ward.score(place, out=out))
    assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
    assert check_whole_or_absent(place / out, plan.expected)


def old_report(place: Path, expected: bytes) -> Path:
    """Yesterday's, beside tonight's."""
    old = place / "old"
    old.mkdir(parents=True)
    (old / "triage.csv").write_bytes(expected)
    return old


def faults(calls: int) -> list[shim.Fault]:
    """Every error at every call, once and from then on; in the quick tier some of each."""
    kinds = list(product(ERRORS, (False, True)))
    if LONG:
        return [shim.Fault(at, *kind) for at in range(1, calls + 1) for kind in kinds]
    return [shim.Fault(at, *kinds[n % len(kinds)]) for n, at in enumerate(spread(calls, 40))]


def test_a_call_that_fails(plan: Plan, library: Path, figures: Figures) -> None:
    then = time.monotonic()
    dry = plan.folder / "dry"
    dry.mkdir()
    _, calls = shim.run(library, _command(plan, dry), [dry])

    def fail_and_run_again(fault: shim.Fault) -> int:
        place = plan.folder / f"{fault.at}-{fault.action}-{fault.persistent}"
        old = old_report(place, plan.expected)
        ended, _ = shim.run(library, _command(plan, place), [place], fault)
        check_said(ended, place / "out", plan.expected)
        assert (names_in(old), (old / "triage.csv").read_bytes()) == (["triage.csv"], plan.expected)
        reports = ["out"] if ended.returncode == 1 else ["out", "again"]
        check_mended(plan, place, reports[-1])
        check_tidy(place, "old", *reports)
        return ended.returncode

    planned = faults(len(calls))
    codes = in_pairs(fail_and_run_again, planned)
    figures(
        calls=len(calls),
        faults=len(planned),
        exit_codes=dict(Counter(codes)),
        seconds=round(time.monotonic() - then, 1),
    )


def _command(plan: Plan, place: Path) -> list[str]:
    return [str(BINARY), *plan.ward.score(place)]


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of that size; skips where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0700", "none", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("full", ["state", "out", "both"])
def test_a_disk_that_is_full(full: str, plan: Plan, tmp_path: Path, figures: Figures) -> None:
    """From no room at all to enough; then the disk is made larger."""
    codes = []
    sizes = spread(44, tier(4, 20))
    with small_disk(tmp_path / "disk", 4) as disk:
        for size in sizes:
            _resize(disk, size * 4)
            state, out = (disk if full in (each, "both") else tmp_path for each in ("state", "out"))
            where = [state / f"state{size}", out / f"out{size}"]
            ended = _score(plan, *where)
            check_said(ended, where[1], plan.expected)
            codes.append(ended.returncode)
            _resize(disk, 4096)
            again = where[1].with_name(f"again{size}")
            assert _score(plan, where[0], again).returncode == INCOMPLETE
            assert check_whole_or_absent(again, plan.expected)
            _empty(disk)
    figures(kilobytes=[size * 4 for size in sizes], exit_codes=codes)
    assert set(codes[:1]) == {1}, "there is no room"


def _score(plan: Plan, state: Path, out: Path) -> Ended:
    return cxr_edge(plan.ward.score(out.parent, "--state", state, "--out", out))


def _resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


def _empty(disk: Path) -> None:
    subprocess.run(["find", str(disk), "-mindepth", "1", "-delete"], check=True)


def limited(size: int, most: int | None = None) -> Callable[[], None]:
    """No file may grow beyond so many bytes; Python ignores the signal, the write fails."""
    limits = (size, size if most is None else most)
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("most", [300_000, resource.RLIM_INFINITY], ids=["hard", "soft"])
def test_a_film_larger_than_a_file_may_be(most: int, plan: Plan, tmp_path: Path) -> None:
    """Sealed memory counts as a file: a reader takes what the hard limit allows, or says so."""
    noise = np.random.default_rng(7).integers(0, 256, (700, 700), np.uint8)
    films = {"large.png": png(noise), "small.png": film(1)}
    ward = Ward(write_tree(tmp_path / "in", films), plan.ward.model)
    ended = cxr_edge(ward.score(tmp_path), preexec_fn=limited(300_000, most))
    reasons = {row["path"]: row["reason"] for row in rows_of(tmp_path / "out")}
    is_hard = most == 300_000
    assert reasons == {"large.png": "io_error" if is_hard else "", "small.png": ""}
    assert (b"ulimit -f" in ended.stderr) is is_hard


def test_files_that_may_not_grow(plan: Plan, tmp_path: Path, figures: Figures) -> None:
    codes = []
    sizes = [0, 4096, 20_000, 120_000] if not LONG else list(range(0, 160_000, 4096))
    for size in sizes:
        place = tmp_path / str(size)
        ended = cxr_edge(plan.ward.score(place), preexec_fn=limited(size))
        check_said(ended, place / "out", plan.expected)
        codes.append(ended.returncode)
        check_mended(plan, place, "again")
    figures(bytes=sizes, exit_codes=codes)
    assert codes[0] == 1
