"""The job of `cxr-edge evaluate`; light, because `--help` imports it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_edge.errors import InputError
from cxr_edge.types import PATIENT_ID

if TYPE_CHECKING:  # `--help` imports this module and must answer before NumPy is loaded
    from cxr_edge.model.site_profile import Limits

_MODELS_COMPARED = 2


@dataclass(frozen=True)
class Labels:
    """Sources of the findings on films, and of who is on them; training takes the same.

    Attributes:
        table: CSV with path, label and perhaps patient; None for folder names.
        positive: classes to find; none for PNEUMONIA.
        patients_from_header: whether the Patient ID of a DICOM header names the patient of a film
            for which the table names none.
    """

    table: Path | None = None
    positive: tuple[str, ...] = ()
    patients_from_header: bool = False

    @property
    def identity_fields(self) -> tuple[str, ...]:
        """Header fields that are asked for besides."""
        return (PATIENT_ID,) if self.patients_from_header else ()


FOLDER_NAMES = Labels()


@dataclass(frozen=True)
class EvaluateJob:
    """One site acceptance test, as asked for on the command line.

    Attributes:
        labelled: folder with a folder for each class, or with the films that a table names.
        models: as in `ScoreJob`; one is evaluated, two are compared.
        labels: where findings and patients stand.
        prevalence: share of positives at the site, for predictive values.
        propose_threshold: `sensitivity=S`, to choose a threshold.
        site_profile: threshold to judge besides the model's own.
        thumbnails: whether the page shows films.
        out: new folder for the figures; None for `evaluations/<UTC time>`.
        device, workers, batch_size, command: as in `ScoreJob`.
        limits: `NAME=VALUE` each, written into the site profile.
    """

    labelled: Path
    models: tuple[str, ...]
    labels: Labels
    prevalence: float | None
    propose_threshold: str | None
    site_profile: Path | None
    thumbnails: bool
    out: Path | None
    device: str
    workers: int | None
    batch_size: int | None
    command: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if len(self.models) > _MODELS_COMPARED:
            raise InputError(f"{len(self.models)} models: one is evaluated, or two are compared")
        if len(set(self.models)) < len(self.models):
            raise InputError(f"--model {self.models[0]} is given twice")
        single = self.propose_threshold is not None or self.site_profile is not None
        if single and len(self.models) > 1:
            raise InputError("a threshold belongs to one model: give one --model")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise InputError(f"--prevalence must lie between 0 and 1: {self.prevalence}")
        self.least_sensitivity()  # refused before any film is read
        if self.limits and self.propose_threshold is None:
            raise InputError("--limit is written into a site profile: give --propose-threshold")
        self.chosen_limits()

    def least_sensitivity(self) -> float | None:
        """Read the sensitivity that --propose-threshold asks for."""
        if self.propose_threshold is None:
            return None
        figure, _, value = self.propose_threshold.partition("=")
        try:
            least = float(value)
        except ValueError:
            least = 0.0
        if figure != "sensitivity" or not 0 < least <= 1:
            raise InputError(
                f"--propose-threshold {self.propose_threshold!r} cannot be used",
                tip="write it as sensitivity=0.98, above 0 and up to 1",
            )
        return least

    def chosen_limits(self) -> Limits | None:
        """Read the limits that --limit asks for; None where it does not."""
        if not self.limits:
            return None
        from cxr_edge.model.site_profile import Limits

        pairs = [text.partition("=")[::2] for text in self.limits]
        try:
            return Limits(**{name: float(value) for name, value in pairs})
        except (TypeError, ValueError) as error:
            names = ", ".join(entry.name for entry in fields(Limits))
            raise InputError(
                f"--limit {' '.join(self.limits)} cannot be used",
                tip=f"write it as ppv=0.2; the limits are {names}",
            ) from error
