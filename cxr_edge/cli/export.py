"""`cxr-edge export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxr_edge.cli.boundary import echo, missing_extra, quiet_tensorflow, say_warning
from cxr_edge.cli.options import label_options
from cxr_edge.model.files import FIRST_VERSION, PRECISIONS

if TYPE_CHECKING:
    from cxr_edge.model.spec import ModelSpec

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--name", required=True, help="Name of the model and of its files.")
@click.option(
    "--version",
    default=FIRST_VERSION,
    show_default=True,
    help="Version of the model, X.Y.Z; spec, card and reports state it.",
)
@click.option(
    "--calibration",
    required=True,
    type=_FOLDER,
    help="Folder with NORMAL and PNEUMONIA, or with the films that --labels names; its x-rays go "
    "through the parity gate.",
)
@label_options
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for model files, spec and card.",
)
@click.option(
    "--precision",
    type=click.Choice([*PRECISIONS.values()]),
    default="float32",
    show_default=True,
    help="What is stored and computed with; float16-weights and int8-weights compute in float32, "
    "int8 in integers.",
)
@click.option(
    "--measure-speed",
    is_flag=True,
    help="Record how fast each file is beside the float32 one, on this machine.",
)
@click.option(
    "--population",
    default="",
    metavar="TEXT",
    help="People in your training films, for the card.  [default: not stated]",
)
@click.option(
    "--ages",
    nargs=2,
    type=float,
    metavar="FROM TO",
    help="Their ages in years; patients of another age get a warning.  [default: not stated]",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    type=click.Choice(["anterior-posterior", "posterior-anterior"]),
    help="View of your training films, can be given again; other views get a warning.  "
    "[default: not stated]",
)
@click.option("--test", type=_FOLDER, help="Labelled folder to measure the finished model on.")
@click.option(
    "--test-labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV as --labels, of the films in --test.  [default: folder names]",
)
@click.option(
    "--out-of-fold",
    type=_FOLDER,
    help="--out folder of cxr-edge train --folds; its scores choose the thresholds.",
)
@click.option(
    "--measure-reliability",
    is_flag=True,
    help="Record what changed films do to the scores, how far shortcuts get, and calibration, on "
    "the films that the run validated on; --calibration must be its training folder.",
)
def export(**options: Any) -> None:
    """Turn a trained network into ONNX and TFLite.

    SOURCE is the --out folder of cxr-edge train, or a .keras file.

    Nothing is written unless every file computes what the source computes.

    \b
    Example:
      cxr-edge export runs/cnn3_50 --name cnn3_50 --calibration train/ --out models/
    """
    quiet_tensorflow()
    try:
        from cxr_export.export import ExportJob
        from cxr_export.export import export as run_export
    except ImportError as error:
        raise missing_extra(error, "export") from error
    spec = run_export(ExportJob(**options))
    for file in spec.files.values():
        echo(
            f"{file.name}: {file.bytes / 1e6:.2f} MB, differs from {file.parity.reference} by "
            f"{file.parity.max_abs_difference:.1e} on {file.parity.samples} x-rays",
            err=True,
        )
    _warn_of_chance(spec)


def _warn_of_chance(spec: ModelSpec) -> None:
    """The gate holds files against their source, which may have learnt nothing."""
    points = spec.operating_points.values()
    if points and all(point.sensitivity.low + point.specificity.low <= 1 for point in points):
        say_warning(
            f"{spec.name} is not told from chance on the films it was validated on",
            tip=f"read {spec.name}.md; train on more films or for longer before anybody uses it",
        )
