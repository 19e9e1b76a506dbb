"""From a folder with odd names to the bytes that are written: no name of a patient is handed on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from pathlib import Path

import pytest

from cxr_edge.evaluate.labels import LabelledSet, from_csv, from_folders
from cxr_edge.evaluate.metrics import measure, set_figures
from cxr_edge.evaluate.page import render_page
from cxr_edge.evaluate.results import EvaluatedFilm, Evaluation
from cxr_edge.evaluate.tables import render_csv, render_json, summary_lines
from tests.evaluate.films import model
from tests.factories import result

pytestmark = pytest.mark.usefixtures("undrawn")

ODD = {
    "not UTF-8": b"\xe9tude.jpeg",
    "bidi": "\u202egnp.png".encode(),
}


def written(labelled: LabelledSet) -> dict[str, bytes]:
    """Every film gets a score; all three missed."""
    films = tuple(
        EvaluatedFilm(
            result(
                member.file.display,
                0.1,
                sha256=hashlib.sha256(member.file.display.encode()).hexdigest(),
                width=10 + number,
                height=10,
            ),
            member.label,
            member.patient,
            100,
        )
        for number, member in enumerate(labelled.films)
    )
    data = set_figures(labelled, films)
    figures = (measure(films, model(), 0.1, data),)
    facts = ("2026-11-22T20:00:00Z", 1.0, ("cxr-edge",), {})
    made = Evaluation(*facts, films=data, models=figures, comparison=None, profile=None)
    return {
        "csv": b"".join(render_csv(made)),
        "json": render_json(made),
        "page": render_page(made, {}),
        "terminal": "\n".join(summary_lines(made)).encode(),
    }


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_any_file_name_can_be_written(tmp_path: Path, name: bytes) -> None:
    for folder in ("NORMAL", "PNEUMONIA"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / os.fsdecode(name)).write_bytes(folder.encode())
    found = written(from_folders(tmp_path))
    rows = list(csv.DictReader(io.StringIO(found["csv"].decode())))
    assert [row["patient"] for row in rows] == ["1", "2"]
    assert all(row["path"].isprintable() for row in rows)
    missed = json.loads(found["json"])["models"][0]["missed"]
    assert [film["patient"] for film in missed] == ["2"]
    told = b"2 patients on the scored films, by every film counted as a patient of its own"
    assert told in found["page"]
    assert told in b" ".join(found["terminal"].split())


def test_no_patient_of_a_table_is_written(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode())
    table = tmp_path / "labels.csv"
    table.write_text("path,label,patient\na,1,MEIER^ANNA\nb,0,4711-0815\nc,1,MEIER^ANNA\n")
    found = written(from_csv(tmp_path, table))
    for content in found.values():
        assert b"MEIER" not in content
        assert b"4711" not in content
    rows = list(csv.DictReader(io.StringIO(found["csv"].decode())))
    assert [(row["path"], row["patient"]) for row in rows] == [("b", "1"), ("a", "2"), ("c", "2")]
    assert b"2 patients on the scored films, by the table" in found["page"]
