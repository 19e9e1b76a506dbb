"""A default installation is free of the GPL, is locked by hashes, and its licences are listed."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from tests.licences import LOCK, default_install, listed, locked, normalised, requirements, row

COPYLEFT = re.compile(r"(?<!L)(?<!Lesser )A?GPL|(?<!Lesser )General Public License|Affero", re.I)


def forbids(licence: str) -> bool:
    """Every choice that it offers is the GPL or the AGPL; or it says nothing."""
    return all(not choice or COPYLEFT.search(choice) for choice in licence.split(" OR "))


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [
        ("MIT", False),
        ("LGPL-3.0-or-later", False),
        ("GNU Lesser General Public License v2 (LGPLv2)", False),
        ("GPL-3.0-only OR MIT", False),
        ("GPL-3.0-or-later", True),
        ("GPLv3", True),
        ("MIT AND GPL-2.0-only", True),
        ("AGPL-3.0-only", True),
        ("GNU Affero General Public License v3", True),
        ("GNU General Public License v2 (GPLv2)", True),
        ("", True),
    ],
)
def test_licences_that_are_refused(licence: str, forbidden: bool) -> None:
    assert forbids(licence) == forbidden


def test_a_default_installation_is_free_of_the_gpl() -> None:
    found = default_install()
    assert {each.name for each in found} >= {"numpy", "onnxruntime", "protobuf", "markupsafe"}
    assert [each for each in found if forbids(each.license)] == []


def test_the_page_lists_what_is_locked() -> None:
    """A row is compared where the version that is locked is the one that is installed here."""
    versions, rows = locked(), listed()
    assert rows.keys() == versions.keys(), "python -m tests.licences writes the page anew"
    for component in default_install():
        if component.version == versions[component.name]:
            assert rows[component.name] == row(component)


@pytest.mark.parametrize("requirement", requirements())
def test_the_lock_satisfies_what_the_metadata_asks_for(requirement: str) -> None:
    asked = Requirement(requirement)
    assert asked.specifier.contains(locked()[normalised(asked.name)])


def test_the_lock_pins_all_that_is_needed_by_hashes() -> None:
    needed = {each.name for each in default_install()}
    assert needed <= locked().keys()
    text = LOCK.read_text(encoding="utf-8")
    entries = re.findall(r"^[a-z0-9-]+==.*?(?=^[a-z0-9-]|\Z)", text, re.M | re.S)
    assert len(entries) == len(locked())
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_names_no_index_and_holds_on_every_python() -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--index|--extra-index|--find-links|--trusted", text)
    assert ";" not in text, "a marker: what is needed would depend on the Python that locked it"
