"""What ships can be made again from what ships beside it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec
from tests.export.films import write_labelled
from tests.parity.kermany import TEST_A

if TYPE_CHECKING:
    from cxr_edge.model.files import GoldenCase

SOURCES = models_dir() / "sources"
TRAIN = TEST_A.with_name("train")
# Measured elsewhere, or on other images; and each model has the version that it last changed in.
LEFT_OUT = ("files", "evaluations", "golden", "reliability", "version")

# Every shipped network is exported again.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("tensorflow") and find_spec("tf2onnx")),
        reason="tensorflow or tf2onnx is not installed: pip install '.[export]'",
    ),
    # Keras 3.15 reads its variables with np.array(x); they do not know NumPy 2's `copy` yet.
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    ),
]


@pytest.fixture(scope="module", params=bundled_specs(), ids=lambda spec: spec.name)
def shipped(request: pytest.FixtureRequest) -> ModelSpec:
    """A bundled model whose source ships too."""
    spec: ModelSpec = request.param
    if spec.files["onnx"].precision == "int8" and not TRAIN.is_dir():
        pytest.skip(f"no {TRAIN}: its validation films calibrate {spec.name}")
    if not (SOURCES / spec.architecture.name / "model.keras").is_file():
        pytest.skip(f"model.keras of {spec.name} does not ship: too large")
    return spec


@pytest.fixture(scope="module")
def made_again(
    shipped: ModelSpec, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelSpec, Path]:
    """The same model exported now, through the gate on the films of the checkout."""
    from cxr_export.export import ExportJob, export

    folder = tmp_path_factory.mktemp(shipped.name)
    precision = shipped.files["onnx"].precision
    labelled = TRAIN if precision == "int8" else write_labelled(folder / "labelled")
    out = folder / "models"
    source = SOURCES / shipped.architecture.name
    return export(ExportJob(source, shipped.name, labelled, out, precision)), out


def test_tflite_is_the_file_that_ships(
    shipped: ModelSpec, made_again: tuple[ModelSpec, Path]
) -> None:
    """But for the spec inside, which says where it was measured."""
    from cxr_export.tflite import with_spec

    name = shipped.files["tflite"].name
    made = with_spec((made_again[1] / name).read_bytes(), shipped)
    assert made == (models_dir() / name).read_bytes()


def test_onnx_is_the_network_that_ships(
    shipped: ModelSpec, made_again: tuple[ModelSpec, Path]
) -> None:
    """Byte for byte but for the spec inside, which tells what was measured on other films."""
    name = shipped.files["onnx"].name
    assert network(made_again[1] / name) == network(models_dir() / name)


def network(path: Path) -> bytes:
    """An ONNX file without its metadata."""
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def test_the_spec_says_the_same(shipped: ModelSpec, made_again: tuple[ModelSpec, Path]) -> None:
    assert unmeasured(made_again[0]) == unmeasured(shipped)


def test_the_golden_cases_are_those_that_ship(
    shipped: ModelSpec, made_again: tuple[ModelSpec, Path]
) -> None:
    """Another processor adds up in another order: within a tenth of the tolerance."""
    for kind in ("the network", *shipped.files):
        golden, kept = made_again[0].golden_of(kind), shipped.golden_of(kind)
        assert golden.tolerance == kept.tolerance
        for ours, theirs in zip(golden.cases, kept.cases, strict=True):
            assert ours.rule == theirs.rule
            assert near(ours, theirs, golden.tolerance / 10)


def near(ours: GoldenCase, theirs: GoldenCase, within: float) -> bool:
    """Whether two cases expect the same."""
    return ours.probability == pytest.approx(theirs.probability, abs=within)


def unmeasured(spec: ModelSpec) -> dict[str, Any]:
    """What follows from the run alone."""
    return {key: value for key, value in spec.to_dict().items() if key not in LEFT_OUT}
