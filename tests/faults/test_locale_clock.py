"""Language, time zone and clock of the machine change no score and starve no film."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.installed import environment, installed
from tests.cli.reports import is_night_line
from tests.faults.conftest import Figures
from tests.faults.night import (
    INCOMPLETE,
    Plan,
    Ward,
    check_whole_or_absent,
    cxr_edge,
    in_pairs,
    patched,
    reference,
    rows_of,
    to_its_end,
    write_films,
)
from tests.images.films import png

# Whole runs in other places and years; scoring/test_scorer_settle has the clock.
pytestmark = [installed, pytest.mark.slow]

YEAR = 365 * 86400


@pytest.fixture(scope="module")
def plan(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("where")
    ward = Ward(write_films(folder / "in", 30), tiny)
    for name in ("Größe.png", "I.png", "\N{LATIN SMALL LETTER DOTLESS I}.png", "胸部.png"):
        (ward.films / name).write_bytes(png())
    for number, film in enumerate(sorted(ward.films.iterdir())):
        os.utime(film, (0, 1.7e9 + 3e6 * number))  # in winter and in summer
    return Plan(ward, reference(ward, folder / "reference"), folder)


def installed_locales() -> set[str]:
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True)
    return {name.lower().replace("-", "") for name in listed.stdout.split()}


def locale_variables(name: str, folder: Path) -> dict[str, str] | None:
    """What sets a locale, made for this test where it is not installed but can be."""
    if name.lower().replace("-", "") in installed_locales():
        return {"LC_ALL": name}
    if shutil.which("localedef") is None:
        return None
    folder.mkdir(exist_ok=True)
    language, charset = name.split(".")
    command = ["localedef", "-i", language, "-f", charset, str(folder / name)]
    made = subprocess.run(command, capture_output=True).returncode == 0
    return {"LC_ALL": name, "LOCPATH": str(folder)} if made else None


PLACES = {
    "C": ("C", {"TZ": "UTC"}),
    "C without UTF-8": ("C", {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Tokyo"}),
    "C.UTF-8": ("C.UTF-8", {"TZ": "Pacific/Kiritimati"}),
    "German": ("de_DE.UTF-8", {"TZ": "Europe/Berlin", "PYTHONUTF8": "0"}),
    "Turkish": ("tr_TR.UTF-8", {"TZ": "America/St_Johns", "PYTHONUTF8": "0"}),
}


@pytest.mark.parametrize("place", PLACES)
def test_places(place: str, plan: Plan, tmp_path: Path) -> None:
    name, more = PLACES[place]
    variables = locale_variables(name, plan.folder / "locales")
    if variables is None:
        pytest.skip(f"{name} is not installed and cannot be made")
    ended = cxr_edge(plan.ward.score(tmp_path), environment(**variables, **more))
    assert ended.returncode == INCOMPLETE, ended.stderr.decode()
    assert check_whole_or_absent(tmp_path / "out", plan.expected)


# Every way in which the tool asks for the time of day; what counts seconds goes on as it was.
CLOCK = """
import datetime, itertools, time
offsets = itertools.cycle({offsets})
true_time, true_ns = time.time, time.time_ns
time.time = lambda: true_time() + next(offsets)
time.time_ns = lambda: true_ns() + next(offsets) * 10**9
class Wrong(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Wrong
"""
CLOCKS = {
    "a year ahead": [YEAR],
    "a year behind": [-YEAR],
    "jumping": [YEAR, 0, -YEAR],
}


def started_in(out: Path) -> int:
    """The year that the run took it for."""
    return int(json.loads((out / "run.json").read_bytes())["started_utc"][:4])


@pytest.mark.parametrize("settle", [0, 1], ids=["trusting", "settling"])
@pytest.mark.parametrize("offsets", CLOCKS.values(), ids=CLOCKS)
def test_a_wrong_clock(offsets: list[int], settle: float, plan: Plan, tmp_path: Path) -> None:
    patch = CLOCK.format(offsets=offsets)
    for out in ("out", "again"):
        arguments = plan.ward.score(tmp_path, "--settle", settle, out=out)
        ended = to_its_end(patched(patch, arguments))
        assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
        assert check_whole_or_absent(tmp_path / out, plan.expected)
    years = {time.gmtime(time.time() + offset).tm_year for offset in offsets}
    assert started_in(tmp_path / "out") in years


def test_films_from_the_future_wait_as_long_as_others(
    tiny: Path, tmp_path: Path, figures: Figures
) -> None:
    ward = Ward(write_films(tmp_path / "in", 30), tiny)
    for film in ward.films.iterdir():
        os.utime(film, (0, time.time() + YEAR))
    undisturbed = reference(ward, tmp_path / "reference")
    places = [tmp_path / "one", tmp_path / "two"]

    def score(place: Path) -> float:
        then = time.monotonic()
        ended = cxr_edge(ward.score(place, "--settle", 1))
        assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
        assert check_whole_or_absent(place / "out", undisturbed)
        return time.monotonic() - then

    figures(seconds=[round(each, 1) for each in in_pairs(score, places)])
    assert "still_changing" not in {row["reason"] for row in rows_of(tmp_path / "one" / "out")}
