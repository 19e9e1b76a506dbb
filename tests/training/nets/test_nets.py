"""The networks against the layer tables that the source report prints, and a ResNet of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from cxr_training.nets import NETS, NetOptions
from cxr_training.nets.resnet50v2_50 import freeze

# Layer, output shape, parameters. `image` and `normalization` are ours: the report rescales
# outside the network. Everything else is its `model.summary()`.
CNN3_50 = """
    image             50x50x3        0
    normalization     50x50x3        0
    conv1             46x46x16    1216
    conv1_batchnorm   46x46x16      64
    conv1_dropout     46x46x16       0
    conv1_relu        46x46x16       0
    conv2             21x21x32   12832
    conv2_batchnorm   21x21x32     128
    conv2_dropout     21x21x32       0
    conv2_relu        21x21x32       0
    conv3             9x9x64     51264
    conv3_batchnorm   9x9x64       256
    conv3_dropout     9x9x64         0
    conv3_relu        9x9x64         0
    features          4x4x64         0
    features_dropout  4x4x64         0
    head_batchnorm    4x4x64       256
    flatten           1024           0
    head_dense        64         65600
    head_relu         64             0
    head_dropout      64             0
    output_dense      1             65
    probability       1              0
"""
CNN4_50 = """
    image             50x50x3        0
    normalization     50x50x3        0
    conv1             46x46x16    1216
    conv1_batchnorm   46x46x16      64
    conv1_dropout     46x46x16       0
    conv1_relu        46x46x16       0
    conv2             21x21x32   12832
    conv2_batchnorm   21x21x32     128
    conv2_dropout     21x21x32       0
    conv2_relu        21x21x32       0
    conv3             9x9x64     51264
    conv3_batchnorm   9x9x64       256
    conv3_dropout     9x9x64         0
    conv3_relu        9x9x64         0
    conv4             3x3x64    102464
    conv4_batchnorm   3x3x64       256
    conv4_dropout     3x3x64         0
    conv4_relu        3x3x64         0
    features          1x1x64         0
    features_dropout  1x1x64         0
    head_batchnorm    1x1x64       256
    flatten           64             0
    head_dense        64          4160
    head_relu         64             0
    head_dropout      64             0
    output_dense      1             65
    probability       1              0
"""
CNN3_128 = """
    image             128x128x3      0
    normalization     128x128x3      0
    conv1             124x124x16  1216
    conv1_batchnorm   124x124x16    64
    conv1_dropout     124x124x16     0
    conv1_relu        124x124x16     0
    conv2             60x60x32   12832
    conv2_batchnorm   60x60x32     128
    conv2_dropout     60x60x32       0
    conv2_relu        60x60x32       0
    conv3             28x28x64   51264
    conv3_batchnorm   28x28x64     256
    conv3_dropout     28x28x64       0
    conv3_relu        28x28x64       0
    features          14x14x64       0
    features_dropout  14x14x64       0
    head_batchnorm    14x14x64     256
    flatten           12544          0
    head_dense        64        802880
    head_relu         64             0
    head_dropout      64             0
    output_dense      1             65
    probability       1              0
"""
RESNET50V2_50 = """
    image                    50x50x3            0
    normalization            50x50x3            0
    resnet50v2               2x2x2048    23564800
    features                 2x2x2048           0
    global_average_pooling   2048               0
    head_dense               64            131136
    head_relu                64                 0
    head_dropout             64                 0
    output_dense             1                 65
    probability              1                  0
