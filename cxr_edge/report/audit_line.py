"""A run's line in the audit log."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxr_edge.errors import ReportError
from cxr_edge.report.context import Report
from cxr_edge.support.text import display_name

SCHEMA_VERSION = 1


def audit_values(report: Report, out: Path) -> dict[str, Any]:
    """Plain values of an audit line: model, settings, answer; no name of a file.

    Args:
        report: as it was written.
        out: its folder, which holds `triage.csv`.

    Raises:
        ReportError: that cannot be read again.
    """
    context = report.context
    return {
        "schema_version": SCHEMA_VERSION,
        "run": context.run_id,
        "started_utc": context.started_utc,
        "model": context.spec.name,
        "model_version": context.spec.version,
        "model_sha256": context.model_sha256,
        "spec_sha256": context.spec.sha256(),
        "scope_gate": context.scope_gate,
        "site_profile": context.profile and context.profile.digest,
        "operating_point": context.operating_point,
        "threshold": context.threshold,
        "settings_sha256": context.settings_sha256,
        "device": context.device_used,
        "versions": context.versions,
        "counts": {**asdict(report.counts), "new": report.new, "gone": context.gone},
        "triage_csv_sha256": _sha256(out / "triage.csv"),
    }


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReportError(f"{display_name(path)} cannot be read: {error.strerror}") from error
