"""What the parity tests compare: every bundled model, on real x-rays."""

from __future__ import annotations

import pytest

from cxr_edge.model.catalog import ModelChoice, bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec


def both_formats() -> list[ModelSpec]:
    """Bundled models that ship as ONNX and as TFLite."""
    return [spec for spec in bundled_specs() if set(spec.files) == {"onnx", "tflite"}]


@pytest.fixture(params=both_formats(), ids=lambda spec: spec.name)
def pair(request: pytest.FixtureRequest) -> tuple[ModelChoice, ModelChoice]:
    """One model, as ONNX and as TFLite."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    spec: ModelSpec = request.param
    onnx, tflite = (
        ModelChoice(spec, kind, models_dir() / spec.files[kind].name) for kind in ("onnx", "tflite")
    )
    return onnx, tflite
