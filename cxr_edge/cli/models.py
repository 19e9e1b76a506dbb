"""`cxr-edge models`: what is bundled, and what a model says about itself."""

from __future__ import annotations

import json

import click

from cxr_edge.cli.boundary import echo


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
    from cxr_edge.model.catalog import bundled_scope_spec, bundled_specs

    specs = bundled_specs()
    if as_json:
        click.echo(json.dumps([spec.to_dict() for spec in specs], indent=2))
        return
    for spec in specs:
        formats = ", ".join(f"{f.name} ({f.bytes / 1e6:.1f} MB)" for f in spec.files.values())
        echo(f"{spec.name}  {spec.size}x{spec.size}  {formats}")
    if scope := bundled_scope_spec():
        formats = ", ".join(f.name for f in scope.files.values())
        echo(f"{scope.name}  {scope.size}x{scope.size}  {formats}: scope gate beside every model")


@models.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="The spec itself.")
def show_model(model: str, as_json: bool) -> None:
    """Spec of MODEL: a bundled name, or the path of a model file.

    \b
    Example:
      cxr-edge models show cnn3_128 --json
    """
    from cxr_edge.model.catalog import SCOPE_NAME, bundled_scope_spec, choose_model
    from cxr_edge.model.describe import describe, describe_scope

    if model == SCOPE_NAME and (scope := bundled_scope_spec()):
        echo(scope.to_json().rstrip() if as_json else describe_scope(scope))
        return
    spec = choose_model(model).spec
    echo(spec.to_json().rstrip() if as_json else describe(spec))
