"""Inventory of what cxr-edge needs and finds installed, from the metadata of the distributions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

# PEP 508: a name, extras in brackets, and after a semicolon when it is needed.
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")
_CLASSIFIER = "License :: "
_LONGEST_NAME = 80  # `License` holds the whole text in some


@dataclass(frozen=True)
class Need:
    """A distribution by its normalised name, and the extras of it that are needed."""

    name: str
    extras: frozenset[str]

    @classmethod
    def of(cls, requirement: str) -> Need:
        """Read the part of a requirement that names; ValueError where it names nothing."""
        found = _REQUIREMENT.match(requirement.strip())
        if found is None:
            raise ValueError(f"not a requirement: {requirement!r}")
        extras = (found[2] or "").replace(" ", "").split(",")
        return cls(normalised(found[1]), frozenset(map(normalised, filter(None, extras))))


@dataclass(frozen=True)
class Component:
    """One installed distribution.

    Attributes:
        license: as its metadata states it; empty where that is silent.
        is_spdx: whether that is an SPDX expression (PEP 639), and not words of its authors.
        needs: names of the installed distributions that it requires itself.
    """

    name: str
    version: str
    license: str
    is_spdx: bool
    needs: tuple[str, ...]


def normalised(name: str) -> str:
    """Spell a name as PEP 503 does, so that two spellings of it are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_version(name: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed_extras(name: str) -> frozenset[str]:
    """Extras of a distribution whose every requirement is installed.

    Raises:
        PackageNotFoundError: it is not installed itself.
    """
    package = metadata.distribution(name)
    return frozenset(
        normalised(extra)
        for extra in package.metadata.get_all("Provides-Extra") or ()
        if all(installed_version(need.name) for need in _added_by(package, normalised(extra)))
    )


def components(roots: Iterable[Need]) -> list[Component]:
    """List what is installed of these and of all that they need, by name, each once."""
    pending = list(roots)
    wanted: dict[str, frozenset[str]] = {}
    while pending:
        need = pending.pop()
        extras = wanted.get(need.name, frozenset())
        if installed_version(need.name) and (need.name not in wanted or need.extras - extras):
            wanted[need.name] = extras | need.extras
            pending += _needs(metadata.distribution(need.name), wanted[need.name])
    return [_component(name, wanted[name]) for name in sorted(wanted)]


def _component(name: str, extras: frozenset[str]) -> Component:
    package = metadata.distribution(name)
    expression = _field(package, "License-Expression")
    needs = {need.name for need in _needs(package, extras) if installed_version(need.name)}
    return Component(
        name=name,
        version=package.version,
        license=expression or _stated_license(package),
        is_spdx=bool(expression),
        needs=tuple(sorted(needs - {name})),
    )


def _needs(package: metadata.Distribution, extras: frozenset[str]) -> list[Need]:
    """Find what it requires with these extras, on any system: what is not installed is no part."""
    needs = [Need.of(each) for each in package.requires or () if not _extras_of(each)]
    return needs + [need for extra in sorted(extras) for need in _added_by(package, extra)]


def _added_by(package: metadata.Distribution, extra: str) -> list[Need]:
    return [Need.of(each) for each in package.requires or () if extra in _extras_of(each)]


def _extras_of(requirement: str) -> frozenset[str]:
    marker = requirement.partition(";")[2]
    return frozenset(normalised(extra) for extra in _EXTRA.findall(marker))


def _stated_license(package: metadata.Distribution) -> str:
    """Take the name that the authors wrote, or the classifiers where they wrote a whole text."""
    text = _field(package, "License")
    if text and "\n" not in text and len(text) <= _LONGEST_NAME:
        return text
    classifiers = package.metadata.get_all("Classifier") or ()
    names = [each.split(" :: ")[-1] for each in classifiers if each.startswith(_CLASSIFIER)]
    return ", ".join(names)


def _field(package: metadata.Distribution, name: str) -> str:
    values = package.metadata.get_all(name) or ()
    return str(next(iter(values), "")).strip()
