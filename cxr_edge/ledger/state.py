"""The state folder: local, private, and held by one run at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge.errors import StateBusyError, StateError
from cxr_edge.support.atomic import make_folder
from cxr_edge.support.locks import lock, opened
from cxr_edge.support.utc import utc_text

LOCK_NAME = "lock"
_LOOKS = 20
_SECONDS_BETWEEN_LOOKS = 0.05

MOUNTS = Path("/proc/self/mountinfo")

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
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():  # any other does not count, says the specification
        return given / "cxr-edge"
    try:
        return Path("~/.local/state/cxr-edge").expanduser()
    except RuntimeError as error:
        raise StateError(
            "this user has no home folder to keep a ledger in",
            tip="give --state a folder on a local disk",
        ) from error


def default_state(inputs: Iterable[str]) -> Path:
    """One folder for each set of INPUTs: two nightly jobs of one user do not wait in line."""
    names = sorted({os.path.abspath(name) for name in inputs})  # noqa: PTH100 - must not resolve
    digest = hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest()
    return states_folder() / digest[:16]


def check_local(folder: Path) -> None:
    """Refuse a folder on a network share.

    Raises:
        StateError: it is on one.
    """
    kind = _file_system(folder)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StateError(
            f"the state folder {folder} is on a network file system ({kind})",
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
    """Blanks, tabs, line feeds and backslashes stand there in octal."""
    for code in ("040", "011", "012", "134"):
        mount_point = mount_point.replace(f"\\{code}", chr(int(code, 8)))
    return mount_point


def unusable(folder: Path, error: OSError) -> StateError:
    """Error for a state folder that cannot be made or written."""
    return StateError(
        f"the state folder {folder} cannot be used: {error.strerror}",
        tip="give --state a folder that this user may write",
    )


@contextlib.contextmanager
def held(folder: Path, command: Iterable[str]) -> Iterator[None]:
    """Make the folder if need be and hold its lock, which ends with the process in any case.

    Raises:
        StateBusyError: another process holds it; says which.
        StateError: the folder cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            make_folder(folder)
            check_local(folder)
            file = stack.enter_context(opened(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            raise unusable(folder, error) from error
        _lock(file, folder, command)
        yield
        with contextlib.suppress(OSError):  # so that the next holder is not taken for this one
            os.ftruncate(file, 0)


def _lock(file: int, folder: Path, command: Iterable[str]) -> None:
    try:
        lock(file)
    except BlockingIOError:
        raise StateBusyError(
            f"another run holds {folder}: {_holder(file)}",
            tip="wait for it, or give this run its own --state",
        ) from None
    except OSError as error:
        raise StateError(f"{folder} cannot be locked: {error.strerror}") from error
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": utc_text(datetime.now(UTC)),
        "command": " ".join(command),
    }
    with contextlib.suppress(OSError):  # a courtesy to the loser; the lock itself is held
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(holder).encode(), 0)


def _holder(file: int) -> str:
    """Names the holder from the lock file; one that has only just begun gets time to write it."""
    for _ in range(_LOOKS):
        try:
            holder = json.loads(os.pread(file, 65536, 0))
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    return "a process that does not say which"
