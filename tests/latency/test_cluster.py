"""The pure parts of the cluster's benchmark."""

from __future__ import annotations

from tests.latency.cluster import lines, rate


def test_a_rate_leaves_out_what_every_run_costs() -> None:
    assert rate((100, 12.0), (600, 22.0)) == 50.0


def test_lines_are_medians() -> None:
    found = {
        "overhead": {"alone": [40.0, 50.0, 90.0], "ray": [45.0]},
        "no_cost": {"1": [100.0], "2": [190.0]},
        "driver_ms": {"new": [0.1], "recalled": [0.2]},
        "load": 1.0,
    }
    assert list(lines(found)) == [
        "films a second: 50.0 on this machine, 45.0 by Ray, 0.90 of it",
        "1 workers, network of no cost: 100 films a second",
        "2 workers, network of no cost: 190 films a second",
        "driver, new film: 0.100 ms",
        "driver, recalled film: 0.200 ms",
        "load average at the start: 1.0",
    ]
