"""`cxr-edge receive` against dcmtk: what is answered with Success is on disk as it came."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import cast

import pytest
from pydicom import dcmread
from pynetdicom.association import Association

from cxr_edge.hospital.receive_server import is_at
from cxr_edge.hospital.receive_wire import remote
from cxr_edge.ledger.runs import open_ledger
from tests.hospital.receiving import (
    PEER,
    command,
    content,
    contents,
    film,
    needs_dcmtk,
    receiving,
    receiving_apart,
    storescu,
    write_films,
)
from tests.images import dicoms

pytestmark = needs_dcmtk


def echo(port: int, calling: str, called: str) -> str:
    made = subprocess.run(
        ["echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(port)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return made.stderr


def test_films_are_stored_as_they_came_and_once(tmp_path: Path) -> None:
    source = write_films(tmp_path / "source", 5)
    with receiving(tmp_path) as receiver:
        for _ in range(2):
            made = storescu(receiver.port, source)
            assert (made.returncode, made.stderr.count("(Success)")) == (0, 5), made.stderr
    assert sorted(contents(receiver.films).values()) == sorted(contents(source).values())
    assert [path.name for path in (receiver.spool / "arriving").iterdir()] == []
    assert len(list(receiver.films.iterdir())) == 3, "a folder for each study"
    assert len(list((receiver.spool / "waiting").iterdir())) == 3, "nobody has scored them"


def test_other_bytes_under_a_known_uid_are_kept_too(tmp_path: Path) -> None:
    for name, description in {"one": "a", "two": "b", "again": "b"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "film.dcm").write_bytes(film(1, SeriesDescription=description))
    with receiving(tmp_path) as receiver:
        for name in ("one", "two", "again"):
            assert storescu(receiver.port, tmp_path / name).returncode == 0
        log = receiver.log
    sources = {content(tmp_path / name / "film.dcm") for name in ("one", "two")}
    assert {content(path) for path in receiver.films.rglob("*.dcm")} == sources
    assert "a known UID and other bytes: both are kept" in log


def test_only_who_is_listed_and_knows_the_name_comes_in(tmp_path: Path) -> None:
    with receiving(tmp_path, senders=(PEER, "OTHER@192.0.2.1")) as receiver:
        assert echo(receiver.port, PEER, "EDGE") == ""
        assert "Called AE Title Not Recognized" in echo(receiver.port, PEER, "WRONG")
        assert "Calling AE Title Not Recognized" in echo(receiver.port, "NOBODY", "EDGE")
        assert "Calling AE Title Not Recognized" in echo(receiver.port, "OTHER", "EDGE")
        receiver.wait_for(r"called another AE title \(PACS@127\.0\.0\.1\)")
        receiver.wait_for(r"--from does not name its sender \(NOBODY@127\.0\.0\.1\)")
        receiver.wait_for(r"--from does not name its sender \(OTHER@127\.0\.0\.1\)")


def test_a_sender_at_a_host_that_nobody_knows_is_named_at_the_start(tmp_path: Path) -> None:
    hosts = ("pacs.invalid", f"{'a' * 64}.invalid", "127.0.0.1")
    with receiving(tmp_path, senders=[f"{PEER}@{host}" for host in hosts]) as receiver:
        for host in hosts[:2]:
            receiver.wait_for(f"--from PACS@{host}: this name has no address now")
        assert echo(receiver.port, PEER, "EDGE") == ""
        assert "127.0.0.1: this" not in receiver.log


def test_who_listens_on_ipv6_knows_hosts_by_their_ipv4_addresses() -> None:
    """Nobody listens: on loopback alone no sender looks like this one."""
    came_from = types.SimpleNamespace(address="::ffff:127.0.0.1")
    requestor = types.SimpleNamespace(address_info=came_from)
    address = remote(cast("Association", types.SimpleNamespace(requestor=requestor)))
    assert address == "127.0.0.1"
    assert is_at("127.0.0.1", address)
    assert is_at("::ffff:127.0.0.1", address)
    assert not is_at("127.0.0.2", address)


SYNTAXES = {
    "-xf": dicoms.EXPLICIT,
    "-xi": dicoms.IMPLICIT,
    "-xb": dicoms.BIG_ENDIAN,
    "-xv": dicoms.J2K_LOSSLESS,
    "-xt": dicoms.JPEG_LS,
    "-xr": dicoms.RLE,
}


@pytest.mark.parametrize("option", ["-xi", "-xb", "-xv", "-xt", "-xr"])
def test_every_transfer_syntax_and_its_study(option: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "film.dcm").write_bytes(film(1, syntax=SYNTAXES[option]))
    with receiving(tmp_path) as receiver:
        made = storescu(receiver.port, source, options=(option,))
        assert made.returncode == 0, made.stderr
    (stored,) = receiver.films.rglob("*.dcm")
    # dcmtk writes pixels of encapsulated syntaxes as OB, whatever they were.
    assert dcmread(stored).PixelData == dcmread(source / "film.dcm").PixelData
    assert dcmread(stored).file_meta.TransferSyntaxUID == SYNTAXES[option]
    assert stored.parent.name.startswith("study-")


def test_a_full_spool_says_so_and_takes_films_again_once_there_is_room(tmp_path: Path) -> None:
    source = write_films(tmp_path / "source", 4, films_of_study=1)
    size = (source / "0.dcm").stat().st_size
    with receiving(tmp_path, most=2 * size + 1000) as receiver:
        made = storescu(receiver.port, source)
        assert made.stderr.count("(Success)") == 2
        assert "Refused: OutOfResources" in made.stderr
        receiver.wait_for("has reached --max-spool")
        assert len(contents(receiver.films)) == 2
    shutil.rmtree(receiver.films)
    with receiving(tmp_path, most=9 * size) as receiver:
        assert storescu(receiver.port, source).stderr.count("(Success)") == 4


def test_a_quiet_study_is_handed_on_once(tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    script.write_text(
        "import os, sys, json, pathlib\n"
        "films = sorted(p.name for p in pathlib.Path(sys.argv[-1]).rglob('*.dcm'))\n"
        f"with open({str(tmp_path / 'runs')!r}, 'a') as log:\n"
        "    print(json.dumps([films, os.environ['CXR_EDGE_STUDY']]), file=log)\n"
    )
    source = write_films(tmp_path / "source", 2)
    run = (sys.executable, str(script))
    with receiving(tmp_path, quiet=1.0, command=run) as receiver:
        assert storescu(receiver.port, source).returncode == 0
        receiver.wait_for("a run has ended with 0")
        assert storescu(receiver.port, source).returncode == 0, "known films owe no run"
    runs = [json.loads(line) for line in (tmp_path / "runs").read_text().splitlines()]
    assert [(len(films), variable) for films, variable in runs] == [(2, "1")]
    assert list((receiver.spool / "waiting").iterdir()) == []


def test_what_a_killed_receiver_owed_is_owed_by_the_next(tmp_path: Path) -> None:
    source = write_films(tmp_path / "source", 2)
    with receiving_apart(tmp_path, "--study-quiet", "1h", "--run", "false") as receiver:
        assert storescu(receiver.port, source).returncode == 0
        assert receiver.end(signal.SIGKILL) == -signal.SIGKILL
    with receiving(tmp_path, quiet=1.0, command=("true",)) as receiver:
        receiver.wait_for("a run has ended with 0")
    assert list((receiver.spool / "waiting").iterdir()) == []


@pytest.mark.parametrize("seconds", [0.1, 0.7], ids=["before", "after it has seen the first"])
def test_the_second_signal_does_not_wait_for_a_run(seconds: float, tmp_path: Path) -> None:
    began, waiting = tmp_path / "began", tmp_path / "spool/waiting/study-1"
    waiting.parent.mkdir(parents=True)
    waiting.touch()
    script = tmp_path / "deaf.sh"
    script.write_text(
        f"trap '' TERM; echo $$ > {began}; for _ in 1 2 3 4 5 6 7 8 9; do sleep 1; done"
    )
    with receiving_apart(tmp_path, "--study-quiet", "1s", "--run", f"sh {script}") as receiver:
        end = time.monotonic() + 30
        while not began.exists() or not began.read_text():
            assert time.monotonic() < end
            time.sleep(0.02)
        receiver.tell(signal.SIGTERM)
        time.sleep(seconds)
        assert receiver.end(signal.SIGINT) == 130
        os.killpg(int(began.read_text()), signal.SIGKILL)  # else it has been waited for


def test_a_run_that_fails_leaves_the_study_owed(tmp_path: Path) -> None:
    source = write_films(tmp_path / "source", 1)
    run = ("sh", "-c", "exit 75")
    with receiving(tmp_path, quiet=1.0, command=run) as receiver:
        assert storescu(receiver.port, source).returncode == 0
        receiver.wait_for("a run has ended with 75 .*; it is tried again")
    assert len(list((receiver.spool / "waiting").iterdir())) == 1


def test_one_receiver_holds_a_spool(tmp_path: Path) -> None:
    with receiving(tmp_path):
        words, environment = command(tmp_path)
        made = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert made.returncode == 75
    assert "another receiver holds the spool" in made.stderr


def test_identifiers_reach_neither_log_nor_metrics_nor_names(tmp_path: Path) -> None:
    source = write_films(tmp_path / "source", 2)
    metrics = tmp_path / "receive.prom"
    with receiving_apart(tmp_path, "--metrics", metrics) as receiver:
        assert storescu(receiver.port, source).returncode == 0
        assert receiver.end() == 143
    names = " ".join(path.name for path in receiver.spool.rglob("*"))
    text = receiver.log + metrics.read_text() + names
    planted = (dicoms.NAME, dicoms.PATIENT_ID, dicoms.BORN, "1.2.826", "Planted")
    assert [each for each in planted if each in text] == []
    assert 'cxr_edge_receive_objects_total{outcome="new"} 2' in metrics.read_text()
    assert re.search(r"^cxr_edge_receive_last_timestamp_seconds \d", metrics.read_text(), re.M)


@pytest.mark.slow
def test_a_study_is_scored_and_counts_as_no_night(tmp_path: Path, tiny: Path) -> None:
    source = write_films(tmp_path / "source", 2)
    words = (sys.executable, "-m", "cxr_edge", "score", "-q", "--model", str(tiny))
    more = ("--state", str(tmp_path / "state"), "--out", str(tmp_path / "out"))
    with receiving(tmp_path, quiet=1.0, command=(*words, *more)) as receiver:
        assert storescu(receiver.port, source).returncode == 0
        receiver.wait_for("a run has ended with [03] ", seconds=120)
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert (run["counts"]["found"], run["counts"].get("deferred", 0)) == (2, 0)
    with open_ledger(tmp_path / "state") as ledger:
        assert len(ledger.finished_ids()) == 1
        assert ledger.nights.kept().summaries == {}
