"""What a spec says about `test_a` is what scikit-learn says about the scores of the ONNX file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cxr_edge.images import decode
from cxr_edge.model.catalog import ModelChoice, bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.runtime import Runner
from cxr_edge.statistics.auc import auc_estimate
from cxr_edge.statistics.measurements import Decisions
from cxr_edge.statistics.patients import patient_of
from cxr_edge.types import PROBABILITY_DECIMALS
from tests.parity.test_score_command import FILMS, TEST_A

metrics = pytest.importorskip("sklearn.metrics")
PATHS = sorted(TEST_A.glob("*/*.jpeg"))
LABELS = np.array([path.parent.name == "PNEUMONIA" for path in PATHS], np.int64)

pytestmark = pytest.mark.skipif(
    not TEST_A.is_dir(), reason=f"no {TEST_A}: these films are not in the checkout"
)


@pytest.fixture(scope="module", params=bundled_specs(), ids=lambda spec: spec.name)
def scored(
    request: pytest.FixtureRequest, runner_of: Callable[[ModelChoice], Runner]
) -> tuple[ModelSpec, np.ndarray]:
    """A bundled model, and its scores of `test_a` as they are recorded."""
    spec: ModelSpec = request.param
    runner = runner_of(ModelChoice(spec, "onnx", models_dir() / spec.files["onnx"].name))
    films = [
        to_network_input(without_border(decode(path.read_bytes(), path.name).pixels), spec.size)
        for path in PATHS
    ]
    probability = runner.predict(np.stack(films)).probability
    return spec, probability.astype(np.float64).round(PROBABILITY_DECIMALS)


def test_the_set_is_the_one_in_the_spec(scored: tuple[ModelSpec, np.ndarray]) -> None:
    (test,) = scored[0].evaluations
    patients = {patient_of(path.name) for path in PATHS}
    assert (test.data, len(PATHS)) == ("test_a", FILMS)
    assert test.counts == {
        "NORMAL": FILMS - LABELS.sum(),
        "PNEUMONIA": LABELS.sum(),
        "patients": len(patients),
    }


def test_area_under_the_curve(scored: tuple[ModelSpec, np.ndarray]) -> None:
    (test,), probability = scored[0].evaluations, scored[1]
    assert test.auc.value == pytest.approx(metrics.roc_auc_score(LABELS, probability), abs=1e-5)
    ours = auc_estimate(LABELS, probability, [patient_of(path.name) for path in PATHS])
    assert ours is not None
    assert (test.auc.low, test.auc.high) == pytest.approx((ours.low, ours.high), abs=1e-5)
    assert (test.auc.patients, test.auc.replicates) == (ours.patients, ours.replicates)


def counted(found: Decisions) -> list[list[int]]:
    """The confusion matrix behind three shares, as scikit-learn lays it out."""
    right = [round(share.value * share.n) for share in (found.specificity, found.sensitivity)]
    assert round(found.accuracy.value * found.accuracy.n) == sum(right)
    return [
        [right[0], found.specificity.n - right[0]],
        [found.sensitivity.n - right[1], right[1]],
    ]


def test_confusion_matrices(scored: tuple[ModelSpec, np.ndarray]) -> None:
    (test,), probability = scored[0].evaluations, scored[1]
    assert test.operating_points.keys() == scored[0].operating_points.keys()
    for name, found in test.operating_points.items():
        flagged = probability >= scored[0].operating_points[name].threshold
        assert counted(found) == metrics.confusion_matrix(LABELS, flagged).tolist(), name
