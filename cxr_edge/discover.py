"""What lies under the INPUTs: every entry once, in a fixed order, links never followed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.types import FoundFile, Reason, Stamp, display_name

# How rsync, browsers, SFTP servers and file managers name what they have not finished.
_TEMPORARY_SUFFIXES = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload")

_Entry = os.stat_result | Reason


def discover(inputs: Iterable[Path]) -> Iterator[FoundFile]:
    """Walk folders and files.

    Args:
        inputs: folders (walked recursively) and files.

    Returns:
        Every file found, once, however often the INPUTs name it; an entry that cannot be a film
        (a link, a pipe, a folder that cannot be opened) or is on its way, with its problem. Lazy:
        the walk goes on as files are taken.

    Raises:
        InputError: an INPUT does not exist.
    """
    roots = list(dict.fromkeys(Path(os.path.abspath(path)) for path in inputs))  # noqa: PTH100
    for root in roots:
        if not os.path.lexists(root):
            raise InputError(f"input does not exist: {display_name(root)}")
    return _entries(roots)


def _entries(roots: list[Path]) -> Iterator[FoundFile]:
    prefixes = _prefixes(roots)
    seen: set[Path] = set()
    for root in roots:
        for path, entry in _walk(root):
            if path in seen:
                continue
            if len(roots) > 1:  # one INPUT names nothing twice, and the set would grow with it
                seen.add(path)
            yield _found(path, _display(path, root, prefixes[root]), entry)


def listed(paths: Iterable[str]) -> Iterator[FoundFile]:
    """Files named one by one, as `--files-from` reads them; each is shown as it was named."""
    for name in dict.fromkeys(paths):
        path = Path(name)
        entry = Reason.TEMPORARY_NAME if _is_temporary(path.name) else _stat(path, follow=False)
        yield _found(path, display_name(name), entry)


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


def _walk(root: Path) -> Iterator[tuple[Path, _Entry]]:
    """Depth first, entries sorted by name; a folder that cannot be listed is itself an entry."""
    pending = [root]
    while pending:
        path = pending.pop()
        if path != root and _is_temporary(path.name):
            yield path, Reason.TEMPORARY_NAME
            continue
        # An INPUT that is a link to a folder was named on purpose; links inside are not followed.
        entry = _stat(path, follow=path == root)
        if isinstance(entry, Reason) or not stat.S_ISDIR(entry.st_mode):
            yield path, entry
            continue
        try:
            children = sorted(os.listdir(path), key=os.fsencode)  # noqa: PTH208 - names, not paths
        except OSError:
            yield path, Reason.UNREADABLE_FOLDER
            continue
        pending += [path / child for child in reversed(children)]


def _is_temporary(name: str) -> bool:
    """Hidden, or named as a file on its way: a row of its own, and never opened."""
    return name.startswith(".") or name.lower().endswith(_TEMPORARY_SUFFIXES)


def _stat(path: Path, *, follow: bool) -> _Entry:
    """What the file system says, or why it says nothing."""
    try:
        return os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - no exceptions lost
    except (FileNotFoundError, ValueError):  # ValueError: no file name has a null byte in it
        return Reason.MISSING
    except PermissionError:
        return Reason.PERMISSION
    except OSError:
        return Reason.IO_ERROR


def _found(path: Path, display: str, entry: _Entry) -> FoundFile:
    """What already rules an entry out; opening it later checks again, without a race."""
    if isinstance(entry, Reason):
        return FoundFile(path, display, entry)
    if stat.S_ISREG(entry.st_mode):
        return FoundFile(path, display, None, Stamp.of(entry), time.time_ns())
    problem = Reason.SYMLINK if stat.S_ISLNK(entry.st_mode) else Reason.NOT_A_FILE
    return FoundFile(path, display, problem)
