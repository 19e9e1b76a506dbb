"""There and back with Orthanc: send with commitment, and receive what it forwards."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from cxr_edge.hospital.send import send
from cxr_edge.hospital.send_job import SendJob
from tests.hospital.receiving import TITLE, receiving, write_films

ORTHANC = shutil.which("Orthanc")
pytestmark = [pytest.mark.skipif(ORTHANC is None, reason="no Orthanc"), pytest.mark.slow]
PACS = "ORTHANC"


@dataclass(frozen=True)
class Pacs:
    """A running Orthanc."""

    dicom: int
    http: int

    def ask(self, path: str, body: object = None) -> Any:
        """Its answer to a question by HTTP; with a body, a POST."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.http}/{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            return json.load(answer)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def orthanc(folder: Path, modalities: dict[str, list[object]]) -> Iterator[Pacs]:
    """Orthanc that knows us, on loopback alone."""
    dicom, http = free_ports(2)
    config = {
        **{"Name": "test", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder)},
        **{"DicomAet": PACS, "DicomPort": dicom, "DicomCheckCalledAet": True},
        **{"HttpPort": http, "RemoteAccessAllowed": False, "Plugins": []},
        **{"DicomModalities": modalities, "DicomAlwaysAllowStore": False},
    }
    folder.mkdir()
    (folder / "orthanc.json").write_text(json.dumps(config))
    log = (folder / "log").open("wb")
    process = subprocess.Popen([str(ORTHANC), folder / "orthanc.json"], stderr=log, stdout=log)
    try:
        pacs, end = Pacs(dicom, http), time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                pacs.ask("system")
                break
            assert time.monotonic() < end and process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield pacs
    finally:
        process.kill()
        process.wait()
        log.close()


def test_there_and_back(tmp_path: Path) -> None:
    films, state = write_films(tmp_path / "films", 6), tmp_path / "state"
    (answers,) = free_ports(1)
    lines: list[str] = []
    with receiving(tmp_path, senders=(f"{PACS}@127.0.0.1",)) as receiver:
        modalities: dict[str, list[object]] = {
            "edge": [TITLE, "127.0.0.1", receiver.port],
            "sender": ["CXREDGE", "127.0.0.1", answers],
        }
        with orthanc(tmp_path / "orthanc", modalities) as pacs:
            to, bind = f"{PACS}@127.0.0.1:{pacs.dicom}", f"127.0.0.1:{answers}"
            job = SendJob(films, to, commit=True, commit_bind=bind)
            for sent in (6, 0):
                delivery = send(job, state, lines.append)
                assert (delivery.complete, delivery.sent) == (True, sent), lines
                assert delivery.counts == {"committed": 6}
            for _ in range(2):  # a PACS that forwards the same again
                pacs.ask("modalities/edge/store", pacs.ask("instances"))
    stored = list(receiver.films.rglob("*.dcm"))
    assert sorted(map(pixels, stored)) == sorted(map(pixels, films.iterdir()))


def pixels(path: Path) -> bytes:
    return bytes(dcmread(path).PixelData)
