"""Files that are certainly no films: last in the list, and no trouble of the night."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import chest, write_tree
from tests.images.dicoms import film
from tests.images.films import png

CD = {
    "IMAGES/IM1": png(chest()),
    "DICOMDIR": film(SOPClassUID="1.2.840.10008.1.3.10", PixelData=None),
    "AUTORUN.INF": b"[autorun]\r\nopen=VIEWER.EXE\r\n",
    "VIEWER.EXE": b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(9),
}


def test_a_disc_with_its_viewer_is_a_good_night(run: Run, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("score", write_tree(tmp_path / "in", CD), "--model", tiny, "--out", out)
    assert made.code == 0
    assert ", 3 no films; report: " in made.err
    rows = [(row["band"], row["path"], row["format"]) for row in csv_rows(out)]
    assert rows[1:] == [
        ("other", "AUTORUN.INF", "text"),
        ("other", "DICOMDIR", "DICOM directory"),
        ("other", "VIEWER.EXE", "program"),
    ]
    counts = run_values(out)["counts"]
    assert (counts["found"], counts["scored"], counts["not_scored"]) == (4, 1, 3)
    assert (counts["attention"], counts["other"]) == (0, 3)


def test_what_may_hold_films_is_trouble(run: Run, tiny: Path, tmp_path: Path) -> None:
    tree = {**CD, "films.zip": b"PK\x03\x04" + bytes(60), "damaged": bytes(range(1, 200))}
    out = tmp_path / "out"
    made = run("score", write_tree(tmp_path / "in", tree), "--model", tiny, "--out", out, "-q")
    assert made.code == 3
    bands = {row["path"]: row["band"] for row in csv_rows(out)}
    assert (bands["films.zip"], bands["damaged"]) == ("attention", "attention")
