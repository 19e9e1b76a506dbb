"""Films for pages, of the tiny model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cxr_edge.report import Report
from cxr_edge.types import Picture
from tests.factories import chest


def picture(height: int = 48, width: int = 64) -> Picture:
    """A made film whose shares and rest add up to a logit of 1."""
    evidence = np.array([[2.0, 0.5], [0.0, -1.25]], np.float32)
    return Picture(chest(height, width), evidence, -0.25)


def pictured(made: Report) -> Report:
    """The same report with a film for every row that has a sha256."""
    hashes = {row.result.sha256 for row in made.rows} - {""}
    pictures = dict.fromkeys(sorted(hashes), picture())
    return replace(made, context=replace(made.context, thumbnails=True), pictures=pictures)
