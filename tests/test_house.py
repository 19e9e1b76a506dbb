"""The project's own pages: figures stand in the specs, links lead somewhere, names are right."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from cxr_edge.model import catalog
from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import with_interval
from cxr_training.recipe.shipped import shipped_recipes

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "models/*.md")
    for path in ROOT.glob(pattern)
)

MODEL_HEADER = (
    "| model | parameters | ONNX | AUC (95 % by patient) | accuracy `balanced` "
    "| sensitivity, specificity `screening` | `balanced` |"
)


def model_row(spec: ModelSpec) -> str:
    """The line of the manual's model table, from the spec."""
    test = next(item for item in spec.evaluations if item.data == "test_a")
    screening, balanced = (test.operating_points[key] for key in ("screening", "balanced"))
    return (
        f"| [`{spec.name}`](../models/{spec.name}.md) | {spec.architecture.parameters:,} "
        f"| {spec.files['onnx'].bytes / 1e6:.1f} MB | {with_interval(test.auc)} "
        f"| {balanced.accuracy.value:.3f} "
        f"| {screening.sensitivity.value:.3f}, {screening.specificity.value:.3f} "
        f"| {balanced.sensitivity.value:.3f}, {balanced.specificity.value:.3f} |"
    )


@pytest.mark.parametrize("spec", bundled_specs(), ids=lambda spec: spec.name)
def test_the_manual_prints_the_figures_of_the_specs(spec: ModelSpec) -> None:
    lines = (ROOT / "docs/models.md").read_text(encoding="utf-8").splitlines()
    assert MODEL_HEADER in lines
    assert model_row(spec) in lines
    assert f"`{spec.name}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    lost = [
        f"{page}: {target}"
        for page in PAGES
        for target in re.findall(
            r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8")
        )
        if not (ROOT / page).parent.joinpath(target).exists()
    ]
    assert lost == []


def python_blocks(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def test_the_python_of_the_readme_is_that_of_the_manual_which_runs() -> None:
    assert set(python_blocks("README.md")) <= set(python_blocks("docs/python.md"))
    assert python_blocks("README.md")


def test_the_models_that_ship_and_fit() -> None:
    assert {spec.name for spec in bundled_specs()} == set(shipped_recipes())
    shipped = sum(path.stat().st_size for path in models_dir().rglob("*") if path.is_file())
    assert shipped < 90e6


@pytest.mark.parametrize("spec", bundled_specs(), ids=lambda spec: spec.name)
def test_the_changelog_of_the_models_says_what_each_version_brought(spec: ModelSpec) -> None:
    text = (models_dir() / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = dict(part.split("\n", 1) for part in text.split("\n## "))
    assert f"`{spec.name}`" in sections[spec.version]


@pytest.mark.usefixtures("scope_gate")
def test_every_model_file_is_listed_by_a_spec() -> None:
    scope = catalog.bundled_scope_spec()
    assert scope is not None
    specs = [*bundled_specs(), scope]
    listed = {file.name for spec in specs for file in spec.files.values()}
    found = {path.name for path in models_dir().iterdir() if path.suffix in (".onnx", ".tflite")}
    assert found == listed


def test_the_runtime_depends_on_what_the_design_allows_only() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    needs = config["options"]["install_requires"].split()
    names = {re.split(r"[<>=]", need)[0] for need in needs}
    decoders = {"pyjpegls", "python-gdcm"}  # what pydicom leaves to others
    assert names == {"numpy", "pillow", "pydicom", "click", "rich", "jinja2", "msgspec"} | decoders


def test_every_package_is_listed() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {
        ".".join(path.parent.relative_to(root).parts)
        for root in (ROOT, ROOT / "training", ROOT / "export")
        for path in root.glob("cxr_*/**/__init__.py")
    }
    assert listed == found


def test_test_files_are_short_and_import_from_helpers_alone() -> None:
    files = {path: path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("*.py")}
    importing = [
        path.name for path, text in files.items() if re.search(r"^from tests.*\.test_", text, re.M)
    ]
    long = [path.name for path, text in files.items() if text.count("\n") > 400]
    assert (importing, long) == ([], [])
