"""Results of an evaluation: plain values, computed in `metrics`, printed in `page`.

A figure that cannot be computed is None, never NaN; `words.why_not` says why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cxr_edge.model.reliability import CalibrationBin
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import Estimate, ScoreDistribution
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.types import Result

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class EvaluatedFilm:
    """One labelled film and what the model says about it.

    Attributes:
        label: 1 for the positive class, 0 for the negative one.
        patient: films of one patient share it; a number, no name.
        bytes: size of the file.
    """

    result: Result
    label: int
    patient: str
    bytes: int


@dataclass(frozen=True)
class Confusion:
    """Films by finding and by decision."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int


@dataclass(frozen=True)
class ClassReport:
    """A line of scikit-learn's classification report; None where it divides by zero.

    Both classes, then `macro avg` and `weighted avg`.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class PredictiveValue:
    """Value by Bayes' theorem; `low` and `high` from the ends of both intervals."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PredictiveValues:
    """Bayes at a prevalence that the site states; None where a class is missing."""

    prevalence: float
    positive: PredictiveValue | None
    negative: PredictiveValue | None


@dataclass(frozen=True)
class PointFigures:
    """Figures of one operating point on the set.

    Attributes:
        sensitivity: flagged among the scored positive films.
        positive_predictive_value: at the prevalence of the set itself; likewise the negative one.
        at_prevalence: at the prevalence that the site states, if it does.
    """

    name: str
    threshold: float
    confusion: Confusion
    accuracy: Proportion
    sensitivity: Proportion | None
    specificity: Proportion | None
    positive_predictive_value: Proportion | None
    negative_predictive_value: Proportion | None
    at_prevalence: PredictiveValues | None
    report: tuple[ClassReport, ...]


@dataclass(frozen=True)
class Curve:
    """Points of a curve; `thresholds` has one per point, 1.0 where scikit-learn says infinity."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class MetadataBaseline:
    """Performance of width, height, aspect and bytes alone; a shortcut that a model could take.

    Attributes:
        auc: of labels predicted from metadata, cross-validated by patient.
        explained: share of the variance of the model's logit that metadata explain (R2), likewise;
            0 where they predict it worse than its mean does.
        why_not: why there is no figure, or an empty string.
    """

    features: tuple[str, ...]
    folds: int
    auc: Estimate | None
    explained: float | None
    why_not: str


@dataclass(frozen=True)
class ModelFigures:
    """One model on the set.

    Attributes:
        films: every labelled film of the set.
        auc: None with too few patients of a class, `auc.LEAST_PATIENTS`.
        points: its operating points; the first is the site's own, or else the default.
        roc: false positive rate, true positive rate.
        precision_recall: recall, precision.
        missed: false negatives at the first of `points`, worst first.
        false_alarms: false positives likewise.
    """

    spec: ModelSpec
    model_file: str
    model_sha256: str
    device: str
    films: tuple[EvaluatedFilm, ...]
    not_scored: tuple[EvaluatedFilm, ...]
    auc: Estimate | None
    average_precision: float | None
    brier: float
    log_loss: float
    points: tuple[PointFigures, ...]
    roc: Curve | None
    precision_recall: Curve | None
    calibration: tuple[CalibrationBin, ...]
    distribution: ScoreDistribution
    baseline: MetadataBaseline
    missed: tuple[EvaluatedFilm, ...]
    false_alarms: tuple[EvaluatedFilm, ...]


@dataclass(frozen=True)
class McNemar:
    """Films on which the decisions of two models differ, at the point of one name of each.

    `p_value` is exact (binomial), two-sided.
    """

    point: str
    only_first_right: int
    only_second_right: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the films that both have scored.

    Attributes:
        difference: AUC of the first less that of the second, bootstrap by patient.
        delong_p_value: DeLong's test, two-sided; it takes films for independent.
    """

    first: str
    second: str
    films: int
    difference: Estimate | None
    delong_p_value: float | None
    mcnemar: tuple[McNemar, ...]


@dataclass(frozen=True)
class SetFigures:
    """The labelled set.

    Attributes:
        sha256: over names, contents and classes of its scored films.
        counts: labelled files by class name, negative first, scored or not.
        patients: on the scored films.
        patients_from: what says which films show one patient.
        repeated: films whose bytes another film has too; they count.
        unlabelled: files in the folder that the labels do not name; they do not count.
        missing_class: a class without a film, or an empty string.
    """

    name: str
    sha256: str
    classes: tuple[str, str]
    counts: dict[str, int]
    patients: int
    patients_from: str
    repeated: int
    unlabelled: tuple[str, ...]
    missing_class: str


@dataclass(frozen=True)
class Evaluation:
    """Figures and facts that the page, the JSON and the terminal say."""

    created_utc: str
    seconds: float
    command: tuple[str, ...]
    versions: dict[str, str]
    films: SetFigures
    models: tuple[ModelFigures, ...]
    comparison: Comparison | None
    profile: SiteProfile | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a spec by name, version and hash, the films left out."""
        values = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        for plain, model in zip(values["models"], self.models, strict=True):
            spec = model.spec
            plain["spec"] = {"name": spec.name, "version": spec.version, "sha256": spec.sha256()}
            del plain["films"]
        return values
