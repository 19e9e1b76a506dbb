"""Scales of logits that are made up, and what they are worth on patients they never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from cxr_edge.errors import InputError
from cxr_edge.evaluate.curves import CALIBRATION_BINS
from cxr_edge.model.reliability import CalibrationBin, Scaling
from cxr_edge.statistics.operating_points import Proportion
from cxr_export import calibration
from cxr_export.calibration import Scores, calibrate, calibration_error, read_pooled

FILMS = 4000


def scores(factor: float, shift: float = 0.0, seed: int = 0, films: int = FILMS) -> Scores:
    """Logits that are `factor` times too sure of themselves, and then moved; two films a patient.

    Args:
        factor: of the logit.
        shift: added to it after that.
        seed: of the films.
        films: how many.
    """
    rng = np.random.default_rng(seed)
    honest = rng.normal(0.5, 2, films)
    labels = (rng.random(films) < expit(honest)).astype(np.int64)
    patients = np.array([f"{seed}-{number // 2}" for number in range(films)])
    return Scores(labels, factor * honest + shift, patients)


def log_loss(labels: Any, probability: Any) -> float:
    """From the definition."""
    said = np.where(labels == 1, probability, 1 - probability)
    return float(-np.log(said).mean())


def test_as_it_is_no_scale_is_fitted() -> None:
    own = scores(2.0)
    found = calibrate(own).scalings["none"]
    probability = expit(own.logits)
    assert (found.slope, found.offset) == (1.0, 0.0)
    assert found.log_loss == pytest.approx(log_loss(own.labels, probability), abs=1e-6)
    assert found.brier == pytest.approx(((own.labels - probability) ** 2).mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("factor", "shift", "slope", "offset"),
    [(1.0, 0.0, 1.0, 0.0), (2.5, 0.0, 0.4, 0.0), (0.5, 0.0, 2.0, 0.0), (2.0, 1.5, 0.5, -0.75)],
    ids=["honest", "too sure", "too shy", "moved"],
)
def test_the_scale_undoes_what_was_done(
    factor: float, shift: float, slope: float, offset: float
) -> None:
    found = calibrate(scores(factor, shift)).scalings
    platt = found["platt"]
    assert (platt.slope, platt.offset) == pytest.approx((slope, offset), abs=0.1)
    assert found["temperature"].offset == 0.0
    if not shift:
        assert found["temperature"].slope == pytest.approx(slope, rel=0.1)
    if factor != 1:
        for better in (platt, found["temperature"]):
            assert better.log_loss < found["none"].log_loss
            assert better.brier < found["none"].brier
        assert platt.calibration_error < 0.5 * found["none"].calibration_error


def test_labels_at_chance_cannot_gain_by_a_fit_on_themselves() -> None:
    """Fitted on all, a scale never loses; on other patients it can."""
    rng = np.random.default_rng(5)
    chance = Scores(
        rng.integers(0, 2, 60), rng.normal(0, 0.05, 60), np.array([f"{n}" for n in range(60)])
    )
    found = calibrate(chance).scalings
    assert found["platt"].log_loss > log_loss(chance.labels, np.full(60, chance.labels.mean()))


@pytest.mark.parametrize("pooled", [None, scores(1.0, films=600)], ids=["own", "pooled"])
def test_no_scale_saw_the_patients_it_is_judged_on(
    pooled: Scores | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, seen = scores(2.0, films=600), []
    fit = calibration._fit

    def watched(on: Scores, others: Scores | None) -> Any:
        seen.append({*on.patients, *(others.patients if others else ())})
        return fit(on, others)

    monkeypatch.setattr(calibration, "_fit", watched)
    calibrate(own, pooled)
    everybody, *folds = seen
    assert everybody == set(own.patients)
    unseen = [everybody - fold for fold in folds]
    assert len(folds) == 5
    assert set.union(*unseen) == everybody
    assert sum(map(len, unseen)) == len(everybody), "each patient is judged once"


def test_pooled_scores_choose_the_scale_for_the_logits_of_this_network() -> None:
    """This one is three times too sure; the pooled ones, on a scale of their own, are moved."""
    found = calibrate(scores(3.0, films=1000), scores(1.0, 0.8, seed=1))
    assert found.scalings["platt"].slope == pytest.approx(1 / 3, rel=0.15)
    assert found.scalings["platt"].offset == pytest.approx(-0.8, abs=0.15)
    assert "out-of-fold" in found.fitted_on
    assert "out-of-fold" not in calibrate(scores(3.0, films=1000)).fitted_on


def test_the_bins_are_of_the_probabilities_as_they_are() -> None:
    own = scores(2.0)
    bins = calibrate(own).bins
    assert sum(each.observed.n for each in bins) == FILMS
    assert len(bins) == CALIBRATION_BINS
    first = expit(own.logits) < 0.1
    assert bins[0].observed.n == first.sum()
    assert bins[0].observed.value == pytest.approx(own.labels[first].mean())
    assert bins[0].mean_probability == pytest.approx(expit(own.logits)[first].mean(), abs=1e-5)


def test_calibration_error_by_hand() -> None:
    bins = [
        CalibrationBin(0.0, 0.1, 0.05, Proportion.of(1, 10)),  # off by 0.05
        CalibrationBin(0.9, 1.0, 0.95, Proportion.of(24, 30)),  # off by 0.15
    ]
    assert calibration_error(bins) == pytest.approx((10 * 0.05 + 30 * 0.15) / 40)


TABLE = (
    "seed,fold,name,patient,label,logit\n42,1,NORMAL/a.png,a,0,-1.25\n43,2,X/b.png,b,1,2.50000\n"
)


def test_pooled_scores_are_read(tmp_path: Path) -> None:
    path = tmp_path / "out_of_fold.csv"
    path.write_text(TABLE)
    found = read_pooled(path)
    assert found.labels.tolist() == [0, 1]
    assert found.logits.tolist() == [-1.25, 2.5]
    assert found.patients.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "text", [None, TABLE.replace("logit", "score"), TABLE.replace("-1.25", "low")], ids=repr
)
def test_another_table_is_a_sentence(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "out_of_fold.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"out_of_fold.csv cannot be read"):
        read_pooled(path)


def test_the_three_scales() -> None:
    found = calibrate(scores(1.5, films=400))
    assert list(found.scalings) == ["none", "temperature", "platt"]
    assert all(isinstance(each, Scaling) for each in found.scalings.values())
