"""Drift: quiet where films differ by chance, loud where they do not, and which part it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import InputError
from cxr_edge.features import FEATURES, logit_of
from cxr_edge.ledger import runs
from cxr_edge.ledger.run import STUDY
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.ledger.window import Film, latest_films
from cxr_edge.report.summary import distribution
from cxr_edge.statistics.measurements import FeatureDistribution
from cxr_edge.types import InputWarning
from cxr_edge.watch.drift import Drift, compare, table
from cxr_edge.watch.drift_job import DriftJob, TooFew, run
from cxr_edge.watch.reference import Reference, marks_of, of_validation
from tests.factories import context
from tests.tiny import tiny_spec
from tests.watch.nights import add_night, add_plain_nights, made_features

SHIFTS = {"mean": 140.0, "spread": 60.0, "sharpness": 0.25, "border_share": 0.13, "size": 2e6}


def films(random: np.random.Generator, count: int, power: float = 1, **means: float) -> list[Film]:
    """Made films; a power above 1 lowers their scores."""
    looks = made_features(random, count, **means)
    scores = random.beta(0.4, 0.6, count) ** power
    return [
        Film("run", round(score, 6), (), (*row, None, logit_of(round(score, 6))))
        for score, row in zip(scores.tolist(), looks.tolist(), strict=True)
    ]


def reference_of(made: list[Film]) -> Reference:
    features = distribution("some films", [film.features for film in made])
    assert features is not None
    flags = sum(film.probability >= 0.5 for film in made)
    return Reference("some films", len(made), marks_of(features), True, {}, flags)


def over(drift: Drift) -> set[str]:
    return {part.name for part in drift.parts if part.over}


def test_false_alarms_are_rare() -> None:
    """200 windows of 200 films each, all like the reference."""
    random = np.random.default_rng(1)
    reference = reference_of(films(random, 500))
    alarms = [over(compare(films(random, 200), reference, 0.5, 0.25)) for _ in range(200)]
    assert sum(map(bool, alarms)) <= 2


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_is_found_where_it_is(name: str) -> None:
    random = np.random.default_rng(2)
    reference = reference_of(films(random, 500))
    drift = compare(films(random, 200, **{name: SHIFTS[name]}), reference, 0.5, 0.25)
    assert over(drift) == {name}
    assert drift.total > 10


def test_fewer_ill_patients_move_scores_and_flags_alone() -> None:
    random = np.random.default_rng(3)
    reference = reference_of(films(random, 500))
    assert over(compare(films(random, 200, power=8), reference, 0.5, 0.25)) == {
        "score",
        "flag rate",
    }


def test_values_that_tie_are_no_shift() -> None:
    """Most films have no border at all; the share of those is not known exactly."""
    random = np.random.default_rng(4)
    place = FEATURES.index("border_share")

    def cut(made: list[Film]) -> list[Film]:
        kept = []
        for film in made:
            looks = [*film.features]
            if random.random() < 0.62:
                looks[place] = 0.0
            kept.append(Film(film.run, film.probability, (), tuple(looks)))
        return kept

    reference = reference_of(cut(films(random, 2000)))
    drift = compare(cut(films(random, 5000)), reference, 0.5, 0.25)
    (part,) = (part for part in drift.parts if part.name == "border_share")
    assert part.p > 0.01
    assert part.psi < 0.02


def test_warnings_that_come_up(tmp_path: Path) -> None:
    blank, none = (InputWarning.BLANK,), ()
    random = np.random.default_rng(5)
    with open_ledger(tmp_path) as ledger:
        for name, share in {"before": 0.02, "after": 0.3}.items():
            seen = [blank if random.random() < share else none for _ in range(300)]
            add_night(ledger, name, random.random(300).tolist(), warnings=seen)
    drift = drift_of(tmp_path, "before", 300)
    assert over(drift) == {"warnings"}
    assert any(line.startswith("warnings") and "over the limit" in line for line in table(drift))


def drift_of(state: Path, reference: str | None, window: int = 200) -> Drift:
    found = run(DriftJob(state, reference, window))
    assert isinstance(found, Drift)
    return found


def test_the_window_is_counted_in_films_and_not_in_nights(tmp_path: Path) -> None:
    """Films of the reference and before, of studies, and the same films again do not count."""
    names = add_plain_nights(tmp_path, 4, films=220)
    drift = drift_of(tmp_path, names[0], 600)
    assert (drift.films, drift.first_run, drift.last_run) == (600, names[1], names[3])
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "study", [0.5] * 50, kind=STUDY)
    assert drift_of(tmp_path, names[2], 200).films == 200
    assert run(DriftJob(tmp_path, names[3], 200)) == TooFew(0)


def test_validation_without_features_has_scores_that_do_not_count(tmp_path: Path) -> None:
    add_plain_nights(tmp_path, 1, films=250)
    drift = drift_of(tmp_path, None)
    assert [(part.name, part.counted) for part in drift.parts] == [("score", False)]
    assert not drift.over


def test_validation_with_features() -> None:
    random = np.random.default_rng(6)
    columns = made_features(random, 1000)
    names = FEATURES[: columns.shape[1]]
    features = FeatureDistribution.of("made", dict(zip(names, columns.T, strict=True)))
    reference = of_validation(replace(tiny_spec(), validation_features=features))
    assert reference is not None
    drift = compare(films(random, 300, size=2e6), reference, 0.5, 0.25)
    assert [part.name for part in drift.parts] == ["score", *names]
    assert over(drift) == {"size"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"reference": "20200101T000000.000000Z"}, "there is no night '20200101"),
    "small": ({"reference": "small"}, "has 5 films, a reference takes 200"),
    "another model": ({"reference": "another"}, "used another model: tiny 1.0.0"),
    "window": ({"window": 199}, "--window must be at least 200 films: 199"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        add_night(ledger, "another", [0.5] * 300, model_sha256="ef" * 32)
        add_night(ledger, "small", [0.5] * 5)
    with pytest.raises(InputError, match=message):
        run(DriftJob(**{"state": tmp_path, "reference": None, "window": 200, **options}))


def test_a_damaged_row_is_left_out(tmp_path: Path) -> None:
    add_plain_nights(tmp_path, 1, films=210)
    with open_ledger(tmp_path) as ledger:
        ledger.connection.execute("UPDATE item SET features = 'x' WHERE rowid = 3")
    assert drift_of(tmp_path, None, 210).films == 209


@pytest.mark.parametrize("share", [1.0, 0.94])
@pytest.mark.parametrize("moved_to", [1e6, 4e6], ids=["smaller", "larger"])
def test_another_value_than_the_usual_one_is_a_shift(share: float, moved_to: float) -> None:
    """One detector gives all films one size; another detector's lie on one side of it."""
    random, place = np.random.default_rng(5), FEATURES.index("size")

    def of_size(made: list[Film], size: float, share: float) -> list[Film]:
        looks = [[*film.features] for film in made]
        for each in looks:
            each[place] = size if random.random() < share else 3e6
        return [replace(film, features=(*each,)) for film, each in zip(made, looks, strict=True)]

    reference = reference_of(of_size(films(random, 400), 2e6, share))
    same = compare(of_size(films(random, 200), 2e6, share), reference, 0.5, 0.25)
    other = compare(of_size(films(random, 200), moved_to, 1), reference, 0.5, 0.25)
    assert ("size" in over(same), "size" in over(other)) == (False, True)


def test_films_of_a_reference_that_is_forgotten_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its summary outlives its rows, and its films may lie in the folder for years."""
    monkeypatch.setattr(runs, "_KEPT", dict.fromkeys(runs._KEPT, 2))
    first = add_plain_nights(tmp_path, 1, films=250)[0]
    looks = made_features(np.random.default_rng(0), 250)
    with open_ledger(tmp_path) as ledger:
        for number in range(4):
            add_night(ledger, f"later-{number}", [0.5] * 250, looks, files_of=first)
            assert latest_films(ledger, context().model_sha256, 500, after=first) == []
