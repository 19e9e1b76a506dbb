"""`cxr-edge score --id-tag`: one field of the header where it is asked for, and never otherwise."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.reports import csv_rows
from tests.factories import write_tree
from tests.images import dicoms


def test_the_identifier_that_was_asked_for(
    run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    write_tree(films, {"a.dcm": dicoms.film(AccessionNumber="A-17", PatientID="P-4711")})
    out = tmp_path / "out"
    made = run(
        *("score", films, "--model", tiny, "--out", out),
        *("--id-tag", "AccessionNumber", "--jsonl"),
    )
    named = {row["path"]: row["AccessionNumber"] for row in csv_rows(out)}
    assert named.pop("a.dcm") == "A-17"
    assert set(named.values()) == {""}
    printed = {
        row["path"]: row["AccessionNumber"] for row in map(json.loads, made.out.splitlines())
    }
    assert printed == {"a.dcm": "A-17", **dict.fromkeys(named)}
    assert json.loads((out / "run.json").read_text())["id_tag"] == "AccessionNumber"
    assert "AccessionNumber A-17" in (out / "triage.html").read_text()
    assert not any("P-4711" in path.read_text() for path in out.iterdir())
    assert "A-17" not in made.err


def test_no_identifier_unless_it_is_asked_for(
    run: Run, films: Path, tiny: Path, tmp_path: Path, own_state: Path
) -> None:
    """Nor in the ledger."""
    write_tree(films, {"a.dcm": dicoms.film(AccessionNumber="A-17", PatientID="P-4711")})
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "--jsonl", "-v")
    kept = b"".join(path.read_bytes() for path in own_state.rglob("*") if path.is_file())
    written = b"".join(path.read_bytes() for path in out.iterdir())
    for secret in ("A-17", "P-4711"):
        assert secret not in made.out + made.err
        assert secret.encode() not in kept + written


def test_what_is_no_identifier(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    """Of the others: images/test_dicom."""
    made = run("score", films, "--model", tiny, "--id-tag", "accession", "--out", tmp_path / "out")
    assert (made.code, made.out) == (2, "")
    assert made.err == (
        "error: --id-tag accession: no DICOM keyword of a text\n"
        "  tip: use one such as AccessionNumber or StudyInstanceUID\n"
    )
