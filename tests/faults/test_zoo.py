"""Whatever lies in a folder has its row, and however much of it, memory does not grow with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.installed import installed
from tests.cli.reports import is_night_line
from tests.faults.conftest import Figures
from tests.faults.night import (
    INCOMPLETE,
    SECONDS,
    Ward,
    csv_of,
    cxr_edge,
    patched,
    rows_of,
    to_its_end,
    without_new,
)
from tests.faults.tiers import SEED, tier
from tests.images.films import png

pytestmark = installed

# The bytes of a film's name -> what the report calls it.
NAMES = {
    b"a film": "a film",
    b" ": " ",
    b"=cmd|'calc'!A0.png": "'=cmd|'calc'!A0.png",
    b"<script>alert(1)<script>.png": "<script>alert(1)<script>.png",
    b"new\nline.png": r"new\nline.png",
    b"latin \xff.png": r"latin \udcff.png",
    "right \N{RIGHT-TO-LEFT OVERRIDE}to left.png".encode(): r"right \u202eto left.png",
    b"back\\slash.png": r"back\\slash.png",
    b"x" * 251 + b".png": "x" * 251 + ".png",
    b"y" * 250 + b".part": "y" * 250 + ".part",
    b".hidden.png": ".hidden.png",
}
REASONS = {
    "y" * 250 + ".part": "temporary_name",
    ".hidden.png": "temporary_name",
    "link to itself": "symlink",
    "link to its own folder": "symlink",
    "link out of the tree": "symlink",
    "link to nothing": "symlink",
    "link to a film": "symlink",
    "pipe.png": "not_a_file",
    "socket.png": "not_a_file",
    "forbidden.png": "permission",
    "forbidden": "unreadable_folder",
    "no way in/film.png": "permission",
}


def without_privileges() -> None:
    """Even root may then read only what its permissions say; by name that is linux/capability.h."""
    drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (dac_override, dac_read_search):
        if os.getuid() == 0 and prctl(drop_from_bounding_set, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "a privilege cannot be given up")


def zoo(folder: Path) -> Path:
    """One of everything; films differ, so that nothing is a duplicate."""
    folder.mkdir()
    for number, name_bytes in enumerate(NAMES):
        (folder / os.fsdecode(name_bytes)).write_bytes(noise(number))
    for name in ("empty folder", "forbidden", "no way in"):
        (folder / name).mkdir()
    targets = ("link to itself", ".", "/", "gone", "a film")
    for name, target in zip((n for n in REASONS if n.startswith("link")), targets, strict=True):
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # a socket's whole path may have 107 bytes
        listener.bind("socket.png")
        os.chdir(here)
    for name in ("forbidden.png", "forbidden/film.png", "no way in/film.png"):
        (folder / name).write_bytes(noise(99))
    for name, mode in {"forbidden.png": 0, "forbidden": 0, "no way in": 0o644}.items():
        (folder / name).chmod(mode)
    return folder


def noise(number: int) -> bytes:
    return png(np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8))


def outcomes(out: Path) -> dict[str, str]:
    rows = rows_of(out)
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row["reason"] for row in rows}


def test_everything_that_can_lie_in_a_folder(tiny: Path, tmp_path: Path) -> None:
    ward = Ward(zoo(tmp_path / "in"), tiny)
    expected = {**dict.fromkeys(NAMES.values(), ""), **REASONS}
    with contextlib.suppress(PermissionError):  # a device is for root
        os.mknod(ward.films / "device.png", 0o644 | stat.S_IFCHR, os.makedev(1, 5))
        expected["device.png"] = "not_a_file"
    for out in ("first", "second"):  # the second is told from the ledger
        ended = cxr_edge(ward.score(tmp_path, out=out), preexec_fn=without_privileges)
        assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
        assert outcomes(tmp_path / out) == expected
    check_page(tmp_path / "first" / "triage.html")
    for name in ("forbidden", "no way in"):
        (ward.films / name).chmod(0o700)  # so that pytest can remove them


def check_page(page: Path) -> None:
    """No name is taken for markup, and none turns the text around it."""
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;script&gt;.png" in text
    assert "alert(1)<" not in text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text


# Between two steps of the walk, where a colleague tidies up.
VANISHING = """
import os, shutil
list_folder = os.listdir
def listdir(descriptor="."):
    if not isinstance(descriptor, int):  # not the walk
        return list_folder(descriptor)
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if os.path.basename(path) == "emptied":
        shutil.rmtree(path)
    names = list_folder(descriptor)
    if "removed" in names:
        shutil.rmtree(os.path.join(path, "removed"))
        os.unlink(os.path.join(path, "unlinked.png"))
    return names
