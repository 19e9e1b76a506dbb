"""The job of `cxr-edge score`; light, because `--help` imports it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.intake.settle import DEFAULT_SETTLE_SECONDS
from cxr_edge.support.viewer_url import check_template
from cxr_edge.types import (
    DEFAULT_LANGUAGE,
    IDENTITY_FIELDS,
    ISSUER,
    LANGUAGES,
    PROBABILITY_DECIMALS,
    Place,
)

DEFAULT_MODEL = "cnn3_128"


@dataclass(frozen=True)
class ScoreJob:
    """One night's work, as asked for on the command line or in Python.

    Attributes:
        inputs: folders, walked recursively, and files.
        model: bundled name, bundled file name or path.
        out: new folder for the report, or URL of one; None for `reports/<UTC time>`.
        state: folder of the ledger; None for one of the user's own for each set of `inputs`.
        operating_point: one of the model's own; None for `screening`.
        threshold: a probability, instead of an operating point.
        site_profile: file of a threshold that the site chose, instead of an operating point.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        workers: decoder processes; None for as many as there are usable cores.
        batch_size: films in the network at once; None for as many as suit the device.
        settle: seconds that a file must have been left alone; 0 trusts all.
        identify: whether rows say whom each film is of: `types.IDENTITY_FIELDS`.
        id_tags: DICOM keywords whose texts are shown with each film besides.
        thumbnails: whether the page shows films.
        language: of the page, of `types.LANGUAGES`.
        prevalence: share of pneumonias among the site's films, in (0, 1); None where it is not
            known. The page says what a flag is worth there.
        viewer_url: template of links to the site's viewer, with `types.IDENTITY_FIELDS` in braces.
        files_from: file with a list of paths, instead of `inputs`; `-` is stdin.
        exclude: patterns of files and folders that get no row, as `intake.discover.LeftOut` has it.
        at_least: films that a night has; fewer make it a night to look at.
        wait: whether a run waits for another one that holds its state.
        parquet: whether the rows are written as Parquet too.
        cluster: address of the Ray cluster that reads and scores; None for this machine.
        study: whether it is one of the runs that `receive` starts, which counts as no night.
        results: whether results for the PACS follow: until then the run owes them.
        command: how the run was started, for its report.
    """

    inputs: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    out: Place | None = None
    state: Path | None = None
    operating_point: str | None = None
    threshold: float | None = None
    site_profile: Path | None = None
    device: str = "auto"
    workers: int | None = None
    batch_size: int | None = None
    settle: float = DEFAULT_SETTLE_SECONDS
    identify: bool = False
    id_tags: tuple[str, ...] = ()
    thumbnails: bool = False
    language: str = DEFAULT_LANGUAGE
    prevalence: float | None = None
    viewer_url: str | None = None
    files_from: str | None = None
    exclude: tuple[str, ...] = ()
    at_least: int = 0
    wait: bool = False
    parquet: bool = False
    cluster: str | None = None
    study: bool = False
    results: bool = False
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if "" in self.inputs:
            # Path("") is the current folder, and "$UNSET" is a likely way to get there.
            raise InputError("an INPUT is an empty string", tip="is the shell variable set?")
        if bool(self.inputs) == (self.files_from is not None):
            raise InputError("give INPUTs or --files-from, one of the two")
        if "" in self.exclude:
            raise InputError("a pattern of --exclude is empty: it leaves out nothing")
        if self.cluster == "":
            raise InputError("--cluster is an empty string", tip="is the shell variable set?")
        check_one_threshold(self.operating_point, self.threshold, self.site_profile)
        for name in ("workers", "batch_size"):
            if (number := getattr(self, name)) is not None and number < 1:
                raise InputError(f"{name} must be at least 1: {number}")
        if not 0 <= self.settle < math.inf:
            raise InputError(f"settle must be a number of seconds: {self.settle}")
        self._check_page()

    def _check_page(self) -> None:
        if self.language not in LANGUAGES:
            raise InputError(f"language must be one of {', '.join(LANGUAGES)}: {self.language}")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise InputError(f"prevalence must lie between 0 and 1: {self.prevalence}")
        if self.viewer_url is not None:
            check_template(self.viewer_url)
            if not self.identify:
                raise InputError(
                    "--viewer-url needs --identify", tip="links name whom a film is of"
                )

    @property
    def identity_fields(self) -> tuple[str, ...]:
        """Identity fields of the rows, each once."""
        return tuple(dict.fromkeys((*(IDENTITY_FIELDS if self.identify else ()), *self.id_tags)))

    @property
    def fields_read(self) -> tuple[str, ...]:
        """The same, and what tells patients with the same ID apart."""
        issuer = (ISSUER,) if self.identify else ()
        return tuple(dict.fromkeys((*self.identity_fields, *issuer)))


def check_one_threshold(
    operating_point: str | None, threshold: float | None, site_profile: Path | None
) -> None:
    """Refuse two ways to flag films at once, and a threshold that flags all or none.

    Raises:
        InputError: as said.
    """
    ways = (operating_point, threshold, site_profile)
    if sum(way is not None for way in ways) > 1:
        raise InputError("give only one of operating point, threshold and site profile")
    if threshold is not None and not 0 < round(threshold, PROBABILITY_DECIMALS) < 1:
        raise InputError(f"threshold must lie between 0 and 1: {threshold}")
