"""Lists the INPUTs: every entry once, in a fixed order, links never followed."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.support.text import display_name
from cxr_edge.types import FoundFile, Reason, Stamp

# How rsync, browsers, SFTP servers and file managers name what they have not finished.
_TEMPORARY_SUFFIXES = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload")

# Previews, deleted files and snapshots, as file servers and systems keep them; none is a film of
# this night, and none is told from one by its bytes. In lower case.
_SYSTEM_FOLDERS = {
    *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", ".@__thumb"),
    *("$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("__macosx", ".trashes", ".appledouble", ".snapshot", "~snapshot", ".recycle"),
}
_TRASH = ".trash-"  # and the number of a user

_Entry = os.stat_result | Reason


class LeftOut:
    """Counts files in system folders, for which there is no row."""

    def __init__(self) -> None:
        """None so far."""
        self.files = 0

    def add_below(self, folder: Path) -> None:
        """Count what lies in a folder; nothing is opened, no link followed."""
        self.files += sum(len(files) for _, _, files in os.walk(folder))


def discover(inputs: Iterable[Path], left_out: LeftOut | None = None) -> Iterator[FoundFile]:
    """Walk folders and files.

    Args:
        inputs: folders (walked recursively) and files.
        left_out: counts what is left out.

    Returns:
        Every file found, once, however often the INPUTs name it; an entry that cannot be a film
        (a link, a pipe, a folder that cannot be opened) or is on its way, with its problem. Lazy:
        the walk goes on as files are taken.

    Raises:
        InputError: an INPUT does not exist, or may not be looked at.
    """
    roots: dict[Path, Path] = {}
    for given in inputs:
        try:
            os.lstat(given)
        except OSError as error:
            missing = error.errno == errno.ENOENT
            what = "does not exist" if missing else f"cannot be looked at, {error.strerror}"
            raise InputError(
                f"input {what}: {display_name(given)}",
                tip="is its share mounted, and the name spelled like that?",
            ) from error
        # As the system follows it: `link/..` is not the folder that holds the link.
        roots.setdefault(Path(os.path.realpath(given)), given)
    return _entries(roots, left_out or LeftOut())


def _entries(roots: dict[Path, Path], left_out: LeftOut) -> Iterator[FoundFile]:
    prefixes = _prefixes(roots)
    seen: set[Path] = set()
    for root, prefix in prefixes.items():
        for path, entry in _walk(root, left_out):
            if len(roots) > 1:  # one INPUT names nothing twice, and the set would grow with it
                if path in seen:
                    continue
                seen.add(path)
            name = _display(path, root, prefix) or roots[root].name
            yield _found(path, display_name(name), entry)


def listed(paths: Iterable[str], left_out: LeftOut | None = None) -> Iterator[FoundFile]:
    """Files named one by one, as `--files-from` reads them; each once, shown as first named.

    A list that a program wrote holds system folders as well: `left_out` counts them.
    """
    seen: set[Path] = set()
    left_out = left_out or LeftOut()
    for name in paths:
        path = _located(name)
        if path not in seen:
            seen.add(path)
            if any(map(_is_system, Path(name).parts[:-1])):
                left_out.files += 1
                continue
            temporary = _is_temporary(path.name)
            entry = Reason.TEMPORARY_NAME if temporary else _stat(path)
            yield _found(path, display_name(name), entry)


def _located(name: str) -> Path:
    """The path that a name leads to, however it is spelled; a link at its end is not followed."""
    path = Path(name)
    with contextlib.suppress(ValueError):  # no file name has a null byte in it
        return Path(_real(Path.cwd() / path.parent), path.name)
    return path


@functools.lru_cache(maxsize=1024)
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


def _prefixes(roots: dict[Path, Path]) -> dict[Path, str]:
    """Several INPUTs are told apart by their last name, or by their whole path if one repeats."""
    if len(roots) == 1:
        return dict.fromkeys(roots, "")
    names = {root: Path(os.path.abspath(given)).name for root, given in roots.items()}  # noqa: PTH100
    if len(set(names.values())) == len(names):
        return names
    return {root: str(root) for root in roots}


def _display(path: Path, root: Path, prefix: str) -> str:
    """Relative to its INPUT, behind the name of that where there are several."""
    relative = str(path)[len(str(root)) :].lstrip("/")  # a fifth of the time of `relative_to`
    return "/".join(filter(None, (prefix, relative)))


def _walk(root: Path, left_out: LeftOut) -> Iterator[tuple[Path, _Entry]]:
    """Depth first, entries sorted by name; a folder that cannot be listed is itself an entry."""
    pending = [root]
    while pending:
        path = pending.pop()
        entry = _stat(path)
        is_folder = not isinstance(entry, Reason) and stat.S_ISDIR(entry.st_mode)
        if is_folder and path is not root and _is_system(path.name):
            left_out.add_below(path)
            continue
        if path is not root and _is_temporary(path.name, is_folder=is_folder):
            yield path, Reason.TEMPORARY_NAME
            continue
        if not is_folder:
            yield path, entry
            continue
        try:
            children = sorted(os.listdir(path), key=os.fsencode)  # noqa: PTH208 - names, not paths
        except OSError:
            yield path, Reason.UNREADABLE_FOLDER
            continue
        pending += [path / child for child in reversed(children)]


def _is_system(folder: str) -> bool:
    """Named as a folder that a system keeps for itself."""
    name = folder.lower()
    return name in _SYSTEM_FOLDERS or name.startswith(_TRASH)


def _is_temporary(name: str, *, is_folder: bool = False) -> bool:
    """Hidden, or named as a file on its way: a row of its own, and never opened."""
    unfinished = not is_folder and name.lower().endswith(_TEMPORARY_SUFFIXES)
    return name.startswith(".") or unfinished


def _stat(path: Path) -> _Entry:
    """Stat the entry itself; a reason where that fails."""
    try:
        return path.lstat()
    except (FileNotFoundError, ValueError):  # ValueError: no file name has a null byte in it
        return Reason.MISSING
    except PermissionError:
        return Reason.PERMISSION
    except OSError:
        return Reason.IO_ERROR


def _found(path: Path, display: str, entry: _Entry) -> FoundFile:
    """An entry with the problem that rules it out; opening it checks again, without a race."""
    if isinstance(entry, Reason):
        return FoundFile(path, display, entry)
    if stat.S_ISREG(entry.st_mode):
        return FoundFile(path, display, None, Stamp.of(entry), time.time_ns())
    problem = Reason.SYMLINK if stat.S_ISLNK(entry.st_mode) else Reason.NOT_A_FILE
    return FoundFile(path, display, problem)
