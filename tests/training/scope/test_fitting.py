"""Limits warn of few enough children, and the network learns what it is shown."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_training.scope.draws import UNKNOWN, Examples
from cxr_training.scope.fitting import fit, limit
from cxr_training.scope.net import probabilities
from tests.factories import chest

NOBODY = np.zeros(100)


def test_one_patient_of_a_hundred_may_be_warned_of() -> None:
    films = np.linspace(0, 0.9, 200)
    patients = [str(number // 2) for number in range(200)]
    chosen = limit(films, patients, NOBODY)
    assert {patients[i] for i in np.flatnonzero(films >= chosen)} == {"99"}
    assert films[197] < chosen <= films[199]


def test_two_copies_of_a_hundred_may_be_warned_of() -> None:
    copies = np.linspace(0, 0.9, 100)
    chosen = limit(NOBODY, list(map(str, range(100))), copies)
    assert (copies >= chosen).sum() == 2


def test_few_patients_may_not_be_warned_of_at_all() -> None:
    chosen = limit(np.array([0.2, 0.7]), ["a", "b"], np.array([0.1]))
    assert 0.7 < chosen <= 1


@pytest.mark.slow  # a training
def test_it_learns_what_it_is_shown_and_nothing_from_what_nobody_knows() -> None:
    films = np.stack([chest(48, 48, tilt=tilt) for tilt in range(40, 104)])
    planes = np.concatenate([films, films[:, ::-1]])
    targets = np.array([[0, 1]] * 64 + [[1, UNKNOWN]] * 64, np.float32)
    model = fit(Examples(planes, targets, np.array([""] * 128)), seed=1, epochs=40)
    found = probabilities(model, planes)
    assert found[:64, 0].max() < 0.5 < found[64:, 0].min()
    assert found[:, 1].min() > 0.5, "no example says that somebody is a child"
