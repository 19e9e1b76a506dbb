"""A threshold that a site chose on its own films, bound to what it was chosen with."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cxr_edge.errors import InputError, ModelRefusedError
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.support.files import read_plain
from cxr_edge.support.strict_json import OMITTABLE, leave_out_defaults, parse, read
from cxr_edge.support.text import display_name

SCHEMA_VERSION = 1
SITE_POINT = "site"
_MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of a site for `drift` and `reads`; the defaults hold where it states none.

    Attributes:
        psi: population stability index that a part may reach, see `watch.drift`.
        ppv: lowest acceptable share of flags that readers confirm; None for none.
        sensitivity: lowest acceptable sensitivity; None for none.
        cusum: height at which the running sum of wrong flags raises an alarm.
    """

    psi: float = 0.25
    ppv: float | None = None
    sensitivity: float | None = None
    cusum: float = 5.0

    def __post_init__(self) -> None:
        """Shares lie between 0 and 1, heights above 0."""
        for share in (self.ppv, self.sensitivity):
            if share is not None and not 0 < share < 1:
                raise ValueError(f"a limit must lie between 0 and 1: {share}")
        if not (0 < self.psi < math.inf and 0 < self.cusum < math.inf):
            raise ValueError(f"a limit must be above 0: {self.psi}, {self.cusum}")


@dataclass(frozen=True)
class SiteProfile:
    """A profile that `evaluate --propose-threshold` writes and `score --site-profile` reads.

    Attributes:
        model_sha256: of the model file; another one needs another evaluation.
        preprocessing_version: likewise, and so is `decoding_version`.
        point: the threshold with what it measured on the very films that chose it, n and interval.
        data_sha256: over names and contents of those films.
        limits: when `drift` and `reads` are to warn; None for the documented ones.
        digest: sha256 over everything else; a profile that was edited is refused. It guards against
            slips, not against intent.
    """

    schema_version: int
    model: str
    model_version: str
    model_sha256: str
    preprocessing_version: int
    decoding_version: int
    point: OperatingPoint
    data_sha256: str
    created_utc: str
    digest: str
    limits: Limits | None = field(default=None, metadata=OMITTABLE)

    def __post_init__(self) -> None:
        """Refuse what was edited, and what another version wrote."""
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema {self.schema_version}, this is {SCHEMA_VERSION}")
        if self.digest != _digest({**self._values(), "digest": ""}):
            raise ValueError("it was changed after it was written")

    @classmethod
    def of(cls, **facts: Any) -> SiteProfile:
        """A new profile from everything but version and digest."""
        values = {"schema_version": SCHEMA_VERSION, **facts, "digest": ""}
        plain = {**values, "point": _point_values(values["point"])}
        limits = plain.pop("limits", None)
        plain |= {"limits": asdict(limits)} if limits else {}
        return cls(**{**values, "digest": _digest(plain)})

    def to_json(self) -> str:
        """The text of `site-profile.json`."""
        return json.dumps(self._values(), indent=2) + "\n"

    def _values(self) -> dict[str, Any]:
        values = {**asdict(self), "point": _point_values(self.point)}
        leave_out_defaults(values, SiteProfile)
        return values

    def check(self, model_sha256: str) -> None:
        """Refuse a model or a preprocessing that the threshold was not chosen with.

        Raises:
            ModelRefusedError: either differs.
        """
        # Not above: a report that is rendered again needs no image library.
        from cxr_edge.images import DECODING_VERSION
        from cxr_edge.preprocess import PREPROCESSING_VERSION

        if model_sha256 != self.model_sha256:
            raise ModelRefusedError(
                f"the site profile is for {self.model} {self.model_version}, "
                f"sha256 {self.model_sha256[:16]}; this model is {model_sha256[:16]}",
                tip=f"give --model {self.model}, or evaluate this model: cxr-edge evaluate --help",
            )
        for what, chosen_with, ours in (
            ("preprocessing", self.preprocessing_version, PREPROCESSING_VERSION),
            ("decoding", self.decoding_version, DECODING_VERSION),
        ):
            if chosen_with != ours:
                raise ModelRefusedError(
                    f"the site profile is for {what} {chosen_with}, this is {ours}",
                    tip="evaluate again: cxr-edge evaluate --help",
                )


def load_profile(path: Path) -> SiteProfile:
    """Read a profile.

    Raises:
        InputError: it cannot be read, is none, or was edited.
    """
    try:
        values = parse(read_plain(path, _MAX_BYTES).decode("utf-8"))
        return read(SiteProfile, values, "profile")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        why = "it is not JSON" if isinstance(error, json.JSONDecodeError) else why
        raise InputError(
            f"site profile {display_name(path)} cannot be used: {why}",
            tip="cxr-edge evaluate --propose-threshold writes one",
        ) from error


def _point_values(point: OperatingPoint) -> dict[str, Any]:
    """Without what a site's point has not, so that profiles of older versions keep their digest."""
    values = asdict(point)
    leave_out_defaults(values, OperatingPoint)
    return values


def _digest(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
