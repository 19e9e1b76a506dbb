"""`train`, `explore`, `runs` and `export` hand over to packages that are imported only then."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from tests.cli.conftest import Run
from tests.tiny import file_entry


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Stand-ins for the packages, which remember what they were asked."""
    made: list[Any] = []

    def stand_in(name: str, **members: Any) -> None:
        module = ModuleType(name)
        vars(module).update(members, __path__=[])
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)

    def recipe(*names: str) -> SimpleNamespace:
        return SimpleNamespace(names=names, with_weights=lambda weights: (*names, "with", weights))

    entry = file_entry(b"x" * 1_234_567)
    exported = SimpleNamespace(
        **{**entry, "parity": SimpleNamespace(**entry["parity"])},
    )
    for folder in ("", ".explore", ".fit", ".judge", ".recipe", ".support"):
        stand_in(f"cxr_training{folder}")
    stand_in("cxr_training.support.memory", keep_freed_memory=lambda: None)
    stand_in("cxr_training.recipe.recipe", load_recipe=recipe)
    stand_in("cxr_training.recipe.shipped", check_network=lambda name: None)
    stand_in(
        "cxr_training.fit.training",
        TrainingJob=lambda *parts, teachers, labels: (*parts, teachers, labels),
        train=lambda job: made.append(job) or SimpleNamespace(path=job[2]),
    )
    stand_in("cxr_training.explore.page", explore=lambda *parts: made.append(parts))
    stand_in(
        "cxr_training.judge.judge_again",
        judge_again=lambda *parts: made.append(parts) or {"operating_points": {"screening": 0.1}},
    )
    for tool in ("changed_copies", "reproduction"):
        stand_in(
            f"cxr_training.judge.{tool}",
            rows=lambda *parts: made.append(parts) or iter(["| a |", "| b |"]),
        )
    stand_in("cxr_export")
    stand_in(
        "cxr_export.export",
        ExportJob=lambda **parts: parts,
        export=lambda job: (
            made.append(job) or SimpleNamespace(files={"onnx": exported}, operating_points={})
        ),
    )
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    monkeypatch.chdir(tmp_path)
    return made


def test_train(run: Run, calls: list[Any]) -> None:
    made = run("train", "cnn3_50", "--data", ".", "--out", "runs/x")
    assert (made.code, made.out, made.err) == (0, "", "run complete: runs/x\n")
    ((recipe, data, out, teachers, labels),) = calls
    assert (recipe.names, data, out) == (("cnn3_50", "tuned"), Path(), Path("runs/x"))
    assert (teachers, labels) == ((), FOLDER_NAMES)


def test_train_with_teachers(run: Run, calls: list[Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    arguments = ["--data", ".", "--out", "x", "--teacher", "a", "--teacher", "b"]
    assert run("train", "cnn3_128", *arguments).code == 0
    assert calls[0][3] == (Path("a"), Path("b"))


def test_train_with_other_weights(run: Run, calls: list[Any]) -> None:
    arguments = ["--data", ".", "--out", "x", "--recipe", "report", "--weights", "none"]
    assert run("train", "resnet50v2_50", *arguments).code == 0
    assert calls[0][0] == ("resnet50v2_50", "report", "with", "none")


def test_explore(run: Run, calls: list[Any]) -> None:
    made = run("explore", ".", "--out", "page.html")
    assert (made.code, made.out, made.err) == (0, "", "exploration written: page.html\n")
    assert calls == [(Path(), Path("page.html"), FOLDER_NAMES)]


def test_judging_a_run_again(run: Run, calls: list[Any]) -> None:
    made = run("runs", "judge-again", ".", ".")
    assert (made.code, made.out, made.err) == (0, '{\n  "screening": 0.1\n}\n', "")
    assert calls == [(Path(), Path(), FOLDER_NAMES)]


@pytest.mark.parametrize("command", ["compare", "reproduce"])
def test_tables_of_runs(run: Run, calls: list[Any], command: str) -> None:
    made = run("runs", command, ".", ".", ".")
    assert (made.code, made.out, made.err) == (0, "| a |\n| b |\n", "")
    assert calls == [(Path(), (Path(), Path()), FOLDER_NAMES)]


def test_export(run: Run, calls: list[Any]) -> None:
    made = run("export", ".", "--name", "x", "--calibration", ".", "--out", "m")
    assert (made.code, made.out) == (0, "")
    assert made.err == "tiny.onnx: 1.23 MB, differs from numpy by 0.0e+00 on 5 x-rays\n"
    assert calls == [
        {
            "source": Path(),
            "name": "x",
            "calibration": Path(),
            "out": Path("m"),
            "precision": "float32",
            "measure_speed": False,
            "test": None,
            "out_of_fold": None,
            "measure_reliability": False,
            "version": "0.1.0",
            "population": "",
            "ages": None,
            "views": (),
            "labels": FOLDER_NAMES,
            "test_labels": None,
        }
    ]


def test_export_of_a_model_whose_films_are_known(run: Run, calls: list[Any]) -> None:
    known = ("--population", "adults", "--ages", "18", "90", "--view", "posterior-anterior")
    assert run("export", ".", "--name", "x", "--calibration", ".", "--out", "m", *known).code == 0
    (job,) = calls
    assert (job["population"], job["ages"], job["views"]) == (
        "adults",
        (18.0, 90.0),
        ("posterior-anterior",),
    )


OWN = ("--labels", "own.csv", "--positive", "tb", "--patients-from-header")
WITH_LABELS = {
    "train": ["train", "cnn3_50", "--data", ".", "--out", "x"],
    "explore": ["explore", "."],
    "judge-again": ["runs", "judge-again", ".", "."],
    "compare": ["runs", "compare", ".", "."],
    "reproduce": ["runs", "reproduce", ".", "."],
    "export": ["export", ".", "--name", "x", "--calibration", ".", "--out", "m"],
}


@pytest.mark.parametrize("arguments", WITH_LABELS.values(), ids=WITH_LABELS)
def test_labels_of_own_films_are_handed_over(
    arguments: list[str], run: Run, calls: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "own.csv").touch()
    assert run(*arguments, *OWN).code == 0
    (asked,) = calls
    given = asked["labels"] if isinstance(asked, dict) else asked[-1]
    assert given == Labels(Path("own.csv"), ("tb",), patients_from_header=True)


USAGE = {
    "train without data": ["train", "cnn3_50", "--out", "x"],
    "train on nothing": ["train", "cnn3_50", "--out", "x", "--data", "nowhere"],
    "explore nothing": ["explore", "nowhere"],
    "judge nothing again": ["runs", "judge-again", ".", "nowhere"],
    "compare no run": ["runs", "compare", "."],
    "reproduce no run": ["runs", "reproduce", "."],
    "export nothing": ["export", "nowhere", "--name", "x", "--calibration", ".", "--out", "m"],
    "export as int4": [
        *["export", ".", "--name", "x", "--calibration", ".", "--out", "m"],
        *["--precision", "int4"],
    ],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_usage_error(arguments: list[str], run: Run, calls: list[Any]) -> None:
    assert (run(*arguments).code, calls) == (2, [])
