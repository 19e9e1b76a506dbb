"""The conformance statement says what the code does."""

from __future__ import annotations

import pytest

from tests.conformance import PAGE, tables

TABLES = tables()


@pytest.mark.parametrize("head", TABLES)
def test_the_page_holds_the_table_of_the_code(head: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"{TABLES[head]}\n" in text, "python -m tests.conformance writes the page anew"
