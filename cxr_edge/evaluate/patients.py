"""Who is on a film, as far as its name tells."""

from __future__ import annotations

import re
from pathlib import Path

_PATIENT = re.compile(r"^(?:NORMAL2-)?(IM-\d+)-|^(person\d+)_")


def patient_of(filename: str) -> str:
    """The person behind a Kermany file name; other names are each their own patient.

    `person<N>_...` and `(NORMAL2-)IM-<N>-...` repeat N for every film of one person. The two
    normal series are taken as one numbering: joining strangers is harmless, splitting a
    patient is not.
    """
    match = _PATIENT.match(filename)
    return next(g for g in match.groups() if g) if match else Path(filename).stem
