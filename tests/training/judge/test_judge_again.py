"""A finished run judged through the preprocessing of today."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cxr_edge.errors import ExportError, InputError
from cxr_edge.evaluate.job import Labels
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_export.source import load_source
from cxr_training.films.data import LabelledFile, find_labelled
from cxr_training.fit.run import PREDICTIONS_FILE
from cxr_training.fit.teachers import load_teachers
from cxr_training.judge.judge_again import job_of, judge_again
from cxr_training.support.writing import write_table
from tests.training.helpers import command_line, saves_keras_variables, table

pytestmark = saves_keras_variables

JUDGED = (PREDICTIONS_FILE, "classification_report.txt")


@pytest.fixture
def old(finished: Path, tmp_path: Path) -> Path:
    """The finished run as if it were of the first preprocessing, with scores of other pixels."""
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    described = json.loads((folder / "run.json").read_text())
    del described["preprocessing_version"]
    described["metrics"]["auc"] = 0.5
    described["operating_points"]["screening"]["threshold"] = 0.123
    (folder / "run.json").write_text(json.dumps(described))
    (folder / "classification_report.txt").write_text("of other pixels")
    rows = [{**row, "probability": "0.5", "logit": "0"} for row in table(folder / PREDICTIONS_FILE)]
    write_table(folder / PREDICTIONS_FILE, rows)
    return folder


def test_it_says_what_a_run_of_today_says(old: Path, finished: Path, films: Path) -> None:
    before = json.loads((finished / "run.json").read_text())
    assert judge_again(old, films) == json.loads((old / "run.json").read_text())
    after = json.loads((old / "run.json").read_text())
    assert after.pop("trained_preprocessing_version") == 1
    assert after == before
    for name in JUDGED:
        assert (old / name).read_bytes() == (finished / name).read_bytes()


@pytest.mark.slow
def test_then_it_exports_and_teaches_nobody(old: Path, films: Path) -> None:
    with pytest.raises(ExportError, match="its thresholds are about other pixels") as refused:
        load_source(old)
    assert "cxr-edge runs judge-again" in refused.value.tip
    judge_again(old, films)
    assert load_source(old).run is not None
    (teacher,) = load_teachers([old], 0.5).members
    assert teacher.preprocessing_version == 1 < PREPROCESSING_VERSION
    judge_again(old, films)  # what it learnt from is not forgotten by a second time
    assert load_teachers([old], 0.5).members[0].preprocessing_version == 1


def test_a_split_of_another_seed_is_found_again(old: Path, films: Path) -> None:
    _, split = job_of(old, films)
    described = json.loads((old / "run.json").read_text())
    described["recipe"] |= {"split_seed": described["seed"], "seed": 7}
    (old / "run.json").write_text(json.dumps(described))
    assert job_of(old, films)[1].validation.files == split.validation.files


def test_other_films_judge_nothing(old: Path, films: Path, tmp_path: Path) -> None:
    fewer = Path(shutil.copytree(films, tmp_path / "fewer"))
    sorted((fewer / "NORMAL").glob("*.jpeg"))[0].unlink()
    kept = {name: (old / name).read_bytes() for name in ("run.json", *JUDGED)}
    with pytest.raises(InputError, match="fewer holds other films than"):
        judge_again(old, fewer)
    assert kept == {name: (old / name).read_bytes() for name in kept}


def test_other_patients_judge_nothing(old: Path, films: Path, tmp_path: Path) -> None:
    """Whom a table joins may have been on both sides of the run's split."""
    lines = [f"{f.name},{f.label},{f.path.suffix}{i % 20}" for i, f in enumerate(labelled(films))]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,patient", *lines]))
    with pytest.raises(InputError, match="was validated on other films") as refused:
        judge_again(old, films, Labels(tmp_path / "labels.csv"))
    assert "--patients-from-header" in refused.value.tip


def labelled(films: Path) -> list[LabelledFile]:
    return [file for file in find_labelled(films) if "broken" not in file.name]


def test_the_command_prints_the_operating_points(
    old: Path, films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(monkeypatch, "runs", "judge-again", old, films) == 0
    described = json.loads((old / "run.json").read_text())
    assert json.loads(capsys.readouterr().out) == described["operating_points"]
