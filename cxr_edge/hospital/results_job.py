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
        secondary_capture: films that get a picture with their evidence map, of `CAPTURES`; None
            for none.
        key_object: whether flagged films are named in a key object besides.
        hl7: folder for one ORU^R01 file per study, which an integration engine picks up.
        every: whether films that had a result before this run get one again.
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
        out: folder for the results, with one folder for each study.
        model: as for `score`, if the file that scored has moved; only captures need it.
    """

    run: str
    state: Path
    out: Path
    wanted: Wanted = Wanted()
    model: str | None = None
