"""Pre-trained weights: the ones asked for, or a refusal; never a silent random start."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pytest
from keras.src.backend import config as keras_config

from cxr_edge.errors import WeightsError
from cxr_training.nets import NetOptions
from cxr_training.nets.resnet50v2_50 import build_base
from cxr_training.nets.weights import build_with_weights
from tests.training.helpers import saves_keras_variables


@pytest.fixture(scope="module")
def base() -> keras.Model:
    """ResNet50V2 without top and without pre-trained weights."""
    return build_base(NetOptions(weights="none"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No name resolves, and nothing was fetched before."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(keras_config, "_KERAS_DIR", str(tmp_path))


def never(weights: str | None) -> NoReturn:
    raise AssertionError(f"built with {weights}")


def test_none_builds_without_weights() -> None:
    asked: list[str | None] = []
    build_with_weights(lambda weights: asked.append(weights), "none")
    assert asked == [None]


@pytest.mark.parametrize("what", ["missing.weights.h5", "folder"])
def test_a_path_that_is_no_file_is_refused_before_building(tmp_path: Path, what: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WeightsError, match="weights file not found: .*" + what):
        build_with_weights(never, str(tmp_path / what))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("random.weights.h5", b"no weights at all"),
        ("empty.weights.h5", b""),
        ("notes.txt", b"no weights at all"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"weights in .*{name} do not fit"):
        build_base(NetOptions(weights=str(path)))


@pytest.mark.slow
@saves_keras_variables
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    path = tmp_path / "other.weights.h5"
    other.save_weights(path)
    with pytest.raises(WeightsError, match="do not fit"):
        build_base(NetOptions(weights=str(path)))


@pytest.mark.slow
@saves_keras_variables
def test_a_local_file_arrives(tmp_path: Path, base: Any) -> None:
    path = tmp_path / "base.weights.h5"
    base.save_weights(path)
    loaded = build_base(NetOptions(weights=str(path)))
    fresh = build_base(NetOptions(weights="none"))
    for saved, read in zip(base.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(read, saved)
    assert any(
        (saved != other).any()
        for saved, other in zip(base.get_weights(), fresh.get_weights(), strict=True)
    )


@pytest.mark.usefixtures("offline")
def test_imagenet_without_a_network_says_what_to_do() -> None:
    with pytest.raises(WeightsError, match="the ImageNet weights cannot be fetched") as refused:
        build_base(NetOptions(weights="imagenet"))
    assert "network is unreachable" in str(refused.value)
    assert "--weights PATH" in refused.value.tip
    assert "--weights none" in refused.value.tip


def test_batchnorm_momentum_reaches_the_base() -> None:
    base = build_base(NetOptions(batchnorm_momentum=0.9))
    norms = [la for la in base.layers if isinstance(la, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}
