"""`cxr-edge evaluate`, from the command line to the folder of figures."""

from __future__ import annotations

import csv
import json
import re
import shlex
import signal
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from cxr_edge.cli.evaluate import evaluate
from cxr_edge.engines import forward_passes
from cxr_edge.evaluate.job import EvaluateJob
from cxr_edge.model.site_profile import load_profile
from tests.cli.conftest import Run
from tests.factories import chest, names_in, write_tree
from tests.images.films import png
from tests.tiny import write_tiny

# What is drawn has tests of its own, as the forest has; test_devices evaluates with pictures.
pytestmark = pytest.mark.usefixtures("undrawn", "few_trees")

FILES = ["evaluation.html", "evaluation.json", "films.csv"]


def films_of(tilts: dict[str, float], folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}.png": png(chest(tilt=tilt)) for name, tilt in tilts.items()}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Twelve films; the tiny model flags what is bright on the left, and is wrong twice."""
    ill = {f"person{n}_virus_{n}": -110.0 + n for n in range(5)} | {"person9_virus_9": 110.0}
    well = {f"IM-000{n}-0001": 100.0 + n for n in range(5)} | {"IM-0009-0001": -100.0}
    return write_tree(
        tmp_path / "films", {**films_of(ill, "PNEUMONIA"), **films_of(well, "NORMAL")}
    )


def more(folder: Path) -> None:
    """Patients enough for an interval."""
    ill = {f"person{n}_virus_{n}": -125.5 + n for n in range(20, 26)}
    well = {f"IM-01{n}-0001": 90.5 + n for n in range(10, 16)}
    write_tree(folder, {**films_of(ill, "PNEUMONIA"), **films_of(well, "NORMAL")})


def figures(out: Path) -> Any:
    return json.loads((out / "evaluation.json").read_text(encoding="utf-8"))


