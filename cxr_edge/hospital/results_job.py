"""The job of `cxr-edge results`; light, because `--help` imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SR_CLASSES = ("enhanced", "comprehensive-3d", "basic-text")
CAPTURES = ("flagged", "all")


@dataclass(frozen=True)
class Wanted:
    """Objects that a study gets.

    Attributes:
        sr: class of the report, of `SR_CLASSES`: viewers differ in what they open.
        secondary_capture: which films get a picture with their evidence map, of `CAPTURES`; None
            for none.
        key_object: whether flagged films are named in a key object besides.
        hl7: folder for an ORU^R01 file a study, which an integration engine picks up.
        every: whether films get a result that had it before this run as well.
    """

    sr: str = SR_CLASSES[0]
    secondary_capture: str | None = None
    key_object: bool = False
    hl7: Path | None = None
    every: bool = False


@dataclass(frozen=True)
class ResultsJob:
    """Results of one finished run.

    Attributes:
        run: its name in the ledger.
        state: folder of the ledger.
        out: folder for the results, a folder a study; what lies there already is left or replaced.
        model: as of `score`, where the file that scored lies elsewhere by now; for captures alone.
    """

    run: str
    state: Path
    out: Path
    wanted: Wanted = Wanted()
    model: str | None = None
