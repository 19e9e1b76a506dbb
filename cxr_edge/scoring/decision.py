"""The threshold that decides which films are flagged, and where it comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.model.catalog import ModelChoice
from cxr_edge.model.site_profile import SITE_POINT, SiteProfile, load_profile
from cxr_edge.model.spec import DEFAULT_OPERATING_POINT
from cxr_edge.support.text import display_name
from cxr_edge.types import PROBABILITY_DECIMALS


@dataclass(frozen=True)
class Decision:
    """A film is flagged at or above `threshold`.

    Attributes:
        name: of an operating point of the model, `site` or `custom`.
        threshold: a probability.
        profile: the site profile, where a site has chosen it.
    """

    name: str
    threshold: float
    profile: SiteProfile | None = None


def decide(
    choice: ModelChoice,
    operating_point: str | None,
    threshold: float | None,
    site_profile: Path | None,
) -> Decision:
    """Find the threshold from at most one of the three; `screening` without any.

    Raises:
        InputError: the model has no such operating point, or the profile cannot be read.
        ModelRefusedError: the profile is for another model or preprocessing.
    """
    if site_profile is not None:
        _check_for_all(site_profile)
        profile = load_profile(site_profile)
        profile.check(choice.file.sha256)
        return Decision(SITE_POINT, profile.point.threshold, profile)
    if threshold is not None:
        # As many decimals as a probability has: the threshold that is printed is the one used.
        return Decision("custom", round(threshold, PROBABILITY_DECIMALS))
    name = operating_point or DEFAULT_OPERATING_POINT
    points = choice.spec.operating_points
    if name not in points:
        raise InputError(
            f"{choice.spec.name} has no operating point {name!r}",
            tip=f"it has: {', '.join(points)}",
        )
    return Decision(name, points[name].threshold)


def _check_for_all(site_profile: Path) -> None:
    """Refuse PREFIX=FILE: a list has one threshold, which its page states."""
    if "=" in str(site_profile) and not os.path.lexists(site_profile):
        raise InputError(
            f"--site-profile {display_name(site_profile)}: a run has one profile for all its films",
            tip="start a run for each hospital, with a --state of its own",
        )
