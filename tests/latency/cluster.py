"""What a cluster costs: `python -m tests.latency.cluster`, after `make bench`; minutes.

A rate is that of the films by which a large folder is larger than a small one, over the seconds
that it takes longer: start-up and report are in neither. On a busy machine Ray's start takes
seconds more or less, and the rates say nothing. Ray and this machine alone take turns on
the same cores. With a network of no cost, the films a second show what chunks, messages and the
driver take; see `driver` for that of the driver alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from cxr_edge.support.cores import usable_cores
from tests.latency import driver
from tests.latency.measure import ENVIRONMENT, ROOT, timed
from tests.latency.scaling import steps
from tests.tiny import write_tiny

_OWN_SETTINGS = {"RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@click.command()
@click.option("--films", default=3000, show_default=True, help="In the large folder.")
@click.option("--runs", default=3, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / "build" / "films")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "bench")
def main(films: int, runs: int, cache: Path, out: Path) -> None:
    """Measure Ray beside this machine alone, workers of no cost, and the driver; write JSON."""
    found = {
        "films": films,
        "load": os.getloadavg()[0],
        "overhead": overhead(_folders(cache, "jpeg", films), runs),
        "no_cost": no_cost(_folders(cache, "tiny", films), runs),
        "driver_ms": driven(10 * films, runs),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "cluster.json").write_text(json.dumps(found, indent=1) + "\n")
    click.echo("\n".join(lines(found)))


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The medians in words."""
    alone, ray = (median(found["overhead"][name]) for name in ("alone", "ray"))
    yield f"films a second: {alone:.1f} on this machine, {ray:.1f} by Ray, {ray / alone:.2f} of it"
    for workers, rates in found["no_cost"].items():
        yield f"{workers} workers, network of no cost: {median(rates):.0f} films a second"
    for kind, spent in found["driver_ms"].items():
        yield f"driver, {kind} film: {median(spent):.3f} ms"
    yield f"load average at the start: {found['load']:.1f}"


def rate(small: tuple[int, float], large: tuple[int, float]) -> float:
    """Films a second from (films, seconds) of two folders."""
    return (large[0] - small[0]) / max(large[1] - small[1], 1e-9)


def overhead(folders: Sequence[Path], runs: int) -> dict[str, list[float]]:
    """Films a second of both engines with the network that ships, in turn."""
    ways: dict[str, tuple[str, ...]] = {"alone": (), "ray": ("--cluster", "local")}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, options in ways.items():
            found[name].append(_rate(folders, options))
    return found


def no_cost(folders: Sequence[Path], runs: int) -> dict[str, list[float]]:
    """Films a second by number of workers, with small films and a network that takes no time."""
    with tempfile.TemporaryDirectory() as place:
        model = ("--model", str(write_tiny(Path(place))))
        found = {}
        for workers in steps(usable_cores()):
            with _cluster(workers) as (address, environment):
                options = (*model, "--cluster", address)
                found[str(workers)] = [_rate(folders, options, environment) for _ in range(runs)]
        return found


def driven(files: int, runs: int) -> dict[str, list[float]]:
    """Milliseconds of the driver for a film."""
    with tempfile.TemporaryDirectory() as place:
        driver.write_files(Path(place, "films"), files)
        time.sleep(3)  # until nobody takes them for new
        return driver.measure(Path(place, "films"), runs)


def _folders(cache: Path, kind: str, films: int) -> list[Path]:
    """A sixth of the films, and all of them."""
    sizes = (films // 6, films)
    wanted = [f"{kind}:{size}" for size in sizes]
    made = timed([sys.executable, "-m", "tests.latency.images", str(cache), *wanted])
    folders, _ = json.loads(made.output)
    return [Path(folders[each]) for each in wanted]


def _rate(
    folders: Sequence[Path], options: Sequence[str], environment: dict[str, str] | None = None
) -> float:
    small, large = (
        (sum(path.is_file() for path in each.rglob("*")), _seconds(each, options, environment))
        for each in folders
    )
    return rate(small, large)


def _seconds(folder: Path, options: Sequence[str], environment: dict[str, str] | None) -> float:
    with tempfile.TemporaryDirectory() as own:
        place = ("--state", f"{own}/state", "--out", f"{own}/out", "-q")
        command = [sys.executable, "-m", "cxr_edge", "score", str(folder), *place, *options]
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=environment or ENVIRONMENT, check=True)
        return time.perf_counter() - began


@contextlib.contextmanager
def _cluster(nodes: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Address of a cluster of nodes with one core each, and the environment of who joins."""
    environment = {**ENVIRONMENT, **_OWN_SETTINGS, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.ray_cluster", str(nodes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    with process:
        yield process.stdout.readline().strip() if process.stdout else "", environment


if __name__ == "__main__":
    main()
