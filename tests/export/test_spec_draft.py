"""The spec before it has files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

from cxr_edge.errors import ExportError
from cxr_edge.model.self_test import RULES, golden_image
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.auc import auc_estimate
from cxr_edge.statistics.operating_points import (
    CopyScores,
    OnCopies,
    OperatingPoint,
    Proportion,
    choose_on_copies,
)
from cxr_export.source import Source, load_source
from cxr_export.spec_draft import (
    GOLDEN_TOLERANCE,
    Measured,
    draft_spec,
    evaluate,
    operating_points,
    remeasured,
    spread,
)
from cxr_training.films.copies import COPIES_VERSION, DRAWS, scores_of_copies
from cxr_training.films.data import ImageSet, find_labelled, load_images
from tests.export.networks import (
    CELLS,
    FIELDS,
    RESNET,
    SMALL_NAMES,
    logits,
    probability,
    random_network,
    reads_keras_variables,
)

pytestmark = reads_keras_variables

HALF = Proportion.of(1, 2)
POINTS = {
    name: OperatingPoint(threshold, "by hand", HALF, HALF, "nothing")
    for name, threshold in (("screening", 0.4), ("balanced", 0.55))
}


@pytest.fixture(scope="module")
def source(saved: Callable[[str], Path]) -> Source:
    """A `cnn3_50` without a run."""
    return load_source(saved("cnn3_50"))


@pytest.fixture(scope="module")
def images(labelled: Path) -> ImageSet:
    """The labelled folder at 50 x 50."""
    return load_images(find_labelled(labelled), 50)[0]


def drafted(source: Source) -> ModelSpec:
    """A spec as good as measured."""
    scores = source.run.validation_scores if source.run else None
    return draft_spec("mine", source, CELLS[source.model.name], Measured(POINTS, (), scores))


@pytest.mark.parametrize("name", SMALL_NAMES)
def test_the_spec_is_one_that_the_runtime_reads(name: str, saved: Callable[[str], Path]) -> None:
    source = load_source(saved(name))
    spec = drafted(source)
    assert ModelSpec.from_dict(json.loads(spec.to_json())) == spec
    assert (spec.name, spec.size, spec.evidence_shape) == ("mine", source.size, CELLS[name])
    assert spec.can_point == (name != "cnn4_50")
    assert spec.architecture.name == name
    assert spec.architecture.parameters == source.model.count_params()
    assert (spec.training, spec.files, spec.evaluations) == (None, {}, ())
    assert spec.validation_scores is None
    assert spec.receptive_field == FIELDS[name]


def test_golden_cases_are_what_keras_says(source: Source) -> None:
    golden = drafted(source).golden
    made = np.stack([golden_image(rule, source.size) for rule in RULES])
    assert [case.rule for case in golden.cases] == list(RULES)
    assert golden.tolerance == GOLDEN_TOLERANCE["float32"]
    for key, expected in (("probability", probability), ("logit", logits)):
        got = [getattr(case, key) for case in golden.cases]
        np.testing.assert_allclose(got, expected(source.model, made), rtol=0, atol=2e-5)


def test_golden_cases_tell_networks_apart(source: Source) -> None:
    other = Source(random_network("cnn3_50", "rescale"), None)
    pairs = zip(drafted(source).golden.cases, drafted(other).golden.cases, strict=True)
    assert (
        max(abs(a.probability - b.probability) for a, b in pairs) > 10 * GOLDEN_TOLERANCE["float32"]
    )


@pytest.mark.slow
def test_a_frozen_base_counts_as_not_trainable() -> None:
    from cxr_training.nets import NETS, NetOptions
    from cxr_training.nets.resnet50v2_50 import freeze

    model = NETS[RESNET].build(NetOptions())
    freeze(model)
    assert drafted(Source(model, None)).architecture.trainable_parameters == 65


def test_operating_points_of_a_run_are_its_own(run_folder: Path, images: ImageSet) -> None:
    source = load_source(run_folder)
    written = json.loads((run_folder / "run.json").read_text())["operating_points"]
    points = operating_points(source, images)
    assert {name: point.threshold for name, point in points.items()} == {
        name: point["threshold"] for name, point in written.items()
    }
    assert points["screening"].sensitivity.n == written["screening"]["sensitivity"]["n"]
    assert points["screening"].data == written["screening"]["data"]


def test_operating_points_without_a_run_come_from_calibration(
    source: Source, images: ImageSet
) -> None:
    copies = scores_of_copies(lambda pixels: probability(source.model, pixels), images.pixels)
    expected = choose_on_copies(
        images.labels,
        probability(source.model, images.pixels),
        CopyScores(COPIES_VERSION, copies),
        f"calibration, {len(images.labels)} images",
    )
    points = operating_points(source, images)
    assert points.keys() == expected.keys() == {"screening", "balanced"}
    for name, point in points.items():
        assert point.threshold == pytest.approx(expected[name].threshold, abs=2e-6)
        assert point.data == expected[name].data
        assert point.chosen_by == expected[name].chosen_by
        assert point.sensitivity.n == int(images.labels.sum())
        assert point.copies is not None
        assert point.copies.sensitivity.n == DRAWS * point.sensitivity.n


def test_points_of_a_run_that_knew_no_copies_are_refused(
    run_folder: Path, images: ImageSet
) -> None:
    source = load_source(run_folder)
    assert source.run is not None
    run = replace(source.run, operating_points=POINTS)
    with pytest.raises(ExportError, match="on films as they are, not on changed copies") as caught:
        operating_points(replace(source, run=run), images)
    assert "judge-again" in caught.value.tip


def test_how_the_validation_films_look_is_that_of_the_run(run_folder: Path) -> None:
    source = load_source(run_folder)
    assert source.run is not None
    features = source.run.validation_features
    assert features is not None
    measured = Measured(POINTS, (), validation_features=features)
    spec = draft_spec("mine", source, (4, 4), measured)
    assert ModelSpec.from_dict(json.loads(spec.to_json())).validation_features == features


def test_validation_scores_are_those_of_the_run(run_folder: Path) -> None:
    source = load_source(run_folder)
    assert source.run is not None
    assert drafted(source).validation_scores == source.run.validation_scores


def test_created_is_when_training_ended_or_now(source: Source, run_folder: Path) -> None:
    run = load_source(run_folder)
    assert run.run is not None
    assert drafted(run).created == run.run.training.created_utc
    assert drafted(source).created > "2026-"


def test_evaluation_is_what_scikit_learn_says(source: Source, images: ImageSet) -> None:
    evaluation = evaluate(source.probability, images, "held back", POINTS)
    scores = np.round(probability(source.model, images.pixels), 6)
    assert evaluation.data == "held back"
    assert evaluation.data_sha256 == images.sha256
    assert evaluation.counts == images.counts()
    assert evaluation.auc.value == pytest.approx(roc_auc_score(images.labels, scores), abs=1e-6)
    assert evaluation.auc.patients == evaluation.counts["patients"]
    estimated = auc_estimate(images.labels, scores, [file.patient for file in images.files])
    assert estimated is not None
    for key in ("value", "low", "high"):
        figure = getattr(evaluation.auc, key)
        assert figure == round(figure, 6)
        assert figure == pytest.approx(getattr(estimated, key), abs=1e-6)
    assert evaluation.operating_points.keys() == POINTS.keys()
    for name, decisions in evaluation.operating_points.items():
        flagged = scores >= POINTS[name].threshold
        (tn, fp), (fn, tp) = confusion_matrix(images.labels, flagged, labels=[0, 1])
        assert decisions.accuracy.value == accuracy_score(images.labels, flagged)
        assert decisions.sensitivity.value == tp / (tp + fn)
        assert decisions.specificity.value == tn / (tn + fp)
        assert decisions.accuracy.n == len(images.labels)
        assert decisions.sensitivity.n + decisions.specificity.n == len(images.labels)


@pytest.mark.parametrize(
    ("threshold", "sensitivity", "specificity"), [(1e-6, 1, 0), (1 - 1e-6, 0, 1)], ids=["all", "no"]
)
def test_evaluation_at_the_ends(
    source: Source, images: ImageSet, threshold: float, sensitivity: float, specificity: float
) -> None:
    points = {"screening": replace(POINTS["screening"], threshold=threshold)}
    decisions = evaluate(source.probability, images, "x", points).operating_points["screening"]
    got: NDArray[np.float64] = np.array([decisions.sensitivity.value, decisions.specificity.value])
    np.testing.assert_array_equal(got, [sensitivity, specificity])
    share = (images.labels == 1).mean() if sensitivity else (images.labels == 0).mean()
    assert decisions.accuracy.value == pytest.approx(share)


def test_a_variant_keeps_the_thresholds_and_measures_anew(images: ImageSet) -> None:
    def score(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        as_they_are = np.array_equal(pixels, images.pixels)
        return np.where(images.labels == 1, 0.5, 0.3 if as_they_are else 0.45)

    assert remeasured(POINTS, images, score, "nothing")["screening"].data == "nothing"
    share = Proportion.of(1, 2)
    chosen = replace(POINTS["screening"], copies=OnCopies(COPIES_VERSION, DRAWS, share, share))
    found = remeasured({**POINTS, "screening": chosen}, images, score, "validation")
    for name, (threshold, sensitivity) in {
        "screening": (0.4, 1.0),
        "balanced": (0.55, 0.0),
    }.items():
        assert found[name].threshold == threshold
        assert found[name].data == "validation; threshold from nothing", "who chose is kept"
        assert (found[name].sensitivity.value, found[name].specificity.value) == (sensitivity, 1.0)
        assert found[name].sensitivity.n == int(images.labels.sum())
    on_copies = found["screening"].copies
    assert on_copies is not None
    assert (on_copies.sensitivity.value, on_copies.specificity.value) == (1, 0)


def test_the_spread_of_a_variant_is_by_class(images: ImageSet) -> None:
    counts = spread("here", images, np.where(images.labels == 1, 0.99, 0.0)).counts
    assert (counts["NORMAL"][0], counts["PNEUMONIA"][-1]) == tuple(
        images.counts()[name] for name in ("NORMAL", "PNEUMONIA")
    )
