"""`cxr-edge score --identify`: whom films are of where it is asked for, and never otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr_edge.ledger import rows
from cxr_edge.types import IDENTITY_FIELDS
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import write_tree
from tests.images import dicoms

WHOSE = {
    "AccessionNumber": "A-17",
    "PatientID": "P-4711",
    "StudyInstanceUID": "1.2.3.4",
    "SeriesInstanceUID": "1.2.3.4.5",
    "SOPInstanceUID": "1.2.3.4.5.6",
    "AcquisitionDate": "20261130",
    "AcquisitionTime": "211405.5",
}
FIELDS = {
    "patient_id": "P-4711",
    "accession_number": "A-17",
    "study_uid": "1.2.3.4",
    "series_uid": "1.2.3.4.5",
    "instance_uid": "1.2.3.4.5.6",
    "acquired": "2026-11-30T21:14:05",
}
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


def fields(row: dict[str, str]) -> dict[str, str]:
    return {name: row[name] for name in IDENTITY_FIELDS}


def test_every_row_whose_header_can_be_read_says_whose_it_is(
    run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    """Scored, refused, damaged, or no film at all."""
    write_tree(
        films,
        {
            "a.dcm": dicoms.film(**WHOSE),
            "ct.dcm": dicoms.film(**WHOSE, Modality="CT"),
            "report.dcm": dicoms.film(**WHOSE, SOPClassUID=REPORT, PixelData=None),
            "cut.dcm": dicoms.film(**WHOSE)[:-900],
        },
    )
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "--identify", "--jsonl")
    named = {row["path"]: fields(row) for row in csv_rows(out)}
    for name in ("a.dcm", "ct.dcm", "report.dcm", "cut.dcm"):
        assert named.pop(name) == FIELDS, name
    assert {value for row in named.values() for value in row.values()} == {""}
    printed = {row["path"]: row for row in map(json.loads, made.out.splitlines())}
    assert {key: printed["a.dcm"][key] for key in FIELDS} == FIELDS
    assert "P-4711" not in made.err


def test_several_tags_are_several_columns(
    run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    write_tree(films, {"a.dcm": dicoms.film(AccessionNumber="A-17", InstitutionName="West")})
    out = tmp_path / "out"
    tags = ("--id-tag", "AccessionNumber", "--id-tag", "InstitutionName")
    run("score", films, "--model", tiny, "--out", out, *tags)
    (row,) = (row for row in csv_rows(out) if row["path"] == "a.dcm")
    assert list(row)[-2:] == ["AccessionNumber", "InstitutionName"]
    assert (row["AccessionNumber"], row["InstitutionName"]) == ("A-17", "West")
    asked = json.loads((out / "run.json").read_text())["identity_fields"]
    assert asked == ["AccessionNumber", "InstitutionName"]
    assert not any(dicoms.PATIENT_ID in path.read_text() for path in out.iterdir())


def test_asked_the_next_night_headers_are_read_and_nothing_is_scored(
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    batch_sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "_STAMP_TICK_NS", -1)  # the films need not be older than the test
    write_tree(films, {"a.dcm": dicoms.film(**WHOSE)})
    run("score", films, "--model", tiny, "--out", tmp_path / "one", "-q", "--settle", "0")
    self_test = batch_sizes[0]
    batch_sizes.clear()
    for name, options in (("two", ["--identify"]), ("three", ["--id-tag", "AccessionNumber"])):
        out = tmp_path / name
        run("score", films, "--model", tiny, "--out", out, "-q", "--settle", "0", *options)
        (row,) = (row for row in csv_rows(out) if row["path"] == "a.dcm")
        assert row[options[-1] if options[0] == "--id-tag" else "accession_number"] == "A-17"
        assert run_values(out)["recalled"] == len(csv_rows(out))
    assert batch_sizes == [self_test, self_test], "and no film"


def test_nobody_is_named_unless_it_is_asked_for(
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
