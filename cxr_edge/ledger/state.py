"""The state folder: local, private, and held by one run at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge.errors import StateBusyError, StateError
from cxr_edge.support.atomic import FILE_MODE, make_folder
from cxr_edge.support.locks import lock, opened
from cxr_edge.support.text import display_name
from cxr_edge.support.utc import utc_text
from cxr_edge.types import Url, place_of

LOCK_NAME = "lock"
_LOOKS = 20
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_TRIES = 1.0
AS_ITS_USER = "run as the user that scores (sudo -u USER), or give another --state"

MOUNTS = Path("/proc/self/mountinfo")

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ROOT = 0

# SQLite's write-ahead log needs memory that all its users share; these spread over machines.
_NETWORK_FILE_SYSTEMS = (
    *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs"),
    *("lustre", "beegfs", "gfs2", "ocfs2", "vboxsf", "fuse.vmhgfs-fuse"),
    *("fuse.sshfs", "fuse.glusterfs", "fuse.cephfs", "fuse.davfs", "fuse.rclone", "fuse.s3fs"),
)


def states_folder() -> Path:
    """Folder of the state folders without `--state`, after the XDG base directories.

    Raises:
        StateError: the user has no home.
    """
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    if home.is_absolute():  # any other does not count, says the specification
        return home / "cxr-edge"
    try:
        return Path("~/.local/state/cxr-edge").expanduser()
    except RuntimeError as error:
        raise StateError(
            "this user has no home folder to keep a ledger in",
            tip="give --state a folder on a local disk",
        ) from error


def default_state(inputs: Iterable[str]) -> Path:
    """One folder for each set of INPUTs, so that a user's jobs do not wait for each other."""
    names = sorted({_absolute(name) for name in inputs})
    digest = hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest()
    return states_folder() / digest[:16]


def _absolute(name: str) -> str:
    """A path without its working folder, links kept; a URL as it is."""
    if isinstance(place_of(name), Url):
        return name
    return os.path.abspath(name)  # noqa: PTH100 - must not resolve


def check_local(folder: Path) -> None:
    """Refuse a folder on a network share.

    Raises:
        StateError: the folder is on a share.
    """
    kind = _file_system(folder)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StateError(
            f"the state folder {display_name(folder)} is on a network file system ({kind})",
            tip="give --state a folder on a local disk",
        )


def _file_system(folder: Path) -> str:
    """The type of the mount that holds a path; empty where the kernel does not say."""
    try:
        lines = os.fsdecode(MOUNTS.read_bytes()).split("\n")[:-1]
    except OSError:
        return ""
    # proc(5): field 5 is the mount point, the type follows the lone hyphen. A name may hold any
    # other blank or line end than those two.
    mounts = [(line.split(" ")[4], line.split(" - ", 1)[1].split(" ")[0]) for line in lines]
    real = folder.resolve()
    held = [(_unescaped(p), k) for p, k in mounts if real.is_relative_to(_unescaped(p))]
    # Of two mounts on one point the later one hides the earlier.
    return max(enumerate(held), key=lambda each: (len(each[1][0]), each[0]))[1][1] if held else ""


def _unescaped(mount_point: str) -> str:
    """Decode the octal escapes of blanks, tabs, line feeds and backslashes."""
    for code in ("040", "011", "012", "134"):
        mount_point = mount_point.replace(f"\\{code}", chr(int(code, 8)))
    return mount_point


def unusable(folder: Path, error: OSError) -> StateError:
    """Error for a state folder that cannot be made or written."""
    return StateError(
        f"the state folder {display_name(folder)} cannot be used: {error.strerror}",
        tip="give --state a folder that this user may write",
    )


@contextlib.contextmanager
def opened_folder(folder: Path, *, to_read: bool = False) -> Iterator[int]:
    """A descriptor of a state folder in which nobody else can change anything.

    The way to the folder may be a link, as systemd makes it. What another user could write there
    would be scores, or links to files that this user's run would overwrite.

    Args:
        folder: it is there.
        to_read: no file in it is written, so that it may be root's, as in a restored backup.

    Raises:
        StateError: it is another user's, or others may write in it.
        OSError: it cannot be opened.
    """
    with opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        facts = os.fstat(descriptor)
        owners = {os.geteuid(), _ROOT} if to_read else {os.geteuid()}
        if facts.st_uid not in owners:
            raise StateError(
                f"the state folder {display_name(folder)} is another user's",
                tip=AS_ITS_USER,
            )
        if facts.st_mode & _OTHERS_WRITE:
            raise StateError(
                f"other users may write in the state folder {display_name(folder)}",
                tip="take that away, chmod go-w, if nobody has; or give another --state",
            )
        yield descriptor


