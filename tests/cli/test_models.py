"""`cxr-edge models`, whole outputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.model.catalog import bundled_specs
from cxr_edge.model.describe import describe
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import OnCopies, Proportion
from tests.cli.conftest import Run
from tests.factories import changed, set_value
from tests.tiny import tiny_spec, tiny_values

SHOWN = """\
tiny 1.0.0, Testing
  network: 5 parameters, input 8x8
  intended use: testing
  population: nobody
  evidence map: 2x2 cells, the first around pixel 2.0, the next 4 further each; each sees 4x4 pixels
  onnx: tiny.onnx, 0.00 MB, weights float32, parity 0.0e+00 on 5 images
  tflite: tiny.tflite, 0.00 MB, weights float32, parity 0.0e+00 on 5 images
  screening: threshold 0.250000 (made up), sensitivity 0.900 (0.850 to 0.950), \
specificity 0.800 (0.750 to 0.850), nothing real
  balanced: threshold 0.500000 (made up), sensitivity 0.900 (0.850 to 0.950), \
specificity 0.800 (0.750 to 0.850), nothing real
  licence: Apache-2.0; data: made up
"""


def test_list(run: Run, bundle: Path) -> None:
    made = run("models", "list")
    assert (made.code, made.err) == (0, "")
    assert made.out == "tiny  8x8  tiny.onnx (0.0 MB), tiny.tflite (0.0 MB)\n"


def test_list_as_json(run: Run, bundle: Path) -> None:
    made = run("models", "list", "--json")
    assert json.loads(made.out) == [json.loads((bundle / "tiny.json").read_text())]


def test_a_slip_in_a_name(run: Run, bundle: Path) -> None:
    made = run("models", "show", "Tinny")
    bundled = "bundled: tiny; others by path, as in models/NAME.onnx"
    assert (made.code, made.err) == (
        4,
        f"error: no model 'Tinny'\n  tip: did you mean tiny? {bundled}\n",
    )
    assert run("models", "show", "./tiny").err == f"error: no model './tiny'\n  tip: {bundled}\n"


def test_list_without_models(run: Run, bundle: Path) -> None:
    (bundle / "tiny.json").unlink()
    assert run("models", "list").out == ""
    assert run("models", "list", "--json").out == "[]\n"


@pytest.mark.parametrize("model", ["tiny", "tiny.onnx", "tiny.tflite", "../models/tiny.onnx"])
def test_show(model: str, run: Run, bundle: Path) -> None:
    made = run("models", "show", model)
    assert (made.code, made.out, made.err) == (0, SHOWN, "")


def test_show_as_json(run: Run, bundle: Path) -> None:
    made = run("models", "show", "tiny", "--json")
    assert json.loads(made.out) == json.loads((bundle / "tiny.json").read_text())


def test_show_nothing(run: Run, bundle: Path) -> None:
    made = run("models", "show", "huge")
    assert (made.code, made.out) == (4, "")
    assert (
        made.err
        == "error: no model 'huge'\n  tip: bundled: tiny; others by path, as in models/NAME.onnx\n"
    )


def test_a_damaged_spec_is_named(run: Run, bundle: Path) -> None:
    (bundle / "other.json").write_text("{}")
    made = run("models", "list")
    assert made.code == 4
    assert made.err.startswith(f"error: {bundle / 'other.json'}: spec cannot be used: ")


def test_a_model_that_cannot_point_says_so() -> None:
    one = set_value("network_data_format.outputs.evidence.spatial_shape", [1, 1])
    text = describe(ModelSpec.from_dict(changed(tiny_values(), one)))
    assert (
        "  evidence map: 1x1 cells, the first around pixel 2.0; each sees 4x4 pixels; this model "
        "cannot point; nothing sees the last 4 columns and rows\n"
    ) in text


EVALUATED = """\
  set A, not used to set a threshold (80 NORMAL, 20 PNEUMONIA, 90 patients): \
AUC 0.876 (0.812 to 0.923) by patient
    screening: accuracy 0.750 (0.657 to 0.825), sensitivity 0.950 (0.764 to 0.991), \
specificity 0.700 (0.592 to 0.789)
"""


def test_what_was_measured_is_shown() -> None:
    decisions = Decisions(Proportion.of(75, 100), Proportion.of(19, 20), Proportion.of(56, 80))
    counts = {"NORMAL": 80, "PNEUMONIA": 20, "patients": 90}
    auc = Estimate(0.876, 0.812, 0.923, 90, 1999)
    test = MeasuredSet("set A", "ab" * 32, counts, auc, {"screening": decisions})
    assert EVALUATED in describe(replace(tiny_spec(), evaluations=(test,)))


def test_figures_on_copies_are_shown() -> None:
    point = tiny_spec().operating_points["screening"]
    copies = OnCopies(1, 6, Proportion.of(19, 20), Proportion.of(56, 80))
    shown = replace(tiny_spec(), operating_points={"screening": replace(point, copies=copies)})
    assert (
        "nothing real; on their changed copies sensitivity 0.950 (0.764 to 0.991), specificity "
        "0.700 (0.592 to 0.789)\n"
    ) in describe(shown)


@pytest.mark.parametrize("spec", bundled_specs(), ids=lambda spec: spec.name)
def test_bundled_model_is_listed_and_shown(spec: ModelSpec, run: Run) -> None:
    assert f"{spec.name}  {spec.size}x{spec.size}  " in run("models", "list").out
    assert run("models", "show", spec.name).out == describe(spec) + "\n"
    assert ModelSpec.from_dict(json.loads(run("models", "show", spec.name, "--json").out)) == spec


@pytest.mark.usefixtures("scope_gate")
def test_the_scope_gate_is_listed_and_shown(run: Run) -> None:
    assert run("models", "list").out.splitlines()[-1].startswith("scope_48  48x48  scope_48.onnx")
    shown = run("models", "show", "scope_48").out
    assert "out_of_scope: limit 0." in shown
    assert "changed copies of these films" in shown
    spec = json.loads(run("models", "show", "scope_48", "--json").out)
    assert spec["kind"] == "scope"
