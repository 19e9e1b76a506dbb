"""`cxr-edge send` against dcmtk and pynetdicom: until Success, and once."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, _config
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from cxr_edge.hospital import send_objects
from tests.hospital.peer import Peer, Sent, free_port, on_the_same, report, sent, serving
from tests.hospital.receiving import contents, film, needs_dcmtk, write_films
from tests.images import dicoms


@needs_dcmtk
def test_dcmtk_gets_every_object_once_and_as_it_is(tmp_path: Path) -> None:
    films, got, port = write_films(tmp_path / "films", 4), tmp_path / "got", free_port()
    got.mkdir()
    process = subprocess.Popen(["storescp", "-aet", "PACS", "-od", got, "+B", str(port)])
    try:
        wait_for_port(port)
        for first in (True, False):
            made = sent(films, port, tmp_path / "state")
            assert (made.delivery.complete, made.delivery.sent) == (True, 4 if first else 0)
            assert made.states == {"sent": 4}
    finally:
        process.kill()
        process.wait()
    hashes = sorted(contents(films).values())
    assert sorted(contents(got, "*").values()) == hashes


def wait_for_port(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_peer_out_of_resources_is_tried_again_in_the_same_run(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    with serving(Peer(answers=[0xA700])) as peer:
        made = sent(films, peer.port, tmp_path / "state", patience=30.0)
    assert (made.delivery.complete, len(peer.got), made.states) == (True, 2, {"sent": 2})
    assert "answered with A700H (refused: out of resources)" in made.log


def test_a_refusal_is_kept_and_tried_again_when_asked_for(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    with serving(Peer(answers=[0xC001])) as peer:
        made = sent(films, peer.port, tmp_path / "state")
        assert (made.delivery.complete, made.states) == (False, {"refused": 1, "sent": 1})
        again = sent(films, peer.port, tmp_path / "state")
        assert (again.delivery.complete, again.states) == (True, {"sent": 2})
    assert len(set(peer.got)) == len(peer.got) == 2


def test_a_peer_that_is_away_gets_its_objects_with_the_next_run(tmp_path: Path) -> None:
    films, port = write_films(tmp_path / "films", 2), free_port()
    made = sent(films, port, tmp_path / "state")
    assert (made.delivery.complete, made.states) == (False, {"pending": 2})
    assert "nobody answers" in made.log
    (tmp_path / "other").mkdir()
    with serving(Peer(port)) as peer:
        made = sent(tmp_path / "other", peer.port, tmp_path / "state")
    assert (made.delivery.complete, len(peer.got)) == (True, 2)


def test_a_rejection_for_good_ends_the_run_at_once(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 1)
    with serving(Peer(), ae_title="PACS") as peer:
        start = time.monotonic()
        made = reject_all(films, peer.port, tmp_path)
        assert time.monotonic() - start < 20
    assert made.states == {"pending": 1}
    assert re.search("rejected: .*[Cc]all", made.log)


def reject_all(films: Path, port: int, tmp_path: Path) -> Sent:
    """Against a PACS that does not know us."""
    entity = AE("PACS")
    entity.require_calling_aet = ["SOMEBODY"]
    entity.add_supported_context(dicoms.DX)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        return sent(films, server.server_address[1], tmp_path / "state", patience=300.0)
    finally:
        server.shutdown()


def test_two_objects_under_one_uid_are_counted(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 1)
    changed = bytearray((films / "0.dcm").read_bytes())
    changed[-1] ^= 1
    (films / "1.dcm").write_bytes(changed)
    with serving(Peer()) as peer:
        made = sent(films, peer.port, tmp_path / "state")
    assert (made.delivery.complete, made.delivery.others, len(peer.got)) == (False, 1, 1)
    assert "1 not taken: another object has their UID" in made.delivery.line("PACS")


def test_a_file_that_is_no_object_does_not_keep_the_others_back(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    (films / "00.dcm").write_bytes(b"nothing")
    (films / "gone.dcm").symlink_to("nowhere")
    (films / "folder.dcm").mkdir()
    with serving(Peer()) as peer:
        made = sent(films, peer.port, tmp_path / "state")
    assert (made.delivery.complete, made.delivery.bad, len(peer.got)) == (False, 2, 2)
    assert "00.dcm is no DICOM object" in made.log
    assert "gone.dcm cannot be read" in made.log
    assert "2 left out: no DICOM object" in made.delivery.line("PACS")


def test_a_file_that_has_changed_meanwhile_is_not_sent(tmp_path: Path) -> None:
    films, port = write_films(tmp_path / "films", 2), free_port()
    sent(films, port, tmp_path / "state")
    (films / "0.dcm").write_bytes(b"other")
    (tmp_path / "other").mkdir()
    with serving(Peer(port)) as peer:
        made = sent(tmp_path / "other", port, tmp_path / "state")
    assert made.states == {"lost": 1, "sent": 1}
    assert (made.delivery.complete, len(peer.got)) == (False, 1)


def on_the_same_with_a_loss(association: Any, asked: Dataset) -> None:
    time.sleep(0.5)
    report(association, asked, failed=1)


def test_commitment_on_the_association_of_the_question(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 3)
    with serving(Peer(commits=on_the_same)) as peer:
        made = sent(films, peer.port, tmp_path / "state", commit=True, commit_seconds=20.0)
    assert (made.delivery.complete, made.states) == (True, {"committed": 3})


def test_commitment_in_an_association_of_the_peers_own(tmp_path: Path) -> None:
    films, listen = write_films(tmp_path / "films", 3), free_port()

    def by_itself(_: Any, asked: Dataset) -> None:
        entity = AE("PACS")
        entity.add_requested_context(StorageCommitmentPushModel)
        association = entity.associate("127.0.0.1", listen, ae_title="CXREDGE")
        assert association.is_established
        report(association, asked)
        association.release()

    with serving(Peer(commits=by_itself)) as peer:
        options = {"commit": True, "commit_seconds": 20.0, "commit_bind": f"127.0.0.1:{listen}"}
        made = sent(films, peer.port, tmp_path / "state", **options)
    assert (made.delivery.complete, made.states) == (True, {"committed": 3})


def test_what_a_peer_has_lost_is_sent_again(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 3)
    with serving(Peer(commits=on_the_same_with_a_loss)) as peer:
        made = sent(films, peer.port, tmp_path / "state", commit=True, commit_seconds=20.0)
        assert (made.delivery.complete, made.states) == (False, {"committed": 2, "pending": 1})
        assert "has not kept" in made.log and "0112H (no such SOP instance)" in made.log
        peer.commits = on_the_same
        made = sent(films, peer.port, tmp_path / "state", commit=True, commit_seconds=20.0)
    assert (made.delivery.complete, made.states) == (True, {"committed": 3})
    assert len(peer.got) == 4


def test_no_answer_about_commitment_is_said(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 1)
    with serving(Peer()) as peer:
        made = sent(films, peer.port, tmp_path / "state", commit=True, commit_seconds=0.5)
    assert (made.delivery.complete, made.states) == (False, {"sent": 1})
    assert "no answer about storage commitment" in made.log


def test_what_waits_is_found_when_the_link_leads_elsewhere(tmp_path: Path) -> None:
    """`latest` is that of the next run by the time that a peer is back."""
    films, port, latest = write_films(tmp_path / "films", 2), free_port(), tmp_path / "latest"
    latest.symlink_to(films)
    sent(latest, port, tmp_path / "state")
    (tmp_path / "other").mkdir()
    latest.unlink()
    latest.symlink_to(tmp_path / "other")
    with serving(Peer(port)) as peer:
        made = sent(latest, port, tmp_path / "state")
    assert (made.delivery.complete, len(peer.got)) == (True, 2)


def test_a_file_that_has_arrived_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, state = write_films(tmp_path / "films", 2), tmp_path / "state"
    with serving(Peer()) as peer:
        time.sleep(1.1)  # the outbox notes whole seconds
        sent(films, peer.port, state)
        read: list[Path] = []
        monkeypatch.setattr(send_objects, "read_plain", lambda path, _: read.append(path))
        made = sent(films, peer.port, state)
        assert (made.delivery.complete, made.delivery.sent, read) == (True, 0, [])
        monkeypatch.undo()
        (films / "0.dcm").write_bytes(film(7))
        made = sent(films, peer.port, state)
    assert (made.delivery.complete, made.delivery.sent, len(peer.got)) == (True, 1, 3)


def test_a_peer_without_commitment_keeps_what_it_was_sent(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    with serving(Peer(offers_commitment=False)) as peer:
        made = sent(films, peer.port, tmp_path / "state", commit=True)
    assert (made.delivery.complete, made.states) == (False, {"sent": 2})
    said = f"warning: PACS@127.0.0.1:{peer.port} does not offer storage commitment"
    assert said in made.log


def test_a_warning_names_its_object_and_counts_as_sent(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    with serving(Peer(answers=[0xB000])) as peer:
        made = sent(films, peer.port, tmp_path / "state")
    assert (made.delivery.complete, made.states) == (True, {"sent": 2})
    assert f"{films}/0.dcm was answered with B000H (coercion of data elements)" in made.log


def test_a_class_that_the_peer_does_not_take_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A receiver that ran in this process before has opened the library to every class.
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    films = write_films(tmp_path / "films", 1)
    (films / "1.dcm").write_bytes(film(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.999"))
    with serving(Peer()) as peer:
        made = sent(films, peer.port, tmp_path / "state")
    assert made.states == {"refused": 1, "sent": 1}
    assert "1.dcm was answered with 0122H (refused: SOP class not supported)" in made.log


def test_identifiers_reach_no_line(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 2)
    with serving(Peer(answers=[0xC001, 0xA700])) as peer:
        made = sent(films, peer.port, tmp_path / "state")
    text = made.log + made.delivery.line("PACS")
    assert not any(each in text for each in (dicoms.NAME, dicoms.PATIENT_ID, "1.2.826"))
