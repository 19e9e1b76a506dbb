"""From labelled, scored films to figures; scikit-learn does the mathematics."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sklearn.metrics import average_precision_score, brier_score_loss, log_loss

from cxr_edge.errors import DataError
from cxr_edge.evaluate.baseline import baseline
from cxr_edge.evaluate.confusion import point_figures
from cxr_edge.evaluate.curves import calibration, precision_recall, roc
from cxr_edge.evaluate.films import Scored
from cxr_edge.evaluate.labels import LabelledSet, hash_line
from cxr_edge.evaluate.results import EvaluatedFilm, ModelFigures, SetFigures
from cxr_edge.images import DECODING_VERSION
from cxr_edge.model.site_profile import SITE_POINT, Limits, SiteProfile
from cxr_edge.model.spec import DEFAULT_OPERATING_POINT, ModelSpec
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics import operating_points
from cxr_edge.statistics.auc import auc_estimate
from cxr_edge.statistics.measurements import ScoreDistribution
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.support.utc import utc_text


@dataclass(frozen=True)
class MeasuredModel:
    """The model file that scored the films.

    Attributes:
        points: the model's, and the site's.
    """

    spec: ModelSpec
    file: str
    sha256: str
    device: str
    points: Mapping[str, OperatingPoint]


def measure(
    films: Sequence[EvaluatedFilm],
    model: MeasuredModel,
    prevalence: float | None,
    data: SetFigures,
) -> ModelFigures:
    """Every figure of one model; what cannot be computed is None, and no figure is NaN.

    Args:
        films: of the set, with what the model said; those without a score are in no figure.
        model: what scored them.
        prevalence: share of positive films that the site expects, or None.
        data: the set, for its name and classes.

    Raises:
        DataError: no film has a score; the prevalence is no share between 0 and 1.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise DataError(f"a prevalence lies between 0 and 1: {prevalence}")
    scored = _scored(films)
    labels, probability = scored.labels, scored.probability
    points = _leading_first(model.points)
    first = points[0][1]
    both = scored.both_classes
    return ModelFigures(
        spec=model.spec,
        model_file=model.file,
        model_sha256=model.sha256,
        device=model.device,
        films=tuple(films),
        not_scored=tuple(film for film in films if film.result.probability is None),
        auc=auc_estimate(labels, probability, scored.patients),
        average_precision=float(average_precision_score(labels, probability)) if both else None,
        brier=float(brier_score_loss(labels, probability, pos_label=1)),
        log_loss=float(log_loss(labels, scored.inside, labels=[0, 1])),
        points=tuple(point_figures(point, scored, data.classes, prevalence) for point in points),
        roc=roc(scored),
        precision_recall=precision_recall(scored),
        calibration=calibration(scored),
        distribution=ScoreDistribution.of(
            data.name,
            {name: probability[labels == label] for label, name in enumerate(data.classes)},
        ),
        baseline=baseline(films),
        missed=_wrong(scored, 1, first),
        false_alarms=_wrong(scored, 0, first),
    )


def _leading_first(points: Mapping[str, OperatingPoint]) -> list[tuple[str, float]]:
    """Names and thresholds: the point that `score` would decide by comes before the others."""
    ordered = sorted(points, key=lambda name: (name != SITE_POINT, name != DEFAULT_OPERATING_POINT))
    return [(name, points[name].threshold) for name in ordered]


def set_figures(labelled: LabelledSet, films: Sequence[EvaluatedFilm]) -> SetFigures:
    """The set itself.

    Args:
        labelled: what the labels say.
        films: one for each of its films, scored or not.
    """
    if len(films) != len(labelled.films):
        raise ValueError(f"{len(films)} rows for {len(labelled.films)} labelled films")
    labels = Counter(film.label for film in labelled.films)
    contents = Counter(film.result.sha256 for film in films if film.result.sha256)
    return SetFigures(
        name=labelled.name,
        sha256=_sha256(films, labelled.classes),
        classes=labelled.classes,
        counts={name: labels[label] for label, name in enumerate(labelled.classes)},
        patients=len({film.patient for film in films if film.result.probability is not None}),
        patients_from=labelled.patients_from,
        repeated=sum(films for films in contents.values() if films > 1),
        unlabelled=labelled.unlabelled,
        missing_class=next(
            (name for label, name in enumerate(labelled.classes) if not labels[label]), ""
        ),
    )


def _sha256(films: Sequence[EvaluatedFilm], classes: tuple[str, str]) -> str:
    """Over names, contents and classes of the scored films.

    Training has the same hash of the same films.
    """
    scored = (film for film in films if film.result.probability is not None)
    ordered = sorted(scored, key=lambda film: (film.label, film.result.path))
    lines = "".join(
        hash_line(film.result.path, film.result.sha256, classes[film.label]) for film in ordered
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def propose(
    films: Sequence[EvaluatedFilm],
    model: MeasuredModel,
    sensitivity: float,
    data: SetFigures,
    limits: Limits | None = None,
) -> SiteProfile:
    """The highest threshold with at least this sensitivity on the site's own films.

    Args:
        films: of the set, with what the model said.
        model: what scored them.
        sensitivity: in (0, 1].
        data: the set, for its name, classes and hash.
        limits: of the site, for its nights.

    Raises:
        DataError: a class has no scored film; no threshold is as sensitive as that.
    """
    if not 0 < sensitivity <= 1:
        raise DataError(f"a sensitivity lies above 0 and is 1 at most: {sensitivity}")
    scored = _scored(films)
    if not scored.both_classes:
        raise DataError(
            f"a threshold cannot be chosen on {data.name}: it needs scored films of "
            f"{' and '.join(data.classes)}"
        )
    labels, probability = scored.labels, scored.probability
    threshold = operating_points.highest_with_sensitivity(labels, probability, sensitivity)
    flagged = probability >= threshold
    reached = scored.share(flagged, labels == 1)
    if reached.value < sensitivity:  # positive films of probability 0.000000 are never flagged
        raise DataError(
            f"no threshold has sensitivity {sensitivity} on {data.name}: "
            f"the lowest one, {threshold:.6f}, has {reached.value:.3f}"
        )
    rule = f"highest threshold with sensitivity >= {sensitivity} on the site's films"
    specificity = scored.share(~flagged, labels == 0)
    return SiteProfile.of(
        model=model.spec.name,
        model_version=model.spec.version,
        model_sha256=model.sha256,
        preprocessing_version=PREPROCESSING_VERSION,
        decoding_version=DECODING_VERSION,
        point=OperatingPoint(threshold, rule, reached, specificity, data.name),
        data_sha256=data.sha256,
        created_utc=utc_text(datetime.now(UTC)),
        limits=limits,
    )


def _scored(films: Sequence[EvaluatedFilm]) -> Scored:
    scored = Scored.of(films)
    if not scored.films:
        reasons = Counter(film.result.reason for film in films).most_common()
        raise DataError(
            f"none of the {len(films)} films could be scored: "
            + ", ".join(f"{reason} {count}" for reason, count in reasons),
            tip="cxr-edge score FOLDER shows what is the matter with each",
        )
    return scored


def _wrong(scored: Scored, label: int, threshold: float) -> tuple[EvaluatedFilm, ...]:
    """Missed (label 1) or flagged by mistake (label 0), worst first."""
    wrong = (scored.labels == label) & ((scored.probability >= threshold) != bool(label))
    films = [film for film, each in zip(scored.films, wrong.tolist(), strict=True) if each]
    sign = 1 if label else -1
    return tuple(sorted(films, key=lambda f: (sign * (f.result.probability or 0), f.result.path)))
