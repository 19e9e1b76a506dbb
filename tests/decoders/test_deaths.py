"""Decoder processes that crash, hang and fail to start: each costs one row and nothing else."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import CxrEdgeError
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.types import FoundFile, Reason
from tests.decoders.conftest import Evil, Start
from tests.decoders.harness import (
    BAD,
    assert_only_one_is_hurt,
    descendants,
    other,
    prepared,
    same,
)
from tests.factories import chest, write_tree
from tests.images.films import png
from tests.nights import SETTINGS

DEATHS = {
    "segmentation fault": "ctypes.string_at(0)",
    "exit": "os._exit(0)",
}


@pytest.mark.parametrize("body", DEATHS.values(), ids=DEATHS)
def test_a_decoder_that_dies(
    body: str, evil: Evil, films: list[FoundFile], caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once more, in another process."""
    marks = evil(body)
    assert_only_one_is_hurt(films, Reason.DECODER_CRASHED)
    assert len(marks.pids()) == 2
    assert caplog.records == []


def test_a_decoder_that_dies_once(evil: Evil, films: list[FoundFile]) -> None:
    """The machine may have run out of memory: the second attempt counts."""
    marks = evil("attempt > 1 or os.abort()")
    made = prepared(films)
    assert len(marks.pids()) == 2
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def test_every_film_crashes_its_decoder(evil: Evil, tmp_path: Path) -> None:
    evil("os.abort()")
    tree = {f"{number}.bad": png(chest()) for number in range(3)}
    made = prepared(discover([write_tree(tmp_path / "in", tree)]), count=2)
    assert {name: item.result.reason for name, item in made.items()} == dict.fromkeys(
        tree, Reason.DECODER_CRASHED
    )


HANGS = {
    "asleep": "time.sleep(60)",
    "inside a library": "re.match('(a+)+$', 'a' * 60 + 'b')",
}


@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS)
def test_a_decoder_that_hangs(body: str, evil: Evil, films: list[FoundFile]) -> None:
    """It is tried once more, in another process."""
    marks = evil(body, seconds=0.3)
    assert_only_one_is_hurt(films, Reason.TIMEOUT)
    assert len(marks.pids()) == 2


def test_a_decoder_that_hangs_once(evil: Evil, films: list[FoundFile]) -> None:
    """The machine may have stood still: the second attempt counts."""
    marks = evil("attempt > 1 or time.sleep(60)", seconds=0.3)
    made = prepared(films)
    assert len(marks.pids()) == 2
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def test_a_defect_is_logged_here(
    evil: Evil, films: list[FoundFile], caplog: pytest.LogCaptureFixture
) -> None:
    """Where it happened, once, and not what was in the film."""
    evil('raise RuntimeError("DOE^JANE")')
    with caplog.at_level(logging.ERROR):
        made = prepared(films)
    assert made[BAD].result.reason is Reason.INTERNAL_ERROR
    (record,) = caplog.records
    assert "unexpected RuntimeError" in record.getMessage()
    assert "in decode" in record.getMessage()
    assert "DOE^JANE" not in caplog.text


def test_a_decoder_that_talks_is_not_heard(
    evil: Evil, films: list[FoundFile], capfd: pytest.CaptureFixture[str]
) -> None:
    """Libraries print what they read; standard output is for data."""
    evil('os.write(1, b"DOE^JANE"); os.write(2, b"DOE^JANE"); print(sys.stdin.read())')
    assert prepared(films)[BAD].pixels is not None
    assert capfd.readouterr() == ("", "")


def test_decoders_that_die_at_start_beside_others_that_live(
    start: Start, films: list[FoundFile], tmp_path: Path
) -> None:
    """Every film is read by those that live."""
    (tmp_path / "lived").mkdir()
    start(
        f"import os; lived = {str(tmp_path / 'lived')!r}\n"
        "from cxr_edge.decoders import forkserver\n"
        "from cxr_edge.decoders import worker\n"
        "def work(descriptor):\n"
        "    for place in range(2):\n"
        "        try:\n"
        "            os.close(os.open(f'{lived}/{place}', os.O_CREAT | os.O_EXCL))\n"
        "        except FileExistsError:\n"
        "            continue\n"
        "        return real(descriptor)\n"
        "    os._exit(9)\n"
        "real, worker.decode_films = worker.decode_films, work\n"
        "worker.main()"
    )
    made = prepared(films, count=4)
    assert [item.pixels is None for item in made.values()] == [False] * len(films)


@pytest.mark.parametrize("trouble", ["os.abort()", "raise ImportError"])
def test_what_dicom_needs_cannot_be_imported_ahead(
    trouble: str, start: Start, tmp_path: Path
) -> None:
    """Films that need none of it are read all the same, whatever their names promise."""
    start(
        "import os, sys\n"
        "from cxr_edge.decoders import worker\n"
        "def ahead(module):\n"
        "    if module.endswith('dicom'):\n"
        f"        {trouble}\n"
        "worker._import_ahead = ahead\n"
        "worker.main()"
    )
    films = write_tree(tmp_path / "in", {f"{n}.dcm": png(chest(tilt=n)) for n in range(5)})
    made = prepared(list(discover([films])), count=2)
    assert [item.pixels is None for item in made.values()] == [False] * 5


CANNOT_START = {
    "at once": "raise SystemExit(3)",
    "once forked": other("sys.exit(3)"),
    "another greeting": other("connection.send_bytes(b'hello'); os._exit(3)"),
    "no fork": "import os; os.fork = lambda: os.open('/no/such/file', 0)\n" + other("pass"),
}


@pytest.mark.parametrize("code", CANNOT_START.values(), ids=CANNOT_START)
def test_a_worker_that_cannot_start_ends_the_run(
    code: str, start: Start, films: list[FoundFile]
) -> None:
    """Every row of the night would say `decoder_crashed`."""
    start(code)
    before = descendants()
    with pytest.raises(CxrEdgeError, match=r"cannot be started here \(exit code (1|3|-6|-9|71)\)"):
        prepared(films)
    assert descendants() == before


def test_a_worker_that_falls_silent_costs_its_film(evil: Evil, films: list[FoundFile]) -> None:
    """Stopped: nothing that it does itself could end it."""
    evil("os.kill(os.getpid(), signal.SIGSTOP)", seconds=1.0)
    made = prepared(films)
    assert made[BAD].result.reason is Reason.TIMEOUT
    assert [item.pixels is None for name, item in made.items() if name != BAD] == [False] * 9


def test_a_worker_that_dies_as_it_starts_is_replaced(
    start: Start, films: list[FoundFile], tmp_path: Path
) -> None:
    """The machine was short of memory for a moment; no file is to blame."""
    start(
        f"import os; flag = {str(tmp_path / 'flag')!r}\n"
        "os.path.exists(flag) or (open(flag, 'w').close(), os._exit(9))\n"
        "from cxr_edge.decoders.worker import main; main()"
    )
    assert {item.pixels is not None for item in prepared(films).values()} == {True}


def test_a_process_that_the_system_refuses_ends_the_run(
    films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def popen(*_: Any, **__: Any) -> Any:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(CxrEdgeError, match="cannot be started here: Resource temporarily"):
        prepared(films)
