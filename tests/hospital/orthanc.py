"""An Orthanc of Debian's, under the example's configuration, on ports of its own."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.hospital.peer import free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "pacs"
needs_orthanc = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("Orthanc", "storescu")),
    reason="no Orthanc or no dcmtk: apt install orthanc dcmtk",
)
_SECONDS_TO_START = 120


def identifier(*uids: str) -> str:
    """Orthanc's identifier of an instance: of its patient, study, series and instance."""
    digest = hashlib.sha1("|".join(uids).encode()).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


@dataclass(frozen=True)
class Orthanc:
    """A running archive."""

    dicom_port: int
    http_port: int
    user: str
    password: str

    def get(self, path: str, body: object = None) -> Any:
        """An answer of its REST interface; to a POST, where there is a body."""
        connection = HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        secret = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, path, data, headers={"Authorization": f"Basic {secret}"})
        with contextlib.closing(connection):
            return json.loads(connection.getresponse().read())

    def forwards(self, instances: list[str]) -> bool:
        """Whether the receiver has taken all these instances, by Orthanc's identifiers."""
        answer = self.get("/modalities/cxr-edge/store", instances)
        return answer.get("FailedInstancesCount", 1) == 0

    def holdings(self) -> dict[str, list[str]]:
        """Modalities of the instances of each study, by Study Instance UID, sorted."""
        found: dict[str, list[str]] = {}
        for series in self.get("/series?expand"):
            study = self.get(f"/studies/{series['ParentStudy']}")["MainDicomTags"]
            kept = found.setdefault(study["StudyInstanceUID"], [])
            kept += [series["MainDicomTags"]["Modality"]] * len(series["Instances"])
        return {uid: sorted(kept) for uid, kept in found.items()}


@contextlib.contextmanager
def archive(folder: Path, edge_port: int) -> Iterator[Orthanc]:
    """Run one that keeps its files below a folder, and hand on what it holds to a receiver."""
    values = json.loads((EXAMPLES / "orthanc.json").read_text())
    running = Orthanc(free_port(), free_port(), *next(iter(values["RegisteredUsers"].items())))
    storage = folder / "orthanc"
    values["DicomModalities"]["cxr-edge"]["Port"] = edge_port
    values.update(
        StorageDirectory=str(storage),
        IndexDirectory=str(storage),
        DicomPort=running.dicom_port,
        HttpPort=running.http_port,
    )
    storage.mkdir()
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(values))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", configuration], stdout=log, stderr=log)
    try:
        _wait(running, process, folder / "orthanc.log")
        with _followed(running, folder):
            yield running
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def _followed(orthanc: Orthanc, folder: Path) -> Iterator[None]:
    """Hand on what it holds, a call of the example's script after the other."""
    call = [sys.executable, EXAMPLES / "follow_orthanc.py", f"http://127.0.0.1:{orthanc.http_port}"]
    call += [orthanc.user, folder / "receiver.mark", "--modality", "cxr-edge"]
    environment = {**os.environ, "ORTHANC_PASSWORD": orthanc.password, "no_proxy": "127.0.0.1"}
    with (folder / "follow.log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'while true; do "$@"; sleep 0.5; done', "follow", *call],
            stderr=log,
            env=environment,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait(running: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while True:
        with contextlib.suppress(OSError):
            running.get("/system")
            return
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.2)