os.listdir = listdir
"""


def test_what_vanishes_during_the_walk(tiny: Path, tmp_path: Path) -> None:
    ward = Ward(tmp_path / "in", tiny)
    for name in ("a.png", "emptied/b.png", "removed/c.png", "unlinked.png", "z.png"):
        path = ward.films / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise(len(name)))
    ended = to_its_end(patched(VANISHING, ward.score(tmp_path)))
    assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
    assert outcomes(tmp_path / "out") == {
        **{"a.png": "", "z.png": ""},
        **{"emptied": "unreadable_folder", "removed": "missing", "unlinked.png": "missing"},
    }


# The kernel's own count for this process: the decoders have theirs.
WEIGHED = """
import atexit, re
def tell():
    with open("/proc/self/status") as stream:
        print(re.search(r"VmHWM:\\s+(\\d+) kB", stream.read())[1])
atexit.register(tell)
"""


def many(folder: Path, count: int) -> Path:
    """Tiny films, one in a hundred no film, all of them different."""
    rng = np.random.default_rng(SEED)
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        path.write_bytes(b"\0no film %d" % number if number % 100 == 0 else png(pixels))
    return folder


def weighed(ward: Ward, place: Path, out: str = "out") -> tuple[float, float]:
    """Megabytes that the main process had at most, and seconds."""
    then = time.monotonic()
    arguments = ward.score(place, "--batch-size", 32, "--workers", 2, out=out)
    ended = to_its_end(patched(WEIGHED, arguments), timeout=SECONDS * tier(1, 10))
    assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
    return int(ended.stdout) / 1e3, time.monotonic() - then


@pytest.mark.slow
def test_memory_does_not_grow_with_the_folder(tiny: Path, tmp_path: Path, figures: Figures) -> None:
    few, lots = tier(500, 1000), tier(5000, 100_000)
    small = Ward(many(tmp_path / "few", few), tiny)
    large = Ward(many(tmp_path / "lots", lots), tiny)
    time.sleep(2.1)  # a stamp younger than that does not vouch for the bytes
    light, _ = weighed(small, tmp_path / "small")
    heavy, first = weighed(large, tmp_path / "large")
    ledger = _megabytes(tmp_path / "large" / "state" / "ledger.sqlite3")
    again, second = weighed(large, tmp_path / "large", out="again")
    page = _megabytes(tmp_path / "large" / "out" / "triage.html")
    figures(
        films=[few, lots],
        megabytes=[round(each) for each in (light, heavy, again)],
        seconds=[round(first, 1), round(second, 1)],
        ledger_megabytes=round(ledger, 1),
        page_megabytes=round(page, 2),
    )
    assert len(rows_of(tmp_path / "large" / "out")) == lots
    first_csv, second_csv = (csv_of(tmp_path / "large" / out) for out in ("out", "again"))
    assert without_new(first_csv) == without_new(second_csv)
    assert max(heavy, again) - light <= tier(15, 150)
    # The page lists 5,000 or 10,000 of them, by band, at some 1,700 bytes a row with a doubt and
    # what to do about it.
    assert (ledger <= tier(3, 60), page <= tier(9, 18)) == (True, True), (ledger, page)


def _megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6
