"""What every reader refuses by the header alone; no reader is imported to know it."""

from __future__ import annotations

MAX_PIXELS = 36_000_000  # 6,000 x 6,000: above any radiography detector
