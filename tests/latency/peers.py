"""Ways that others would go to the same network, each as its users would run it.

Arguments: a way, a model file, a folder. One probability per film; their count and mean to stdout.

- `process_batch`: as torchxrayvision's script of that name: one film a batch, read whole, its
  middle square smoothed and resized as scikit-image does it; an ONNX session for its network.
- `pydicom`: `pixel_array` with the plugins that are installed, in a pool of processes.
- `dcmj2pnm`: dcmtk's program writes a PNG of each film, which Pillow reads.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.support.cores import usable_cores

Network = Callable[[NDArray[np.uint8]], float]
_of_this_process: list[Any] = []


def main(way: str, model: str, folder: str) -> None:
    """One probability per film; their count and mean to stdout."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    probabilities = WAYS[way](model, paths)
    sys.stdout.write(f"{len(probabilities)} {np.mean(probabilities):.6f}\n")


def process_batch(model: str, paths: Sequence[Path]) -> list[float]:
    """One film after the other; the session uses what threads it likes."""
    size, network = _session(model, 0)
    return [network(_as_scikit_image(_grey(path), size)) for path in paths]


def pydicom_pool(model: str, paths: Sequence[Path]) -> list[float]:
    """A process for each core, with a session of its own."""
    with ProcessPoolExecutor(usable_cores(), None, _begin, (model,)) as pool:
        return list(pool.map(_score, paths, chunksize=2))


def dcmj2pnm(model: str, paths: Sequence[Path]) -> list[float]:
    """A program started for each film, as many at once as there are cores."""
    size, network = _session(model, 1)

    def score(path: Path) -> float:
        with tempfile.NamedTemporaryFile(suffix=".png") as png:
            command = ["dcmj2pnm", "--write-png", "--min-max-window", str(path), png.name]
            subprocess.run(command, check=True, capture_output=True)
            with Image.open(png.name) as film:
                return network(_resized(np.asarray(film.convert("L")), size))

    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(score, paths))


WAYS = {"process_batch": process_batch, "pydicom": pydicom_pool, "dcmj2pnm": dcmj2pnm}


def _begin(model: str) -> None:
    _of_this_process.append(_session(model, 1))


def _score(path: Path) -> float:
    ((size, network),) = _of_this_process
    return float(network(_resized(_grey(path), size)))


def _session(model: str, threads: int) -> tuple[int, Network]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0: as onnxruntime likes
    session = onnxruntime.InferenceSession(model, options)
    size = session.get_inputs()[0].shape[1]
    return size, lambda image: session.run(["probability"], {"image": image})[0].item()


def _grey(path: Path) -> NDArray[np.uint8]:
    """All pixels, 8 bits."""
    if path.suffix != ".dcm":
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    from pydicom import dcmread

    dataset = dcmread(path)
    return (dataset.pixel_array >> (dataset.BitsStored - 8)).astype(np.uint8)


def _resized(film: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    image = Image.fromarray(film).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8)[np.newaxis, :, :, np.newaxis]


def _as_scikit_image(film: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The middle square, smoothed by a Gaussian and interpolated, in float32."""
    from scipy import ndimage

    side = min(film.shape)
    top, left = ((length - side) // 2 for length in film.shape)
    square = film[top : top + side, left : left + side].astype(np.float32)
    smooth = ndimage.gaussian_filter(square, max(0.0, (side / size - 1) / 2))
    small = ndimage.zoom(smooth, size / side, order=1, grid_mode=True, mode="mirror")
    levels = np.clip(small[:size, :size] + 0.5, 0, 255).astype(np.uint8)
    return levels[np.newaxis, :, :, np.newaxis]


if __name__ == "__main__":
    main(*sys.argv[1:])
