"""`cxr-edge evaluate` on 312 films against scikit-learn's own figures, computed apart.

Labels come from the folders and scores from the network alone; only the pixels are the runtime's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from cxr_edge.images import decode
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.spec import ModelSpec
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.runtime import Device, load
from cxr_edge.scoring.job import DEFAULT_MODEL
from tests.parity.kermany import FILMS, TEST_A

CLASSES = ("NORMAL", "PNEUMONIA")

# All films of the test folder through the whole command.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not TEST_A.is_dir(), reason=f"no {TEST_A}: these films are not in the checkout"
    ),
]


@pytest.fixture(scope="module")
def labelled() -> list[tuple[Path, int]]:
    """Every film and its class."""
    films = [
        (path, label) for label, name in enumerate(CLASSES) for path in (TEST_A / name).iterdir()
    ]
    assert len(films) == FILMS
    return films


def evaluate(out: Path, *models: str) -> Any:
    """The JSON of the real command."""
    command = [sys.executable, "-c", "from cxr_edge.cli import main; main()", "evaluate"]
    command += [str(TEST_A), "--out", str(out), *(f"--model={model}" for model in models)]
    done = subprocess.run(
        command, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return json.loads((out / "evaluation.json").read_text(encoding="utf-8"))


def test_figures(labelled: list[tuple[Path, int]], tmp_path: Path) -> None:
    """Of the default model; test_evaluations holds the spec of every model against its scores."""
    choice = choose_model(DEFAULT_MODEL)
    spec, runner = choice.spec, load(choice, Device("cpu"))
    pixels = [decode(path.read_bytes(), path.name).pixels for path, _ in labelled]
    images = np.stack([to_network_input(without_border(plane), spec.size) for plane in pixels])
    scores = np.concatenate([runner.predict(part).probability for part in np.split(images, 6)])
    # Computed with and decided on as reports print them.
    scores = scores.astype(np.float64).round(6)
    truth = np.array([label for _, label in labelled])

    (found,) = evaluate(tmp_path / "out", spec.name)["models"]
    assert found["auc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-9)
    precision = metrics.average_precision_score(truth, scores)
    assert found["average_precision"] == pytest.approx(precision, abs=1e-9)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(truth, scores), abs=1e-9)
    inside = scores.clip(5e-7, 1 - 5e-7)  # as much as a printed 0 or 1 says
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, inside), abs=1e-9)
    assert {point["name"] for point in found["points"]} == set(spec.operating_points)
    for point in found["points"]:
        flagged = scores >= spec.operating_points[point["name"]].threshold
        (tn, fp), (fn, tp) = metrics.confusion_matrix(truth, flagged).tolist()
        assert list(point["confusion"].values()) == [tp, fn, fp, tn]
        assert point["accuracy"]["value"] == metrics.accuracy_score(truth, flagged)
        assert point["sensitivity"]["value"] == metrics.recall_score(truth, flagged)
        assert point["specificity"]["value"] == metrics.recall_score(truth, flagged, pos_label=0)
        report = metrics.classification_report(
            truth, flagged, target_names=CLASSES, output_dict=True
        )
        for line in point["report"]:
            if line["name"] in report:
                theirs = report[line["name"]]
                assert line["f1"] == pytest.approx(theirs["f1-score"], abs=1e-12)
                assert line["precision"] == pytest.approx(theirs["precision"], abs=1e-12)
                assert line["support"] == theirs["support"]
        assert {line["name"] for line in point["report"]} >= set(CLASSES)
    assert_as_the_spec_says(found, spec)


def assert_as_the_spec_says(found: Any, spec: ModelSpec) -> None:
    """What the card prints was computed by Keras, at export."""
    (told,) = spec.evaluations
    for key in ("value", "low", "high"):
        assert found["auc"][key] == pytest.approx(getattr(told.auc, key), abs=2e-4), key
    for point in found["points"]:
        theirs = told.operating_points[point["name"]]
        for figure in ("accuracy", "sensitivity", "specificity"):
            assert point[figure]["value"] == getattr(theirs, figure).value
            assert point[figure]["n"] == getattr(theirs, figure).n
            # The card takes films for independent, `evaluate` knows who has several.
            assert point[figure]["low"] < getattr(theirs, figure).low
            assert point[figure]["high"] > getattr(theirs, figure).high
