"""Exports of one job into other folders, and all that an export wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cxr_export.export import ExportJob

FILES = {f"mine.{suffix}" for suffix in ("onnx", "tflite", "json", "md")}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, hidden ones and those in folders too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def elsewhere(job: ExportJob, tmp_path: Path, **changes: Any) -> ExportJob:
    """The same export into an empty folder."""
    return replace(job, out=tmp_path / "out", **changes)
