"""The scope gate's graph: raw grey pixels in, two probabilities out."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from cxr_edge.model.scope_spec import OUTPUTS
from cxr_training.scope.net import FILTERS
from cxr_training.scope.planes import SIZE

_STRIDE = _POOL = 2


class ScopeGraph(tf.Module):  # type: ignore[misc]  # tensorflow is untyped here
    """The network that gets exported."""

    def __init__(self, model: keras.Model) -> None:
        """Take over the weights of a trained `cxr_training.scope.net`."""
        super().__init__(name=model.name)
        # NumPy arrays, not tensors: an eager constant would become an input of the graph.
        layer = model.get_layer
        self._convolutions = [
            layer(f"conv{number}").get_weights() for number in range(1, len(FILTERS) + 1)
        ]
        self._hidden = layer("hidden").get_weights()
        kernel, bias = layer("logits").get_weights()
        self._heads = {
            name: (kernel[:, [column]], bias[[column]]) for column, name in enumerate(OUTPUTS)
        }
        self._epsilon = layer("per_image").epsilon

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def __call__(self, image: Any) -> dict[str, Any]:
        """uint8 [N, S, S, 1] to the outputs of a scope spec."""
        x = tf.cast(image, tf.float32)
        x = x - tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
        variance = tf.reduce_mean(tf.square(x), axis=(1, 2, 3), keepdims=True)
        x = x * tf.math.rsqrt(variance + self._epsilon)
        for kernel, bias in self._convolutions:
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, _STRIDE, "SAME") + bias)
        x = tf.nn.avg_pool2d(x, _POOL, _POOL, "VALID")
        kernel, bias = self._hidden
        hidden = tf.nn.relu(tf.matmul(tf.reshape(x, [-1, len(kernel)]), kernel) + bias)
        return {
            name: tf.sigmoid(tf.matmul(hidden, kernel) + bias)
            for name, (kernel, bias) in self._heads.items()
        }

    def signature(self) -> Any:
        """The one input: any number of grey images."""
        return tf.TensorSpec([None, SIZE, SIZE, 1], tf.uint8, name="image")
