"""What distributions need, by metadata that a test has made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cxr_edge.support.inventory import Component, Need, components, installed_extras

METADATA = {
    "root": """Requires-Dist: Left_Pad>=1; python_version >= "3"
Requires-Dist: right[fast,safe] (>=2)
Requires-Dist: of.another.system; sys_platform == "win32"
Requires-Dist: only.with.it; extra == "More"
Requires-Dist: absent; extra == 'none'
Provides-Extra: More
Provides-Extra: none
""",
    "left-pad": "License-Expression: MIT OR Apache-2.0\nLicense: ignored\n",
    "right": """License: BSD
Requires-Dist: quick; python_version < "4" and extra == "fast"
Requires-Dist: left-pad; extra == "other"
Requires-Dist: root
""",
    "quick": "License: one line\n  and more of it\nClassifier: License :: OSI :: ISC\n",
    "only-with-it": "Name: again\n",
    "nobody-asks": "License: GPL\n",
}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is found."""
    for name, text in METADATA.items():
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n{text}", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])


def test_what_is_needed_is_followed_to_the_end() -> None:
    found = components([Need.of("root[more]")])
    assert found == [
        Component("left-pad", "1.0", "MIT OR Apache-2.0", True, ()),
        Component("only-with-it", "1.0", "", False, ()),
        Component("quick", "1.0", "ISC", False, ()),
        Component("right", "1.0", "BSD", False, ("quick", "root")),
        Component("root", "1.0", "", False, ("left-pad", "only-with-it", "right")),
    ]


def test_an_extra_that_nobody_asked_for_is_left_out() -> None:
    assert "only-with-it" not in {each.name for each in components([Need.of("root")])}


def test_an_extra_that_is_asked_for_later_counts() -> None:
    found = components([Need.of("right[fast]"), Need.of("right[other]"), Need.of("right")])
    right = next(each for each in found if each.name == "right")
    assert right.needs == ("left-pad", "quick", "root")


def test_an_extra_is_installed_when_all_that_it_adds_is() -> None:
    assert installed_extras("root") == {"more"}


@pytest.mark.parametrize(
    ("requirement", "name", "extras"),
    [
        ("NumPy>=2.0", "numpy", set()),
        ("zope.interface", "zope-interface", set()),
        ("a_b [One, two]>1 ; extra == 'x'", "a-b", {"one", "two"}),
        ("a@ file:///wheel", "a", set()),
    ],
)
def test_requirements_are_read(requirement: str, name: str, extras: set[str]) -> None:
    assert Need.of(requirement) == Need(name, frozenset(extras))


def test_what_is_no_requirement_is_refused() -> None:
    with pytest.raises(ValueError, match="not a requirement"):
        Need.of("  ==1")