"""
LAYERS = {
    "cnn3_50": CNN3_50,
    "cnn4_50": CNN4_50,
    "cnn3_128": CNN3_128,
    "resnet50v2_50": RESNET50V2_50,
}
# Total, trainable, not trainable.
PARAMETERS = {
    "cnn3_50": (131_681, 131_329, 352),
    "cnn4_50": (172_961, 172_481, 480),
    "cnn3_128": (868_961, 868_609, 352),
    "resnet50v2_50": (23_696_001, 23_650_561, 45_440),
}
DROPOUTS = {
    "cnn3_50": [0.2, 0.4, 0.5, 0.5, 0.5],
    "cnn4_50": [0.2, 0.4, 0.5, 0.5, 0.5, 0.5],
    "cnn3_128": [0.2, 0.4, 0.5, 0.5, 0.5],
    "resnet50v2_50": [0.5],
}
STRIDES = {"cnn3_50": [1, 2, 2], "cnn4_50": [1, 2, 2, 2], "cnn3_128": [1, 2, 2]}

Row = tuple[str, tuple[int | None, ...], int]


@pytest.fixture(scope="module")
def models() -> dict[str, keras.Model]:
    return {name: net.build(NetOptions()) for name, net in NETS.items() if name in LAYERS}


def expected_rows(table: str) -> list[Row]:
    cells = [line.split() for line in table.split("\n") if line.strip()]
    return [(n, (None, *map(int, shape.split("x"))), int(count)) for n, shape, count in cells]


def parameters(model: keras.Model) -> tuple[int, int, int]:
    def count(weights: list[Any]) -> int:
        return sum(int(np.prod(weight.shape)) for weight in weights)

    return (
        model.count_params(),
        count(model.trainable_weights),
        count(model.non_trainable_weights),
    )


def every_layer(model: keras.Model) -> Iterator[Any]:
    """Layers, and the layers of models inside."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)


