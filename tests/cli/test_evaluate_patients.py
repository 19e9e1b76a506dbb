"""`cxr-edge evaluate --patients-from-header`: patients of DICOM films, and no name of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.factories import chest, write_tree
from tests.images import dicoms

pytestmark = pytest.mark.usefixtures("few_trees")

PER_CLASS = 6


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two films of each patient, under a viewer's names; one film has no Patient ID."""
    films = {}
    for label, (folder, tilt) in enumerate((("NORMAL", 100.0), ("PNEUMONIA", -100.0))):
        for number in range(PER_CLASS):
            identifier = f"SECRET-{label}-{number // 2}" if label or number else ""
            levels = chest(tilt=tilt + number)
            name = f"{folder}/IM-{number:04}-0001.dcm"
            films[name] = dicoms.film(levels, bits=8, PatientID=identifier)
    return write_tree(tmp_path / "site", films)


def evaluated(run: Run, site: Path, tiny: Path, out: Path, *options: object) -> Any:
    assert run("evaluate", site, "--model", tiny, "--out", out, *options).code == 0
    return json.loads((out / "evaluation.json").read_text(encoding="utf-8"))


def test_patients_are_those_of_the_header(run: Run, site: Path, tiny: Path, tmp_path: Path) -> None:
    by_name = evaluated(run, site, tiny, tmp_path / "names")["films"]
    assert (by_name["patients"], by_name["patients_from"]) == (2 * PER_CLASS, "file names")
    out = tmp_path / "headers"
    by_header = evaluated(run, site, tiny, out, "--patients-from-header")["films"]
    assert by_header["patients"] == PER_CLASS + 1
    assert by_header["patients_from"] == "DICOM headers (11), file names (1)"
    assert by_header["sha256"] == by_name["sha256"]
    for file in out.iterdir():
        assert b"SECRET" not in file.read_bytes(), file.name


def test_too_few_patients_in_headers_choose_no_threshold(
    run: Run, site: Path, tiny: Path, tmp_path: Path
) -> None:
    options = ("--patients-from-header", "--propose-threshold", "sensitivity=0.8")
    outcome = run("evaluate", site, "--model", tiny, "--out", tmp_path / "out", *options)
    assert outcome.code == 2
    assert "3 PNEUMONIA and 4 NORMAL patients cannot choose a threshold" in outcome.err
