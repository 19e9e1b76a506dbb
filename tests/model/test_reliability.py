"""What a spec carries about its scores is read strictly by whoever shows it."""

from __future__ import annotations

import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.catalog import bundled_specs
from cxr_edge.model.reliability import Reliability
from cxr_edge.model.spec import ModelSpec
from tests.factories import Change, changed, drop, set_value
from tests.tiny import reliability_values


def test_round_trip() -> None:
    values = reliability_values()
    assert Reliability.from_dict(values).to_dict() == values


@pytest.mark.parametrize("spec", bundled_specs(), ids=lambda spec: spec.name)
def test_what_ships_can_be_read(spec: ModelSpec) -> None:
    if spec.reliability is not None:
        assert Reliability.from_dict(spec.reliability).to_dict() == spec.reliability


TURNED = "changes.1.turned.screening"
REFUSED: dict[str, Change] = {
    "no change of films": set_value("changes", []),
    "first change is one": set_value("changes.0.largest", 0.1),
    "a mean above the largest": set_value("changes.1.mean", 0.6),
    "probability moves by more than 1": set_value("changes.1.largest", 1.5),
    "more missed than turned": set_value(f"{TURNED}.missed", 40),
    "half a film": set_value(f"{TURNED}.films", 47.5),
    "missing calibration": drop("calibration"),
    "missing field": drop("counts"),
    "unknown field": set_value("calibration.0.comment", "hello"),
    "an area without an interval": set_value("shortcuts.style.auc", 0.9),
    "three sides": set_value("film_size", [1, 2, 3]),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_refused(change: Change) -> None:
    with pytest.raises(ModelRefusedError, match=r"^spec cannot be used: "):
        Reliability.from_dict(changed(reliability_values(), change))
