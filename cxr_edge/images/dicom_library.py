"""pydicom, silent and offline: the one module that imports it."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any, cast


@contextlib.contextmanager
def _absent(module: str) -> Iterator[None]:
    """Pretend that a module is not installed."""
    modules = cast(dict[str, Any], sys.modules)
    kept = modules.get(module)
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]
        if kept is not None:
            modules[module] = kept


# pydicom loads `requests`, where that is installed, to fetch its test files: a tenth of a second,
# and a socket is opened.
with _absent("requests"):
    from pydicom.charset import (
        STAND_ALONE_ENCODINGS,
        convert_encodings,
        default_encoding,
        python_encoding,
    )
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import Dataset
    from pydicom.filereader import read_dataset
    from pydicom.multival import MultiValue
    from pydicom.tag import BaseTag, Tag
    from pydicom.uid import UID

__all__ = [
    "STAND_ALONE_ENCODINGS",
    "UID",
    "BaseTag",
    "Dataset",
    "MultiValue",
    "RawDataElement",
    "Tag",
    "convert_encodings",
    "default_encoding",
    "dictionary_VR",
    "python_encoding",
    "read_dataset",
    "tag_for_keyword",
]

# What pydicom has to say may quote patient data, and what matters is checked by us. Once for the
# process: `catch_warnings` swaps a global, which films decoded side by side would mix up.
warnings.filterwarnings("ignore", module=r"pydicom\.")
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
