"""`cxr-edge models`: what is bundled, and what a model says about itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cxr_edge.spec import ModelSpec


@click.group()
def models() -> None:
    """List bundled models, or show one.

    \b
    Example:
      cxr-edge models show cnn3_128
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="The specs as one JSON array.")
def list_models(as_json: bool) -> None:
    """One line per bundled model.

    \b
    Example:
      cxr-edge models list
    """
    from cxr_edge.catalog import bundled_specs

    specs = bundled_specs()
    if as_json:
        click.echo(json.dumps([spec.to_dict() for spec in specs], indent=2))
        return
    for spec in specs:
        formats = ", ".join(f"{f.name} ({f.bytes / 1e6:.1f} MB)" for f in spec.files.values())
        click.echo(f"{spec.name}  {spec.size}x{spec.size}  {formats}")


@models.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="The spec itself.")
def show_model(model: str, as_json: bool) -> None:
    """Spec of MODEL: a bundled name, or the path of a model file.

    \b
    Example:
      cxr-edge models show cnn3_128 --json
    """
    from cxr_edge.catalog import choose_model

    spec = choose_model(model).spec
    click.echo(spec.to_json().rstrip() if as_json else describe(spec))


def describe(spec: ModelSpec) -> str:
    """A spec for people, every figure from the spec."""
    lines = [
        f"{spec.name} {spec.version}, {spec.task}",
        f"  network: {spec.architecture.parameters:,} parameters, input {spec.size}x{spec.size}",
        f"  intended use: {spec.use.intended_use}",
        f"  population: {spec.use.population}",
        f"  evidence map: {'x'.join(map(str, spec.evidence_shape))}"
        + ("" if spec.can_point else " (this model cannot point)"),
    ]
    for kind, file in spec.files.items():
        lines.append(
            f"  {kind}: {file.name}, {file.bytes / 1e6:.1f} MB, weights {file.weights}, parity "
            f"{file.parity.max_abs_difference:.1e} on {file.parity.samples} images"
        )
    for name, point in spec.operating_points.items():
        lines.append(
            f"  {name}: threshold {point.threshold:.6f}, sensitivity {point.sensitivity.value:.3f} "
            f"({point.sensitivity.low:.3f}-{point.sensitivity.high:.3f}), specificity "
            f"{point.specificity.value:.3f} ({point.specificity.low:.3f}-"
            f"{point.specificity.high:.3f}), {point.data}"
        )
    for test in spec.evaluations:
        for name, found in test.operating_points.items():
            lines.append(
                f"  {name} on {test.data}, which chose nothing: sensitivity "
                f"{found.sensitivity.value:.3f} ({found.sensitivity.low:.3f}-"
                f"{found.sensitivity.high:.3f}), specificity {found.specificity.value:.3f} "
                f"({found.specificity.low:.3f}-{found.specificity.high:.3f})"
            )
    lines.append(f"  licence: {spec.license}; data: {spec.data_source}")
    return "\n".join(lines)
