"""Runs a real command whose k-th change to the disk fails, or is its last; see shim.c.

A run without a fault counts: its calls number the places where a fault can be put.

    _, calls = run(library, command, [state, out])
    for call in calls:
        run(library, command, [state, out], Fault(call.number, "kill-before"))
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILLS = ("kill-before", "kill-after")
ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EINTR")
ACTIONS = (*KILLS, *ERRORS, "short")
SECONDS = 120

# All that Linux has for changing a disk, but for changes of owner and memory maps: see shim.c.
_CHANGING = (
    "open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,fallocate,"
    "fsync,fdatasync,sync_file_range,syncfs,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,mknod,mknodat,chmod,fchmod,fchmodat,"
    "utimensat,setxattr,fsetxattr,sendfile,copy_file_range,splice"
)


@dataclass(frozen=True)
class Fault:
    """What happens at the `at`-th counted call, the first being 1.

    Attributes:
        at: number of the call.
        action: `kill-before` and `kill-after` the call; or the name of the error that it returns
            without having done anything; or `short`: half of a write is written, and the call
            after it has ENOSPC, as on a disk that runs full.
        persistent: every later call fails too.
    """

    at: int
    action: str
    persistent: bool = False

    def __post_init__(self) -> None:
        """Refuse what could never strike, and an EINTR that callers would retry for ever."""
        if self.at < 1 or self.action not in ACTIONS:
            raise ValueError(f"no such fault: {self}")
        if self.persistent and self.action in (*KILLS, "EINTR"):
            raise ValueError(f"{self.action} comes once")

    def environment(self) -> dict[str, str]:
        """The variables that shim.c reads."""
        where = "CXR_FAULT_FROM" if self.persistent else "CXR_FAULT_AT"
        return {where: str(self.at), "CXR_FAULT_ACTION": self.action}


@dataclass(frozen=True)
class Call:
    """A counted call, done or not; `path` is the new one where a call has two."""

    number: int
    name: str
    path: str

    @property
    def what(self) -> tuple[str, str]:
        """The call and the name of the file."""
        return self.name, Path(self.path).name


def build(folder: Path) -> Path | None:
    """Compile the shim into `folder`, once; None where there is no C compiler."""
    library = folder / "cxr_fault_shim.so"
    compiler = shutil.which("cc")
    if compiler is None or library.exists():
        return library if library.exists() else None
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-shared", "-fPIC", "-O2", str(source), "-o", str(library), "-ldl"]
    subprocess.run(command, check=True)
    return library


def run(
    library: Path,
    command: Sequence[str | Path],
    under: Sequence[Path],
    fault: Fault | None = None,
    **options: Any,
) -> tuple[subprocess.CompletedProcess[bytes], list[Call]]:
    """Run a command to its end; `options` are those of `Popen`, with streams captured.

    Only calls on something under one of the folders `under` count, in the command's own process:
    the processes that it starts are left alone. The folders need not exist yet.
    """
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "log")
        env = {
            **options.pop("env", os.environ),
            "LD_PRELOAD": str(library),
            "CXR_FAULT_UNDER": ":".join(str(folder.resolve()) for folder in under),
            "CXR_FAULT_LOG": str(log),
            **(fault.environment() if fault else {}),
        }
        ended = _to_its_end([str(part) for part in command], env=env, **options)
        lines = os.fsdecode(log.read_bytes()).splitlines()
    parts = (line.split(" ", 2) for line in lines)
    return ended, [Call(int(number), name, path) for number, name, path in parts]


def _to_its_end(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Wait until the streams are closed, by the children of a killed command too."""
    options = {"stdin": subprocess.DEVNULL, **options}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0, **options
    ) as process:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def traced(command: Sequence[str | Path], under: Path) -> Counter[str] | None:
    """What the kernel sees of a run and its children: plain names of the calls that change `under`.

    None where there is no strace, or it may not trace.
    """
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "true"], capture_output=True).returncode:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "log")
        tracer = [strace, "-f", "-y", "-qq", "-e", f"trace={_CHANGING}", "-e", "signal=none"]
        ended = _to_its_end([*tracer, "-o", str(log), *map(str, command)])
        if ended.returncode:
            raise RuntimeError(ended.stderr.decode())
        lines = os.fsdecode(log.read_bytes()).splitlines()
    calls = (re.match(rf"\d+ +(\w+)\((.*{re.escape(str(under))}\b.*)", line) for line in lines)
    return Counter(
        plain_name(call[1])
        for call in calls
        if call and (not call[1].startswith("open") or re.search("O_CREAT|O_TRUNC", call[2]))
    )


def plain_name(call: str) -> str:
    """Without what tells variants of one call apart; some kernels have no `rmdir` of its own."""
    return re.sub(r"(at2?)?(64)?$", "", call).replace("rmdir", "unlink")
