"""Writes a report: CSV, run.json and HTML, into one new folder, all or nothing."""

from __future__ import annotations

from cxr_edge.report.context import Report, RunContext
from cxr_edge.report.folder import write_report

__all__ = ["Report", "RunContext", "write_report"]
