"""Single bits that flip on the disk: a score comes back as it was, or not at all."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.runs import Ledger, open_ledger, read_ledger
from cxr_edge.types import Result
from tests.factories import result
from tests.ledger.entries import SETTINGS, everything, found, recall
from tests.ledger.files import ROWS, filled

FLIPS = 200
SCORES = {f"{n}.png": result(f"{n}.png", n / 100, sha256=f"{n:064x}") for n in range(ROWS)}


def wrong_recalls(ledger: Ledger) -> list[str]:
    """Names of films whose score comes back as another one, by name or by content."""
    run = ledger.begin("after", SETTINGS)
    known = run.known_probabilities([each.sha256 for each in SCORES.values()])
    return [
        name
        for name, right in SCORES.items()
        if recall(run, found(name)) not in (None, right)
        or known.get(right.sha256) not in (None, right.probability)
    ]


def wrong_rows(folder: Path) -> list[Result]:
    """Scores of the report that are not as they were recorded."""
    with read_ledger(folder) as ledger:
        for name in ledger.finished_ids():
            rows = everything(ledger.finished(name)[0])
            return [row for row in rows if row.probability and SCORES.get(row.path) != row]
    return []


def test_no_flipped_bit_hands_out_another_score(tmp_path: Path) -> None:
    content, rng = filled(tmp_path).read_bytes(), random.Random(24)
    outcomes: Counter[str] = Counter()
    for number, at in enumerate(rng.sample(range(8 * len(content)), FLIPS)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        (folder / LEDGER_NAME).write_bytes(flipped)
        try:
            assert wrong_rows(folder) == []
        except StateError:
            outcomes["no report"] += 1
        try:
            with open_ledger(folder) as ledger:
                outcomes["set aside" if ledger.set_aside else "used"] += 1
                assert wrong_recalls(ledger) == []
        except StateError as error:
            outcomes[str(error)] += 1
    # A version of later is left to the newer program.
    later = sum(count for text, count in outcomes.items() if "is of version" in text)
    assert outcomes["set aside"] + outcomes["used"] + later == FLIPS


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return filled(tmp_path)


def changed(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(statement)


SCHEMAS = {
    "another column": "UPDATE sqlite_master SET sql = replace(sql, 'probability', 'probabilitx')",
    "another type": "UPDATE sqlite_master SET sql = replace(sql, 'status TEXT', 'status TEYT')",
    "no text": "UPDATE sqlite_master SET sql = replace(sql, 'CREATE TABLE item', 'CREATE itemm')",
    "another index": "UPDATE sqlite_master SET sql = replace(sql, '(sha256, ', '(reason, ')",
    "another reference": "UPDATE sqlite_master SET sql = replace(sql, 'CASCADE', 'SET NULL')",
}


@pytest.mark.parametrize("change", SCHEMAS.values(), ids=SCHEMAS)
def test_damaged_tables_are_set_aside(change: str, ledger_file: Path) -> None:
    changed(ledger_file, f"PRAGMA writable_schema = ON; {change};")
    with open_ledger(ledger_file.parent) as ledger:
        assert ledger.set_aside is not None
        ledger.begin("next", SETTINGS)
    with open_ledger(ledger_file.parent) as ledger:
        assert ledger.set_aside is None


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_damaged_version_is_set_aside(version: int, ledger_file: Path) -> None:
    changed(ledger_file, f"PRAGMA user_version = {version}")
    with open_ledger(ledger_file.parent) as ledger:
        assert ledger.set_aside is not None


def test_an_index_that_names_another_film_is_set_aside(ledger_file: Path) -> None:
    """Two keys of the index by path, exchanged: each page of it is in order."""
    content = ledger_file.read_bytes()
    one, other = content.rfind(b"in/10.png"), content.rfind(b"in/11.png")
    pages = bytearray(content)
    pages[one : one + 9], pages[other : other + 9] = b"in/11.png", b"in/10.png"
    ledger_file.write_bytes(pages)
    with open_ledger(ledger_file.parent) as ledger:
        assert wrong_recalls(ledger) == []


CHANGES: dict[str, Callable[[int], str]] = {
    "score": lambda n: f"UPDATE item SET probability = 0.999 WHERE display = '{n}.png'",
    "name of the film": lambda n: f"UPDATE item SET path = x'69' WHERE display = '{n}.png'",
    "bytes of the film": lambda n: (
        f"UPDATE item SET sha256 = (SELECT sha256 FROM item WHERE display = '0.png') "
        f"WHERE display = '{n}.png'"
    ),
    "another type": lambda n: f"UPDATE item SET width = '7' WHERE display = '{n}.png'",
    "no checksum": lambda n: f"UPDATE item SET checksum = NULL WHERE display = '{n}.png'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_row_is_not_believed(change: Callable[[int], str], ledger_file: Path) -> None:
    changed(ledger_file, change(7))
    with open_ledger(ledger_file.parent) as ledger:
        assert wrong_recalls(ledger) == []
    with read_ledger(ledger_file.parent) as ledger:
        run, _ = ledger.finished("first")
        assert [*run.damaged.values()] == ["7.png"]
        assert wrong_rows(ledger_file.parent) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE run SET context = replace(context, '1', '2')",
        "UPDATE run SET settings_sha256 = 'others'",
        "DELETE FROM item WHERE display = '7.png'",
    ],
    ids=["context", "settings", "a row that is gone"],
)
def test_a_damaged_run_has_no_report(change: str, ledger_file: Path) -> None:
    changed(ledger_file, change)
    with (
        read_ledger(ledger_file.parent) as ledger,
        pytest.raises(StateError, match="run first is damaged"),
    ):
        ledger.finished("first")
