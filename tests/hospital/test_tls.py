"""TLS: both sides show a certificate of the authority, or nobody talks."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from cxr_edge.errors import InputError
from cxr_edge.hospital.send import Delivery, send
from cxr_edge.hospital.send_job import SendJob
from cxr_edge.hospital.tls import TlsFiles
from tests.hospital.hostile import running, until
from tests.hospital.receiving import PEER, TITLE, contents, needs_dcmtk, receiving, write_films

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")

Files = tuple[Path, Path, Path]


def openssl(folder: Path, *words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)


def authority(folder: Path) -> None:
    """A certificate authority of a test's own."""
    folder.mkdir()
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2)
    openssl(folder, *new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")


def certificate(folder: Path, name: str) -> Files:
    """A certificate for this machine's loopback, its key, and the authority."""
    asked = ("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}")
    openssl(folder, *asked, "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key")
    more = ("-CAcreateserial", "-days", 2, "-extfile", "names", "-out", f"{name}.pem")
    openssl(folder, *signed, *more)
    return folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "ours"
    authority(folder)
    return folder


def sent(tmp_path: Path, films: Path, port: int, tls: Files | None) -> Delivery:
    job = SendJob(films, f"{TITLE}@127.0.0.1:{port}", PEER, tls=tls, patience=0.0)
    return send(job, tmp_path / "state", lambda _: None)


def test_send_and_receive_talk_tls(ours: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    with receiving(tmp_path, tls=certificate(ours, "receiver")) as receiver:
        assert not sent(tmp_path, films, receiver.port, None).complete, "in the clear"
        assert sent(tmp_path, films, receiver.port, certificate(ours, "sender")).complete
    assert sorted(contents(receiver.films).values()) == sorted(contents(films).values())


def test_a_certificate_of_somebody_else_is_no_certificate(ours: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 1)
    authority(tmp_path / "theirs")
    own, key, _ = certificate(tmp_path / "theirs", "sender")
    with receiving(tmp_path, tls=certificate(ours, "receiver")) as receiver:
        start = time.monotonic()
        assert not sent(tmp_path, films, receiver.port, (own, key, ours / "ca.pem")).complete
        assert time.monotonic() - start < 60
        receiver.wait_for("a connection failed")
        assert sent(tmp_path, films, receiver.port, certificate(ours, "sender")).complete


def test_who_does_not_finish_a_handshake_is_let_go(ours: Path, tmp_path: Path) -> None:
    """One that says nothing, one that drips, one without a certificate."""
    files = TlsFiles(*certificate(ours, "receiver"))
    context = ssl.create_default_context(cafile=str(ours / "ca.pem"))
    with (
        running(tmp_path, tls=files, seconds=1.0) as receiver,
        receiver.connection() as silent,
        receiver.connection() as dripping,
        receiver.connection() as bare,
    ):
        with (
            contextlib.suppress(OSError),  # TLS 1.3 is told after the handshake
            context.wrap_socket(bare, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.recv(1) == b""
        with contextlib.suppress(OSError):
            for _ in range(30):
                dripping.sendall(b"\x16")
                time.sleep(0.1)
        until(lambda: receiver.told.counts["connection"] == 3)
        assert silent.recv(1) == b""
    assert receiver.films() == []


@needs_dcmtk
def test_dcmtk_sends_with_tls(ours: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    own, key, trusted = certificate(ours, "dcmtk")
    with receiving(tmp_path, tls=certificate(ours, "receiver")) as receiver:
        made = subprocess.run(
            [
                *("storescu", "-aet", PEER, "-aec", TITLE, "+tls", key, own, "+cf", trusted),
                *("127.0.0.1", str(receiver.port), "+sd", films),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert made.returncode == 0, made.stderr
    assert len(contents(receiver.films)) == 2


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_file_that_is_none_is_said(broken: int, ours: Path, tmp_path: Path) -> None:
    files = list(certificate(ours, "receiver"))
    files[broken] = tmp_path / "none.pem"
    for make in (TlsFiles(*files).for_server, TlsFiles(*files).for_client):
        with pytest.raises(InputError, match="--tls cannot be used"):
            make()
