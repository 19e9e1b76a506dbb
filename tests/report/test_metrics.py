"""Metrics in the text format of Prometheus."""

from __future__ import annotations

import re
from pathlib import Path

from cxr_edge.report.metrics import write_metrics
from tests.factories import report, result

NIGHT = report(
    *(result("a", 0.9), result("b", 0.1), result("c", None)),
    model_file='tiny "\\\n.onnx',
    seconds=1.5,
)


def test_every_metric_is_explained_once(tmp_path: Path) -> None:
    file = tmp_path / "a.prom"
    write_metrics(file, 3, NIGHT, succeeded=True)
    lines = file.read_text().splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert helped == [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    named = [re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")]
    assert list(dict.fromkeys(named)) == helped
    assert len(set(helped)) == len(helped) == 7


def test_values_and_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.prom"
    write_metrics(file, 3, NIGHT, succeeded=True)
    lines = file.read_text().splitlines()
    assert 'cxr_edge_films{band="attention"} 1' in lines
    assert 'cxr_edge_films{band="other"} 0' in lines
    assert 'cxr_edge_films_without_score{reason="corrupt"} 1' in lines
    assert "cxr_edge_run_seconds 1.5" in lines
    assert "cxr_edge_threshold 0.5" in lines
    assert (
        'cxr_edge_model_info{name="tiny",version="1.0.0",file="tiny \\"\\\\\\n.onnx",'
        'operating_point="screening"} 1'
    ) in lines


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    """A success that cannot be read is none."""
    file = tmp_path / "a.prom"
    file.write_bytes(b"cxr_edge_last_success_timestamp_seconds never\n\xff")
    write_metrics(file, 1, None, succeeded=False)
    assert "last_success" not in file.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["a.prom"]
