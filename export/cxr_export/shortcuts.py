"""Classifiers that see no lung: a model should do far better, and not lean on what they use."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from cxr_edge.evaluate.baseline import FEATURES, baseline
from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.images import decode
from cxr_edge.model.reliability import Shortcut
from cxr_edge.support.text import display_name
from cxr_edge.types import Result, Status
from cxr_export.robustness import area
from cxr_export.spec_draft import rounded
from cxr_training.films import style
from cxr_training.films.data import LabelledFile, Split


def shortcuts(films: Split, probability: NDArray[np.float64]) -> dict[str, Shortcut]:
    """Classify by the file alone, and by the style of a film; both judged by patient.

    Args:
        films: those that the run was trained and validated on.
        probability: [N], the model's, of the validation films.
    """
    return {"metadata": _metadata(films, probability), "style": _style(films)}


def _metadata(films: Split, probability: NDArray[np.float64]) -> Shortcut:
    """The baseline of `cxr-edge evaluate`, on the validation films."""
    files = films.validation.files
    pairs = zip(files, probability.tolist(), strict=True)
    classifier = baseline([_evaluated(file, score) for file, score in pairs])
    auc = rounded(classifier.auc) if classifier.auc else None
    return Shortcut(FEATURES, f"other validation films, {classifier.folds} folds", auc)


def _evaluated(file: LabelledFile, probability: float) -> EvaluatedFilm:
    data = file.path.read_bytes()
    film = decode(data, file.path.name)
    name = display_name(PurePath(file.name))
    facts = Result(name, Status.SCORED, None, probability, width=film.width, height=film.height)
    return EvaluatedFilm(facts, file.label, file.patient, len(data))


def _style(films: Split) -> Shortcut:
    """Fourteen figures of borders, greys and sharpness, learned where the network learned."""
    train, validation = films.train, films.validation
    trees = style.classifier().fit(style.all_statistics(train.files), train.labels)
    looks = trees.predict_proba(style.all_statistics(validation.files))[:, 1]
    return Shortcut(style.STATISTICS, "the run's training films", area(validation, looks))
