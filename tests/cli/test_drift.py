"""`cxr-edge drift`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxr_edge.ledger.runs import open_ledger
from cxr_edge.model.site_profile import Limits, SiteProfile
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from tests.cli.conftest import Run
from tests.watch.nights import add_night, made_features


def site(limits: Limits | None) -> SiteProfile:
    return SiteProfile.of(
        model="tiny",
        model_version="1.0.0",
        model_sha256="ab" * 32,
        preprocessing_version=1,
        decoding_version=1,
        point=OperatingPoint(0.5, "by hand", Proportion.of(9, 10), Proportion.of(9, 10), "films"),
        data_sha256="cd" * 32,
        created_utc="2026-11-22T20:00:00Z",
        limits=limits,
    )


def shifted(state: Path, profile: SiteProfile | None = None) -> None:
    """A night of brighter films after one that is plain."""
    random = np.random.default_rng(0)
    with open_ledger(state) as ledger:
        for name, mean in {"before": 120.0, "after": 140.0}.items():
            scores = random.random(300).tolist()
            features = made_features(random, 300, mean=mean)
            add_night(ledger, name, scores, features, profile=profile)


def test_a_limit_that_is_passed_exits_with_5(run: Run, tmp_path: Path) -> None:
    shifted(tmp_path)
    options = ("drift", "--state", tmp_path, "--reference", "before", "--window", "300")
    made = run(*options)
    assert (made.code, made.err) == (5, "")
    lines = made.out.splitlines()
    assert lines[0] == "window: 300 films, runs after to after"
    assert [line.split()[0] for line in lines[4:11]] == [
        *("score", "mean", "spread", "sharpness", "border_share", "size", "scope")
    ]
    assert lines[5].endswith("moved, over the limit")
    assert lines[-1] == "over the limit of PSI 0.25: mean"
    values = json.loads(run(*options, "--json").out)
    assert [part["name"] for part in values["parts"] if part["over"]] == ["mean"]


@pytest.mark.parametrize(("limits", "code"), [(Limits(psi=9.0), 0), (None, 5)], ids=str)
def test_the_limit_of_the_site_profile_counts(
    limits: Limits | None, code: int, run: Run, tmp_path: Path
) -> None:
    shifted(tmp_path, site(limits))
    made = run("drift", "--state", tmp_path, "--reference", "before")
    assert (made.code, made.err) == (code, "")
    assert "moved" in made.out


def test_too_few_films_are_no_alarm(run: Run, tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "only", [0.5] * 57)
    made = run("drift", "--state", tmp_path)
    assert (made.code, made.out) == (0, "too few films to tell: 57, a window takes 200\n")
    assert json.loads(run("drift", "--state", tmp_path, "--json").out)["films"] == 57
