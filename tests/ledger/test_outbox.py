"""The outbox: an object goes out until Success, and never as another one."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.outbox import Outbox, Outgoing, Sending
from cxr_edge.ledger.runs import Ledger, open_ledger

PEER = "PACS@127.0.0.1:104"
ONE = Outgoing(PEER, "1.2.3", "1.2.840.10008.5.1.4.1.1.88.22", "ab" * 32, Path("/out/one.dcm"))


@pytest.fixture
def outbox(ledger: Ledger) -> Outbox:
    return Outbox(ledger.connection)


def test_an_object_goes_in_once_for_each_peer(outbox: Outbox) -> None:
    other = replace(ONE, peer="ELSE@127.0.0.1:104")
    for _ in range(2):
        assert outbox.add([ONE, other]) == []
    assert outbox.in_state(PEER, Sending.PENDING) == [ONE]
    assert outbox.in_state(other.peer, Sending.PENDING) == [other]


@pytest.mark.parametrize("state", [Sending.SENT, Sending.COMMITTED])
def test_what_has_arrived_is_not_sent_again(state: Sending, outbox: Outbox) -> None:
    outbox.record(replace(ONE, state=state, tries=1))
    assert outbox.add([ONE]) == []
    assert outbox.in_state(PEER, Sending.PENDING) == []


@pytest.mark.parametrize("state", [Sending.REFUSED, Sending.LOST])
def test_what_was_refused_or_lost_is_tried_when_it_is_asked_for_again(
    state: Sending, outbox: Outbox
) -> None:
    outbox.record(replace(ONE, state=state, status=0xC000, tries=3))
    outbox.add([ONE])
    assert outbox.in_state(PEER, Sending.PENDING) == [ONE]


def test_other_bytes_under_a_uid_that_has_gone_out_are_not_taken(outbox: Outbox) -> None:
    outbox.record(replace(ONE, state=Sending.SENT, tries=1))
    other = replace(ONE, sha256="cd" * 32)
    assert outbox.add([other]) == [other]
    assert outbox.in_state(PEER, Sending.SENT)[0].sha256 == ONE.sha256


def test_other_bytes_in_another_file_do_not_replace_what_waits(
    outbox: Outbox, tmp_path: Path
) -> None:
    one = replace(ONE, path=tmp_path / "one.dcm")
    other = replace(ONE, sha256="cd" * 32, path=tmp_path / "two.dcm")
    one.path.touch()
    assert outbox.add([one, other]) == [other]
    assert outbox.add([other]) == [other], "nor when it comes alone"
    assert outbox.in_state(PEER, Sending.PENDING) == [one]
    one.path.unlink()
    assert outbox.add([other]) == []
    assert outbox.in_state(PEER, Sending.PENDING) == [other]


def test_a_file_that_was_written_anew_before_it_was_tried_goes_out_as_it_is(
    outbox: Outbox,
) -> None:
    anew = replace(ONE, sha256="cd" * 32)
    assert outbox.add([ONE]) == outbox.add([anew]) == []
    assert outbox.in_state(PEER, Sending.PENDING) == [anew]


def test_a_file_that_has_moved_is_sent_from_where_it_is(outbox: Outbox) -> None:
    outbox.record(replace(ONE, tries=2, next_try=5.0))
    outbox.add([replace(ONE, path=Path("/moved.dcm"))])
    (waiting,) = outbox.in_state(PEER, Sending.PENDING)
    assert (waiting.path, waiting.tries) == (Path("/moved.dcm"), 2)


def test_a_damaged_row_is_not_believed(ledger: Ledger, outbox: Outbox) -> None:
    outbox.record(replace(ONE, state=Sending.SENT))
    ledger.connection.execute("UPDATE outbox SET state = 'committed'")
    assert outbox.find(PEER, ONE.instance) is None
    outbox.add([ONE])
    assert outbox.in_state(PEER, Sending.PENDING) == [ONE]


DAMAGE = {
    "state": "state = 'pendinh'",
    "status": "status = 1",
    "path": "path = x'2f6f7574'",
    "peer": "peer = 'QACS@127.0.0.1:104'",
    "instance": "instance_uid = '1.2.2'",
    "time": "changed_utc = '0026-12-02T00:00:00Z'",
    "no text": "sop_class = CAST(x'b1' AS TEXT)",
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_of_what_may_wait_is_counted_until_its_object_is_here_again(
    change: str, ledger: Ledger, outbox: Outbox
) -> None:
    outbox.record(ONE)
    ledger.connection.execute(f"UPDATE outbox SET {change}")
    outbox.add([replace(ONE, peer="ELSE@127.0.0.1:104")])
    assert (outbox.in_state(PEER, Sending.PENDING), outbox.damaged()) == ([], 1)
    outbox.add([ONE])
    assert (outbox.in_state(PEER, Sending.PENDING), outbox.damaged()) == ([ONE], 0)


def test_a_damaged_row_of_what_has_arrived_counts_where_it_is_to_be_committed(
    ledger: Ledger, outbox: Outbox
) -> None:
    outbox.record(replace(ONE, state=Sending.SENT))
    ledger.connection.execute("UPDATE outbox SET status = 1")
    assert (outbox.damaged(), outbox.damaged([Sending.COMMITTED])) == (0, 1)


def test_a_disk_that_fails_now_does_not_make_a_file_gone(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    other = replace(ONE, sha256="cd" * 32, path=Path("/out/two.dcm"))
    outbox.add([ONE])
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        assert outbox.add([other]) == [other]


def test_rows_are_kept_as_long_as_nights(ledger: Ledger, outbox: Outbox) -> None:
    outbox.record(replace(ONE, state=Sending.SENT), replace(ONE, instance="1.2.4"))
    ledger.connection.execute("UPDATE outbox SET changed_utc = '2001-01-01T00:00:00Z'")
    outbox.add([])
    rows = ledger.connection.execute("SELECT instance_uid FROM outbox").fetchall()
    assert rows == [("1.2.4",)], "what was never sent waits for ever"


def test_it_survives_the_end_of_the_program(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        Outbox(ledger.connection).record(ONE)
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as connection:
        assert connection.execute("SELECT state, tries FROM outbox").fetchall() == [("pending", 0)]
