"""Hints in a file's name; its bytes alone say what it is."""

from __future__ import annotations

from pathlib import PurePath

_DICOM = (".dcm", ".dicom", ".dic", ".ima")
_FILMS = (*_DICOM, ".jpg", ".jpeg", ".png", ".tif", ".tiff")


def may_be_dicom(name: str) -> bool:
    """Whether DICOM files have such names: a usual suffix, none, or a UID (1.2.840.99)."""
    suffix = PurePath(name).suffix.lower()
    return not suffix or suffix in _DICOM or suffix[1:].isdigit()


def promises_film(name: str) -> bool:
    """Whether it ends as films do that can be scored."""
    return name.lower().endswith(_FILMS)
