"""Figures in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.evaluate import words
from cxr_edge.evaluate.results import MetadataBaseline, PredictiveValue
from cxr_edge.evaluate.words import model_names, why_not
from cxr_edge.statistics.measurements import Estimate
from cxr_edge.types import Reason
from tests.evaluate.made import NEGATIVE_ONLY, evaluation, film, profile


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.0, "p < 0.001"), (0.000999, "p < 0.001"), (0.001, "p = 0.001"), (1.0, "p = 1.000")],
)
def test_a_p_value_is_never_zero(p_value: float, text: str) -> None:
    assert words.p_text(p_value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 films"), (1, "1 film"), (2, "2 films"), (1200, "1,200 films")]
)
def test_counts(count: int, text: str) -> None:
    assert words.count_text(count, "film") == text


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["tiny0", "tiny1"]),
        ({"name": "a"}, ["a 1.0.0", "a 2.0.0"]),
        ({"name": "a", "version": "1"}, ["tiny0.onnx", "tiny1.onnx"]),
    ],
    ids=["names", "versions", "files"],
)
def test_two_models_never_share_a_name(changes: dict[str, str], names: list[str]) -> None:
    two = evaluation(models=2)
    first, second = two.models
    second = replace(second, spec=replace(second.spec, version="2.0.0"))
    made = [replace(m, spec=replace(m.spec, **changes)) for m in (first, second)]  # type: ignore[arg-type]
    assert model_names(replace(two, models=tuple(made))) == names
    one_file = [replace(m, model_file="m.onnx", spec=first.spec) for m in made]
    assert len(set(model_names(replace(two, models=tuple(one_file))))) == 2


def test_a_class_whose_films_have_no_score() -> None:
    made = evaluation(NEGATIVE_ONLY)
    scoreless = replace(made, films=replace(made.films, missing_class=""))
    assert why_not(scoreless, made.models[0]) == (
        "cannot be computed: no PNEUMONIA film was scored"
    )


def test_too_few_patients_are_counted() -> None:
    """Of both classes, on scored films: many films of one patient are one patient."""
    made = evaluation([0, 1, 1] * 4)
    (model,) = made.models
    assert why_not(made, model) == (
        "cannot be computed: too few patients: 3 NORMAL, 6 PNEUMONIA; 10 of each are needed"
    )
    same = tuple(replace(each, patient="1") for each in model.films)
    assert "1 NORMAL, 1 PNEUMONIA" in why_not(made, replace(model, films=same))


def test_reasons_are_counted() -> None:
    (model,) = evaluation().models
    unread = [film(1, 0, None), film(2, 0, None, reason=Reason.CORRUPT), film(3, 0, None)]
    assert words.reasons(replace(model, not_scored=tuple(unread))) == "truncated 2, corrupt 1"


def baseline(low: float, explained: float | None, high: float = 0.8) -> MetadataBaseline:
    return MetadataBaseline(("bytes",), 5, Estimate(0.75, low, high, 90, 2000), explained, "")


@pytest.mark.parametrize(
    ("made", "said", "meaning"),
    [
        (
            baseline(0.7, 0.125),
            "reach AUC 0.750 (0.700 to 0.800), cross-validated by patient in 5 folds, and explain "
            "12% of the variance",
            "The classes differ in their files",
        ),
        (baseline(0.5, 0.0), "explain 0% of the variance", "too few films to tell"),
        (baseline(0.5, 0.0, 0.600001), "explain 0% of the variance", "too few films to tell"),
        (baseline(0.5, 0.0, 0.6), "explain 0% of the variance", "hardly better than chance"),
        (baseline(0.7, None), "in 5 folds.", "The classes differ in their files"),
        (
            MetadataBaseline(("bytes",), 0, None, None, "too few"),
            "The metadata baseline cannot be computed: too few.",
            "",
        ),
    ],
    ids=["shortcut", "few films", "just too few films", "chance", "no variance", "none"],
)
def test_the_baseline_is_explained(made: MetadataBaseline, said: str, meaning: str) -> None:
    assert said in words.baseline_words(made)
    assert meaning in words.baseline_meaning(made)
    assert bool(meaning) == bool(words.baseline_meaning(made))


def test_a_comparison_without_a_test_says_so() -> None:
    made = evaluation(models=2)
    assert made.comparison
    bare = replace(made.comparison, delong_p_value=None)
    assert "DeLong cannot be computed from these films" in words.difference_words(bare, "ab")


def test_a_difference_that_never_varies_has_no_interval() -> None:
    made = evaluation(models=2)
    assert made.comparison
    never = replace(made.comparison, difference=Estimate(0.5, 0.5, 0.5, 40, 2000))
    assert "+0.500 (the same in every draw of patients, which gives no interval), DeLong" in (
        words.difference_words(never, "ab")
    )


@pytest.mark.parametrize(
    ("told", "caution"),
    [("the table", False), ("every film counted as a patient of its own", True)],
)
def test_who_is_on_which_film_is_said(told: str, caution: bool) -> None:
    said = words.patients_text(replace(evaluation().films, patients_from=told))
    assert said.startswith(f"36 patients on the scored films, by {told}")
    assert ("intervals are too narrow" in said) == caution


def test_a_profile_counts_what_it_misses() -> None:
    assert words.profile_words(profile()) == (
        "Proposed threshold 0.200000, highest threshold: sensitivity 0.979 (0.891 to 0.996), "
        "1 of 48 missed; specificity 0.979 (0.891 to 0.996), 1 of 48 flagged."
    )


@pytest.mark.parametrize(
    ("file", "shown"),
    [("tiny0.onnx", "tiny0.onnx"), ("my model.onnx", "'my model.onnx'")],
)
def test_the_command_can_be_pasted(file: str, shown: str) -> None:
    made = evaluation()
    named = replace(made, models=(replace(made.models[0], model_file=file),))
    assert words.profile_command(named, profile()) == (
        f"cxr-edge score INCOMING --model {shown} --site-profile site-profile.json"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "1.000"),
        (0.9996, "> 0.999"),
        (0.9994, "0.999"),
        (0.0004, "< 0.001"),
        (0.0, "0.000"),
    ],
)
def test_a_predictive_value_is_not_said_to_be_certain(value: float, shown: str) -> None:
    """One missed pneumonia in 2,500 is not none."""
    made = words.predictive_text(PredictiveValue(value, value, value))
    assert made == f"{shown} ({shown} to {shown})"
