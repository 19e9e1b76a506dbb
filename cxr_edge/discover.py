"""What lies under the INPUTs: every entry once, in a fixed order, links never followed."""

from __future__ import annotations

import os
import stat
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
        yield FoundFile(Path(name), display_name(name), _problem(_mode(Path(name), follow=False)))


def _prefixes(roots: list[Path]) -> dict[Path, str]:
    """Several INPUTs are told apart by their last name, or by their whole path if one repeats."""
    if len(roots) == 1:
        return {roots[0]: ""}
    distinct = len({root.name for root in roots}) == len(roots)
    return {root: root.name if distinct else str(root).lstrip("/") for root in roots}


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
        # An INPUT that is a link to a folder was named on purpose; links inside are not followed.
        mode = _mode(path, follow=path == root)
        if isinstance(mode, Reason) or not stat.S_ISDIR(mode):
            yield path, _problem(mode)
            continue
        try:
            children = sorted(os.listdir(path), key=os.fsencode)  # noqa: PTH208 - names, not paths
        except OSError:
            yield path, Reason.UNREADABLE_FOLDER
            continue
        pending += [path / child for child in reversed(children)]


def _mode(path: Path, *, follow: bool) -> int | Reason:
    """File type and permissions, or why they cannot be had."""
    try:
        return os.stat(path, follow_symlinks=follow).st_mode  # noqa: PTH116 - no exceptions lost
    except (FileNotFoundError, ValueError):  # ValueError: no file name has a null byte in it
        return Reason.MISSING
    except PermissionError:
        return Reason.PERMISSION
    except OSError:
        return Reason.IO_ERROR


def _problem(mode: int | Reason) -> Reason | None:
    """What already rules an entry out; opening it later checks again, without a race."""
    if isinstance(mode, Reason):
        return mode
    if stat.S_ISLNK(mode):
        return Reason.SYMLINK
    return None if stat.S_ISREG(mode) else Reason.NOT_A_FILE
