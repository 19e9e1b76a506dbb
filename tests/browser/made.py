"""A night with everything that a page has to show."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cxr_edge.report import Report
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.types import PROBABILITY_DECIMALS, InputWarning, Reason, Result
from tests.factories import report, result
from tests.report.pictures import pictured
from tests.tiny import tiny_spec

HOSTILE = (
    "<script>document.title = 'taken'</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    '=HYPERLINK("x"),1.png',
    "'+1.png",
    "\uff1d1+1.png",
    "  -2.png",
    'a, b and "c".png',
    "\u05d0\u05d1 \u4e2d\u6587 \U0001fac1.png",
    "x" * 200 + ".png",
)


def film(name: str, probability: float | None, **facts: object) -> Result:
    """A row as real films have it."""
    plain = {
        "sha256": hashlib.sha256(name.encode()).hexdigest(),
        "modified_utc": "2026-11-22T01:00:00Z",
    }
    size = {"width": 2048, "height": 2500, "format": "DICOM"} if probability is not None else {}
    printed = None if probability is None else round(probability, PROBABILITY_DECIMALS)
    return result(name, printed, **{**plain, **size, **facts})


def night() -> Report:
    """Every reason, every warning, hostile names in each band, a film of each kind."""
    refused = [film(f"refused/{reason}.dcm", None, reason=reason) for reason in Reason]
    warned = [
        film(f"warned/{warning}.dcm", 0.3 + number / 40, warnings=(warning,))
        for number, warning in enumerate(InputWarning)
    ]
    hostile = [
        film(
            name,
            0.05 + 0.1 * number,
            duplicate_of=name,
            identity={"AccessionNumber": name},
            modified_utc="",
            new=False,
        )
        for number, name in enumerate(HOSTILE)
    ]
    plain = [
        film(
            f"plain/{number}.dcm",
            number / 8,
            modified_utc=f"2026-11-22T0{9 - number}:00:00Z",
        )
        for number in range(9)
    ]
    both = film("both.png", 0.9, warnings=(InputWarning.BLANK, InputWarning.MODALITY))
    share = Proportion.of(67, 117)
    area = Estimate(0.95, 0.91, 0.98, 196, 2000)
    tested = MeasuredSet(
        "test_x", "0" * 64, {}, area, {"screening": Decisions(share, share, share)}
    )
    spec = replace(tiny_spec(), evaluations=(tested,))
    rows = (*refused, *warned, *hostile, *plain, both)
    return report(*rows, identity_fields=("AccessionNumber",), spec=spec)


def night_with_films() -> Report:
    """The same, with the films that have a score."""
    return pictured(night())
