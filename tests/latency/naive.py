"""What one would write in an afternoon: one film after the other, or three threads.

Arguments: `loop` or `pool`, a model file, a folder. No gates, no ledger, no report, and a damaged
film ends the run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Network = Callable[[NDArray[np.uint8]], float]
_THREADS = 3


def main(how: str, model: str, folder: str) -> None:
    """One probability per film; their count and mean to stdout."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    pooled = how == "pool"
    size, network = _onnx(model, pooled) if model.endswith(".onnx") else _tflite(model)

    def score(path: Path) -> float:
        film = _opened(path, size if pooled else None)
        small = film.resize((size, size), Image.Resampling.BILINEAR)
        return network(np.asarray(small, np.uint8)[np.newaxis, :, :, np.newaxis])

    if pooled:
        with ThreadPoolExecutor(_THREADS) as pool:
            probabilities = list(pool.map(score, paths))
    else:
        probabilities = [score(path) for path in paths]
    sys.stdout.write(f"{len(probabilities)} {np.mean(probabilities):.6f}\n")


def _opened(path: Path, reduced_to: int | None) -> Image.Image:
    """Grey, 8 bit; a JPEG at reduced scale where a size is given."""
    if path.suffix == ".dcm":
        from pydicom import dcmread

        return Image.fromarray((dcmread(path).pixel_array >> 4).astype(np.uint8))
    image = Image.open(path)
    if reduced_to is not None:
        image.draft("L", (reduced_to, reduced_to))
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("L")


def _onnx(model: str, pooled: bool) -> tuple[int, Network]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if pooled else 0  # 0: as onnxruntime likes
    session = onnxruntime.InferenceSession(model, options)
    size = session.get_inputs()[0].shape[1]
    return size, lambda image: session.run(["probability"], {"image": image})[0].item()


def _tflite(model: str) -> tuple[int, Network]:
    from ai_edge_litert.interpreter import Interpreter

    local = threading.local()  # an interpreter must not be shared

    def runner() -> Any:
        if not hasattr(local, "runner"):
            local.interpreter = Interpreter(model)
            local.runner = local.interpreter.get_signature_runner()
        return local.runner

    size = int(runner().get_input_details()["image"]["shape"][1])
    return size, lambda image: runner()(image=image)["probability"].item()


if __name__ == "__main__":
    main(*sys.argv[1:])
