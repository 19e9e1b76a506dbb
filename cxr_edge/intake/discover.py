"""Lists the INPUTs: every entry once, in a fixed order, links never followed.

Folders are listed below a descriptor of their INPUT: one that is swapped for a link while the run
walks is an entry that cannot be listed.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cxr_edge.errors import InputError, MissingExtraError
from cxr_edge.intake.read import relative
from cxr_edge.support.beneath import open_beneath
from cxr_edge.support.text import display_name
from cxr_edge.types import FoundFile, Place, Reason, Root, Stamp, Url, place_of

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
    """Decides which files get no row, and counts them.

    Attributes:
        files: in system folders.
        excluded: left out by a pattern of the user's.
    """

    def __init__(self, exclude: Iterable[str] = ()) -> None:
        """Count none so far.

        Args:
            exclude: patterns as of `fnmatch.fnmatchcase`; `*` crosses `/`. Each is compared with
                the displayed path and with every part of it.
        """
        self.files = self.excluded = 0
        self._exclude = tuple(exclude)

    def leaves_out(self, path: Path, shown: Callable[[Path], str], *, is_folder: bool) -> bool:
        """Tell whether a walk passes an entry by, whose folders it has come through."""
        if is_folder and _is_system(path.name):
            self.files += _files_below(path)
        elif self._exclude and self._is_excluded(shown(path)):
            self.excluded += _files_below(path) if is_folder else 1
        else:
            return False
        return True

    def leaves_out_listed(self, name: str) -> bool:
        """Tell whether a list's path is passed by, for its own name or that of a folder in it."""
        path = Path(name)
        if any(map(_is_system, path.parts[:-1])):
            self.files += 1
        elif self._exclude and any(
            self._is_excluded(display_name(place)) for place in (path, *path.parents) if place.name
        ):
            self.excluded += 1
        else:
            return False
        return True

    def _is_excluded(self, shown: str) -> bool:
        texts = {shown, shown.rpartition("/")[2]}
        return any(fnmatch.fnmatchcase(text, glob) for glob in self._exclude for text in texts)


def _files_below(folder: Path) -> int:
    """Count what lies in a folder; nothing is opened, no link followed."""
    return sum(len(files) for _, _, files in os.walk(folder))


def discover(inputs: Iterable[Place], left_out: LeftOut | None = None) -> Iterator[FoundFile]:
    """Walk folders and files, and list what lies below URLs.

    Args:
        inputs: folders (walked recursively), files, and URLs of object storage.
        left_out: says what is left out, and counts it.

    Returns:
        Every file found, once, however often the INPUTs name it; an entry that cannot be a film
        (a link, a pipe, a folder that cannot be opened) or is on its way, with its problem. Lazy:
        the walk goes on as files are taken, and holds the names in the folders on the way; of
        several INPUTs it keeps every path.

    Raises:
        InputError: an INPUT does not exist, or may not be looked at.
        MissingExtraError: the library that reads a URL is not installed.
    """
    roots: dict[Place, Place] = {}
    for given in inputs:
        if isinstance(given, Url):
            _check_url(given)
            roots.setdefault(given, given)
            continue
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


def _check_url(url: Url) -> None:
    from cxr_edge.intake.storage import check  # a night of files need not have it

    check(url)


def _entries(roots: dict[Place, Place], left_out: LeftOut) -> Iterator[FoundFile]:
    prefixes = _prefixes(roots)
    seen: set[Path] = set()
    for root, prefix in prefixes.items():
        if isinstance(root, Url):
            yield from _objects(root, prefix, left_out)
            continue
        with _opened(root) as (descriptor, place):
            shown = functools.partial(_shown, root, roots[root], prefix)
            passed_by = functools.partial(left_out.leaves_out, shown=shown)
            for path, entry in _walk(root, descriptor, passed_by):
                if len(roots) > 1:  # one INPUT names nothing twice, and the set would grow with it
                    if path in seen:
                        continue
                    seen.add(path)
                yield _found(path, shown(path), entry, place)


def _objects(root: Url, prefix: str, left_out: LeftOut) -> Iterator[FoundFile]:
    """Objects below a URL that are not left out; shown as a file below a folder would be."""
    from cxr_edge.intake.objects import objects_below

    for file in objects_below(root):
        name = file.display.removeprefix(f"{root.text.rstrip('/')}/") or f"{root.name}/"
        if file.path == root:  # an object, and no prefix
            name = root.name
        if not left_out.leaves_out_listed(name):
            yield _shown_object(file, "/".join(filter(None, (prefix, name))), name)


def _shown_object(file: FoundFile, shown: str, name: str) -> FoundFile:
    """An object under its name, with the problem that it is hidden or on its way."""
    *folders, last = name.split("/")
    hidden = any(_is_temporary(each, is_folder=True) for each in folders)
    if hidden or _is_temporary(last):
        return FoundFile(file.path, display_name(shown), Reason.TEMPORARY_NAME)
    return replace(file, display=display_name(shown))


