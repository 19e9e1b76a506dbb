"""`cxr-edge results` and `score --results`: each film of the run once, in its own study."""

from __future__ import annotations

import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from cxr_edge.runtime import Runner
from cxr_edge.runtime.batches import predict
from cxr_edge.types import Predictions
from tests.cli.conftest import Outcome, Run
from tests.cli.reports import csv_rows
from tests.factories import chest, write_tree
from tests.hospital.studies import FLAGGED, PLANTED, complaints, study
from tests.images.films import png

pytestmark = pytest.mark.filterwarnings("ignore:The value length")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """One flagged study, one that is not, one doubted, one cut, and a film without a header."""
    return write_tree(
        tmp_path / "in",
        {
            "0.dcm": study(0, chest(tilt=FLAGGED)),
            "1.dcm": study(1),
            "2.dcm": study(2, chest(tilt=FLAGGED), PatientAge="040Y"),
            "3.dcm": study(3)[:-500],
            "4.png": png(chest()),
        },
    )


@pytest.fixture
def scored(run: Run, studies: Path, tiny: Path, tmp_path: Path) -> Path:
    out = tmp_path / "report"
    assert run("score", studies, "--model", tiny, "--out", out, "-q").code == 3
    return out


def contents(folder: Path) -> dict[str, bytes]:
    found = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}


def objects(folder: Path) -> list[Dataset]:
    return [dcmread(io.BytesIO(data)) for data in contents(folder).values()]


def measured(item: Dataset) -> float:
    """The one figure of a report; 0 where there is none."""
    if item.get("ValueType") == "NUM":
        return float(item.MeasuredValueSequence[0].NumericValue)
    return sum(map(measured, item.get("ContentSequence", [])))


def last_line(outcome: Outcome) -> str:
    return outcome.err.splitlines()[-1]


