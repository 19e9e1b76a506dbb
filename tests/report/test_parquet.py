"""`triage.parquet` says what `triage.csv` says, with types, in parts that can be read alone."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import MissingExtraError
from cxr_edge.report import Report, write_report
from cxr_edge.report import parquet as module
from cxr_edge.report.csv import csv_cell, render_csv
from cxr_edge.report.parquet import check_parquet, render_parquet
from cxr_edge.report.rows import COLUMNS
from cxr_edge.types import InputWarning, Reason, Result
from tests.factories import names_in, report, result

SHA256 = "ab" * 32
ROWS = (
    result("in/a.png", 0.9, width=64, height=48, format="PNG", sha256=SHA256, new=False),
    result("=in/b,c.jpg", 0.25, modified_utc="2026-11-22T01:00:00Z", duplicate_of="'x"),
    result("d.tif", None, reason=Reason.TRUNCATED, modified_utc="33-11-22T01:00:00Z"),
    result("e.png", 0.5, warnings=(InputWarning.LOW_RESOLUTION, InputWarning.ORIENTATION_APPLIED)),
    result("f.txt", None, reason=Reason.NO_FILM),
)
IDENTITY = ("patient_id", "InstitutionName")


def read(made: Report, **options: Any) -> Any:
    parquet = pytest.importorskip("pyarrow.parquet")
    return parquet.read_table(io.BytesIO(b"".join(render_parquet(made))), **options)


def as_in_csv(made: Report) -> list[dict[str, str]]:
    """The rows of the Parquet file, each value as the CSV prints it."""
    rows = read(made).to_pylist()
    for row in rows:
        moment = row["modified_utc"]
        row["modified_utc"] = moment and moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return [{name: csv_cell(value) for name, value in row.items()} for row in rows]


def in_csv(made: Report) -> list[dict[str, str]]:
    text = b"".join(render_csv(made)).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("results", [(), ROWS], ids=["none", "some"])
def test_the_rows_of_the_csv(results: tuple[Result, ...]) -> None:
    made = report(*results)
    assert as_in_csv(made) == in_csv(made)
    assert tuple(read(made).column_names) == COLUMNS


def test_whom_films_are_of() -> None:
    whose = result("a", 0.5, identity={"patient_id": "7", "InstitutionName": ""})
    made = report(whose, identity_fields=IDENTITY)
    assert as_in_csv(made) == in_csv(made)
    assert read(made).to_pylist()[0]["patient_id"] == "7"


def test_types() -> None:
    first, *_ = (row for row in read(report(*ROWS)).to_pylist() if row["path"] == "=in/b,c.jpg")
    assert first["modified_utc"] == datetime(2026, 11, 22, 1, tzinfo=UTC)
    assert (first["rank"], first["probability"], first["flagged"]) == (4, 0.25, False)
    assert (first["width"], first["warnings"], first["new"]) == (None, [], True)


def test_a_part_can_be_read_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of rows is of one band, says which, and is no larger than memory may be."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(module, "_ROWS_TOGETHER", 3)
    made = report(*ROWS, *(result(f"{number}.png", 0.1) for number in range(7)))
    facts = parquet.ParquetFile(io.BytesIO(b"".join(render_parquet(made)))).metadata
    band = COLUMNS.index("band")
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    limits = [group.column(band).statistics for group in groups]
    assert all(each.min == each.max for each in limits)
    assert [group.num_rows for group in groups] == [2, 1, 3, 3, 2, 1]
    flagged = read(made, filters=[("band", "=", "flagged")]).to_pylist()
    assert [row["path"] for row in flagged] == ["in/a.png"]
    assert facts.metadata[b"run"].decode() == made.context.run_id


def test_beside_the_csv_and_in_run_json(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    made = replace(report(*ROWS), parquet=True)
    write_report(made, tmp_path / "out")
    assert names_in(tmp_path / "out") == ["run.json", "triage.csv", "triage.html", module.NAME]
    assert f'"parquet": "{module.NAME}"' in (tmp_path / "out" / "run.json").read_text()
    write_report(replace(made, parquet=False), tmp_path / "plain")
    assert module.NAME not in names_in(tmp_path / "plain")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match="pyarrow is not installed") as refused:
        check_parquet()
    assert "parquet" in refused.value.tip