def listed(paths: Iterable[str], left_out: LeftOut | None = None) -> Iterator[FoundFile]:
    """Files named one by one, as `--files-from` reads them; each once, shown as first named.

    A list that a program wrote holds what is left out as well: `left_out` counts it.

    Raises:
        InputError: a URL in it cannot be read here; says which, and does not quote it.
        MissingExtraError: the library that reads a URL is not installed.
    """
    seen: set[Place] = set()
    left_out = left_out or LeftOut()
    roots: dict[Path, Root | None] = {}
    for number, name in enumerate(paths, 1):
        path = _located(name, number)
        if path not in seen:
            seen.add(path)
            if left_out.leaves_out_listed(name):
                continue
            if isinstance(path, Url):
                yield _listed_object(path)
                continue
            temporary = _is_temporary(path.name)
            entry = Reason.TEMPORARY_NAME if temporary else _stat(path)
            if path.parent not in roots:
                roots[path.parent] = _root(path.parent)
            yield _found(path, display_name(name), entry, roots[path.parent])


def _listed_object(url: Url) -> FoundFile:
    """One object of a list, with the problem that it cannot be had."""
    from cxr_edge.intake.objects import found_object

    return _shown_object(found_object(url), url.text, url.key)


def _located(name: str, number: int) -> Place:
    """The place that a name leads to, however it is spelled; a link at its end is not followed."""
    path = place_of(name)
    if isinstance(path, Url):
        try:
            _check_url(path)
        except MissingExtraError:
            raise
        except InputError as error:
            raise InputError(f"path {number} of the list: {error}", error.tip) from error
        return path
    with contextlib.suppress(ValueError):  # no file name has a null byte in it
        return Path(_real(Path.cwd() / path.parent), path.name)
    return path


@functools.lru_cache(maxsize=1024)
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


def _prefixes(roots: dict[Place, Place]) -> dict[Place, str]:
    """Several INPUTs are told apart by their last name, or by their whole path if one repeats."""
    if len(roots) == 1:
        return dict.fromkeys(roots, "")
    names = {root: _last_name(given) for root, given in roots.items()}
    if len(set(names.values())) == len(names):
        return names
    return {root: str(root) for root in roots}


def _last_name(given: Place) -> str:
    if isinstance(given, Url):
        return given.name or given.bucket
    return Path(os.path.abspath(given)).name  # noqa: PTH100 - must not resolve


def _shown(root: Path, given: Place, prefix: str, path: Path) -> str:
    """Relative to its INPUT, behind the name of that where there are several."""
    name = relative(path, root)
    if prefix:
        name = f"{prefix}/{name}" if name else prefix
    return display_name(name or given.name)


@contextlib.contextmanager
def _opened(given: Path) -> Iterator[tuple[int, Root | None]]:
    """Open an INPUT, or the folder of one that is a file, while it is walked.

    Nothing can be listed or read below one that has gone meanwhile.
    """
    folder = given if _is_folder(_stat(given)) else given.parent
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: no file name has a null byte in it
        yield -1, None
        return
    try:
        facts = os.fstat(descriptor)
        yield descriptor, Root(folder, facts.st_dev, facts.st_ino)
    finally:
        os.close(descriptor)


def _root(folder: Path) -> Root | None:
    """The folder of a listed file; None where it cannot be opened."""
    with _opened(folder) as (_, root):
        return root


def _names(folder: str, descriptor: int) -> list[str]:
    """Names in a folder below an open one; OSError also where there is a link on the way."""
    opened = open_beneath(descriptor, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
    try:
        names = sorted(os.listdir(opened), key=os.fsencode)  # noqa: PTH208 - names, not paths
        if not names and os.fstat(opened).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "deleted while it was walked")
        return names
    finally:
        os.close(opened)


def _walk(
    root: Path, descriptor: int, passed_by: Callable[..., bool]
) -> Iterator[tuple[Path, _Entry]]:
    """Depth first, entries sorted by name; a folder that cannot be listed is itself an entry."""
    pending = [iter([root])]  # what is left of each folder on the way; a path weighs four names
    while pending:
        path = next(pending[-1], None)
        if path is None:
            pending.pop()
            continue
        entry = _stat(path)
        is_folder = _is_folder(entry)
        if not (is_folder and path is root) and passed_by(path, is_folder=is_folder):
            continue
        if path is not root and _is_temporary(path.name, is_folder=is_folder):
            yield path, Reason.TEMPORARY_NAME
            continue
        if not is_folder:
            yield path, entry
            continue
        try:
            children = _names(relative(path, root), descriptor)
        except OSError:
            yield path, Reason.UNREADABLE_FOLDER
            continue
        pending.append(map(path.joinpath, children))


def _is_system(folder: str) -> bool:
    """Whether a folder has the name of one that a system keeps for itself."""
    name = folder.lower()
    return name in _SYSTEM_FOLDERS or name.startswith(_TRASH)


def _is_folder(entry: _Entry) -> bool:
    return not isinstance(entry, Reason) and stat.S_ISDIR(entry.st_mode)


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


def _found(path: Path, display: str, entry: _Entry, root: Root | None) -> FoundFile:
    """An entry with the problem that rules it out; opening it checks again, without a race."""
    if isinstance(entry, Reason):
        return FoundFile(path, display, entry)
    if root is None:  # its folder has gone since, or is a link now
        return FoundFile(path, display, Reason.MISSING)
    if stat.S_ISREG(entry.st_mode):
        facts = Stamp.of(entry), time.time_ns(), root, entry.st_size
        return FoundFile(path, display, None, *facts)
    problem = Reason.SYMLINK if stat.S_ISLNK(entry.st_mode) else Reason.NOT_A_FILE
    return FoundFile(path, display, problem)
