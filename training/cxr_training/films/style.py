"""Style: figures of how a film was taken, and folds that hold out a band of it.

The public training normals and pneumonias were taken and cropped differently: fourteen figures
that see no lung tell the classes apart with an AUC of 0.97, and the test normals look more like
the training pneumonias. A network that learns the style is right on random patient folds (AUC
0.997) and calls half of the test normals pneumonia. Style folds show that beforehand: normals are
cut into bands by how much they look like pneumonia films, and each band is held out with a random
share of the pneumonia patients.

What that predicts: the size of the loss under such a shift, and the order of recipes. Holding out
the most pneumonia-like fifth took a plain and a photometric recipe from a specificity of 0.94 and
0.93 to 0.63 and 0.68; the test set did the same to them. Random patients, file-name batches and
number ranges did not: they are alike in every figure.

What it does not: films of other machines or ages, a shift of the pneumonias, and what a threshold
will do exactly. That band is hard as well as shifted: the same normals did worse under random
folds too (0.71 and 0.74), so the loss is not all due to the shift.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from cxr_edge.errors import DataError
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input, without_border
from cxr_training.films.data import ImageSet, LabelledFile
from cxr_training.support.progress import item_bar

STATISTICS = (
    *("mean", "deviation", "percentile_1", "percentile_99", "white", "black"),
    *("top", "bottom", "left", "right"),
    *("fine_across", "fine_down", "log_fine_ratio", "bytes"),
)
_SIZE = 224  # the same for every network, so that all share their folds
_MARGIN = 8
_CROSS_FITS = 5
_LEAST_FINE = 1e-3


def statistics(file: LabelledFile) -> NDArray[np.float64]:
    """The fourteen `STATISTICS` of one film that can be read."""
    data = file.path.read_bytes()
    film = without_border(decode(data, file.path.name).pixels)
    grey = to_network_input(film, _SIZE)[..., 0]
    inner = grey[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].astype(np.float64)
    across, down = (max(_LEAST_FINE, _second_difference(plane)) for plane in (inner, inner.T))
    figures = (
        *(grey.mean(), grey.std(), *np.percentile(grey, (1, 99))),
        *((grey >= 250).mean(), (grey <= 5).mean()),
        *(edge[:_MARGIN].mean() for edge in (grey, grey[::-1], grey.T, grey[:, ::-1].T)),
        *(across, down, np.log(across / down), len(data)),
    )
    return np.array(figures, np.float64)


def _second_difference(plane: NDArray[np.float64]) -> float:
    """Mean absolute second difference along the rows: high where a film is sharp."""
    return float(np.abs(plane[:, 2:] - 2 * plane[:, 1:-1] + plane[:, :-2]).mean())


def all_statistics(files: Sequence[LabelledFile]) -> NDArray[np.float64]:
    """`STATISTICS` of every film: [N, 14]."""
    with item_bar("measuring styles", len(files)) as advance, ThreadPoolExecutor() as pool:
        rows = []
        for row in pool.map(_statistics_once, files):
            rows.append(row)
            advance()
    return np.stack(rows)


@cache  # folds, seeds and trials ask for the same films again and again
def _statistics_once(file: LabelledFile) -> NDArray[np.float64]:
    return statistics(file)


def classifier() -> HistGradientBoostingClassifier:
    """Tells the classes apart by `STATISTICS`, not fitted yet.

    Trees: 0.973 against 0.966 for a logistic regression, and skewed figures need no care.
    """
    return HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=15, class_weight="balanced", random_state=0
    )


def propensity(figures: NDArray[np.float64], images: ImageSet, seed: int) -> NDArray[np.float64]:
    """Probability that a film is of the class pneumonia, by its style and films of other patients.

    Args:
        figures: [N, 14], `STATISTICS` of the films.
        images: the N films.
        seed: of the cross-fitting's folds.

    Returns:
        Cross-fitted probability [N].

    Raises:
        DataError: too few patients to fit on others.
    """
    patients = [file.patient for file in images.files]
    folds = StratifiedGroupKFold(_CROSS_FITS, shuffle=True, random_state=seed)
    try:
        # One thread: so few films are fitted several times slower by two, and folds of one seed
        # must not depend on the machine. Fewer patients than folds are refused below.
        with threadpool_limits(1), warnings.catch_warnings(category=UserWarning, action="ignore"):
            fitted = cross_val_predict(
                classifier(),
                figures,
                images.labels,
                groups=patients,
                cv=folds,
                method="predict_proba",
            )
    except ValueError as error:
        raise DataError(f"too few images to tell styles apart: {error}") from error
    return np.asarray(fitted[:, 1], np.float64)


def style_folds(
    images: ImageSet, looks: NDArray[np.float64], folds: int, seed: int
) -> NDArray[np.int64]:
    """Folds 1 to K; fold K holds the normals that look most like pneumonia films.

    Args:
        images: N films.
        looks: `propensity` [N].
        folds: K.
        seed: deals out the pneumonia patients.

    Returns:
        Fold [N]; all films of a patient are in one, those of a patient with a normal film by style.
    """
    names, patient = np.unique([file.patient for file in images.files], return_inverse=True)
    films = np.bincount(patient)
    mean_look = np.bincount(patient, looks) / films
    has_normal = np.bincount(patient, images.labels == 0) > 0
    by_chance = np.random.default_rng(seed).permutation(len(names))
    fold_of = np.zeros(len(names), np.int64)
    for group, order in (
        (has_normal, np.argsort(mean_look, kind="stable")),
        (~has_normal, by_chance),
    ):
        members = order[group[order]]
        # By the films before and half of its own: each fold gets its share of films.
        middle = np.cumsum(films[members]) - films[members] / 2
        fold_of[members] = 1 + (middle * folds / films[members].sum()).astype(np.int64)
    return fold_of[patient]
