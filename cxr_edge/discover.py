"""What lies under the INPUTs: every entry once, in a fixed order, links never followed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.types import FoundFile, Reason, display_name


def discover(inputs: Iterable[Path]) -> Iterator[FoundFile]:
    """Walk folders and files.

    Args:
        inputs: folders (walked recursively) and files.

    Yields:
        Every file found, once, however often the INPUTs name it; an entry that cannot be a film
        (a link, a pipe, a folder that cannot be opened) with its problem.

    Raises:
        InputError: an INPUT does not exist.
    """
    roots = list(dict.fromkeys(Path(os.path.abspath(path)) for path in inputs))  # noqa: PTH100
    for root in roots:
        if not os.path.lexists(root):
            raise InputError(f"input does not exist: {display_name(root)}")
    prefixes = _prefixes(roots)
    seen: set[Path] = set()
    for root in roots:
        for path, problem in _walk(root):
            if path not in seen:
                seen.add(path)
                yield FoundFile(path, _display(path, root, prefixes[root]), problem)


def listed(paths: Iterable[str]) -> Iterator[FoundFile]:
    """Files named one by one, as `--files-from` reads them; each is shown as it was named."""
    for name in dict.fromkeys(paths):
        yield FoundFile(Path(name), display_name(name), _problem_of(Path(name)))


def _prefixes(roots: list[Path]) -> dict[Path, str]:
    """Several INPUTs are told apart by their last name, or by their whole path if that repeats."""
    if len(roots) == 1:
        return {roots[0]: ""}
    names = [root.name for root in roots]
    return {
        root: (root.name if names.count(root.name) == 1 else str(root).lstrip("/"))
        for root in roots
    }


def _display(path: Path, root: Path, prefix: str) -> str:
    if path == root:
        return display_name(prefix or path.name)
    relative = path.relative_to(root)
    return display_name(Path(prefix, relative) if prefix else relative)


def _walk(root: Path) -> Iterator[tuple[Path, Reason | None]]:
    """Depth first, entries sorted by name; a folder that cannot be listed is itself an entry."""
    pending = [root]
    while pending:
        path = pending.pop()
        if path.is_dir() and (path == root or not path.is_symlink()):
            try:
                children = sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name))
            except OSError:
                yield path, Reason.UNREADABLE_FOLDER
                continue
            pending += [Path(child.path) for child in reversed(children)]
        else:
            yield path, _problem_of(path)


def _problem_of(path: Path) -> Reason | None:
    """What already rules an entry out; opening it later checks again, without a race."""
    if path.is_symlink():
        return Reason.SYMLINK
    if not os.path.lexists(path):
        return Reason.MISSING
    return None if path.is_file() else Reason.NOT_A_FILE
