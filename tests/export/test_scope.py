"""A scope gate as ONNX and TFLite: what Keras computes, the spec inside, limits as the run has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest

from cxr_edge.errors import ExportError, ParityError
from cxr_edge.model.scope_spec import OUTPUTS
from cxr_edge.runtime.scope import start_scope
from cxr_export import scope
from cxr_export.scope import ScopeExportJob, export, limits
from cxr_training.scope.net import build_net
from tests.export.networks import reads_keras_variables
from tests.factories import chest, write_tree
from tests.images.films import jpeg

pytestmark = reads_keras_variables
RATES = {"n": 10, "out_of_scope": 1, "adult": 2}
RUN: dict[str, Any] = {
    "name": "scope_48",
    "created_utc": "2026-12-01T00:00:00Z",
    "seed": 42,
    "epochs": 8,
    "preprocessing_version": 1,
    "data": {
        "children": {"NORMAL": 3, "PNEUMONIA": 4, "patients": 5, "sha256": "a" * 64},
        "validation": {"NORMAL": 1, "PNEUMONIA": 1, "patients": 2},
        "adults": {"films": 2, "sha256": "b" * 64},
        "pictures": {"pictures": 2, "sha256": "c" * 64},
    },
    "limits": {"out_of_scope": 0.9, "adult": 0.8},
    "rule": {"patients": 0.01, "copies": 0.02, "adults": 0.5},
    "validation": {"films": RATES, "copies": RATES},
    "held_out_adults": {"n": 10, "found": 6, "auc": 0.9},
    "kinds": {"upside down": {"n": 10, "caught": 9, "unseen_caught": 8}},
    "measured": {"children": RATES, "adult chests": {**RATES, "adult_auc": 0.8}},
    "seconds": 1.0,
    "software": {"keras": "3"},
}


@pytest.fixture
def job(tmp_path: Path) -> ScopeExportJob:
    keras.utils.set_random_seed(7)
    films = {f"{name}/{n}.jpeg": jpeg(chest()) for name in ("NORMAL", "PNEUMONIA") for n in "ab"}
    (tmp_path / "run").mkdir()
    build_net().save(tmp_path / "run" / "model.keras")
    (tmp_path / "run" / "run.json").write_text(json.dumps(RUN), encoding="utf-8")
    films_folder = write_tree(tmp_path / "films", films)
    return ScopeExportJob(tmp_path / "run", films_folder, "1.0.0", tmp_path / "models")


@pytest.mark.slow  # two conversions
def test_both_files_compute_what_keras_computes_and_carry_their_spec(job: ScopeExportJob) -> None:
    spec = export(job)
    for kind in ("onnx", "tflite"):
        content = (job.out / spec.files[kind].name).read_bytes()
        runner = start_scope(content, kind, spec)
        assert json.loads(runner.embedded_spec()) == json.loads(spec.embedded_json())
        assert spec.files[kind].parity.max_abs_difference <= 1e-5
    card = (job.out / "scope_48.md").read_text(encoding="utf-8")
    assert "| upside down | 10 | 90.0 % | 80.0 % |" in card
    assert "| measured only: adult chests | 10 | 1 (10.0 %) | 2 (20.0 %) |" in card


@pytest.mark.slow  # two conversions
def test_nothing_is_written_where_a_file_computes_something_else(
    job: ScopeExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "_TOLERANCE", -1.0)
    with pytest.raises(ParityError, match="the onnx file differs by"):
        export(job)
    assert not job.out.exists()


def test_a_folder_without_a_run_is_refused(job: ScopeExportJob) -> None:
    (job.run / "run.json").unlink()
    with pytest.raises(ExportError, match="holds no finished run"):
        export(job)


def test_an_adult_warning_that_finds_too_few_is_off_and_says_why() -> None:
    chosen = limits(RUN)
    assert [chosen[name].threshold for name in OUTPUTS] == [0.9, 0.8]
    assert "finds 6 of 10 adults" in chosen["adult"].chosen_by
    few = limits({**RUN, "held_out_adults": {"n": 10, "found": 4, "auc": 0.9}})
    assert few["adult"].threshold is None
    assert few["adult"].chosen_by.startswith("off: ")
    assert "finds 4 of 10 adults" in few["adult"].chosen_by
    assert few["out_of_scope"] == chosen["out_of_scope"]
