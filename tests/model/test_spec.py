"""A spec is read strictly: what it says is used as it stands, or it is refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec, ReceptiveField
from tests.factories import Change, changed, drop, set_value
from tests.tiny import SIZE, file_entry, reliability_values, tiny_spec, tiny_values

SPECS = [*bundled_specs(), tiny_spec()]


def whole() -> dict[str, Any]:
    """The tiny spec with everything that a spec can have."""
    values = tiny_values()
    values["files"] = {"onnx": file_entry(b"model")}
    values["training"] = {
        "data": "nothing",
        "data_sha256": "00",
        "train_counts": {"NORMAL": 1},
        "validation_counts": {"NORMAL": 1},
        "split": "none",
        "recipe": "none",
        "recipe_sha256": "00",
        "pretrained_weights": "none",
        "seed": 1,
        "epochs": 1,
        "seconds": 1.5,
        "created_utc": "2026-11-22T00:00:00Z",
        "software": {"python": "3.11"},
        "metrics": {"auc": 0.5, "confusion": [[1, 0], [0, 1]]},
    }
    point = values["operating_points"]["screening"]
    decisions = {
        "accuracy": point["sensitivity"],
        "sensitivity": point["sensitivity"],
        "specificity": point["specificity"],
    }
    values["evaluations"] = [
        {
            "data": "nothing",
            "data_sha256": "00",
            "counts": {"NORMAL": 1},
            "auc": {"value": 0.5, "low": 0.25, "high": 0.75, "patients": 7, "replicates": 2000},
            "operating_points": {"screening": decisions},
        }
    ]
    values["reliability"] = reliability_values()
    return values


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_round_trip(spec: ModelSpec) -> None:
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    assert ModelSpec.from_dict(json.loads(spec.to_json())) == spec


def test_every_field_survives() -> None:
    assert ModelSpec.from_dict(whole()).to_dict() == whole()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_embedded_json_is_the_spec_without_files(spec: ModelSpec) -> None:
    without = spec.to_dict()
    del without["files"]
    assert json.loads(spec.embedded_json()) == without


@pytest.mark.parametrize("spec", bundled_specs(), ids=lambda spec: spec.name)
def test_what_ships_is_written_as_it_stands(spec: ModelSpec) -> None:
    """Its hash is that of the text: written otherwise, every ledger would score anew."""
    assert (models_dir() / f"{spec.name}.json").read_text(encoding="utf-8") == spec.to_json()


def test_sha256_is_of_the_text() -> None:
    spec = tiny_spec()
    assert spec.sha256() == hashlib.sha256(spec.to_json().encode()).hexdigest()


def test_short_cuts() -> None:
    spec = tiny_spec()
    assert (spec.size, spec.evidence_shape, spec.can_point) == (SIZE, (2, 2), True)


@pytest.mark.parametrize(
    ("field", "unseen"),
    [((2.0, 4.0, 4), 0), ((1.5, 3.0, 3), 2), ((2.5, 2.0, 5), 1), ((0.5, 4.0, 99), 0)],
    ids=["all", "a gap and two", "overlap and one", "beyond the film"],
)
def test_the_edge_that_no_cell_sees(field: tuple[float, float, int], unseen: int) -> None:
    assert replace(tiny_spec(), receptive_field=ReceptiveField(*field)).unseen_edge == unseen


def test_a_single_cell_cannot_point() -> None:
    one = set_value("network_data_format.outputs.evidence.spatial_shape", [1, 1])
    assert not ModelSpec.from_dict(changed(whole(), one)).can_point


OUTPUTS = "network_data_format.outputs"
SHARE = "operating_points.screening.sensitivity"
PARITY = "files.onnx.parity"
AUC = "evaluations.0.auc"
BINS = "validation_scores.counts"
BIAS = tiny_values()["network_data_format"]["outputs"]["bias"]

SPEED = {
    **{"ratio": 1.5, "reference": "the float32 file", "cpu": "a processor"},
    **{"instruction_set": "avx2", "threads": 1, "batch_size": 32, "runtime": "onnxruntime 1"},
}


def test_what_a_spec_does_not_say_is_not_written() -> None:
    """Specs from before a field was thought of keep their text and their hash."""
    values = whole()
    assert ModelSpec.from_dict(values).to_dict()["files"] == values["files"]
    values["files"]["onnx"] |= {"weights": "int8", "activations": "int8", "speed": SPEED}
    values["files"]["onnx"]["parity"]["auc_loss"] = 0.001
    values["files"]["onnx"]["golden"] = {**tiny_values()["golden"], "tolerance": 5e-3}
    spec = ModelSpec.from_dict(values)
    assert spec.to_dict()["files"] == values["files"]
    assert spec.files["onnx"].precision == "int8"
    assert spec.files["onnx"].arithmetic() == "int8, activations int8"
    assert "reliability" not in tiny_spec().to_dict()
    assert "reliability" not in json.loads(tiny_spec().embedded_json())


def test_points_on_copies_and_features_are_younger_than_specs() -> None:
    """A spec without them keeps its text, and so its hash."""
    plain = json.loads(tiny_spec().embedded_json())
    assert "validation_features" not in plain
    assert all("copies" not in point for point in plain["operating_points"].values())
    share = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 600}
    copies = {"version": 1, "draws": 6, "sensitivity": share, "specificity": share}
    features = {"version": 1, "data": "x", "films": 9, "quantiles": {"mean": [0.0] * 21}}
    values = changed(tiny_values(), set_value("operating_points.screening.copies", copies))
    values["validation_features"] = features
    assert ModelSpec.from_dict(values).to_dict() == values


def test_the_self_test_of_a_file_is_its_own_where_it_has_one() -> None:
    own = {"tolerance": 5e-3, "cases": [{"rule": "ramp", "probability": 0.5, "logit": 0.0}]}
    spec = ModelSpec.from_dict(changed(whole(), set_value("files.onnx.golden", own)))
    assert spec.golden_of("onnx") == spec.files["onnx"].golden != spec.golden
    assert spec.golden_of("tflite") == spec.golden
    assert ModelSpec.from_dict(whole()).golden_of("onnx") == spec.golden


REFUSED: dict[str, Change] = {
    # missing or unknown
    "missing name": drop("name"),
    "missing optional part": drop("training"),
    "unknown field": set_value("comment", "hello"),
    "no screening point": drop("operating_points.screening"),
    "the site's own name": lambda values: values["operating_points"].update(
        site=values["operating_points"]["screening"]
    ),
    "missing input": drop("network_data_format.inputs.image"),
    "missing output": drop(f"{OUTPUTS}.bias"),
    "unknown output": set_value(f"{OUTPUTS}.logit", BIAS),
    # of another type; support/test_strict_json has all the ways
    "name is a number": set_value("name", 7),
    "parameters are a fraction": set_value("architecture.parameters", 1.5),
    "parameters are true": set_value("architecture.parameters", True),
    "threshold is true": set_value("operating_points.screening.threshold", True),
    "ages are three": set_value("use.age_years", [1, 2, 3]),
    "points are a list": set_value("operating_points", []),
    "an evaluation is text": set_value("evaluations", ["good"]),
    # out of range
    "another schema": set_value("schema_version", 3),
    "schema as text": set_value("schema_version", "2"),
    "estimate upside down": set_value(f"{AUC}.low", 0.8),
    "estimate of nobody": set_value(f"{AUC}.patients", 0),
    "estimate without a bootstrap": set_value(f"{AUC}.replicates", 0),
    "no distribution": set_value("validation_scores.counts", {}),
    "a bin too few": set_value(f"{BINS}.NORMAL", [1] * 19),
    "a bin below nothing": set_value(f"{BINS}.NORMAL", [-1, *[2] * 19]),
    "half a film": set_value(f"{BINS}.NORMAL", [0.5] * 20),
    "a field of nothing": set_value("receptive_field.size", 0),
    "reliability is a list": set_value("reliability", []),
    "NaN in what is only shown": set_value("reliability.changes.1.mean", float("nan")),
    "cells in one place": set_value("receptive_field.stride", 0.0),
    "threshold 0": set_value("operating_points.screening.threshold", 0),
    "threshold 1": set_value("operating_points.screening.threshold", 1.0),
    "interval beside its value": set_value(f"{SHARE}.low", 0.95),
    "share above one": set_value(f"{SHARE}.high", 1.1),
    "share of nothing": set_value(f"{SHARE}.n", 0),
    "not square": set_value("network_data_format.inputs.image.spatial_shape", [8, 9]),
    "no size": set_value("network_data_format.inputs.image.spatial_shape", [0, 0]),
    "one pixel": set_value("network_data_format.inputs.image.spatial_shape", [1, 1]),
    "three sides": set_value("network_data_format.inputs.image.spatial_shape", [8, 8, 8]),
    "evidence is a line": set_value(f"{OUTPUTS}.evidence.spatial_shape", [2]),
    "evidence is empty": set_value(f"{OUTPUTS}.evidence.spatial_shape", [0, 2]),
    "no golden cases": set_value("golden.cases", []),
    "tolerance 0": set_value("golden.tolerance", 0),
    "tolerance that lets all pass": set_value("golden.tolerance", 1.0),
    "short hash": set_value("files.onnx.sha256", "ab"),
    "no bytes": set_value("files.onnx.bytes", 0),
    "parity on nothing": set_value(f"{PARITY}.samples", 0),
    "parity outside its tolerance": set_value(f"{PARITY}.max_abs_difference", 0.1),
    "negative parity": set_value(f"{PARITY}.max_abs_difference", -1e-9),
    "changed decisions": set_value(f"{PARITY}.decision_flips", 1),
    "a file's self-test without cases": set_value(
        "files.onnx.golden", {"tolerance": 5e-3, "cases": []}
    ),
    "a file's self-test that lets all pass": set_value(
        "files.onnx.golden", {**tiny_values()["golden"], "tolerance": 0.1}
    ),
    "weights of no kind": set_value("files.onnx.weights", "int4"),
    "integers on float32 weights": set_value("files.onnx.activations", "int8"),
    **{
        f"speed with {field} {value}": set_value("files.onnx.speed", {**SPEED, field: value})
        for field, value in (
            *(("ratio", 0.0), ("ratio", -1.0), ("threads", 0), ("batch_size", 0)),
            *(("reference", ""), ("cpu", ""), ("instruction_set", ""), ("runtime", "")),
        )
    },
    # no figures, no text
    "NaN": set_value("golden.cases.0.probability", float("nan")),
    "NaN among free metrics": set_value("training.metrics.auc", float("nan")),
    # files that leave the folder
    "file name that climbs": set_value("files.onnx.name", "../tiny.onnx"),
    "file name that is hidden": set_value("files.onnx.name", ".tiny.onnx"),
    "file name that is empty": set_value("files.onnx.name", ""),
    "file name with a null byte": set_value("files.onnx.name", "tiny\0.onnx"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_refused(change: Change) -> None:
    with pytest.raises(ModelRefusedError, match=r"^spec cannot be used: "):
        ModelSpec.from_dict(changed(whole(), change))


@pytest.mark.parametrize("values", [None, [], "spec", 1, True], ids=str)
def test_refused_as_a_whole(values: Any) -> None:
    with pytest.raises(ModelRefusedError, match="Expected `object`"):
        ModelSpec.from_dict(values)


def test_a_spec_of_the_schema_before_says_so() -> None:
    """Its fields differ too; the version is what the reader has to know."""
    values = whole()
    for field in ("receptive_field", "validation_scores"):
        del values[field]
    values["evaluations"][0]["auc"] = 0.5
    with pytest.raises(ModelRefusedError, match=r"^spec cannot be used: spec schema 1, this is 2$"):
        ModelSpec.from_dict({**values, "schema_version": 1})


def test_a_spec_made_here_is_of_this_schema() -> None:
    with pytest.raises(ValueError, match="spec schema 1, this is 2"):
        replace(tiny_spec(), schema_version=1)


NAMED = {
    "missing": (drop("use.population"), "missing required field `population` - at `$.use`"),
    "default missing": (drop("files"), "spec: fields ['files'] missing or unknown - at `$`"),
    "unknown": (
        set_value(f"{SHARE}.m", 1),
        "fields ['m'] missing or unknown - at `$.operating_points.screening.sensitivity`",
    ),
    "type": (set_value("use.views", [1]), "Expected `str`, got `int` - at `$.use.views[0]`"),
    "point": (
        set_value(f"{SHARE}.n", "x"),
        "Expected `int`, got `str` - at `$.operating_points[...].sensitivity.n`",
    ),
}


@pytest.mark.parametrize(("change", "message"), NAMED.values(), ids=NAMED)
def test_the_refusal_names_the_field(change: Change, message: str) -> None:
    with pytest.raises(ModelRefusedError, match=re.escape(message)):
        ModelSpec.from_dict(changed(whole(), change))


ACCEPTED: dict[str, Change] = {
    "whole numbers as figures": set_value("use.age_years", [1, 5]),
    "no training": set_value("training", None),
    "no evaluations": set_value("evaluations", []),
    "no validation scores": set_value("validation_scores", None),
    "more operating points": set_value(
        "operating_points.rule-out", tiny_values()["operating_points"]["balanced"]
    ),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(change: Change) -> None:
    values = changed(whole(), change)
    assert ModelSpec.from_dict(values).to_dict() == values
