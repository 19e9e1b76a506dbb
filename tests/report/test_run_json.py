"""`run.json`: what was run, for programs."""

from __future__ import annotations

import json

import pytest

from cxr_edge.report.context import BANNER
from cxr_edge.report.run_json import render_run_json
from cxr_edge.types import Result
from tests.factories import report, result
from tests.tiny import tiny_spec


def test_whole_file() -> None:
    made = report(result("a", 0.9), result("b", 0.1), result("c", None), command=("x", "ü\udcff"))
    assert json.loads(render_run_json(made)) == {
        "schema_version": 6,
        "banner": BANNER,
        "run": "20261122T200000.000000Z",
        "settings_sha256": "cd" * 32,
        "identity_fields": [],
        "counts": {
            "found": 3,
            "scored": 2,
            "not_scored": 1,
            "deferred": 0,
            "attention": 1,
            "flagged": 1,
            "unflagged": 1,
            "other": 0,
            "new": 3,
            "gone": 0,
            "left_out": 0,
            "excluded": 0,
        },
        "reasons": {"corrupt": 1},
        "model": {
            "name": "tiny",
            "version": "1.0.0",
            "file": "tiny.onnx",
            "sha256": "ab" * 32,
            "spec_sha256": tiny_spec().sha256(),
        },
        "scope_gate": None,
        "operating_point": {"name": "screening", "threshold": 0.5},
        "site_profile": None,
        "parquet": None,
        "thumbnails": False,
        "language": "en",
        "prevalence": None,
        "viewer_url": None,
        "device": {"asked": "auto", "used": "cpu", "films": {"cpu": 2}},
        "versions": {"cxr-edge": "0.1.0"},
        "started_utc": "2026-11-22T20:00:00Z",
        "seconds": 1.5,
        "command": ["x", "ü\udcff"],
        "directory": "/srv/xray",
        "recalled": 0,
        "sandbox": "landlock ABI 7, seccomp, no new privileges",
    }


DEVICES = {
    "left in the middle": (
        [result("a", 0.9), result("b", 0.1, device="cpu"), result("c", 0.2, device="cpu")],
        {"cuda:0": 1, "cpu": 2},
    ),
    "left at once": ([result("a", 0.9, device="cpu")], {"cuda:0": 0, "cpu": 1}),
}


@pytest.mark.parametrize(("films", "counted"), DEVICES.values(), ids=DEVICES)
def test_films_are_counted_by_device(films: list[Result], counted: dict[str, int]) -> None:
    made = json.loads(render_run_json(report(*films, device_used="cuda:0")))
    assert made["device"] == {"asked": "auto", "used": "cuda:0", "films": counted}


def test_it_is_text_with_a_last_newline() -> None:
    made = render_run_json(report(command=("\udcff",)))
    assert made.endswith(b"}\n")
    assert made.isascii()