def table(out: Path) -> list[dict[str, str]]:
    with (out / "films.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_figures_are_those_of_scikit_learn(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    more(labelled)
    outcome = run("evaluate", labelled, "--model", tiny, "--out", out, "--prevalence", "0.1")
    assert (outcome.code, outcome.out) == (0, "")
    assert names_in(out) == FILES
    rows = table(out)
    label = np.array([row["label"] == "PNEUMONIA" for row in rows])
    probability = np.array([float(row["probability"]) for row in rows])
    (model,) = figures(out)["models"]
    assert model["auc"]["value"] == pytest.approx(roc_auc_score(label, probability), abs=1e-12)
    for point in model["points"]:
        (tn, fp), (fn, tp) = confusion_matrix(label, probability >= point["threshold"]).tolist()
        assert list(point["confusion"].values()) == [tp, fn, fp, tn]
        assert point["at_prevalence"]["prevalence"] == 0.1
    assert {film["result"]["path"] for film in model["missed"]} == {"PNEUMONIA/person9_virus_9.png"}
    assert {f["result"]["path"] for f in model["false_alarms"]} == {"NORMAL/IM-0009-0001.png"}
    assert f"{model['auc']['value']:.3f}" in outcome.err
    assert str(out / "evaluation.html") in outcome.err
    assert "data:image/jpeg" not in (out / "evaluation.html").read_text(encoding="utf-8")


def test_a_film_that_cannot_be_scored_is_listed_and_counted(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    write_tree(labelled, {"PNEUMONIA/cut.png": png(chest())[:-20]})
    outcome = run("evaluate", labelled, "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 3
    (model,) = figures(tmp_path / "out")["models"]
    assert [film["result"]["reason"] for film in model["not_scored"]] == ["truncated"]
    assert len(table(tmp_path / "out")) == 13


def test_labels_from_a_table(run: Run, labelled: Path, tiny: Path, tmp_path: Path) -> None:
    lines = ["path,label,patient"]
    lines += [f"NORMAL/{name},0,a" for name in names_in(labelled / "NORMAL")]
    lines += [f"PNEUMONIA/{name},1,{n}" for n, name in enumerate(names_in(labelled / "PNEUMONIA"))]
    (tmp_path / "labels.csv").write_text("\n".join(lines[:-1]))
    options = ("--labels", tmp_path / "labels.csv", "--out", tmp_path / "out", "-q")
    assert run("evaluate", labelled, "--model", tiny, *options).code == 0
    told = figures(tmp_path / "out")["films"]
    assert told["counts"] == {"NORMAL": 6, "PNEUMONIA": 5}
    assert told["unlabelled"] == [lines[-1].split(",")[0]]
    assert told["patients"] == 6


def test_other_class_names(run: Run, labelled: Path, tiny: Path, tmp_path: Path) -> None:
    (labelled / "NORMAL").rename(labelled / "clear")
    (labelled / "PNEUMONIA").rename(labelled / "consolidation")
    options = ("--positive", "consolidation", "--out", tmp_path / "out", "-q")
    assert run("evaluate", labelled, "--model", tiny, *options).code == 0
    assert figures(tmp_path / "out")["films"]["classes"] == ["clear", "consolidation"]


def test_two_models_are_compared(run: Run, labelled: Path, tiny: Path, tmp_path: Path) -> None:
    points = {"screening": 0.9, "balanced": 0.95}

    def stricter(values: dict[str, Any]) -> None:
        values["name"] = "other"
        for name, threshold in points.items():
            values["operating_points"][name]["threshold"] = threshold

    other = write_tiny(tmp_path / "other", spec=stricter)
    more(labelled)
    options = ("--model", tiny, "--model", other, "--out", tmp_path / "out", "--thumbnails")
    assert run("evaluate", labelled, *options).code == 0
    told = figures(tmp_path / "out")
    assert [model["spec"]["name"] for model in told["models"]] == ["tiny", "other"]
    assert told["comparison"]["difference"]["value"] == 0.0
    assert len(table(tmp_path / "out")) == 48
    page = (tmp_path / "out/evaluation.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in page, "films are shown when asked for"


def test_a_proposed_threshold_is_one_that_score_takes(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    """By the command that is printed, with the folder of the night put in; more films judge it."""
    out = tmp_path / "a folder" / "out"
    more(labelled)
    propose = ("--propose-threshold", "sensitivity=0.8", "--out", out)
    proposed = run("evaluate", labelled, "--model", tiny, *propose)
    assert proposed.code == 0
    assert names_in(out) == sorted([*FILES, "site-profile.json"])
    profile = load_profile(out / "site-profile.json")
    assert profile.point.sensitivity.value == pytest.approx(10 / 12)
    assert profile.point.sensitivity.n == 12
    use = ("--model", tiny, "--site-profile", out / "site-profile.json", "-q")
    again = run("evaluate", labelled, *use, "--out", tmp_path / "same")
    assert (again.code, (tmp_path / "same").exists()) == (2, False)
    assert "chose the threshold of this site profile" in again.err
    (line,) = (line for line in proposed.err.splitlines() if line.startswith("use it: "))
    _, *command = shlex.split(line.removeprefix("use it: "))
    command[command.index("INCOMING")] = str(labelled)
    assert run(*command, "--out", tmp_path / "night", "-q").code == 0
    told = json.loads((tmp_path / "night/run.json").read_text())
    assert told["operating_point"] == {"name": "site", "threshold": profile.point.threshold}
    write_tree(labelled, films_of({"person77_virus_7": -111.0}, "PNEUMONIA"))
    assert run("evaluate", labelled, *use, "--out", tmp_path / "again").code == 0
    first = figures(tmp_path / "again")["models"][0]["points"][0]
    assert (first["name"], first["threshold"]) == ("site", profile.point.threshold)
    assert first["sensitivity"]["n"] == 13


def test_too_few_films_choose_no_threshold(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    """Patients, that is: another film of one of them is not another."""
    out = tmp_path / "out"
    write_tree(labelled, films_of({f"person1_virus_{n}": 90.0 + n for n in range(60)}, "PNEUMONIA"))
    goal = ("--propose-threshold", "sensitivity=0.5")
    outcome = run("evaluate", labelled, "--model", tiny, *goal, "--out", out)
    assert (outcome.code, out.exists()) == (2, False)
    assert "6 PNEUMONIA and 6 NORMAL patients cannot choose" in outcome.err


def test_films_that_cannot_be_read_choose_no_threshold(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    """A set that was copied halfway: its figures are written all the same."""
    out = tmp_path / "out"
    more(labelled)
    write_tree(labelled, {f"PNEUMONIA/person{n}_virus_1.png": b"cut" for n in range(90, 130)})
    goal = ("--propose-threshold", "sensitivity=0.98", "--out", out)
    outcome = run("evaluate", labelled, "--model", tiny, *goal)
    assert (outcome.code, names_in(out)) == (2, FILES)
    assert "12 PNEUMONIA and 12 NORMAL patients cannot choose" in outcome.err


def test_one_model_is_not_compared_with_itself(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    again = write_tiny(tmp_path / "again")
    outcome = run("evaluate", labelled, "--model", tiny, "--model", again)
    assert outcome.code == 2
    assert "are the same file" in outcome.err


def test_figures_among_the_films_would_be_films(run: Run, labelled: Path, tiny: Path) -> None:
    outcome = run("evaluate", labelled, "--model", tiny, "--out", labelled / "out")
    assert (outcome.code, (labelled / "out").exists()) == (2, False)
    assert "--out lies inside" in outcome.err


def test_one_class(run: Run, labelled: Path, tiny: Path, tmp_path: Path) -> None:
    """What can be computed is; what cannot says so; nothing is NaN."""
    for path in (labelled / "NORMAL").iterdir():
        path.unlink()
    outcome = run("evaluate", labelled, "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 0
    assert "cannot be computed" in outcome.err
    text = "".join((tmp_path / "out" / name).read_text() for name in names_in(tmp_path / "out"))
    said = outcome.err + re.sub('base64,[^"]*', "", text)  # any word may come up in a picture
    assert not re.search(r"\b(NaN|nan|inf|Infinity|None)\b", said)
    (model,) = figures(tmp_path / "out")["models"]
    assert (model["auc"], model["roc"]) == (None, None)
    assert model["points"][0]["sensitivity"] is not None
    assert model["points"][0]["specificity"] is None


def test_contradicting_labels_are_refused(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    film = labelled / "PNEUMONIA/person1_virus_1.png"
    write_tree(labelled, {"NORMAL/same.png": film.read_bytes()})
    outcome = run("evaluate", labelled, "--model", tiny, "--out", tmp_path / "out")
    assert (outcome.code, (tmp_path / "out").exists()) == (2, False)
    assert "NORMAL/same.png" in outcome.err
    assert "PNEUMONIA/person1_virus_1.png" in outcome.err


USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "three models": (("--model", "a", "--model", "b", "--model", "c"), "3 models"),
    "a model twice": (("--model", "a", "--model", "a"), "given twice"),
    "a threshold for two": (
        ("--model", "a", "--model", "b", "--propose-threshold", "sensitivity=0.9"),
        "one model",
    ),
    "no prevalence": (("--prevalence", "1"), "between 0 and 1"),
    "prevalence nan": (("--prevalence", "nan"), "between 0 and 1"),
    "another goal": (("--propose-threshold", "specificity=0.9"), "sensitivity=0.98"),
    "no number": (("--propose-threshold", "sensitivity=high"), "sensitivity=0.98"),
    "nan": (("--propose-threshold", "sensitivity=nan"), "sensitivity=0.98"),
    "too much": (("--propose-threshold", "sensitivity=98"), "sensitivity=0.98"),
    "no such model": (("--model", "nowhere.onnx"), "no model"),
    "no such device": (("--device", "tpu"), "tpu"),
    "no labels": (("--labels", "nowhere.csv"), "nowhere.csv"),
    "no profile": (("--site-profile", "nowhere.json"), "nowhere.json"),
}


@pytest.mark.parametrize(("options", "said"), USAGE.values(), ids=USAGE)
def test_usage(options: tuple[str, ...], said: str, run: Run, labelled: Path, bundle: Path) -> None:
    model = () if "--model" in options else ("--model", "tiny")
    outcome = run("evaluate", labelled, *model, *options)
    assert outcome.code in (2, 4)
    assert said in outcome.err
    assert not Path("evaluations").exists()


def test_a_folder_that_is_there_is_never_overwritten(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path
) -> None:
    write_tree(tmp_path / "out", {"mine": b""})
    assert run("evaluate", labelled, "--model", tiny, "--out", tmp_path / "out").code == 2
    assert names_in(tmp_path / "out") == ["mine"]


def test_a_signal_ends_it_with_nothing_written(
    run: Run, labelled: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = forward_passes.predict

    once = iter([signal.SIGTERM])

    def interrupted(*arguments: Any) -> Any:
        for number in once:  # a second one would end it at once
            signal.raise_signal(number)
        return real(*arguments)

    monkeypatch.setattr(forward_passes, "predict", interrupted)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    outcome = run("evaluate", labelled, "--model", tiny, "--out", tmp_path / "out")
    assert outcome.code == 143
    assert "no figures were written" in outcome.err
    assert not (tmp_path / "out").exists()
    assert names_in(tmp_path / "scratch") == []


def test_a_kill_would_leave_no_name_of_a_film(
    run: Run,
    labelled: Path,
    tiny: Path,
    tmp_path: Path,
    own_state: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even while it runs is anything in the temporary folder: here is none. Nor a ledger."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert run("evaluate", labelled, "--model", tiny, "--out", tmp_path / "out", "-q").code == 0
    assert not own_state.exists()


def test_the_job_is_one_field_per_option() -> None:
    of_labels = {"positive", "patients_from_header"}  # beside the table, which is `labels`
    options = {parameter.name for parameter in evaluate.params} - {"quiet", "config"} - of_labels
    assert {field.name for field in fields(EvaluateJob)} == options | {"command"}
