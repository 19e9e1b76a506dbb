"""Tables and JSON, as other programs read them."""

from __future__ import annotations

import json
from pathlib import Path

from cxr_training.support.writing import write_json, write_table


def test_tables_have_a_header_and_plain_newlines(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert (tmp_path / "t.csv").read_bytes() == b"epoch,loss\n1,0.5\n2,0.25\n"


def test_a_table_can_hold_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", [{"name": "film\udcff.png"}])
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "name\nfilm\\udcff.png\n"


def test_json_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2]})
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == {"a": [1, 2]}
    assert text.endswith("}\n")
