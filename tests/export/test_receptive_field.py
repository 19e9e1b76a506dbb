"""What a cell sees: reckoned from the layers, and found by changing pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from cxr_edge.model.spec import ReceptiveField
from cxr_export.receptive_field import receptive_field, steps_to
from cxr_training.films.augmentation import as_rgb
from cxr_training.nets import NETS
from cxr_training.nets.blocks import FEATURES_LAYER
from cxr_training.nets.resnet50v2_50 import BASE_LAYER
from tests.export.films import films
from tests.export.networks import (
    CELLS,
    EACH,
    FIELDS,
    LITE,
    RESNET,
    SMALL_NAMES,
    reads_keras_variables,
)

pytestmark = reads_keras_variables

Network = Callable[[str, str], keras.Model]


@pytest.mark.parametrize("name", EACH)
def test_reckoned_from_the_layers(name: str, network: Network) -> None:
    steps = steps_to(network(name, "rescale"), FEATURES_LAYER)
    assert receptive_field(steps) == FIELDS[name]


def test_no_such_layer(network: Network) -> None:
    with pytest.raises(ValueError, match="cnn3_50 has no layer somewhere"):
        steps_to(network("cnn3_50", "rescale"), "somewhere")


def seen(field: ReceptiveField, cell: int, size: int) -> set[int]:
    """The columns that a cell sees, of an input of `size` columns."""
    first = round(field.first_centre + cell * field.stride - field.size / 2)
    return set(range(max(first, 0), min(first + field.size, size)))


def moving(features: keras.Model, size: int, across: int) -> dict[int, set[int]]:
    """For each row (across 1) or column (2) of cells: the input rows or columns that move it.

    A whole row of a few films changes at a time, and any channel of any cell counts: a single
    pixel can hide behind a maximum or a ReLU.
    """
    plain = films(2, size, 5)
    before = answers(features, plain)
    found: dict[int, set[int]] = {cell: set() for cell in range(before.shape[across])}
    for line in range(size):
        changed = plain.copy()
        index = (slice(None),) * across + (line,)
        changed[index] = 255 - changed[index]
        moved = (answers(features, changed) != before).any(axis=(0, 3 - across, 3))
        for cell in np.flatnonzero(moved):
            found[int(cell)].add(line)
    return found


def answers(features: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The feature map: float32 [N, h, w, C]."""
    return np.asarray(features(as_rgb(images), training=False))


@pytest.mark.slow
@pytest.mark.parametrize("across", [1, 2], ids=["rows", "columns"])
@pytest.mark.parametrize("name", SMALL_NAMES)
def test_pixels_inside_move_a_cell_and_no_others(name: str, across: int, network: Network) -> None:
    model = network(name, "rescale")
    features = keras.Model(model.input, model.get_layer(FEATURES_LAYER).output)
    size = NETS[name].size
    found = moving(features, size, across)
    assert len(found) == CELLS[name][across - 1]
    assert found == {cell: seen(FIELDS[name], cell, size) for cell in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "field"),
    [
        ("conv2_block1_out", ReceptiveField(0.5, 4.0, 19)),
        ("conv2_block3_out", ReceptiveField(0.5, 8.0, 35)),
    ],
    ids=["before a step", "behind a step"],
)
def test_inside_the_resnet(last: str, field: ReceptiveField, network: Network) -> None:
    """Its first blocks, whose cells do not see everything yet: padding, short cuts, steps."""
    base = network(RESNET, "rescale").get_layer(BASE_LAYER)
    assert receptive_field(steps_to(base, last)) == field
    found = moving(keras.Model(base.input, base.get_layer(last).output), 50, 1)
    assert found == {cell: seen(field, cell, 50) for cell in found}


@pytest.mark.slow
def test_every_cell_of_the_resnet_sees_the_whole_film(network: Network) -> None:
    base = network(RESNET, "rescale").get_layer(BASE_LAYER)
    found = moving(base, 50, 2)
    assert found == {0: set(range(50)), 1: set(range(50))}


def test_inside_the_narrow_resnet(network: Network) -> None:
    """Convolutions that pad on their own, the odd pixel behind: before any block steps."""
    base = network("resnet18_96", "rescale").get_layer("resnet18")
    field = receptive_field(steps_to(base, "conv2_block2_out"))
    assert field == ReceptiveField(1.5, 2.0, 21)
    found = moving(keras.Model(base.input, base.get_layer("conv2_block2_out").output), 96, 1)
    assert found == {cell: seen(field, cell, 96) for cell in found}


def test_a_block_that_steps_lies_between_its_two_ways(network: Network) -> None:
    """Its 3x3 convolution sees three pixels from the first on, its short cut the first alone."""
    base = network("resnet18_96", "rescale").get_layer("resnet18")
    field = receptive_field(steps_to(base, "conv3_block1_out"))
    assert field == ReceptiveField(2.5, 4.0, 33)
    found = moving(keras.Model(base.input, base.get_layer("conv3_block1_out").output), 96, 1)
    seen_in_the_middle = found[12]
    assert len(seen_in_the_middle) == field.size
    middle = (min(seen_in_the_middle) + max(seen_in_the_middle) + 1) / 2
    assert 0 < middle - (field.first_centre + 12 * field.stride) <= field.stride / 2


@pytest.mark.slow
def test_inside_efficientnet_lite0(network: Network) -> None:
    """Depthwise convolutions of 3 and 5 pixels, which step and pad unevenly."""
    base = network(LITE, "rescale").get_layer("efficientnet_lite0")
    field = receptive_field(steps_to(base, "block3b_add"))
    assert field == ReceptiveField(7.5, 8.0, 67)
    found = moving(keras.Model(base.input, base.get_layer("block3b_add").output), 160, 1)
    assert found == {cell: seen(field, cell, 160) for cell in found}


ODD = {
    "padded pooling": layers.MaxPooling2D(3, padding="same"),
    "oblong depthwise": layers.DepthwiseConv2D((3, 5)),
    "oblong": layers.Conv2D(1, (3, 5)),
    "of two strides": layers.Conv2D(1, 3, strides=(1, 2)),
    "with holes": layers.Conv2D(1, 3, dilation_rate=2),
    "an average": layers.AveragePooling2D(2),
    "oblong pooling": layers.MaxPooling2D((2, 3)),
}


@pytest.mark.parametrize("layer", ODD.values(), ids=ODD)
def test_a_layer_that_is_not_known_is_refused(layer: Any) -> None:
    """A wrong place on a film is worse than none."""
    with pytest.raises(ValueError, match=layer.name):
        receptive_field([layer])
