"""The pure parts of the benchmark; nothing here is timed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.intake import prepare as prepare_module
from tests.latency import ceiling, images
from tests.latency.__main__ import added
from tests.latency.document import page
from tests.latency.figures import efficiency, lines, main_thread_ms, stages_per_film, table
from tests.latency.measure import family, resident
from tests.latency.race import FULL, Plan, cells
from tests.latency.scaling import cpu_seconds, steps
from tests.latency.startup import by_package

CELL: dict[str, Any] = {
    "kind": "jpeg",
    "size": 10,
    "model": "m",
    "formats": ["onnx"],
    "entrants": [
        {"way": way, "format": kind, "wall": wall, "cpu": [3.0, 1.0], "tree": 9.0, "largest": 5.0}
        for way, kind, wall in (
            ("keras", "keras", [8.0, 12.0, 9.0]),
            ("score", "onnx", [4.0, 1.0, 3.0]),
            ("again", "onnx", [0.5]),
        )
    ]
    + [
        {
            "way": "ceiling",
            "format": "onnx",
            "prepare": [1.0, 3.0],
            "infer": [0.5, 0.5],
            "decode": [0.75, 2.25],
        }
    ],
}


def test_lines_are_medians_ratios_and_shares() -> None:
    keras, score, again = lines(CELL, cores=2)
    assert (keras.seconds, keras.ratio, keras.share) == (9.0, 1.0, None)
    # (1 + 0.5 + 3 + 0.5) / 2 runs = 2.5 s of CPU on two cores, in 3 s.
    assert (score.seconds, score.ratio, score.share) == (3.0, 3.0, 1.25 / 3)
    assert (score.cpu_ms, again.ratio, again.share) == (200.0, 18.0, None)


def test_without_keras_there_is_no_ratio() -> None:
    cell = {**CELL, "entrants": CELL["entrants"][1:]}
    assert [line.ratio for line in lines(cell, cores=2)] == [None, None]


def test_a_line_prints_its_spread() -> None:
    score = lines(CELL, cores=2)[1].cells()
    assert score[2:] == ("3", "3 (1 to 4)", "3.3", "200", "9", "5", "3.0", "", "42%")


def test_score_is_faster_by_what_others_take_longer() -> None:
    keras, score, again = lines(CELL, cores=2)
    assert (keras.behind, score.behind, again.behind) == (3.0, None, None)


def test_stages_add_up_to_the_cpu_of_score() -> None:
    spent = stages_per_film(CELL, "onnx")
    assert (spent["decode"], spent["rest of `prepare`"], spent["infer"]) == (150, 50, 50)
    assert sum(spent.values()) == pytest.approx(200)


def test_a_cell_replaces_its_like_and_no_other() -> None:
    other = {**CELL, "size": 11}
    again = {**CELL, "entrants": []}
    assert added([CELL, other], again) == [again, other]
    assert added([CELL], other) == [CELL, other]


def test_efficiency_is_the_share_of_so_many_single_cores() -> None:
    walls = {"1": [8.0, 9.0, 7.0], "2": [5.0], "4": [2.0]}
    assert efficiency(walls) == [("1", "8", "100%"), ("2", "5", "80%"), ("4", "2", "100%")]


def test_the_main_thread_pays_for_the_films_between_two_folders() -> None:
    assert main_thread_ms({"20": [0.5, 0.5], "600": [0.79]}) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("cores", "counts"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (16, [1, 2, 4, 8, 16])],
)
def test_steps_of_cores(cores: int, counts: list[int]) -> None:
    assert steps(cores) == counts


def test_cpu_seconds_of_a_thread_with_a_nasty_name() -> None:
    tick = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a) 1 2) S {' '.join('0' * 10)} {3 * tick} {tick} 0 0"
    assert cpu_seconds(stat) == 4.0


def test_the_page_says_what_was_measured_on_which_code() -> None:
    stages = {"way": "ceiling", "format": "onnx", "prepare": [1.0], "infer": [1.0]}
    entrants = [each for each in CELL["entrants"] if each["way"] != "ceiling"] + [stages]
    results = {
        "cells": [
            {**CELL, "entrants": entrants, "date": "2026-01-02", "commit": "abc", "load": 0.1}
        ],
        "cores": 2,
        "films": {"jpeg": {"bytes": 5.0}},
        "machine": {"CPU": "one"},
        "scaling": {
            "films": 600,
            "wall": {"1": [4.0], "2": [2.0]},
            "main_thread": {"20": [0.0], "600": [0.58]},
        },
        "startup": {"python": [0.1], "--help": [0.2], "imports": {"score": {"all": 7.0}}},
    }
    said = page(results)
    assert "on 2026-01-02 at commit abc;\nthe load average before a folder was at most 0.1." in said
    assert "| 2 | 2 | 100% |" in said
    # 10 films in 2 s of CPU: 5 a second and core; the main thread manages 1,000.
    assert "1.00 ms, so it keeps up with 1,000 films" in said
    assert "scores 5.\nIt would be the limit from 200 cores on" in said


def test_table_has_a_column_for_each_name() -> None:
    assert table(("a", ""), [(1, "b")]) == "| a |  |\n| ---: | --- |\n| 1 | b |"


def test_memory_counts_a_library_once_and_own_pages_always() -> None:
    process = """7f00-7f01 r-xp 0 fd:00 7 /lib/x.so
Rss: {} kB
Anonymous: {} kB
VmFlags: rd ex
7f02-7f03 rw-p 0 00:00 0
Rss: 100 kB
Anonymous: 100 kB
"""
    assert resident([process.format(50, 0), process.format(70, 10)]) == 60 + 10 + 100 + 100


def test_this_process_is_of_its_family() -> None:
    assert os.getpid() in family(os.getppid())


def test_import_times_by_package() -> None:
    said = "import time: self [us] | cumulative | imported package\n"
    said += "import time:  2000 |  9000 |   numpy.core\nimport time:  1500 | 1500 | numpy\n"
    assert by_package(said + "import time: 500 | 500 | re\n") == {
        "all": 4.0,
        "numpy": 3.5,
        "re": 0.5,
    }


@pytest.mark.parametrize("plan", [Plan(), FULL], ids=["quick", "full"])
def test_a_plan_races_every_size_kind_and_growth(plan: Plan) -> None:
    raced = {(cell.kind, cell.size) for cell in cells(plan)}
    assert {("jpeg", size) for size in plan.sizes} | {("tiny", n) for n in plan.growth} < raced
    assert {kind for kind, _ in raced} == {"jpeg", "tiny", *plan.kinds} <= set(images.KINDS)


@pytest.mark.parametrize("stage", ceiling.STAGES)
def test_the_stages_that_are_timed_exist(stage: str) -> None:
    assert callable(getattr(prepare_module, stage))


@pytest.mark.parametrize(
    ("values", "bits"),
    [(np.zeros(8, int), 0.0), (np.arange(8), 3.0), (np.array([0, 0, 1, 1]), 1.0)],
    ids=["one level", "eight levels", "two levels"],
)
def test_entropy(values: Any, bits: float) -> None:
    assert images.entropy(values) == bits


def test_films_are_of_a_kind_and_each_its_own(tmp_path: Path) -> None:
    twice = [sorted(images.corpus(tmp_path, "tiny", 3).rglob("*.png")) for _ in range(2)]
    assert twice[0] == twice[1]
    assert len({path.read_bytes() for path in twice[0]}) == 3
    assert images.corpus(tmp_path, "tiny", 2) != images.corpus(tmp_path, "tiny", 3)
