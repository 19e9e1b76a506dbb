"""The scope gate that ships: refused when it is not what it should be, and what it doubts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError, ModelRefusedError
from cxr_edge.images import decode
from cxr_edge.model import catalog
from cxr_edge.model.catalog import SCOPE_NAME, choose_model, models_dir
from cxr_edge.model.scope_spec import ScopeSpec
from cxr_edge.model.self_test import golden_image
from cxr_edge.model.spec import ModelSpec
from cxr_edge.preprocess import to_scope_input, without_border
from cxr_edge.runtime.scope import ScopeGate, load_scope
from cxr_edge.types import InputWarning
from tests.factories import Change, changed, raising, set_value

FORMATS = ("onnx", "tflite")
FILMS = sorted((Path(__file__).parents[1] / "data" / "incoming").glob("*IM-*.jpeg"))
pytestmark = pytest.mark.usefixtures("scope_gate")


@pytest.fixture(scope="module")
def children() -> ModelSpec:
    return choose_model("cnn3_50").spec


def loaded(kind: str, spec: ModelSpec) -> ScopeGate:
    gate = load_scope(kind, spec)
    assert gate is not None
    return gate


def seen(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return to_scope_input(without_border(pixels), 48)


def warned(gate: ScopeGate, planes: NDArray[np.uint8]) -> list[tuple[InputWarning, ...]]:
    return [look.warnings for look in gate.looks(planes)]


@pytest.mark.parametrize("kind", FORMATS)
def test_films_of_children_have_no_doubt_and_other_pictures_have(
    kind: str, children: ModelSpec
) -> None:
    films = [decode(path.read_bytes(), path.name).pixels for path in FILMS]
    others = [np.rot90(film) for film in films] + [golden_image("rings", 224)[..., 0]]
    gate = loaded(kind, children)
    assert warned(gate, np.stack([seen(film) for film in films])) == [()] * len(films)
    doubts = warned(gate, np.stack([seen(other) for other in others]))
    assert doubts == [(InputWarning.OUT_OF_SCOPE,)] * len(others)


class Says:
    """A backend with answers of its own."""

    def __init__(self, out_of_scope: float, adult: float) -> None:
        self.values = np.array([[[out_of_scope]], [[adult]]], np.float32)

    def outputs(self, names: Sequence[str], images: Any) -> list[NDArray[np.float32]]:
        return [np.repeat(value, len(images), axis=0) for value in self.values]


ANSWERS = {
    "nothing": ((0.0, 0.0), True, ()),
    "at the limit": ((0.5, 0.0), True, (InputWarning.OUT_OF_SCOPE,)),
    "an adult": ((0.0, 0.5), True, (InputWarning.ADULT_LOOKING,)),
    "an adult beside a model for adults": ((0.0, 1.0), False, ()),
    "no film at all is nobody's": ((1.0, 1.0), True, (InputWarning.OUT_OF_SCOPE,)),
    "no number": ((np.nan, 0.0), True, (InputWarning.OUT_OF_SCOPE,)),
}


@pytest.mark.parametrize(("values", "children_only", "doubts"), ANSWERS.values(), ids=ANSWERS)
def test_answers_become_doubts(
    values: tuple[float, float],
    children_only: bool,
    doubts: tuple[InputWarning, ...],
    children: ModelSpec,
) -> None:
    choice = loaded("onnx", children).choice
    limits = {name: replace(limit, threshold=0.5) for name, limit in choice.spec.limits.items()}
    choice = replace(choice, spec=replace(choice.spec, limits=limits))
    gate = ScopeGate(choice, Says(*values), children_only)  # type: ignore[arg-type]
    assert warned(gate, np.zeros((2, 48, 48, 1), np.uint8)) == [doubts] * 2


def test_a_warning_that_is_off_is_given_to_nobody(children: ModelSpec) -> None:
    choice = loaded("onnx", children).choice
    limits = {name: replace(limit, threshold=None) for name, limit in choice.spec.limits.items()}
    choice = replace(choice, spec=replace(choice.spec, limits=limits))
    gate = ScopeGate(choice, Says(1.0, 1.0), True)  # type: ignore[arg-type]
    assert warned(gate, np.zeros((1, 48, 48, 1), np.uint8)) == [()]


def test_adults_are_doubted_beside_models_for_children_alone(children: ModelSpec) -> None:
    for oldest, expected in ((5.0, True), (17.0, True), (18.0, False), (120.0, False)):
        spec = replace(children, use=replace(children.use, age_years=(0.0, oldest)))
        assert loaded("onnx", spec).children_only is expected


def test_a_library_that_fails_is_a_device_error(children: ModelSpec) -> None:
    backend = Says(0.0, 0.0)
    backend.outputs = raising(RuntimeError("no memory"))  # type: ignore[method-assign]
    gate = replace(loaded("onnx", children), runner=backend)  # type: ignore[arg-type]
    with pytest.raises(DeviceError, match="the scope gate fails on the CPU: no memory"):
        warned(gate, np.zeros((1, 48, 48, 1), np.uint8))


def test_one_film_more_or_less_changes_no_value(children: ModelSpec) -> None:
    films = np.stack([seen(decode(path.read_bytes(), path.name).pixels) for path in FILMS])
    for kind in FORMATS:
        runner = loaded(kind, children).runner
        whole = runner.outputs(("out_of_scope", "adult"), films)
        for index in range(len(films)):
            alone = runner.outputs(("out_of_scope", "adult"), films[index : index + 1])
            assert all(one[0] == all_[index] for one, all_ in zip(alone, whole, strict=True))


BROKEN: dict[str, tuple[Change, str]] = {
    "another hash": (set_value("files.onnx.sha256", "0" * 64), "not the file that its spec pins"),
    "another limit": (
        set_value("limits.out_of_scope.threshold", 0.99),
        "the spec and what the onnx file says differ",
    ),
    "another kind": (set_value("kind", "classifier"), "spec cannot be used"),
    "another preprocessing": (set_value("preprocessing.version", 99), "preprocessing version 99"),
    "a limit outside": (set_value("limits.adult.threshold", 1.5), "limit outside"),
    "more outputs than films": (set_value("measured.0.adult", 10**6), "not a measured rate"),
    "an input too large": (
        set_value("inputs.image.spatial_shape", [512, 512]),
        "input must be square",
    ),
    "an unknown field": (set_value("colour", "red"), "missing or unknown"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """A models folder whose gate has one thing changed in its spec."""

    def write(change: Change) -> None:
        for path in models_dir().glob(f"{SCOPE_NAME}.*"):
            shutil.copy(path, tmp_path)
        spec = catalog.bundled_scope_spec()
        assert spec is not None
        text = json.dumps(changed(spec.to_dict(), change))
        (tmp_path / f"{SCOPE_NAME}.json").write_text(text, encoding="utf-8")
        monkeypatch.setattr(catalog, "models_dir", lambda: tmp_path)

    return write


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_gate_that_is_not_what_it_should_be_is_refused(
    change: Change, message: str, children: ModelSpec, folder: Callable[[Change], None]
) -> None:
    folder(change)
    with pytest.raises(ModelRefusedError, match=message):
        load_scope("onnx", children)


def test_without_a_gate_films_are_scored_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: ModelSpec
) -> None:
    monkeypatch.setattr(catalog, "models_dir", lambda: tmp_path)
    assert load_scope("onnx", children) is None


def test_a_spec_comes_back_as_it_was_written() -> None:
    spec = catalog.bundled_scope_spec()
    assert spec is not None
    assert ScopeSpec.from_dict(spec.to_dict()) == spec
    path = models_dir() / f"{SCOPE_NAME}.json"
    assert path.read_text(encoding="utf-8") == spec.to_json()
