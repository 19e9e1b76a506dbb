"""`cxr-edge sbom`: CycloneDX of what is installed."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from cxr_edge.support import inventory
from tests.cli.conftest import Run
from tests.licences import locked


@pytest.fixture
def bill(run: Run) -> dict[str, Any]:
    """The bill of the environment that runs the tests."""
    made = run("sbom")
    assert (made.code, made.err) == (0, "")
    values: dict[str, Any] = json.loads(made.out)
    return values


def test_the_structure_is_that_of_cyclonedx(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    references = set()
    for component in (bill["metadata"]["component"], *bill["components"]):
        allowed = {"type", "bom-ref", "name", "version", "purl", "licenses"}
        assert allowed - {"licenses"} <= component.keys() <= allowed
        assert component["type"] in ("application", "library")
        assert all(isinstance(component[key], str) and component[key] for key in ("name", "purl"))
        for licence in component.get("licenses", []):
            assert licence.keys() == {"expression"} or licence["license"].keys() == {"name"}
        references.add(component["bom-ref"])
    assert len(references) == 1 + len(bill["components"])
    assert {each["ref"] for each in bill["dependencies"]} == references
    assert all(set(each["dependsOn"]) <= references for each in bill["dependencies"])


def test_it_lists_what_a_night_needs(bill: dict[str, Any]) -> None:
    found = {component["name"]: component["version"] for component in bill["components"]}
    assert locked().keys() - {"msgspec"} <= found.keys()
    assert all(metadata.version(name) == version for name, version in found.items())
    assert bill["metadata"]["component"]["purl"].startswith("pkg:generic/cxr-edge@")
    extras = [each["value"] for each in bill["metadata"]["properties"]]
    assert "cpu" in extras
    assert extras == sorted(extras)


def test_the_same_installation_gives_the_same_bytes(run: Run) -> None:
    assert run("sbom").out == run("sbom").out


def test_a_checkout_on_the_path_is_no_installation(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(inventory.metadata, "distribution", missing)
    made = run("sbom")
    assert (made.code, made.out) == (2, "")
    assert made.err == (
        "error: cxr-edge is not installed here, it only lies on the path\n"
        "  tip: install its wheel or checkout with pip\n"
    )
