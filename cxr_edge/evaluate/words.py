"""Figures in words: what the page, the pictures and the terminal say alike."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

import numpy as np

from cxr_edge.evaluate.results import (
    Comparison,
    Evaluation,
    McNemar,
    MetadataBaseline,
    ModelFigures,
    PointFigures,
    PredictiveValue,
    SetFigures,
)
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.model.spec import DEFAULT_OPERATING_POINT
from cxr_edge.report.texts import in_words
from cxr_edge.statistics.auc import LEAST_PATIENTS, class_patients
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.statistics.patients import ALONE
from cxr_edge.types import probability_text

OPTIMISTIC = (
    "These figures come from the very films that were used to set the threshold, so they are "
    "optimistic: other films tend to show less. Measure it on new films, with cxr-edge evaluate "
    "--site-profile."
)
_HARDLY_MORE_THAN_CHANCE = 0.6
TESTS_ASSUME = (
    "The interval draws patients, so several films of one patient count as one person. DeLong's "
    "and McNemar's tests take every film for independent: where patients have several films, their "
    "p values are too small. With several tests on one set, a p just below 0.05 is weak evidence."
)


def p_text(p_value: float) -> str:
    """A p value, never zero."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def count_text(number: int, noun: str) -> str:
    """`1 film`, `1,200 films`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def model_names(evaluation: Evaluation) -> list[str]:
    """Names of the models: the least that tells two of them apart."""
    models = evaluation.models
    choices: list[list[str]] = [
        [model.spec.name for model in models],
        [f"{model.spec.name} {model.spec.version}" for model in models],
        [model.model_file for model in models],
    ]
    apart = (names for names in choices if len(set(names)) == len(names))
    return next(apart, [f"{model.model_file} {model.model_sha256[:8]}" for model in models])


def why_not(evaluation: Evaluation, model: ModelFigures) -> str:
    """Reason for a figure of this model that is None."""
    if evaluation.films.missing_class:
        return f"cannot be computed: no film is {evaluation.films.missing_class}"
    empty = [name for name, bins in model.distribution.counts.items() if not sum(bins)]
    if empty:
        return f"cannot be computed: no {empty[0]} film was scored"
    scored = [film for film in model.films if film.result.probability is not None]
    labels = np.array([film.label for film in scored])
    patients = class_patients(labels, [film.patient for film in scored])
    if min(patients) >= LEAST_PATIENTS:
        return "cannot be computed from these films"
    named = zip(patients, evaluation.films.classes, strict=True)
    counts = ", ".join(f"{count:,} {name}" for count, name in named)
    return f"cannot be computed: too few patients: {counts}; {LEAST_PATIENTS} of each are needed"


def reasons(model: ModelFigures) -> str:
    """Reasons of films without a score, with counts: `truncated 2, corrupt 1`."""
    counts = Counter(film.result.reason for film in model.not_scored if film.result.reason)
    return ", ".join(f"{in_words(reason)} {n}" for reason, n in counts.most_common())


def scored_text(model: ModelFigures) -> str:
    """`117 NORMAL, 195 PNEUMONIA`."""
    counts = model.distribution.counts.items()
    return ", ".join(f"{sum(bins):,} {name}" for name, bins in counts)


def files_text(data: SetFigures) -> str:
    """`1,200 files: 800 NORMAL, 400 PNEUMONIA`."""
    counts = ", ".join(f"{count:,} {name}" for name, count in data.counts.items())
    return f"{count_text(sum(data.counts.values()), 'file')}: {counts}"


def patients_text(data: SetFigures) -> str:
    """Number of patients, its source, and what follows where there is none."""
    text = f"{count_text(data.patients, 'patient')} on the scored films, by {data.patients_from}"
    if ALONE not in data.patients_from:
        return text
    return (
        f"{text}; where a patient has several films, intervals are too narrow unless --labels "
        "names the patients"
    )


def triage_words(model: ModelFigures, classes: tuple[str, str]) -> str:
    """Differences between these figures and a night's reading list."""
    counts = Counter(film.label for film in model.not_scored)
    without = " and ".join(f"{counts[label]:,} {name}" for label, name in enumerate(classes))
    return (
        "In triage a film with a warning or without a score is read first; here decisions are by "
        f"threshold alone, and films without a score ({without}) are in no figure."
    )


def predictive_text(value: PredictiveValue | None) -> str:
    """A predictive value, printed like other figures."""
    if value is None:
        return "cannot be computed"
    middle, low, high = map(_not_certain, (value.value, value.low, value.high))
    return f"{middle} ({low} to {high})"


def _not_certain(value: float) -> str:
    """Three decimals, but that what is not 0 or 1 is not said to be."""
    if 0.9995 <= value < 1:
        return "> 0.999"
    return "< 0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def at_prevalence_words(point: PointFigures) -> str:
    """Predictive values at the prevalence that the site states, or an empty string."""
    stated = point.at_prevalence
    if stated is None:
        return ""
    return (
        f"at prevalence {stated.prevalence:g}: positive predictive value "
        f"{predictive_text(stated.positive)}, negative {predictive_text(stated.negative)}"
    )


def missed(point: PointFigures) -> str:
    """Positive films below the threshold: `1 of 195`."""
    counts = point.confusion
    return f"{counts.false_negative:,} of {counts.true_positive + counts.false_negative:,}"


