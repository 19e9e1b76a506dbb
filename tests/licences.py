"""The table of docs/licences.md; `python -m tests.licences` writes it anew."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from cxr_edge.support.inventory import Component, Need, components, normalised

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "lock-cpu.txt"
PAGE = ROOT / "docs" / "licences.md"
HEADER = "| distribution | version | licence |\n|---|---|---|\n"
_PINNED = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)


def requirements() -> list[str]:
    """What a default install, cxr-edge[cpu], asks for."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    texts = (config["options"]["install_requires"], config["options.extras_require"]["cpu"])
    return [line for text in texts for line in text.splitlines() if line]


def default_install() -> list[Component]:
    """What is installed here of a default install."""
    return components(Need.of(each) for each in requirements())


def locked() -> dict[str, str]:
    """Versions of the lock file by name."""
    return dict(_PINNED.findall(LOCK.read_text(encoding="utf-8")))


def row(component: Component) -> str:
    """A line of the table."""
    return f"| {component.name} | {component.version} | {component.license} |\n"


def listed() -> dict[str, str]:
    """Lines of the page's table by name."""
    table = PAGE.read_text(encoding="utf-8").partition(HEADER)[2].partition("\n\n")[0]
    return {normalised(line.split(" | ")[0][2:]): f"{line}\n" for line in table.splitlines()}


def main() -> None:
    """Replace the table; the environment has to hold what the lock names."""
    versions = locked()
    found = components(Need(name, frozenset()) for name in versions)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEADER)
    after = rest.partition("\n\n")[2]
    rows = "".join(row(each) for each in found if versions[each.name] == each.version)
    PAGE.write_text(f"{before}{HEADER}{rows}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