def check_file(folder: int, name: str, *, to_read: bool = False) -> os.stat_result | None:
    """Stat a file in a state folder; None if there is no such file.

    Raises:
        StateError: it is a link, no file, another user's, or others may write it.
    """
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    owners = {os.geteuid(), _ROOT} if to_read else {os.geteuid()}
    # A second name may be that of a file somewhere else, which would be written too.
    is_plain = stat.S_ISREG(facts.st_mode) and (facts.st_nlink == 1 or to_read)
    if not is_plain or facts.st_uid not in owners or facts.st_mode & _OTHERS_WRITE:
        raise StateError(
            f"unable to open {name}: a link, no file or another user's cannot be used",
            tip="look what it is and remove it, or give another --state",
        )
    return facts


@contextlib.contextmanager
def held_in_turn(
    folder: Path, command: Iterable[str], waiting: Callable[[str], None]
) -> Iterator[None]:
    """Hold a state folder as `held` does, after waiting for its present holder.

    Each try looks at the folder anew: it may be another one by then.

    Args:
        folder: as of `held`.
        command: as of `held`.
        waiting: called once with the reason, if there is anything to wait for.

    Raises:
        StateError: the folder cannot be used.
    """
    with contextlib.ExitStack() as stack:
        has_waited = False
        while True:
            try:
                stack.enter_context(held(folder, command))
                break
            except StateBusyError as error:
                if not has_waited:
                    waiting(str(error))
                has_waited = True
            time.sleep(_SECONDS_BETWEEN_TRIES)
        yield


@contextlib.contextmanager
def held(folder: Path, command: Iterable[str]) -> Iterator[None]:
    """Make the folder if need be and hold its lock, which ends with the process in any case.

    The lock is the folder's own: a file in it can be deleted while a run holds it. The file of that
    name is locked too, for earlier versions, and says who the holder is.

    Raises:
        StateBusyError: another process holds it; says which.
        StateError: the folder cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            make_folder(folder)
            check_local(folder)
            descriptor = stack.enter_context(opened_folder(folder))
            file = _locked(descriptor, folder, stack)
        except OSError as error:
            raise unusable(folder, error) from error
        _sign(file, command)
        yield
        with contextlib.suppress(OSError):  # so that the next holder is not taken for this one
            os.ftruncate(file, 0)


def _locked(folder: int, path: Path, stack: contextlib.ExitStack) -> int:
    """Lock the folder and then the file in it; returns the file's descriptor."""
    _lock(folder, folder, path)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        check_file(folder, LOCK_NAME)
        file = stack.enter_context(opened(Path(LOCK_NAME), flags, folder))
        _lock(file, folder, path)
        named = check_file(folder, LOCK_NAME)
        if named is not None and os.path.samestat(named, os.fstat(file)):
            os.fchmod(file, FILE_MODE)  # as an earlier umask left it
            return file  # else it was deleted or replaced meanwhile


def _lock(descriptor: int, folder: int, path: Path) -> None:
    try:
        lock(descriptor)
    except BlockingIOError:
        raise StateBusyError(
            f"another run holds {display_name(path)}: {_holder(folder)}",
            tip="wait for it, or give this run its own --state; score --wait waits",
        ) from None
    except OSError as error:
        raise StateError(f"{display_name(path)} cannot be locked: {error.strerror}") from error


def _sign(file: int, command: Iterable[str]) -> None:
    """Write down who holds the lock: a courtesy to the loser; the lock itself is held."""
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": utc_text(datetime.now(UTC)),
        "command": " ".join(command),
    }
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(holder).encode(), 0)


def _holder(folder: int) -> str:
    """Names the holder from the lock file; one that has only just begun gets time to write it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    for _ in range(_LOOKS):
        try:
            with opened(Path(LOCK_NAME), flags, folder) as file:
                holder = json.loads(os.pread(file, 65536, 0))
            text = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
            return display_name(text)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    return "a process that does not say which"