def test_every_film_with_a_header_gets_its_result(
    run: Run, scored: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    wanted = ("--secondary-capture", "all", "--key-object", "--hl7", tmp_path / "hl7")
    made = run("results", "--out", out, "--model", tiny, *wanted)
    assert made.code == 0, made.err
    assert last_line(made) == (
        f"4 reports, 3 captures, 2 key objects, 4 HL7 messages in 4 studies: {out}; none for 1 "
        "without a DICOM header of a film"
    )
    assert len(list((tmp_path / "hl7").glob("*.hl7"))) == 4
    assert all(complaints(path) == "" for path in out.rglob("*.dcm"))
    assert not any(planted in made.err + made.out for planted in PLANTED)
    names = "".join(contents(out))
    assert not any(planted in names for planted in PLANTED)


@pytest.mark.filterwarnings("ignore:The PN component length")
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_films_that_cannot_be_filed_are_counted_apart(run: Run, tiny: Path, tmp_path: Path) -> None:
    films = {
        "good.dcm": study(2, PatientName="YAMADA^TARO=山田\u3000太郎", StudyTime="10"),
        "zero.dcm": study(1, StudyInstanceUID="1.2.840.0113619.1"),
        "long.dcm": study(3, PatientName="X" * 65),
        "control.dcm": study(5, PatientID="A\x07B"),
        "without.png": png(chest()),
    }
    score = ("score", write_tree(tmp_path / "one", films), "--model", tiny, "-q")
    assert run(*score, "--out", tmp_path / "report").code == 0
    made = run("results", "--out", tmp_path / "results")
    assert last_line(made).endswith(
        "none for 1 without a DICOM header of a film, 3 whose UIDs, patient name or ID cannot be "
        "repeated exactly"
    )
    (report,) = objects(tmp_path / "results")
    assert report.PatientName == "YAMADA^TARO=山田\u3000太郎"


def test_reports_say_what_the_csv_says(run: Run, scored: Path, tmp_path: Path) -> None:
    assert run("results", "--out", tmp_path / "results", "-q").code == 0
    rows = {row["path"]: row for row in csv_rows(scored)}
    reports = {r.PatientID: r for r in objects(tmp_path / "results")}
    assert len(reports) == 4
    for number in range(4):
        row, report = rows[f"{number}.dcm"], reports[f"PLANTED-ID-{number}"]
        said = report.to_json()
        assert row["probability"] in said
        assert float(row["probability"] or 0) == measured(report)
        assert row["band"] in report.SeriesDescription.lower().replace("no flag", "unflagged")


def test_again_is_the_same_to_the_last_byte(
    run: Run, scored: Path, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    """From the same run, and from the next one over the same films."""
    wanted = ("--secondary-capture", "flagged", "--model", tiny, "-q")
    assert run("results", "--out", tmp_path / "a", *wanted).code == 0
    first = contents(tmp_path / "a")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.dcm")}
    assert run("results", "--out", tmp_path / "a", *wanted).code == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    again = ("score", studies, "--model", tiny, "--out", tmp_path / "second", "-q")
    assert run(*again).code == 3
    assert run("results", "--out", tmp_path / "b", "--all", *wanted).code == 0
    assert contents(tmp_path / "b") == first


def test_films_of_yesterday_have_their_results(
    run: Run, scored: Path, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    (studies / "5.dcm").write_bytes(study(5))
    (studies / "3.dcm").write_bytes(study(3))  # the copy has come to its end
    night = ("score", studies, "--model", tiny, "--out", tmp_path / "second", "-q")
    assert run(*night).code == 0
    made = run("results", "--out", tmp_path / "results")
    assert "2 reports in 2 studies" in made.err
    assert "4 not new" in made.err
    found = {each.PatientID for each in objects(tmp_path / "results")}
    assert found == {"PLANTED-ID-3", "PLANTED-ID-5"}


def test_a_film_that_had_no_score_yesterday_gets_its_result_today(
    run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    """The same bytes, and another outcome; the one that is cut is cut on both days."""

    def no_numbers(runner: Runner, films: NDArray[np.uint8]) -> Predictions:
        nothing = np.full(len(films), np.nan, np.float32)
        return replace(predict(runner, films), probability=nothing)

    score = ("score", studies, "--model", tiny, "-q", "--out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxr_edge.engines.forward_passes.predict", no_numbers)
        assert run(*score, tmp_path / "first").code == 3
    reasons = sorted(row["reason"] for row in csv_rows(tmp_path / "first"))
    assert reasons == ["bad_output"] * 4 + ["truncated"]
    assert run(*score, tmp_path / "second").code == 3
    made = run("results", "--out", tmp_path / "results")
    assert "3 reports in 3 studies" in made.err, made.err


def test_what_has_changed_since_gets_none(
    run: Run, scored: Path, studies: Path, tmp_path: Path
) -> None:
    (studies / "0.dcm").write_bytes(study(9))
    (studies / "1.dcm").unlink()
    made = run("results", "--out", tmp_path / "results")
    assert "2 gone, changed or unreadable" in made.err


def predecessors(folder: Path) -> dict[str, str]:
    """SOP Instance UID of each report, and that of the one it takes the place of."""
    found = {}
    for report in objects(folder):
        before = report.get("PredecessorDocumentsSequence", [])
        named = [
            s for d in before for r in d.ReferencedSeriesSequence for s in r.ReferencedSOPSequence
        ]
        found[report.SOPInstanceUID] = named[0].ReferencedSOPInstanceUID if named else ""
    return found


def test_a_changed_result_names_the_one_before_it(
    run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    """One that says again what was said first takes the place of what came between."""
    write_tree(tmp_path / "one", {"0.dcm": study(0)})
    score = ("score", tmp_path / "one", "--model", tiny, "-q")
    ids = []
    for number, threshold in enumerate(("0.5", "0.6", "0.5", "0.5")):
        out = tmp_path / f"report-{number}"
        assert run(*score, "--threshold", threshold, "--out", out).code == 0
        assert run("results", "--all", "--out", out / "results", "-q").code == 0
        ids.append(json.loads((out / "run.json").read_text(encoding="utf-8"))["run"])
    made = [contents(tmp_path / f"report-{n}" / "results") for n in range(4)]
    first, second, third, _ = (predecessors(tmp_path / f"report-{n}" / "results") for n in range(4))
    assert list(first.values()) == [""]
    assert list(second.values()) == list(first)
    assert list(third.values()) == list(second)
    assert first.keys() != third.keys()
    assert made[2] == made[3]
    for number, name in enumerate(ids):
        again = tmp_path / f"again-{number}"
        assert run("results", name, "--all", "--out", again, "-q").code == 0
        assert contents(again) == made[number]
    (report,) = (tmp_path / "report-2" / "results").rglob("*.dcm")
    assert complaints(report) == ""


@pytest.mark.slow  # a dozen runs
def test_results_among_films_are_none(
    run: Run, scored: Path, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    """An archive sends back what it has got: three times, and nothing more comes of it."""
    wanted = ("--secondary-capture", "all", "--key-object", "--model", tiny, "-q")
    assert run("results", "--out", tmp_path / "results", *wanted).code == 0
    first = contents(tmp_path / "results")
    for loop in range(3):
        for number, data in enumerate(contents(tmp_path / "results").values()):
            (studies / f"back-{loop}-{number}.dcm").write_bytes(data)
        out = tmp_path / f"report-{loop}"
        assert run("score", studies, "--model", tiny, "--out", out, "-q").code == 3
        back = [row for row in csv_rows(out) if row["path"].startswith("back-")]
        assert len(back) == len(first) * (loop + 1)
        assert {(row["band"], row["format"]) for row in back} == {("other", "cxr-edge result")}
        assert run("results", "--out", tmp_path / "results", "--all", *wanted).code == 0
        assert contents(tmp_path / "results") == first


def test_score_writes_them_below_its_report(
    run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    wanted = ("--results", "--sr", "basic-text", "--secondary-capture", "flagged")
    made = run("score", studies, "--model", tiny, "--out", out, *wanted)
    assert made.code == 3
    assert last_line(made).startswith(f"4 reports, 2 captures in 4 studies: {out / 'results'}")
    classes = {each.SOPClassUID for each in objects(out / "results")}
    assert classes == {"1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.7"}


def test_the_default_folder_lies_below_the_report(
    run: Run, studies: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("score", studies, "--model", tiny, "-q").code == 3
    assert run("results", "-q").code == 0
    (out,) = (tmp_path / "reports").glob("2*/results")
    assert len(contents(out)) == 4


def test_another_model_makes_no_map(
    run: Run, scored: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results"
    refused = run("results", "--out", out, "--secondary-capture", "all", "--model", "cnn3_128")
    assert refused.code == 4
    assert "is not the file that scored run" in refused.err
    assert not out.exists()


def test_without_the_extra_nothing_begins(
    run: Run, studies: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = run("score", studies, "--model", tiny, "--out", tmp_path / "report", "--results")
    assert refused.code == 2
    assert "highdicom is not installed" in refused.err
    assert "[hospital]" in refused.err
    assert not (tmp_path / "report").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(run: Run, scored: Path, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(0o500)
    refused = run("results", "--out", shut / "results")
    assert refused.code == 1
    assert "results could not be written" in refused.err


def test_a_file_in_the_place_of_the_folder(run: Run, scored: Path, tmp_path: Path) -> None:
    (tmp_path / "results").write_bytes(b"")
    refused = run("results", "--out", tmp_path / "results" / "tonight")
    assert refused.code == 1
    assert "results could not be written" in refused.err


def test_the_ledger_is_enough(run: Run, scored: Path, tmp_path: Path) -> None:
    shutil.rmtree(scored)
    assert run("results", "--out", tmp_path / "results", "-q").code == 0
    assert len(contents(tmp_path / "results")) == 4


@pytest.mark.slow  # four runs
def test_the_run_of_a_study_answers_what_nobody_has_answered(
    run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    state = ("--state", tmp_path / "state")
    score = ("score", studies, "--model", tiny, "--study", "--results", "-q", *state)
    assert run(*score, "--out", tmp_path / "1").code == 3
    assert len(contents(tmp_path / "1/results")) == 4
    (studies / "5.dcm").write_bytes(study(5))
    assert (
        run("score", studies, "--model", tiny, "--study", "-q", "--out", tmp_path / "2").code == 3
    )
    assert run(*score, "--out", tmp_path / "3").code == 3  # the run before has made none
    assert [r.PatientID for r in objects(tmp_path / "3/results")] == ["PLANTED-ID-5"]
    assert run(*score, "--out", tmp_path / "4").code == 3
    assert not (tmp_path / "4/results").exists() or not contents(tmp_path / "4/results")


def test_options_of_results_without_them(run: Run, studies: Path, tiny: Path) -> None:
    refused = run("score", studies, "--model", tiny, "--key-object")
    assert refused.code == 2
    assert "without --results" in refused.err


def test_patients_and_orders_in_one_study_are_never_mixed(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    """Two patients, one of them under two accession numbers, and two without any ID."""
    films: dict[str, dict[str, Any]] = {
        "a": {"PatientID": "A"},
        "b": {"PatientID": "B", "AccessionNumber": "ONE"},
        "c": {"PatientID": "B", "AccessionNumber": "TWO"},
        "d": {"PatientID": "A", "IssuerOfPatientID": "ELSEWHERE"},
        "e": {"PatientID": "", "PatientName": "Plain^E"},
        "f": {"PatientID": "", "PatientName": "Plain^F"},
    }
    tree = {
        f"{name}.dcm": study(1, StudyInstanceUID="1.2.3", SOPInstanceUID=f"1.2.3.{n}", **elements)
        for n, (name, elements) in enumerate(films.items(), start=1)
    }
    score = ("score", write_tree(tmp_path / "one", tree), "--model", tiny, "-q")
    assert run(*score, "--out", tmp_path / "report").code == 0
    out, hl7 = tmp_path / "results", tmp_path / "hl7"
    made = run("results", "--out", out, "--hl7", hl7)
    assert "6 reports, 6 HL7 messages in 5 studies" in made.err
    for message in hl7.glob("*.hl7"):
        segments = message.read_text(encoding="utf-8").replace("\r", "\n").splitlines()
        assert len([each for each in segments if "FILM^film^L" in each]) == 1
    whose = {(r.PatientID, r.IssuerOfPatientID, r.PatientName) for r in objects(out)}
    assert len(whose) == len({report.SeriesInstanceUID for report in objects(out)}) == 5


def test_results_go_into_a_folder(run: Run, studies: Path, tiny: Path) -> None:
    refused = run("score", studies, "--model", tiny, "--out", "s3://bucket/report", "--results")
    assert refused.code == 2
    assert "--results writes into a folder" in refused.err


def test_a_second_time_nothing_is_new_and_the_way_out_is_named(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    films = write_tree(tmp_path / "one", {"film.dcm": study(1)})
    for name in ("first", "second"):
        assert run("score", films, "--model", tiny, "-q", "--out", tmp_path / name).code == 0
    made = run("results", "--out", tmp_path / "results")
    assert last_line(made) == "no results; none for 1 not new (--all)"
