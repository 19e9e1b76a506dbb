"""Metrics for Prometheus, as the textfile collector of its node exporter reads them.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. Nothing
in them is about a patient.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.report.context import Report
from cxr_edge.support.atomic import write_atomically
from cxr_edge.support.files import read_plain
from cxr_edge.types import Band

_MODE = 0o644  # the collector is another user
_MAX_BYTES = 10**6
_LAST_SUCCESS = "cxr_edge_last_success_timestamp_seconds"

Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Metric:
    """One metric, with a value for each set of labels.

    Attributes:
        name: as Prometheus has it.
        meaning: one line for people.
        samples: labels and value, each.
        kind: `gauge`, or `counter` for what only grows while a program runs.
    """

    name: str
    meaning: str
    samples: tuple[Sample, ...]
    kind: str = "gauge"

    def lines(self) -> Iterator[str]:
        """The metric in the text format."""
        yield f"# HELP {self.name} {self.meaning}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            text = ",".join(f'{label}="{_escaped(each)}"' for label, each in labels.items())
            yield f"{self.name}{{{text}}} {value!r}" if text else f"{self.name} {value!r}"


def write_metrics(path: Path, exit_code: int, report: Report | None, *, succeeded: bool) -> None:
    """Replace a file of metrics, mode 0644, by those of a run that has ended.

    Args:
        path: of the file.
        exit_code: of the command.
        report: the report that was written, if there is one.
        succeeded: whether it is what the night was to bring. The time of the last success stays
            what it was, if not.

    Raises:
        OSError: the file could not be written.
    """
    last = round(time.time(), 3) if succeeded else _last_success(path)
    gauges = [Metric("cxr_edge_exit_code", "How the last run ended.", (({}, exit_code),))]
    if last is not None:
        meaning = "When a run last ended with a report and enough films."
        gauges.append(Metric(_LAST_SUCCESS, meaning, (({}, last),)))
    if report is not None:
        gauges += _of_report(report)
    write_file(path, gauges)


def write_file(path: Path, metrics: Iterable[Metric]) -> None:
    """Replace a file of metrics, mode 0644.

    Raises:
        OSError: it could not be written.
    """
    text = "".join(f"{line}\n" for metric in metrics for line in metric.lines())
    write_atomically(path, text.encode(), _MODE)


def _of_report(report: Report) -> Iterator[Metric]:
    context, counts = report.context, report.counts
    model = {"name": context.spec.name, "version": context.spec.version}
    facts = {**model, "file": context.model_file, "operating_point": context.operating_point}
    bands = tuple(({"band": band.value}, getattr(counts, band.value)) for band in Band)
    reasons = tuple(({"reason": str(name)}, count) for name, count in report.reasons.items())
    yield Metric("cxr_edge_films", "Files of the last report, by band.", bands)
    yield Metric("cxr_edge_films_without_score", "Those not scored or deferred, by why.", reasons)
    yield Metric("cxr_edge_run_seconds", "Time that scoring took.", (({}, context.seconds),))
    yield Metric("cxr_edge_threshold", "Where a film is flagged.", (({}, context.threshold),))
    yield Metric("cxr_edge_model_info", "The model that scored.", ((facts, 1),))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _last_success(path: Path) -> float | None:
    """The time in the metrics that are about to be replaced; None where there is none."""
    try:
        text = read_plain(path, _MAX_BYTES).decode("ascii", "replace")
        match = re.search(rf"^{_LAST_SUCCESS} ([\d.]+)$", text, re.MULTILINE | re.ASCII)
        return float(match[1]) if match else None
    except (OSError, ValueError):
        return None
