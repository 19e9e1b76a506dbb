"""`cxr-edge sbom`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cxr_edge.errors import InputError

if TYPE_CHECKING:
    from cxr_edge.support.inventory import Component

_OURSELVES = "cxr-edge"


@click.command()
def sbom() -> None:
    """List the installed software that cxr-edge needs (CycloneDX).

    CycloneDX 1.6 JSON of cxr-edge with the extras that are installed, and all that those need:
    name, version, licence as its metadata states it, and what needs what. The same installation
    gives the same bytes. Libraries inside a wheel are not listed apart: they stand in the wheel's
    own licence files.

    \b
    Example:
      cxr-edge sbom > sbom.json
    """
    from importlib.metadata import PackageNotFoundError

    from cxr_edge.support.inventory import Need, components, installed_extras

    try:
        extras = installed_extras(_OURSELVES)
    except PackageNotFoundError as error:
        raise InputError(
            "cxr-edge is not installed here, it only lies on the path",
            tip="install its wheel or checkout with pip",
        ) from error
    found = components([Need(_OURSELVES, extras)])
    click.echo(json.dumps(_bill(found, sorted(extras)), indent=2))


def _bill(components: Sequence[Component], extras: Sequence[str]) -> dict[str, Any]:
    """Describe them by the CycloneDX 1.6 schema; cxr-edge is the subject, not a part."""
    (subject,) = (each for each in components if each.name == _OURSELVES)
    parts = [_described(each) for each in components if each is not subject]
    extra = [{"name": "cxr-edge:extra", "value": each} for each in extras]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {**_described(subject), "type": "application"},
            "properties": extra,
        },
        "components": parts,
        "dependencies": [
            {"ref": _package_url(each), "dependsOn": _references(each.needs, components)}
            for each in components
        ],
    }


def _described(component: Component) -> dict[str, Any]:
    reference = _package_url(component)
    described: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": component.name,
        "version": component.version,
        "purl": reference,
    }
    if component.is_spdx:
        described["licenses"] = [{"expression": component.license}]
    elif component.license:
        described["licenses"] = [{"license": {"name": component.license}}]
    return described


def _package_url(component: Component) -> str:
    # cxr-edge itself comes from no index: its name there would be somebody else's.
    kind = "generic" if component.name == _OURSELVES else "pypi"
    return f"pkg:{kind}/{component.name}@{component.version.replace('+', '%2B')}"


def _references(names: Sequence[str], components: Sequence[Component]) -> list[str]:
    return [_package_url(each) for each in components if each.name in names]
