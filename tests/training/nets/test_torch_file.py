"""Tensors of a PyTorch file are read without PyTorch, and nothing in it is run."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_training.nets.torch_file import read_tensors

# torch.save(..., _use_new_zipfile_serialization=False) of PyTorch 2.13: arange(24) as float32,
# turned and as a part of itself, and a number.
FILE = Path(__file__).parents[2] / "data" / "old_format.pth"


def test_tensors_arrive_with_their_strides_and_offsets() -> None:
    with FILE.open("rb") as file:
        tensors = read_tensors(file)
    numbers = np.arange(24, dtype=np.float32)
    assert list(tensors) == ["kernel", "part", "count"]
    np.testing.assert_array_equal(tensors["kernel"], numbers.reshape(2, 3, 4).transpose(2, 0, 1))
    np.testing.assert_array_equal(tensors["part"], numbers[20:])
    assert (tensors["count"], tensors["count"].dtype) == (7, np.int64)


class _Runs:
    """Asks whoever unpickles it to make a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self._folder,)


def test_what_would_run_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO(pickle.dumps(_Runs(tmp_path / "made")))
    with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        read_tensors(file)
    assert not (tmp_path / "made").exists()


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="no PyTorch weights of the old format"):
        read_tensors(io.BytesIO(pickle.dumps(1) * 5))