def flagged_wrongly(point: PointFigures) -> str:
    """Negative films at or above it: `50 of 117`."""
    counts = point.confusion
    return f"{counts.false_positive:,} of {counts.false_positive + counts.true_negative:,}"


def verdict_words(point: PointFigures, classes: tuple[str, str]) -> str:
    """Outcome at one operating point, in films."""
    negative, positive = classes
    errors = []
    if point.sensitivity:
        errors.append(f"misses {missed(point)} {positive} films")
    if point.specificity:
        errors.append(f"flags {flagged_wrongly(point)} {negative} films")
    return f"At {point.name} it {' and '.join(errors)}."


def prevalence(point: PointFigures) -> float:
    """Share of positive films among the scored ones."""
    counts = point.confusion
    return (counts.true_positive + counts.false_negative) / point.accuracy.n


def brier_words(model: ModelFigures) -> str:
    """Explanation of the Brier score."""
    share = prevalence(model.points[0])
    return (
        f"Brier score {model.brier:.3f}: 0 is perfect, and saying {share:.3f} of every film, the "
        f"share of this set, would score {share * (1 - share):.3f}. Log loss {model.log_loss:.3f}."
    )


def baseline_words(baseline: MetadataBaseline) -> str:
    """Result of metadata alone, and its meaning for the model."""
    if baseline.auc is None:
        return f"The metadata baseline cannot be computed: {baseline.why_not}."
    names = ", ".join(baseline.features)
    reach = (
        f"Metadata alone ({names}), without a look at one pixel, reach AUC "
        f"{with_interval(baseline.auc)}, cross-validated by patient in {baseline.folds} folds"
    )
    if baseline.explained is None:
        return f"{reach}."
    share = f"{baseline.explained:.0%}"
    return f"{reach}, and explain {share} of the variance of the model's score (its logit)."


def baseline_meaning(baseline: MetadataBaseline) -> str:
    """Explanation of the baseline."""
    if baseline.auc is None:
        return ""
    if baseline.auc.low <= 0.5 and baseline.auc.high > _HARDLY_MORE_THAN_CHANCE:
        return (
            "The interval reaches from 0.5 or less to well above it: too few films to tell whether "
            "these metadata tell the classes apart."
        )
    if baseline.auc.low <= 0.5:
        return (
            "The interval ends close to 0.5: on this set these metadata tell the classes apart "
            "hardly better than chance, so a model gains next to nothing by leaning on them."
        )
    return (
        "The classes differ in their files, not only in their lungs: part of a good figure on this "
        "set can be had without looking at the film. A model that leans on that would not travel. "
        "The more of the score metadata explain, the less its figures here promise elsewhere; they "
        "may go together for a good reason too, so a high share is a question, not a proof."
    )


def difference_words(comparison: Comparison, names: Sequence[str]) -> str:
    """Difference of AUC with interval and DeLong's p."""
    first, second = names
    if comparison.difference is None:
        return (
            f"The difference in AUC of {first} and {second} cannot be computed: "
            f"both must have scored films of {LEAST_PATIENTS} patients of each class."
        )
    difference, p_value = comparison.difference, comparison.delong_p_value
    interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
    if difference.low == difference.high:
        interval = "the same in every draw of patients, which gives no interval"
    test = "cannot be computed from these films" if p_value is None else p_text(p_value)
    return (
        f"AUC of {first} less that of {second}: {difference.value:+.3f} "
        f"({interval}), DeLong {test}, on {count_text(comparison.films, 'film')} that "
        "both have scored."
    )


def mcnemar_words(test: McNemar, names: Sequence[str]) -> str:
    """Right decisions of each model, where they differ."""
    first, second = names
    return (
        f"McNemar at {test.point}: only {first} is right on {test.only_first_right:,}, only "
        f"{second} on {test.only_second_right:,}; {p_text(test.p_value)}."
    )


def profile_words(profile: SiteProfile) -> str:
    """The proposed threshold and what it measured."""
    point = profile.point
    ill, healthy = point.sensitivity, point.specificity
    lost, alarms = (round((1 - share.value) * share.n) for share in (ill, healthy))
    return (
        f"Proposed threshold {probability_text(point.threshold)}, {point.chosen_by}: sensitivity "
        f"{with_interval(ill)}, {lost:,} of {ill.n:,} missed; specificity "
        f"{with_interval(healthy)}, {alarms:,} of {healthy.n:,} flagged."
    )


def profile_cautions(evaluation: Evaluation, profile: SiteProfile) -> list[str]:
    """Cautions before the threshold is used."""
    screening = evaluation.models[0].spec.operating_points[DEFAULT_OPERATING_POINT].threshold
    if profile.point.threshold <= screening:
        return [OPTIMISTIC]
    above = (
        f"It lies above the model's own {DEFAULT_OPERATING_POINT} threshold "
        f"{probability_text(screening)}: it flags fewer films, and misses at least as many."
    )
    return [above, OPTIMISTIC]


def profile_command(evaluation: Evaluation, profile: SiteProfile) -> str:
    """The command that uses it."""
    files = {model.model_sha256: model.model_file for model in evaluation.models}
    model = shlex.quote(files.get(profile.model_sha256, profile.model))
    return f"cxr-edge score INCOMING --model {model} --site-profile site-profile.json"
