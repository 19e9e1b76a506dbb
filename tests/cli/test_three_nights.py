"""Three nights of a hospital, as its IT would run them: what each morning's list says."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import chest, write_tree
from tests.images.dicoms import film
from tests.images.films import jpeg, png

PROGRAM = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\0\0" + bytes(9)
COPY = jpeg(chest(tilt=30))
WARD = {"ward/old.png": png(chest()), "ward/late.jpg": COPY[: len(COPY) // 2]}
DISC = {
    "cd/DICOMDIR": film(SOPClassUID="1.2.840.10008.1.3.10", PixelData=None),
    "cd/IMAGES/IM1": film(PatientID="P-1", StudyDate="20261130"),
    "cd/AUTORUN.INF": b"[autorun]\r\nopen=VIEWER.EXE\r\n",
    "cd/VIEWER.EXE": PROGRAM,
    "mail/films.zip": b"PK\x03\x04" + bytes(60),
}


def bands(out: Path) -> dict[str, tuple[str, bool]]:
    return {row["path"]: (row["band"], row["new"] == "true") for row in csv_rows(out)}


def test_three_nights(run: Run, tiny: Path, tmp_path: Path) -> None:
    """A half copy, a patient's disc, an archive; what was seen is not new; then no share."""
    share, state = tmp_path / "in", tmp_path / "state"
    options = ("--model", tiny, "--state", state, "--identify", "--at-least", "2", "-q")

    first = tmp_path / "reports" / "first"
    made = run("score", write_tree(share, WARD), *options, "--out", first)
    assert made.code == 3
    assert made.err.startswith("2 found, 2 new, 1 need attention (truncated 1), ")
    assert bands(first)["ward/late.jpg"] == ("attention", True)

    second = tmp_path / "reports" / "second"
    write_tree(share, {"ward/late.jpg": COPY, **DISC})
    made = run("score", share, *options, "--out", second)
    assert made.code == 3, "the archive may hold films"
    seen = bands(second)
    assert seen["ward/old.png"][1] is False
    assert seen["ward/late.jpg"][1] is True, "complete now: other bytes than the night before"
    assert seen["mail/films.zip"] == ("attention", True)
    assert {name for name, (band, _) in seen.items() if band == "other"} == {
        *("cd/DICOMDIR", "cd/AUTORUN.INF", "cd/VIEWER.EXE"),
    }
    (disc,) = (row for row in csv_rows(second) if row["path"] == "cd/IMAGES/IM1")
    assert (disc["patient_id"], disc["acquired"]) == ("P-1", "2026-11-30")
    assert run_values(second)["counts"]["gone"] == 1, "the bytes of the half copy"

    third = tmp_path / "reports" / "third"
    share.rename(tmp_path / "elsewhere")
    share.mkdir()
    made = run("score", share, *options, "--out", third)
    assert made.code == 3
    assert "0 found, 0 new, 7 gone, 0 need attention" in made.err
    assert "share" in made.err, "is it mounted?"
    assert (tmp_path / "reports" / "latest").resolve() == third
    nights = json.loads(run("history", "--state", state, "--json").out)
    assert len(nights if isinstance(nights, list) else nights["nights"]) == 3
    assert run("audit", "verify", "--state", state).code == 0
