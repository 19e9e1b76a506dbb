"""The architecture as a test: imports run down one order of folders, and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOMES = {"cxr_edge": ROOT, "cxr_training": ROOT / "training", "cxr_export": ROOT / "export"}

# From the top down; what stands further left may import what stands further right.
FLOORS = {
    "cxr_edge": [
        *("__main__", "cli", "__init__", "api", "evaluate", "hospital", "watch", "scoring"),
        *("engines", "decoders", "intake", "runtime", "report", "ledger", "model", "images"),
        *("statistics", "support", "triage", "features", "preprocess", "errors"),
        "types",
    ],
    "cxr_training": [
        *(
            "explore",
            "search",
            "crossval",
            "scope",
            "judge",
            "fit",
            "films",
            "recipe",
            "nets",
            "support",
        ),
    ],
}
# Commands load the driver of their job, once it is asked for: see `cxr_edge.cli`.
DRIVERS = {
    ("cxr_edge.cli", "cxr_training"),
    ("cxr_edge.cli", "cxr_export"),
}
MAY_IMPORT = {
    "cxr_edge": {"cxr_edge"},
    "cxr_training": {"cxr_training", "cxr_edge"},
    "cxr_export": {"cxr_export", "cxr_training", "cxr_edge"},
}


def found_modules() -> dict[str, Path]:
    """Every module of the three packages by its dotted name."""
    return {
        ".".join(path.relative_to(home).with_suffix("").parts).removesuffix(".__init__"): path
        for package, home in HOMES.items()
        for path in (home / package).rglob("*.py")
    }


MODULES = found_modules()


def imported_by(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, also inside functions and for type checkers alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


ARROWS = sorted(
    {
        (module, target)
        for module, path in MODULES.items()
        for target in imported_by(path)
        if target in MODULES and target != module
    }
)


def floor_of(module: str) -> str:
    """Folder of a package that a module lies in, or the module itself at the top."""
    return module.split(".")[1] if "." in module else "__init__"


def test_every_folder_has_its_floor() -> None:
    for package, floors in FLOORS.items():
        lying = {floor_of(m) for m in MODULES if m.startswith(f"{package}.")}
        assert lying <= set(floors), f"{package}: {sorted(lying - set(floors))} have no floor"


@pytest.mark.parametrize("package", FLOORS)
def test_imports_run_down_the_floors(package: str) -> None:
    floors = FLOORS[package]
    back_up = [
        f"{module} -> {target}"
        for module, target in ARROWS
        if module.startswith(f"{package}.") and target.startswith(f"{package}.")
        if floors.index(floor_of(module)) > floors.index(floor_of(target))
    ]
    assert back_up == []


def test_packages_import_what_they_may() -> None:
    foreign = [
        f"{module} -> {target}"
        for module, target in ARROWS
        if target.split(".")[0] not in MAY_IMPORT[module.split(".")[0]]
        if not any(module.startswith(f"{top}.") and target.startswith(low) for top, low in DRIVERS)
    ]
    assert foreign == []


def test_nobody_below_imports_the_command_line() -> None:
    """It prints, asks and exits; whatever else does cannot be used from Python."""
    users = {module for module, target in ARROWS if f"{target}.".startswith("cxr_edge.cli.")}
    assert {user for user in users if not user.startswith("cxr_edge.cli")} == {"cxr_edge.__main__"}


def circles() -> list[set[str]]:
    """Modules that reach each other, by Tarjan's strongly connected components."""
    arrows: dict[str, list[str]] = {module: [] for module in MODULES}
    for module, target in ARROWS:
        if module not in HOMES and target not in HOMES:  # a package's face only hands names on
            arrows[module].append(target)
    reach = {module: closure(module, arrows) for module in arrows}
    return [
        {module, other}
        for module in arrows
        for other in reach[module]
        if module < other and module in reach[other]
    ]


def closure(module: str, arrows: dict[str, list[str]]) -> set[str]:
    """Everything that a module imports, and what that imports, and so on."""
    reached: set[str] = set()
    pending = [module]
    while pending:
        for target in arrows[pending.pop()]:
            if target not in reached:
                reached.add(target)
                pending.append(target)
    return reached


def test_no_modules_import_each_other() -> None:
    assert circles() == []
