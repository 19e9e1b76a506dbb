"""`run.json`: what was run, on what, with which outcome."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from cxr_edge.report import parquet
from cxr_edge.report.context import BANNER, SCHEMA_VERSION, Report


def run_values(report: Report) -> dict[str, Any]:
    """The run as plain values."""
    context = report.context
    return {
        "schema_version": SCHEMA_VERSION,
        "banner": BANNER,
        "run": context.run_id,
        "settings_sha256": context.settings_sha256,
        "identity_fields": list(context.identity_fields),
        "counts": {
            **asdict(report.counts),
            "new": report.new,
            "gone": context.gone,
            "left_out": context.left_out,
            "excluded": context.excluded,
        },
        "reasons": report.reasons,
        "model": {
            "name": context.spec.name,
            "version": context.spec.version,
            "file": context.model_file,
            "sha256": context.model_sha256,
            "spec_sha256": context.spec.sha256(),
        },
        "scope_gate": context.scope_gate,
        "operating_point": {"name": context.operating_point, "threshold": context.threshold},
        "site_profile": context.profile and json.loads(context.profile.to_json()),
        "parquet": parquet.NAME if report.parquet else None,
        "thumbnails": context.thumbnails,
        "language": context.language,
        "prevalence": context.prevalence,
        "viewer_url": context.viewer_url or None,
        "device": {
            "asked": context.device_asked,
            "used": context.device_used,
            "films": report.devices,
        },
        "versions": context.versions,
        "started_utc": context.started_utc,
        "seconds": context.seconds,
        "command": list(context.command),
        "directory": context.directory,
        "recalled": context.recalled,
        "sandbox": context.sandbox or None,
    }


def render_run_json(report: Report) -> bytes:
    """UTF-8 JSON with a trailing newline."""
    return (json.dumps(run_values(report), indent=2) + "\n").encode("utf-8")
