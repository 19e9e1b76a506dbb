"""Fewer bits: measured on the files themselves, on the films that the run validated on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from cxr_edge.errors import DataError, InputError, ParityError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime import Device, load
from cxr_export import parity, spec_draft
from cxr_export.export import ExportJob, export
from cxr_export.graph import InferenceGraph
from cxr_export.source import load_source
from tests.export.exports import elsewhere
from tests.export.films import films
from tests.export.networks import RESNET, Converted, probability, reads_keras_variables

# Each precision is a whole export.
pytestmark = [reads_keras_variables, pytest.mark.slow]


def test_int8_of_a_bare_network(
    job: ExportJob,
    saved: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its points are chosen before its weights are rounded, in the spec and in the file."""
    # Random weights on a few films; the gate has tests of its own.
    monkeypatch.setattr(parity, "MOST_AUC_LOSS", 1.0)
    float32 = export(elsewhere(job, tmp_path / "float32", source=saved("cnn3_50")))
    int8 = elsewhere(job, tmp_path, source=saved("cnn3_50"), precision="int8-weights")
    spec = export(int8)
    chosen, before = spec.operating_points, float32.operating_points
    assert {name: point.threshold for name, point in chosen.items()} == {
        name: point.threshold for name, point in before.items()
    }
    assert spec.training is None
    for kind, file in spec.files.items():
        assert (file.weights, file.precision) == ("int8", "int8-weights")
        assert file.bytes < 0.3 * float32.files[kind].bytes
        assert 1e-5 < file.parity.max_abs_difference <= file.parity.tolerance == 2e-2
        load(choose_model(str(int8.out / file.name)), Device("cpu"))


def test_int8_of_the_resnet(
    job: ExportJob,
    saved: Callable[[str], Path],
    converted: Callable[[str], Converted],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the conversions of the session, which are of the same snapped weights."""
    snapped = converted(RESNET)
    model = onnx.ModelProto()
    model.CopyFrom(snapped.onnx)

    def convert_onnx(graph: InferenceGraph) -> onnx.ModelProto:
        for ours, theirs in zip(
            graph._features._base.get_weights(),
            snapped.graph._features._base.get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(graph.head.kernel, snapped.graph.head.kernel)
        return model

    # Random weights round worse than trained ones do; the gate has tests of its own.
    monkeypatch.setitem(parity.TOLERANCE, "int8-weights", 0.1)
    monkeypatch.setitem(parity.MAP_TOLERANCE, "int8-weights", 2.0)
    monkeypatch.setattr("cxr_export.onnx.convert", convert_onnx)
    monkeypatch.setattr("cxr_export.tflite.convert", lambda _: snapped.tflite)
    int8 = elsewhere(job, tmp_path, source=saved(RESNET), precision="int8-weights")
    spec = export(int8)
    images = films(5, spec.size, 12)
    for kind, file in spec.files.items():
        assert (file.weights, file.precision) == ("int8", "int8-weights")
        assert file.bytes == pytest.approx(snapped.model.count_params(), rel=0.03)
        assert 1e-5 < file.parity.max_abs_difference <= 0.1
        assert file.parity.max_identity_error <= 1e-5
        predicted = load(choose_model(str(int8.out / f"mine.{kind}")), Device("cpu")).predict(
            images
        )
        np.testing.assert_allclose(
            predicted.probability, probability(snapped.model, images), rtol=0, atol=1e-5
        )
        maps = snapped.graph(images)["evidence"].numpy()
        np.testing.assert_allclose(
            predicted.evidence, maps, rtol=0, atol=1e-3 * float(np.abs(maps).max())
        )


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs' weights round worse than trained ones; the gate has tests of its own."""
    monkeypatch.setitem(parity.TOLERANCE, "int8", 0.2)
    monkeypatch.setitem(parity.TOLERANCE, "float16", 0.2)
    monkeypatch.setitem(parity.TOLERANCE, "float16-weights", 0.2)
    monkeypatch.setattr(parity, "MAP_TOLERANCE", dict.fromkeys(parity.TOLERANCE, 2.0))
    monkeypatch.setattr(parity, "MOST_AUC_LOSS", 1.0)
    monkeypatch.setitem(spec_draft.GOLDEN_TOLERANCE, "int8", 0.09)
    monkeypatch.setitem(spec_draft.GOLDEN_TOLERANCE, "float16", 0.09)
    monkeypatch.setitem(spec_draft.GOLDEN_TOLERANCE, "float16-weights", 0.09)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    ("precision", "kinds"),
    [
        ("float16", ["onnx"]),
        ("float16-weights", ["onnx", "tflite"]),
        ("int8", ["onnx", "tflite"]),
    ],
)
def test_fewer_bits(
    precision: str, kinds: list[str], exported: ModelSpec, job: ExportJob, tmp_path: Path
) -> None:
    lossy = elsewhere(job, tmp_path, precision=precision, measure_speed=True)
    spec = export(lossy)
    assert list(spec.files) == kinds
    run = load_source(job.source).run
    assert run is not None
    for kind, file in spec.files.items():
        assert file.precision == precision
        assert file.parity.samples == len(run.validation_films)
        assert file.parity.auc_loss is not None
        assert file.golden is not None
        assert file.golden.tolerance == spec_draft.FILE_GOLDEN_TOLERANCE[precision]
        assert [case.rule for case in file.golden.cases] == [c.rule for c in spec.golden.cases]
        assert file.parity.max_identity_error <= 1e-5
        assert file.speed is not None
        assert file.speed.ratio > 0
        said = f"`mine.{kind}` is {file.speed.ratio:.2f} times"
        assert said in (lossy.out / "mine.md").read_text()
        load(choose_model(str(lossy.out / file.name)), Device("cpu"))
    for name, point in spec.operating_points.items():
        assert point.threshold == exported.operating_points[name].threshold
        assert point.sensitivity.n == exported.operating_points[name].sensitivity.n


def test_a_loss_on_validation_stops_the_export(
    job: ExportJob, tmp_path: Path, lenient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "MOST_AUC_LOSS", -2.0)
    with pytest.raises(ParityError, match=r"AUC on validation falls by .*, allowed -2.0"):
        export(elsewhere(job, tmp_path, precision="int8"))
    assert not (tmp_path / "out").exists()


def test_validation_films_have_to_be_there(job: ExportJob, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for kind in ("NORMAL", "PNEUMONIA"):
        (few / kind).mkdir(parents=True)
        film = next(path for path in (job.calibration / kind).iterdir())
        (few / kind / film.name).symlink_to(film)
    with pytest.raises(DataError, match=r"few lacks \d+ of \d+ films that the run validated on"):
        export(elsewhere(job, tmp_path, precision="int8", calibration=few))


def test_a_float32_file_is_not_measured_beside_itself(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no other to measure its speed beside"):
        ExportJob(tmp_path, "mine", tmp_path, tmp_path, measure_speed=True)
