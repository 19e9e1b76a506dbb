"""Tensors out of a PyTorch weights file, with NumPy alone and without running what it says.

Source: PyTorch, `torch/serialization.py`, `_legacy_save`: what `torch.save` wrote before 1.6. Three
pickles (magic number, version, about the machine), one of the tensors, one of the storages' keys in
order; then of each storage its length, int64, and its numbers. A pickle may call anything: here
only the names of `_ALLOWED` are known.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True)
class _Pending:
    """A tensor whose numbers come later in the file; offset and strides in elements."""

    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Read the tensors of a state dict by their names.

    Raises:
        UnpicklingError: it names something that is no tensor.
        ValueError: it is of another format.
    """
    magic, _, _, pending, keys = (_Tensors(file).load() for _ in range(5))
    if magic != _MAGIC:
        raise ValueError("no PyTorch weights of the old format")
    types = {tensor.storage: tensor.dtype for tensor in pending.values()}
    storages = {key: _storage(file, types[key]) for key in keys}
    return {name: _filled(tensor, storages) for name, tensor in pending.items()}


class _Tensors(pickle.Unpickler):
    """An unpickler that knows tensors and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up among those that are allowed."""
        try:
            return _ALLOWED[f"{module}.{name}"]
        except KeyError as error:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from error

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype[Any]]:
        """The key and type of a storage."""
        _, dtype, key, *_ = pid
        return key, dtype


def _pending(
    storage: tuple[str, np.dtype[Any]], offset: int, shape: Any, strides: Any, *_: Any
) -> _Pending:
    return _Pending(*storage, offset, shape, strides)


_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": _pending,
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.LongStorage": np.dtype("<i8"),
}


def _storage(file: IO[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _filled(tensor: _Pending, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The tensor's numbers, as an array of its own."""
    index = np.full(tensor.shape, tensor.offset)
    for axis, stride in enumerate(tensor.strides):
        steps = np.arange(tensor.shape[axis]) * stride
        index += steps.reshape([-1 if it == axis else 1 for it in range(index.ndim)])
    return np.asarray(storages[tensor.storage][index])
