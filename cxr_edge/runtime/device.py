"""Devices that a network runs on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cxr_edge.errors import InputError

_CUDA = re.compile(r"cuda(?::([0-9]{1,3}))?")


@dataclass(frozen=True)
class Device:
    """`auto`, `cpu` or `cuda` with an index."""

    kind: str
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Device:
        """Read `auto|cpu|cuda[:N]`; InputError for anything else."""
        if text in ("auto", "cpu"):
            return cls(text)
        match = _CUDA.fullmatch(text)
        if match is None:
            raise InputError(f"unknown device {text!r}", tip="use auto, cpu, cuda or cuda:N")
        return cls("cuda", int(match.group(1) or 0))

    def __str__(self) -> str:
        """Write it as on the command line."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind
