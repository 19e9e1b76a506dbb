"""The report's own way, as a process: Keras directory iterator and `model.predict`.

Arguments: a network's name, and a folder with films one folder down.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]


def main(name: str, folder: str) -> None:
    """One probability per film, to stdout as their count and mean."""
    model = _model(name)
    size = model.input_shape[1]
    generator = tf.keras.preprocessing.image.ImageDataGenerator(rescale=1 / size)
    films = generator.flow_from_directory(
        folder, target_size=(size, size), class_mode=None, batch_size=32, seed=42, shuffle=False
    )
    probabilities = model.predict(films, verbose=0)
    sys.stdout.write(f"{len(probabilities)} {probabilities.mean():.6f}\n")


def _model(name: str) -> tf.keras.Model:
    name = name.removesuffix("_int8")  # the same network, in whole numbers
    trained = ROOT / "models" / "sources" / name / "model.keras"
    if trained.exists():
        return tf.keras.models.load_model(trained, compile=False)
    # The ResNet is too large to ship; its cost does not depend on its weights.
    sys.path.insert(0, str(ROOT / "training"))
    from cxr_training.nets import NETS, NetOptions

    return NETS[name].build(NetOptions())


if __name__ == "__main__":
    main(*sys.argv[1:])
