"""The drift test of a state folder: which films, which reference, which limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_edge.errors import InputError, StateError
from cxr_edge.ledger.runs import Ledger, read_ledger
from cxr_edge.ledger.window import latest_films
from cxr_edge.model.site_profile import Limits, SiteProfile
from cxr_edge.model.spec import ModelSpec
from cxr_edge.report.summary import NightSummary
from cxr_edge.support.strict_json import read
from cxr_edge.watch.drift import LEAST, Drift, compare
from cxr_edge.watch.history import history_of
from cxr_edge.watch.reference import Reference, of_night, of_validation


@dataclass(frozen=True)
class DriftJob:
    """One drift test.

    Attributes:
        state: folder of the ledger.
        reference: a night to compare with; None for the model's validation.
        window: films, the latest ones; at least `LEAST`.
    """

    state: Path
    reference: str | None
    window: int

    def __post_init__(self) -> None:
        """Refuse a window that is too small to say anything."""
        if self.window < LEAST:
            raise InputError(f"--window must be at least {LEAST} films: {self.window}")


@dataclass(frozen=True)
class TooFew:
    """Answer where there are fewer films than a test needs.

    Attributes:
        films: that there are.
    """

    films: int


def run(job: DriftJob) -> Drift | TooFew:
    """Compare the latest films with a reference.

    Raises:
        InputError: no night, no such reference, or the model has no reference.
        StateError: the ledger cannot be read.
    """
    with read_ledger(job.state) as ledger:
        nights = {night.run: night for night in history_of(ledger).nights}
        if not nights:
            raise InputError("no night has a report yet", tip="run score first")
        latest = [*nights.values()][-1]
        context = _context_of(ledger, latest.run)
        reference = _reference(job, nights, latest, context)
        films = latest_films(ledger, latest.model_sha256, job.window, reference.run)
    if len(films) < LEAST:
        return TooFew(len(films))
    return compare(films, reference, latest.threshold, limits_of(context).psi)


def limits_of(context: dict[str, Any]) -> Limits:
    """The limits of the site profile that a run used, or the documented ones."""
    if context.get("profile") is None:
        return Limits()
    return read(SiteProfile, context["profile"], "profile").limits or Limits()


def latest_limits(ledger: Ledger) -> Limits:
    """Limits of the latest night."""
    nights = history_of(ledger).nights
    return limits_of(_context_of(ledger, nights[-1].run)) if nights else Limits()


def _context_of(ledger: Ledger, run: str) -> dict[str, Any]:
    """The context of a night's run; StateError where it is not there, or damaged."""
    try:
        return ledger.context(run)
    except KeyError as error:
        raise StateError(f"run {run} is damaged in the ledger", tip="run score again") from error


def _reference(
    job: DriftJob,
    nights: dict[str, NightSummary],
    latest: NightSummary,
    context: dict[str, Any],
) -> Reference:
    if job.reference is None:
        found = of_validation(ModelSpec.from_dict(context["spec"]))
        if found is None:
            raise InputError(
                f"the spec of {latest.model} does not say how its validation films look",
                tip="give --reference a run of this state: cxr-edge history lists them",
            )
        return found
    night = nights.get(job.reference)
    if night is None:
        raise InputError(
            f"there is no night {job.reference!r} in this state",
            tip="cxr-edge history lists them",
        )
    if night.model_sha256 != latest.model_sha256:
        raise InputError(
            f"run {night.run} used another model: {night.model} {night.model_version}",
            tip="give --reference a run with the model of the latest night",
        )
    if night.films < LEAST:
        raise InputError(f"run {night.run} has {night.films} films, a reference takes {LEAST}")
    return of_night(night, latest.threshold)
