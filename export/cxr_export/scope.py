"""Turns a trained scope gate into ONNX and TFLite, with spec and card.

python -m cxr_export.scope RUN --films FOLDER --version 1.0.0 --out models
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import ExportError, ModelRefusedError, ParityError
from cxr_edge.model.files import ModelFile, Parity
from cxr_edge.model.scope_spec import (
    KIND,
    OUTPUTS,
    SCHEMA_VERSION,
    ScopeCase,
    ScopeGolden,
    ScopeLimit,
    ScopeRate,
    ScopeSpec,
    ScopeTraining,
)
from cxr_edge.model.self_test import RULES, golden_image
from cxr_edge.model.spec import INPUT_NAME, Architecture, Preprocessing, TensorFormat
from cxr_edge.preprocess import RESIZE_FILTER
from cxr_edge.runtime.scope import probabilities, start_scope
from cxr_edge.support.utc import Clock
from cxr_export import onnx, tflite
from cxr_export.card import card_environment
from cxr_export.export import write_model
from cxr_export.parity import BATCH_SIZES, TOLERANCE, sample_evenly
from cxr_export.scope_graph import ScopeGraph
from cxr_training.films.data import find_labelled
from cxr_training.scope import net
from cxr_training.scope.planes import SIZE, Planes, measured_planes

_PARITY_FILMS = 256
_TOLERANCE = TOLERANCE["float32"]
_GOLDEN_TOLERANCE = 1e-4
_DATA = (
    "children: Kermany, Zhang, Goldbaum, Mendeley Data (2018), doi:10.17632/rscbjbr9sj, CC BY 4.0; "
    "adults: NIH ChestX-ray14 (NIH Clinical Center; Wang et al., CVPR 2017), from public sample "
    "images; pictures: crops of the wallpapers of the Debian packages gnome-backgrounds (CC BY-SA "
    "3.0, the GNOME authors) and plasma-workspace-wallpapers (GPL-2+, KDE Visual Design Group)"
)


@dataclass(frozen=True)
class ScopeExportJob:
    """A request to export a gate.

    Attributes:
        run: OUT of `python -m cxr_training.scope`.
        films: folder with NORMAL and PNEUMONIA; its films go through the parity gate.
        version: X.Y.Z of the gate.
        out: folder for files, spec and card.
    """

    run: Path
    films: Path
    version: str
    out: Path


def export(job: ScopeExportJob) -> ScopeSpec:
    """Write the gate's files, spec and card.

    Raises:
        ExportError: the run cannot be read.
        ParityError: a file does not compute what its source computes; nothing is written.
    """
    try:
        run = json.loads((job.run / "run.json").read_text(encoding="utf-8"))
        model = keras.models.load_model(job.run / "model.keras", compile=False)
    except (OSError, ValueError) as error:
        raise ExportError(f"{job.run} holds no finished run: {error}") from error
    graph = ScopeGraph(model)
    spec = draft(run, model, job.version)
    contents = {
        "onnx": onnx.with_spec(onnx.convert(graph), spec),
        "tflite": tflite.with_spec(tflite.convert(graph), spec),
    }
    planes = _films(job.films)
    expected = net.probabilities(model, planes)
    files = {
        kind: _file(kind, content, spec, planes, expected) for kind, content in contents.items()
    }
    spec = replace(spec, files=files)
    write_model(job.out, spec, contents, card(spec, run))
    return spec


def _films(folder: Path) -> Planes:
    files = find_labelled(folder)
    return measured_planes(files[i].path for i in sample_evenly(len(files), _PARITY_FILMS))


def draft(run: Mapping[str, Any], model: keras.Model, version: str) -> ScopeSpec:
    """The spec without its files."""
    parameters = model.count_params()
    return ScopeSpec(
        schema_version=SCHEMA_VERSION,
        kind=KIND,
        name=run["name"],
        version=version,
        created=Clock().started_utc,
        architecture=Architecture(run["name"], parameters, parameters),
        inputs={
            INPUT_NAME: TensorFormat(
                *("image", "uint8", 1, (SIZE, SIZE), (0.0, 255.0)),
                "grey levels inside the film's border, 0 black, bone bright",
            )
        },
        outputs={
            name: TensorFormat("probability", "float32", 1, (), (0.0, 1.0), meaning)
            for name, meaning in zip(
                OUTPUTS,
                ("that it is no upright frontal chest film", "that a chest film is an adult's"),
                strict=True,
            )
        },
        preprocessing=Preprocessing(run["preprocessing_version"], RESIZE_FILTER),
        limits=limits(run),
        golden=_golden(model),
        training=_training(run),
        measured=tuple(_measured(run)),
        license="Apache-2.0",
        data_source=_DATA,
    )


def limits(run: Mapping[str, Any]) -> dict[str, ScopeLimit]:
    """The limits that a run chose; a warning that finds too few is off, and says so."""
    rule, adults = run["rule"], run["held_out_adults"]
    chosen_by = (
        f"lowest that warns of at most {rule['patients']:.0%} of the validation patients and "
        f"{rule['copies']:.0%} of the changed copies of their films"
    )
    chosen = {name: ScopeLimit(run["limits"][name], chosen_by) for name in OUTPUTS}
    found = f"finds {adults['found']} of {adults['n']} adults that were held out"
    if adults["found"] < rule["adults"] * adults["n"]:
        chosen["adult"] = ScopeLimit(None, f"off: the {chosen_by} {found}")
    else:
        chosen["adult"] = replace(chosen["adult"], chosen_by=f"{chosen_by}; it {found}")
    return chosen


def _golden(model: keras.Model) -> ScopeGolden:
    images = np.stack([golden_image(rule, SIZE)[..., 0] for rule in RULES])
    found = net.probabilities(model, images).round(7).tolist()
    cases = tuple(ScopeCase(rule, *values) for rule, values in zip(RULES, found, strict=True))
    return ScopeGolden(_GOLDEN_TOLERANCE, cases)


def _training(run: Mapping[str, Any]) -> ScopeTraining:
    data = run["data"]
    return ScopeTraining(
        data="films of children and adults, and pictures of anything else, also made by rule",
        data_sha256={name: data[name]["sha256"] for name in ("children", "adults", "pictures")},
        counts={
            "children": data["children"]["NORMAL"] + data["children"]["PNEUMONIA"],
            "validation": data["validation"]["NORMAL"] + data["validation"]["PNEUMONIA"],
            "adults": data["adults"]["films"],
            "pictures": data["pictures"]["pictures"],
        },
        split="by patient, 20 % of the children's for validation",
        seed=run["seed"],
        epochs=run["epochs"],
        seconds=run["seconds"],
        created_utc=run["created_utc"],
        software=run["software"],
    )


def _measured(run: Mapping[str, Any]) -> list[ScopeRate]:
    """Rates on validation, then on what chose nothing."""
    sets = {
        "validation films of children": run["validation"]["films"],
        "changed copies of these films": run["validation"]["copies"],
        **{f"measured only: {name}": rates for name, rates in run["measured"].items()},
    }
    return [
        ScopeRate(name, rates["n"], rates["out_of_scope"], rates["adult"])
        for name, rates in sets.items()
    ]


def _file(
    kind: str, content: bytes, spec: ScopeSpec, planes: Planes, expected: NDArray[np.float64]
) -> ModelFile:
    """Check a file as the runtime will, then hold it against its source.

    Raises:
        ParityError: the runtime would refuse it, or it computes something else.
    """
    try:
        runner = start_scope(content, kind, spec)
    except ModelRefusedError as error:
        raise ParityError(f"the runtime would refuse the {kind} file: {error}") from error
    pixels = planes[..., np.newaxis]
    parts = {
        size: np.concatenate(
            [probabilities(runner, pixels[i : i + size]) for i in range(0, len(pixels), size)]
        )
        for size in BATCH_SIZES
    }
    difference = float(np.max([np.abs(found - expected).max() for found in parts.values()]))
    if not difference <= _TOLERANCE:  # also NaN
        raise ParityError(f"the {kind} file differs by {difference:.2g}, allowed {_TOLERANCE:.0e}")
    limits = [spec.limits[name].threshold or 1.0 for name in OUTPUTS]
    clear = np.abs(expected - limits) > difference
    if (flips := int((clear & ((parts[1] >= limits) != (expected >= limits))).sum())) > 0:
        raise ParityError(f"{flips} decisions change in the {kind} file")
    return ModelFile(
        name=f"{spec.name}.{kind}",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        weights="float32",
        opset={"onnx": onnx.OPSET, "tflite": tflite.SCHEMA}[kind],
        parity=Parity(
            reference="Keras float32",
            samples=len(planes),
            batch_sizes=BATCH_SIZES,
            max_abs_difference=difference,
            tolerance=_TOLERANCE,
            decision_flips=flips,
            max_identity_error=0.0,
        ),
    )


def card(spec: ScopeSpec, run: Mapping[str, Any]) -> str:
    """Markdown; every figure in it stands in the spec or in the run."""
    return card_environment().get_template("scope_card.md.j2").render(spec=spec, run=run)


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--films",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with NORMAL and PNEUMONIA, for the parity gate.",
)
@click.option("--version", required=True, help="Version of the gate, X.Y.Z.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
def main(run: Path, films: Path, version: str, out: Path) -> None:
    """Export the scope gate that RUN holds."""
    spec = export(ScopeExportJob(run, films, version, out))
    for file in spec.files.values():
        click.echo(f"{file.name}: differs by {file.parity.max_abs_difference:.1e}", err=True)


if __name__ == "__main__":
    main()
