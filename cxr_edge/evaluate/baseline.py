"""Classifier on file properties alone, without a pixel: a shortcut that a model could take."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge.evaluate.films import Scored
from cxr_edge.evaluate.results import EvaluatedFilm, MetadataBaseline
from cxr_edge.statistics.auc import LEAST_PATIENTS, auc_estimate, enough_patients
from cxr_edge.statistics.measurements import Estimate

FEATURES = ("width", "height", "aspect", "bytes")
_FOLDS = 5
_SEED = 0
_TREES = 100
_FILMS_PER_LEAF = 5
_FILMS_PER_TREE = 1000  # 50,000 films take seconds, not a quarter of an hour

Split = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
# What it sees of a film: facts of the file, the class and the patient.
_Row = tuple[tuple[float, ...], int, str]


def baseline(films: Sequence[EvaluatedFilm]) -> MetadataBaseline:
    """Measure a random forest that sees width, height, aspect and size of the file alone.

    Every prediction is for patients that the forest has not seen, in five folds. A forest only
    compares values, so no feature needs a scale. The same films always give the same figures.

    Args:
        films: of the set; those with a score count.
    """
    scored = Scored.of(film for film in films if film.result.width and film.result.height)
    if not enough_patients(scored.labels, scored.patients):
        return _without(f"it needs scored films of {LEAST_PATIENTS} patients of each class")
    rows = tuple((_metadata(film), film.label, film.patient) for film in scored.films)
    features = _features(rows)
    if not np.ptp(features, axis=0).any():
        return _without("all films have the same width, height and bytes")
    split, auc = _of_labels(rows)
    explained = _explained(features, logit(scored.inside), split)
    return MetadataBaseline(
        features=FEATURES,
        folds=_FOLDS,
        auc=auc,
        explained=explained,
        why_not="all films have the same score" if explained is None else "",
    )


def _without(why: str) -> MetadataBaseline:
    return MetadataBaseline(FEATURES, 0, None, None, why)


def _metadata(film: EvaluatedFilm) -> tuple[float, ...]:
    width, height = film.result.width or 1, film.result.height or 1
    return width, height, width / height, film.bytes


def _features(rows: Sequence[_Row]) -> NDArray[np.float64]:
    return np.array([metadata for metadata, _, _ in rows], np.float64)


@functools.lru_cache(maxsize=1)  # two models are compared on the same films
def _of_labels(rows: tuple[_Row, ...]) -> tuple[Split, Estimate | None]:
    """Folds by patient, and how well the labels are predicted: no model has a part in these."""
    features = _features(rows)
    labels = np.array([label for _, label, _ in rows])
    patients = [patient for _, _, patient in rows]
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    split = list(folds.split(features, labels, patients))
    predicted = _out_of_fold(features, labels.astype(np.float64), split)
    return split, auc_estimate(labels, predicted, patients)


def _out_of_fold(
    features: NDArray[np.float64], target: NDArray[np.float64], split: Split
) -> NDArray[np.float64]:
    """Each film predicted by a forest that grew without its fold; of a label, its probability."""
    predicted = np.empty(len(target))
    for train, test in split:
        forest = RandomForestRegressor(
            _TREES,
            min_samples_leaf=_FILMS_PER_LEAF,
            max_samples=min(_FILMS_PER_TREE, len(train)),
            random_state=_SEED,
        )
        predicted[test] = forest.fit(features[train], target[train]).predict(features[test])
    return predicted


def _explained(
    features: NDArray[np.float64], logits: NDArray[np.float64], split: Split
) -> float | None:
    """R2 of the logit, 0 where metadata predict it worse than its mean; None without variance."""
    if not np.ptp(logits):
        return None
    return max(0.0, float(r2_score(logits, _out_of_fold(features, logits, split))))
