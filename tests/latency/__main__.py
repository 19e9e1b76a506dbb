"""`python -m tests.latency`: measure, and write the page. No test: it takes minutes or hours."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cxr_edge.runtime.device import usable_cores
from tests.latency import machine, startup
from tests.latency.measure import ROOT, timed
from tests.latency.race import FULL, Plan, cells, race


def _several(kind: type) -> Any:
    return lambda _, __, text: text and tuple(map(kind, text.split(",")))


@click.command()
@click.option("--full", is_flag=True, help="Everything, for hours; else what takes minutes.")
@click.option("--sizes", callback=_several(int), help="JPEGs in a folder, such as 1,20,600.")
@click.option("--models", callback=_several(str), help="Such as cnn3_128,resnet50v2_50.")
@click.option("--formats", callback=_several(str), help="Such as onnx,tflite.")
@click.option("--kinds", callback=_several(str), help="Other films, such as png16,dicom_rle.")
@click.option("--growth", callback=_several(int), help="Tiny films in a folder: 1000,10000.")
@click.option("--runs", type=click.IntRange(1), help="Timed ones; the medians are of so many.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "bench")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / "build" / "films")
@click.option("--keras-python", default=sys.executable, help="A Python that has Keras.")
@click.option("--render", is_flag=True, help="Write page and chart again from the JSON.")
def main(full: bool, out: Path, cache: Path, keras_python: str, render: bool, **given: Any) -> None:
    """Measure cxr-edge beside the report's Keras way, naive loops, and what the cores could do."""
    plan = replace(FULL if full else Plan(), **{k: v for k, v in given.items() if v is not None})
    saved = out / "benchmark.json"
    if not render:
        out.mkdir(parents=True, exist_ok=True)
        for results in measure(plan, cache, keras_python):  # after each folder, lest hours be lost
            saved.write_text(json.dumps(results, indent=1) + "\n")
    # Only now: what this process has loaded, others share, and it would not count as theirs.
    from tests.latency.document import write

    write(json.loads(saved.read_text()), out)
    click.echo((out / "benchmark.md").read_text())


def measure(plan: Plan, cache: Path, keras_python: str) -> Iterator[dict[str, Any]]:
    """The JSON as it grows: raw seconds of every run, and what they were measured on."""
    keras = machine.keras_versions(keras_python)
    results: dict[str, Any] = {
        "schema_version": 1,
        "machine": machine.describe(keras),
        "cores": usable_cores(),
        "runs": plan.runs,
        "startup": startup.measure(plan.runs),
        "films": {},
        "cells": [],
    }
    wanted = [f"{cell.kind}:{cell.size}" for cell in cells(plan)]
    films = [sys.executable, "-m", "tests.latency.images", str(cache), *dict.fromkeys(wanted)]
    folders, results["films"] = json.loads(timed(films).output)
    for cell in cells(plan):
        click.echo(f"{cell.size:,} {cell.kind}, {cell.model}", err=True)
        folder = Path(folders[f"{cell.kind}:{cell.size}"])
        python = keras_python if keras else ""
        results["cells"].append(race(cell, folder, python, plan.runs))
        yield results


if __name__ == "__main__":
    main()
