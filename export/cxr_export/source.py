"""The source of an export: a finished RUN folder, or a `.keras` file of a network of `NETS`."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxr_edge.errors import ExportError
from cxr_export.training_run import SOURCE_TIP, TrainingRun, load_run
from cxr_training.films.augmentation import as_rgb
from cxr_training.fit.run import MODEL_FILE, RUN_FILE
from cxr_training.nets import NETS, NetOptions
from cxr_training.nets.blocks import FEATURES_LAYER, NORMALIZATION_LAYER, OUTPUT_DENSE_LAYER

_BATCH_SIZE = 32


@dataclass(frozen=True)
class Source:
    """A trained network and, from a RUN folder, what its run.json says."""

    model: keras.Model
    run: TrainingRun | None

    @property
    def size(self) -> int:
        """S, pixels a side."""
        return NETS[self.model.name].size

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Keras's own forward pass, before the sigmoid.

        Args:
            pixels: uint8 [N, S, S, 1].

        Returns:
            float64 [N].
        """
        to_logit = keras.Model(self.model.input, self.model.get_layer(OUTPUT_DENSE_LAYER).output)
        return _predict(to_logit, pixels)

    def score(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities that keep the digits of the logits, float64 [N]."""
        return sigmoid(self.logits(pixels))

    def evidence(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Each cell's share of the logit: its features times the logit's gradient there.

        By automatic differentiation of Keras's own layers, apart from the graph that is exported.

        Args:
            pixels: uint8 [N, S, S, 1].

        Returns:
            float64 [N, h, w].
        """
        layers = [self.model.get_layer(name) for name in (FEATURES_LAYER, OUTPUT_DENSE_LAYER)]
        inner = keras.Model(self.model.input, [layer.output for layer in layers])
        starts = range(0, len(pixels), _BATCH_SIZE)
        maps = [_evidence(inner, pixels[start : start + _BATCH_SIZE]) for start in starts]
        return np.concatenate(maps).astype(np.float64)

    def probability(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The reference every exported file is held against: the network's own last word."""
        return _predict(self.model, pixels)


def _evidence(inner: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Evidence of a network that gives features and logit: float32 [n, h, w]."""
    with tf.GradientTape() as tape:
        image = tf.constant(as_rgb(pixels))
        tape.watch(image)  # weights may be frozen; what follows from the image is recorded
        features, logit = inner(image, training=False)
    shares = (features * tape.gradient(logit, features)).numpy()
    summed: NDArray[np.float32] = shares.sum(axis=-1)
    return summed


def _predict(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    answers = model.predict(as_rgb(pixels), batch_size=_BATCH_SIZE, verbose=0)
    return np.asarray(answers, dtype=np.float64)[:, 0]


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of a logit."""
    return 1.0 / (1.0 + np.exp(-logits))


def load_source(path: Path) -> Source:
    """Load a RUN folder or a `.keras` file.

    Raises:
        ExportError: it is neither, holds code (a Lambda layer), or is no network of `NETS`.
    """
    if not path.is_dir():
        return Source(_load_model(path), None)
    run = load_run(path)
    model = _load_model(path / MODEL_FILE)
    if model.name != run.net:
        raise ExportError(f"{path}: {RUN_FILE} is about {run.net}, {MODEL_FILE} is {model.name}")
    return Source(model, run)


def _load_model(path: Path) -> keras.Model:
    """Keras refuses code in files by default (`safe_mode`); a Lambda layer does not get so far."""
    if not path.is_file() or path.suffix != ".keras":
        raise ExportError(f"{path} is neither a run folder nor a .keras file", tip=SOURCE_TIP)
    try:
        with zipfile.ZipFile(path) as archive:
            holds_code = b'"Lambda"' in archive.read("config.json")
        model = None if holds_code else keras.models.load_model(path, compile=False)
    except Exception as error:  # zipfile, json, h5py and Keras errors share no base class
        raise ExportError(f"{path} cannot be loaded: {_first_line(error)}") from error
    if holds_code:
        raise ExportError(f"{path} holds a Lambda layer, which is code; refused")
    _check_architecture(model, path)
    return model


def _check_architecture(model: Any, path: Path) -> None:
    """Layer names and weight shapes must be those of the network whose name the model has."""
    net = NETS.get(getattr(model, "name", ""))
    if net is None:
        raise ExportError(f"{path} is none of the networks {', '.join(NETS)}")
    expected = net.build(NetOptions(normalization=_normalization(model)))
    if _shapes(model) != _shapes(expected) or model.input_shape != expected.input_shape:
        raise ExportError(f"{path} calls itself {net.name} and has other layers or shapes")


def _normalization(model: keras.Model) -> Any:
    names = [layer.name for layer in model.layers]
    layer = model.get_layer(NORMALIZATION_LAYER) if NORMALIZATION_LAYER in names else None
    return "per_image" if isinstance(layer, keras.layers.LayerNormalization) else "rescale"


def _shapes(model: keras.Model) -> list[tuple[str, list[tuple[int, ...]]]]:
    return [
        (layer.name, [tuple(weight.shape) for weight in layer.get_weights()])
        for layer in model.layers
    ]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
