"""CSV, JSON and the terminal's lines say the same, and never NaN."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from cxr_edge.evaluate.results import Evaluation
from cxr_edge.evaluate.tables import (
    COLUMNS,
    LINE_WIDTH,
    render_csv,
    render_json,
    summary_lines,
)
from cxr_edge.evaluate.words import predictive_text
from cxr_edge.report.context import BANNER
from cxr_edge.types import InputWarning
from tests.evaluate.made import (
    BOTH,
    NEGATIVE_ONLY,
    POSITIVE_ONLY,
    evaluation,
    every_case,
    film,
)


def rows(made: Evaluation) -> list[dict[str, str]]:
    text = b"".join(render_csv(made)).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def refuse(constant: str) -> NoReturn:
    raise AssertionError(constant)


def plain(made: Evaluation) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(render_json(made), parse_constant=refuse)
    return values


def text(made: Evaluation) -> str:
    return " ".join(" ".join(summary_lines(made)).split())


def test_a_line_for_every_model_and_film() -> None:
    made = evaluation(models=2)
    found = rows(made)
    assert [(row["model"], row["path"]) for row in found] == [
        (name, each.result.path)
        for name, model in zip(("tiny0", "tiny1"), made.models, strict=True)
        for each in model.films
    ]
    assert len(found) == 2 * len(BOTH)
    assert found[0] == {
        "model": "tiny0",
        "path": "NORMAL/person0_1.png",
        "label": "NORMAL",
        "patient": "person0",
        "status": "not_scored",
        "reason": "truncated",
        "probability": "",
        "warnings": "",
        "bytes": "2000",
        "width": "64",
        "height": "48",
        "sha256": "0" * 64,
    }
    assert re.fullmatch(r"0\.\d{6}", found[1]["probability"])
    assert found[1]["label"] == "PNEUMONIA"
    assert next(iter(render_csv(made))) == (",".join(COLUMNS) + "\n").encode()


def test_formulas_are_defused_and_lists_joined() -> None:
    odd = film(
        1,
        1,
        0.5,
        path='=HYPERLINK("x")',
        warnings=(InputWarning.ASPECT, InputWarning.BLANK),
    )
    made = evaluation()
    classes = ("NORMAL", "+ill")
    made = replace(
        made,
        films=replace(made.films, classes=classes),
        models=(replace(made.models[0], films=(replace(odd, patient="@p"),)),),
    )
    (row,) = rows(made)
    assert (row["path"], row["label"], row["patient"]) == ('\'=HYPERLINK("x")', "'+ill", "'@p")
    assert row["warnings"] == "aspect;blank"


@every_case
def test_json_holds_the_figures(case: Callable[[], Evaluation]) -> None:
    made = case()
    values = plain(made)
    assert values["schema_version"] == 1
    assert values["banner"] == BANNER
    assert values["films"]["counts"] == made.films.counts
    for each, model in zip(values["models"], made.models, strict=True):
        assert each["spec"] == {
            "name": model.spec.name,
            "version": "1.0.0",
            "sha256": model.spec.sha256(),
        }
        assert "films" not in each
        assert each["auc"] == (
            None if model.auc is None else json.loads(json.dumps(model.auc.__dict__))
        )
        assert [point["name"] for point in each["points"]] == ["screening", "balanced"]
        assert (each["roc"] is None) == (model.roc is None)
        if model.roc:
            assert each["roc"]["x"] == list(model.roc.x)
    assert (values["profile"] is None) == (made.profile is None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=["nan", "inf"])
def test_a_figure_that_is_no_number_is_refused(value: float) -> None:
    made = evaluation()
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_json(replace(made, models=(replace(made.models[0], brier=value),)))


@every_case
def test_lines_fit_and_hold_numbers_only(case: Callable[[], Evaluation]) -> None:
    made = case()
    lines = list(summary_lines(made))
    assert max(map(len, lines)) <= LINE_WIDTH
    assert not re.search(r"\b(nan|inf|None)\b", "\n".join(lines))


def test_the_summary_of_one_model() -> None:
    made = evaluation()
    (model,) = made.models
    said, point = text(made), model.points[0]
    assert model.auc
    assert point.sensitivity
    assert point.specificity
    assert point.at_prevalence
    stated = point.at_prevalence
    for fact in (
        "made: 72 files: 24 NORMAL, 48 PNEUMONIA",
        "36 patients on the scored films, by the table",
        "In triage a film with a warning or without a score is read first",
        f"at prevalence 0.1: positive predictive value {predictive_text(stated.positive)}, ",
        "2 films with the same bytes as another; they count",
        "1 file without a label; they do not count",
        "scored 71 of 72 files",
        "not scored 1: truncated 1",
        f"AUC {model.auc.value:.3f} ({model.auc.low:.3f} to {model.auc.high:.3f})",
        f"sensitivity {point.sensitivity.value:.3f} ({point.sensitivity.low:.3f} to",
        f"{point.confusion.false_negative} of 48 missed",
        f"{point.confusion.false_positive} of 23 flagged",
        "Metadata alone (width, height, aspect, bytes)",
    ):
        assert fact in said
    assert "McNemar" not in said
    assert "Proposed threshold" not in said


@pytest.mark.parametrize(
    ("labels", "missing"), [(NEGATIVE_ONLY, "PNEUMONIA"), (POSITIVE_ONLY, "NORMAL")]
)
def test_what_cannot_be_computed_is_said(labels: list[int], missing: str) -> None:
    said = text(evaluation(labels, models=2))
    assert f"AUC cannot be computed: no film is {missing}" in said
    share = "sensitivity" if missing == "PNEUMONIA" else "specificity"
    assert f"{share} cannot be computed: no film is {missing}" in said
    assert "The metadata baseline cannot be computed: it needs" in said
    assert "The difference in AUC of tiny0 and tiny1 cannot be computed: both must" in said


def test_two_models_are_compared() -> None:
    made = evaluation(models=2)
    assert made.comparison
    test = made.comparison.mcnemar[0]
    said = text(made)
    assert "AUC of tiny0 less that of tiny1: +0." in said
    assert f"only tiny0 is right on {test.only_first_right}, only tiny1 on" in said
    assert "DeLong's and McNemar's tests take every film for independent" in said
