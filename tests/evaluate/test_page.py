"""`evaluation.html`, parsed: complete, verdict first, a number or a reason everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from cxr_edge.evaluate import page as page_module
from cxr_edge.evaluate.generalisation import against, against_words, sources
from cxr_edge.evaluate.page import CURVE_ROWS, SHOWN, thinned
from cxr_edge.evaluate.results import Curve, Evaluation
from cxr_edge.evaluate.words import p_text, predictive_text, why_not
from cxr_edge.report.context import BANNER
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.types import InputWarning
from tests.evaluate.made import (
    NEGATIVE_ONLY,
    POSITIVE_ONLY,
    evaluation,
    every_case,
    film,
    picture,
    profile,
)
from tests.evaluate.parsed import page, pictures_of

pytestmark = pytest.mark.usefixtures("undrawn")


@every_case
def test_every_value_is_a_number_or_a_reason(case: Callable[[], Evaluation]) -> None:
    made = case()
    parsed = page(made, pictures_of(made))
    said = parsed.text() + " ".join(str(pair) for _, pairs in parsed.tags for pair in pairs[1:])
    assert not re.search(r"\b(nan|inf|None|Undefined)\b", said)
    assert parsed.text().startswith(BANNER)
    for model in made.models:
        assert (f"AUC {why_not(made, model)}" in parsed.text("verdict")) == (model.auc is None)


@pytest.mark.parametrize(
    ("labels", "missing"), [(NEGATIVE_ONLY, "PNEUMONIA"), (POSITIVE_ONLY, "NORMAL")]
)
def test_a_set_of_one_class(labels: list[int], missing: str) -> None:
    parsed = page(evaluation(labels))
    why = f"cannot be computed: no film is {missing}"
    assert f"AUC {why}" in parsed.text("verdict")
    assert parsed.text("curves") == f"ROC and precision-recall tiny0: {why}."
    assert "The metadata baseline cannot be computed: it needs" in parsed.text("metadata")
    assert "0.1, as stated cannot be computed cannot be computed" in parsed.text("decisions")


def test_a_prevalence_is_printed_as_it_was_given() -> None:
    made = evaluation()
    (model,) = made.models
    points = tuple(
        replace(point, at_prevalence=replace(point.at_prevalence, prevalence=0.0004))
        for point in model.points
        if point.at_prevalence
    )
    said = page(replace(made, models=(replace(model, points=points),))).text("decisions")
    assert said.count("0.0004, as stated") == 2


def test_the_verdict_comes_first() -> None:
    (model,) = evaluation().models
    parsed = page(evaluation())
    said, point = parsed.text("verdict"), model.points[0]
    assert model.auc
    assert point.sensitivity
    wrong = point.confusion
    assert list(parsed.sections)[1] == "verdict"
    for fact in (
        "1 file of 72 without a score (truncated 1): in no figure on this page.",
        f"At screening it misses {wrong.false_negative} of 48 PNEUMONIA films and flags "
        f"{wrong.false_positive} of 23 NORMAL films.",
        f"AUC {with_interval(model.auc)} 23 NORMAL, 48 PNEUMONIA",
        f"sensitivity {with_interval(point.sensitivity)} {wrong.false_negative} of 48 missed",
        f"scores above a NORMAL film in {100 * model.auc.value:.1f} % of all pairs",
        "Metadata alone (width, height, aspect, bytes)",
        "here decisions are by threshold alone, and films without a score (1 NORMAL and 0 "
        "PNEUMONIA) are in no figure.",
    ):
        assert fact in said


def test_the_set_is_described() -> None:
    said = page(evaluation()).text("set")
    assert said.startswith(
        "The set Labelled 72 files: 24 NORMAL, 48 PNEUMONIA Patients 36 patients on the scored "
        "films, by the table sha256 cdcd"
    )
    assert "Repeated 2 films with the same bytes as another; they count" in said
    assert "Unlabelled 1 file in the folder" in said
    assert "Which notes.txt" in said
    assert "Not scored 1 file: truncated 1 Which NORMAL/person0_1.png" in said


def test_long_lists_of_names_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "NAMES_SHOWN", 2)
    made = evaluation()
    films = replace(made.films, unlabelled=("a", "b", "c", "d"))
    assert "Which a b and 2 more" in page(replace(made, films=films)).text("set")


def test_decisions_carry_report_and_predictive_values() -> None:
    (model,) = evaluation().models
    point = model.points[0]
    said = page(evaluation()).text("decisions")
    assert point.positive_predictive_value
    assert point.at_prevalence
    normal, *_, weighted = point.report
    for line in (normal, weighted):
        assert f"{line.name} {line.precision:.3f} {line.recall:.3f} {line.f1:.3f}" in said
    assert f"Accuracy {with_interval(point.accuracy)}" in said
    assert f"0.676, of this set {with_interval(point.positive_predictive_value)}" in said
    stated = point.at_prevalence
    both = f"{predictive_text(stated.positive)} {predictive_text(stated.negative)}"
    assert f"0.1, as stated {both}" in said


def test_without_a_prevalence_the_page_says_how_to_state_one() -> None:
    made = evaluation()
    (model,) = made.models
    points = tuple(replace(point, at_prevalence=None) for point in model.points)
    said = page(replace(made, models=(replace(model, points=points),))).text("decisions")
    assert "as stated" not in said
    assert said.count("--prevalence gives those of yours") == 2


def test_site_and_origin_stand_side_by_side() -> None:
    made = evaluation()
    (model,) = made.models
    said = page(made).text("origin")
    for row in against(model, made.films):
        assert f"{row.figure} {with_interval(row.here)} {with_interval(row.there)}" in said
    assert against_words(model, made.films) in said
    assert sources(model, made.films) in said


def test_two_models_are_compared() -> None:
    made = evaluation(models=2)
    said = page(made).text("comparison")
    assert made.comparison
    assert made.comparison.delong_p_value is not None
    assert "AUC of tiny0 less that of tiny1: +" in said
    assert f", DeLong {p_text(made.comparison.delong_p_value)}, on 71 films" in said
    for test in made.comparison.mcnemar:
        assert f"McNemar at {test.point}: only tiny0 is right on {test.only_first_right}" in said
    assert "take every film for independent" in said
    assert "comparison" not in page(evaluation()).sections


def test_the_proposed_profile_comes_with_caution_and_use() -> None:
    parsed = page(evaluation(profile=profile()))
    said = parsed.text("profile")
    assert "Proposed threshold 0.200000, highest threshold: sensitivity 0.979" in said
    assert "used to set the threshold, so they are optimistic" in said
    assert "cxr-edge score INCOMING --model tiny0.onnx --site-profile site-profile.json" in said
    assert "lies above" not in said
    assert "profile" not in page(evaluation()).sections


def test_a_threshold_above_the_models_own_is_warned_of() -> None:
    lower = profile()
    point = replace(lower.point, threshold=0.3)
    facts = {**lower.__dict__, "point": point}
    del facts["digest"], facts["schema_version"]
    said = page(evaluation(profile=type(lower).of(**facts))).text("profile")
    assert "It lies above the model's own screening threshold 0.250000" in said


def many(count: int) -> Evaluation:
    made = evaluation()
    (model,) = made.models
    wrong = tuple(film(number, 0, 0.9, path=f"{number}.png") for number in range(count))
    return replace(made, models=(replace(model, false_alarms=wrong, missed=()),))


@pytest.mark.parametrize("count", [SHOWN, SHOWN + 1])
def test_the_worst_are_shown_and_the_rest_is_counted(count: int) -> None:
    said = page(many(count)).text("mistakes")
    assert "PNEUMONIA, unflagged: 0" in said
    rest = "" if count == SHOWN else f", the worst {SHOWN}; films.csv has all of them"
    assert f"NORMAL, flagged: {count}{rest}" in said
    assert [name for name in re.findall(r"(\d+)\.png", said)] == [str(n) for n in range(SHOWN)]


def test_a_film_is_shown_where_there_is_a_picture() -> None:
    made = many(2)
    bare, shown = page(made), page(made, {made.models[0].model_sha256: {f"{1:064x}": picture()}})
    assert "not where disease is" not in bare.text("mistakes")
    assert "not where disease is" in shown.text("mistakes")
    assert "logit 0.750 = rest -0.500 + raised 1.500 + lowered -0.250" in shown.text("mistakes")
    (image,) = [dict(pairs) for tag, pairs in shown.tags if tag == "image"]
    assert str(image["href"]).startswith("data:image/jpeg;base64,")
    assert ("use", (("href", f"#{image['id']}"),)) in shown.tags  # the film under its map
    of_another = page(made, {"cd" * 32: {f"{1:064x}": picture()}})
    assert of_another.tags == bare.tags


def test_warnings_stand_beside_a_film_in_words() -> None:
    made = evaluation()
    (model,) = made.models
    odd = film(1, 1, 0.1, warnings=(InputWarning.LOW_RESOLUTION,))
    parsed = page(replace(made, models=(replace(model, missed=(odd,)),)))
    assert "2,001 bytes; low resolution" in parsed.text("mistakes")


@pytest.mark.parametrize("length", [1, CURVE_ROWS, CURVE_ROWS + 1, 500])
def test_a_table_behind_a_curve_keeps_both_ends(length: int) -> None:
    numbers = tuple(float(n) for n in range(length))
    rows = thinned(Curve(numbers, numbers, numbers))
    assert len(rows) == min(length, CURVE_ROWS)
    assert (rows[0], rows[-1]) == ((0, 0, 0), (length - 1, length - 1, length - 1))
    assert sorted(set(rows)) == rows
