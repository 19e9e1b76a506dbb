"""AE titles, addresses and what a command line says of time and size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cxr_edge.errors import InputError
from cxr_edge.hospital.peers import (
    Address,
    Receiver,
    Sender,
    bare_address,
    checked_title,
    checked_uid,
)
from cxr_edge.hospital.receive_job import parse_command, parse_size, parse_span


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (Address.parse, "127.0.0.1:11112", Address("127.0.0.1", 11112)),
        (Address.parse, "[::1]:0", Address("::1", 0)),
        (Sender.parse, "PACS", Sender("PACS")),
        (Sender.parse, "PACS@10.0.0.5", Sender("PACS", "10.0.0.5")),
        (Receiver.parse, "A B@pacs:104", Receiver("A B", Address("pacs", 104))),
        (checked_uid, "1.2.840\0", "1.2.840"),
        (checked_uid, "../1", ""),
        (bare_address, "::ffff:10.0.0.5", "10.0.0.5"),
        (bare_address, "::1", "::1"),
        (bare_address, "10.0.0.5", "10.0.0.5"),
        (bare_address, "", ""),
        (parse_size, "500GB", 500 * 10**9),
        (parse_size, "1.5 M", 1_500_000),
        (parse_size, "20", 20),
        (parse_span, "30s", 30.0),
        (parse_span, "2m", 120.0),
        (parse_span, "0.5", 0.5),
        (parse_command, "sh 'b c'", ("sh", "b c")),
    ],
)
def test_it_is_read(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (Address.parse, "11112"),
        (Address.parse, "::1:104"),
        (Address.parse, "host:65536"),
        (Address.parse, "host:\uff11"),
        (Sender.parse, "PACS@"),
        (Sender.parse, ""),
        (Receiver.parse, "PACS"),
        (Receiver.parse, "PACS@host"),
        (checked_title, "seventeen letters"),
        (checked_title, "a\\b"),
        (checked_title, " a"),
        (checked_title, "a\n"),
        (parse_size, "0"),
        (parse_size, "1PB"),
        (parse_span, "0s"),
        (parse_span, "2d"),
        (parse_command, ""),
        (parse_command, "no-such-program here"),
        (parse_command, "'"),
    ],
)
def test_it_is_refused(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(InputError):
        parse(text)


@pytest.mark.parametrize("text", ["PACS@10.0.0.5:104", "P@[::1]:104"])
def test_a_receiver_is_printed_as_it_was_given(text: str) -> None:
    assert str(Receiver.parse(text)) == text