def layers_of(model: keras.Model, kind: type) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def normalized(options: NetOptions, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the first convolution of `cnn3_50` sees; image float32 [N, 50, 50, 3]."""
    model = NETS["cnn3_50"].build(options)
    seen = keras.Model(model.input, model.get_layer("normalization").output)
    return np.asarray(seen(image))


def test_the_table_of_networks_is_complete() -> None:
    assert {name: net.size for name, net in NETS.items()} == {
        "cnn3_50": 50,
        "cnn4_50": 50,
        "cnn3_128": 128,
        "resnet50v2_50": 50,
        "resnet18_96": 96,
        "efficientnet_lite0_160": 160,
    }
    assert all(net.name == name for name, net in NETS.items())


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_those_of_the_report(models: dict[str, keras.Model], name: str) -> None:
    rows = [(la.name, tuple(la.output.shape), la.count_params()) for la in models[name].layers]
    assert rows == expected_rows(LAYERS[name])


@pytest.mark.parametrize("name", LAYERS)
def test_parameter_counts(models: dict[str, keras.Model], name: str) -> None:
    assert parameters(models[name]) == PARAMETERS[name]


def test_freezing_leaves_the_last_65_parameters(models: dict[str, keras.Model]) -> None:
    model = keras.models.clone_model(models["resnet50v2_50"])
    freeze(model)
    assert parameters(model) == (23_696_001, 65, 23_695_936)


@pytest.mark.parametrize("name", ["cnn3_50", "cnn4_50", "cnn3_128", "resnet18_96"])
def test_a_second_build_has_the_same_names(name: str) -> None:
    """Keras numbers the layers that nobody named, and counts on from model to model."""
    once, again = (NETS[name].build(NetOptions()) for _ in range(2))
    assert [layer.name for layer in every_layer(again)] == [la.name for la in every_layer(once)]
    assert again.name == name


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_rates(models: dict[str, keras.Model], name: str) -> None:
    dropouts = layers_of(models[name], keras.layers.Dropout)
    assert [layer.rate for layer in dropouts] == DROPOUTS[name]


@pytest.mark.parametrize("name", STRIDES)
def test_convolutions_are_five_by_five_without_padding(
    models: dict[str, keras.Model], name: str
) -> None:
    convolutions = layers_of(models[name], keras.layers.Conv2D)
    assert [layer.strides[0] for layer in convolutions] == STRIDES[name]
    assert {(layer.kernel_size, layer.padding) for layer in convolutions} == {((5, 5), "valid")}


def test_ours_is_a_resnet18_a_quarter_as_wide() -> None:
    """Channels and strides of table 1 of arXiv:1512.03385, without its pooling after the stem."""
    model = NETS["resnet18_96"].build(NetOptions(dropout_scale=0.4))
    convolutions = layers_of(model.get_layer("resnet18"), keras.layers.Conv2D)
    shortcuts = [la for la in convolutions if la.kernel_size == (1, 1)]
    assert [(la.filters, la.strides[0]) for la in shortcuts] == [(32, 2), (64, 2), (128, 2)]
    assert len(convolutions) - len(shortcuts) + 1 == 18  # and one dense layer
    assert not any(la.use_bias for la in convolutions)
    assert model.get_layer("features").output.shape == (None, 6, 6, 128)
    assert [la.rate for la in layers_of(model, keras.layers.Dropout)] == [0.2]
    assert model.count_params() == 703_473
    # ResNet-18 of the paper has 11.18 million weights in its convolutions, four times as wide.
    kernels = sum(int(np.prod(la.kernel.shape)) for la in convolutions)
    assert kernels == pytest.approx(11_166_912 / 16, rel=0.01)


def test_dropout_scale_scales_every_rate() -> None:
    model = NETS["cnn3_50"].build(NetOptions(dropout_scale=0.5))
    rates = [layer.rate for layer in layers_of(model, keras.layers.Dropout)]
    assert rates == [0.1, 0.2, 0.25, 0.25, 0.25]


def test_batchnorm_momentum_reaches_every_layer() -> None:
    model = NETS["cnn3_50"].build(NetOptions(batchnorm_momentum=0.9))
    norms = layers_of(model, keras.layers.BatchNormalization)
    assert [layer.momentum for layer in norms] == [0.9] * 4


def test_one_channel_only_narrows_the_first_convolution() -> None:
    model = NETS["cnn3_50"].build(NetOptions(channels=1))
    assert model.input_shape == (None, 50, 50, 1)
    assert model.count_params() == 131_681 - 2 * 5 * 5 * 16


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"normalization": "none"}, "normalization must be rescale or per_image"),
        ({"rescale_divisor": 0.0}, "rescale_divisor must be positive"),
        ({"rescale_divisor": float("nan")}, "rescale_divisor must be positive"),
        ({"batchnorm_momentum": 0.0}, r"batchnorm_momentum must be in \(0, 1\)"),
        ({"batchnorm_momentum": 1.0}, r"batchnorm_momentum must be in \(0, 1\)"),
        ({"dropout_scale": -0.1}, r"dropout_scale must be in \[0, 1\]"),
        ({"dropout_scale": 1.1}, r"dropout_scale must be in \[0, 1\]"),
        ({"channels": 2}, "channels must be 1 or 3"),
    ],
    ids=str,
)
def test_options_that_make_no_network_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        NetOptions(**wrong)


@pytest.mark.parametrize("divisor", [50.0, 255.0])
def test_rescale_divides_by_the_divisor(divisor: float) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (2, 50, 50, 3)).astype(np.float32)
    seen = normalized(NetOptions(rescale_divisor=divisor), image)
    np.testing.assert_allclose(seen, image / divisor, rtol=1e-6)


def test_per_image_gives_zero_mean_and_unit_variance() -> None:
    """Over all three channels at once, each film by itself."""
    rng = np.random.default_rng(1)
    levels = np.array([[60, 70, 80], [150, 170, 130]])[:, np.newaxis, np.newaxis]
    image = rng.normal(levels, 30, (2, 50, 50, 3)).clip(0, 255).astype(np.float32)
    seen = normalized(NetOptions(normalization="per_image"), image)
    np.testing.assert_allclose(seen.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std(axis=(1, 2, 3)), 1, atol=1e-3)
    mean = image.mean(axis=(1, 2, 3), keepdims=True)
    spread = np.sqrt(image.var(axis=(1, 2, 3), keepdims=True) + 1)
    np.testing.assert_allclose(seen, (image - mean) / spread, atol=1e-4)


def test_per_image_ignores_brightness_and_contrast() -> None:
    image = np.random.default_rng(2).uniform(60, 160, (1, 50, 50, 3)).astype(np.float32)
    options = NetOptions(normalization="per_image")
    changed = normalized(options, 1.4 * image + 20)
    np.testing.assert_allclose(changed, normalized(options, image), atol=2e-3)


def test_per_image_makes_a_blank_film_zero_and_not_noise() -> None:
    blank = np.full((1, 50, 50, 3), 137, np.float32)
    seen = normalized(NetOptions(normalization="per_image"), blank)
    np.testing.assert_allclose(seen, 0, atol=1e-4)
