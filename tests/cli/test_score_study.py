"""Runs that `receive` starts study by study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr_edge.ledger.runs import open_ledger
from tests.cli.conftest import Run
from tests.factories import write_tree
from tests.images.films import jpeg


@pytest.mark.parametrize("way", ["option", "environment"])
def test_they_trust_the_spool_and_count_as_no_night(
    way: str, run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = write_tree(tmp_path / "films", {"a.jpg": jpeg()})
    state = tmp_path / "state"
    options = [films, "--model", tiny, "--state", state, "--settle", "60"]
    if way == "environment":
        monkeypatch.setenv("CXR_EDGE_STUDY", "1")
    else:
        options.append("--study")
    assert run("score", *options, "--out", tmp_path / "study").code == 0, "nothing is deferred"
    with open_ledger(state) as ledger:
        assert ledger.nights.kept().summaries == {}
    assert not (state / "audit.jsonl").exists()
    monkeypatch.delenv("CXR_EDGE_STUDY", raising=False)
    made = run("score", *options[:5], "--settle", "0", "--out", tmp_path / "night", "--jsonl")
    assert json.loads(made.out.splitlines()[0])["new"] is True, "no night has had it"
