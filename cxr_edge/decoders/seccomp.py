"""A filter of system calls, seccomp(2): a list of what a decoder needs, and nothing else.

An allow-list, because the kernel grows calls faster than anybody could list those that harm. A call
that is not in it fails with EPERM, so that a library which can do without goes on. One that only an
attacker makes ends the process. A call that is younger than the list fails with ENOSYS: the C
library takes that for an older kernel and does as it did there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import struct
import sys
from collections.abc import Iterable

from cxr_edge.decoders.syscalls import LATEST, NUMBERS

# Column of `NUMBERS`, and what the kernel calls the architecture (AUDIT_ARCH in audit.h).
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_FIRST_X32 = 0x40000000  # calls of the x32 interface: others under the same architecture

_FREE = (
    *("read", "write", "readv", "writev", "pread64", "preadv", "lseek", "close"),
    *("fstat", "newfstatat", "statx", "stat", "lstat", "access", "faccessat", "faccessat2"),
    *("readlink", "readlinkat", "getdents64", "getcwd", "fadvise64"),
    *("munmap", "mremap", "mprotect", "madvise", "brk", "msync", "membarrier"),
    *("futex", "set_robust_list", "get_robust_list", "rseq", "set_tid_address"),
    *("sched_yield", "sched_getaffinity", "getcpu", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep"),
    *("gettimeofday", "time", "times", "getrandom"),
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid"),
    *("uname", "sysinfo", "getrusage", "getrlimit"),
    *("poll", "ppoll", "select", "pselect6", "recvmsg", "recvfrom", "getsockopt"),
    *("pipe", "pipe2", "dup", "dup2", "dup3", "exit", "exit_group"),
)
_FATAL = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "execve", "execveat"),
    *("bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd"),
    *("perf_event_open", "mount", "umount2", "unshare", "setns", "pivot_root", "chroot"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "kexec_load"),
)
# The C library's first choice, which hides its flags in memory: it falls back to older calls.
_UNKNOWN = ("clone3", "openat2")
_NOT_FOR_READING = (
    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_TMPFILE & ~os.O_DIRECTORY
)
# Not F_SETOWN and F_SETSIG, which send signals to others by way of a pipe, nor leases.
_ABOUT_DESCRIPTORS = (
    *(fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD),
    *(fcntl.F_GETFL, fcntl.F_SETFL, fcntl.F_GET_SEALS),
)
_ABOUT_STREAMS = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIO*CLEX
_MAP_SHARED = mmap.MAP_SHARED  # one bit, also of MAP_SHARED_VALIDATE

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_REFUSE, _NO_SUCH_CALL = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
# Instructions of the classic BPF machine, filter.h: load a word, jump, return.
_LOAD, _RETURN = 0x20, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in seccomp_data

_Code = tuple[int, int, int, int]  # operation, jump if true, jump if false, value

_libc = ctypes.CDLL(None, use_errno=True)


class UnknownArchitectureError(Exception):
    """No table of system calls for this machine."""


class _Program(ctypes.Structure):
    """The structure `sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def restrict() -> None:
    """Refuse this process, from now on, every system call that decoding does not need.

    It must have given up new privileges, prctl(2).

    Raises:
        OSError: the kernel has no such filters, or what surrounds the process does not allow one.
        UnknownArchitectureError: this machine's calls are not in the list.
    """
    code = b"".join(struct.pack("=HBBI", *each) for each in program(platform.machine()))
    filtering = _Program(len(code) // 8, code)
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filtering)):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def program(machine: str) -> list[_Code]:
    """The filter of a process of this id; UnknownArchitectureError for a machine without a table.

    Args:
        machine: as uname(2) calls it.
    """
    if machine not in _ARCHITECTURES or sys.byteorder != "little" or sys.maxsize < 2**32:
        raise UnknownArchitectureError(machine)
    column, architecture = _ARCHITECTURES[machine]
    code = [_load(_ARCHITECTURE), (_IF_EQUAL, 1, 0, architecture), _end(_KILL), _load(_NUMBER)]
    if machine == "x86_64":
        code += [(_IF_AT_LEAST, 0, 1, _FIRST_X32), _end(_KILL)]
    for names, body in _rules():
        for number in (NUMBERS[name][column] for name in names):
            if number is not None:
                code += [(_IF_EQUAL, 0, len(body), number), *body]
    return [*code, (_IF_AT_LEAST, 0, 1, LATEST + 1), _end(_NO_SUCH_CALL), _end(_REFUSE)]


def _rules() -> Iterable[tuple[tuple[str, ...], list[_Code]]]:
    """Names of system calls, and the instructions that decide about them."""
    own = os.getpid()
    yield _FREE, [_end(_ALLOW)]
    yield ("mmap",), _private_or_read_only()
    yield ("open",), _without_bits(1, _NOT_FOR_READING)
    yield ("openat",), _without_bits(2, _NOT_FOR_READING)
    yield ("fcntl",), _one_of(1, _ABOUT_DESCRIPTORS)
    yield ("ioctl",), _one_of(1, _ABOUT_STREAMS)
    yield ("kill", "tkill", "tgkill"), _one_of(0, (own,))  # abort(3) ends itself
    yield ("prlimit64",), _reads_own_limits(own)
    yield _FATAL, [_end(_KILL)]
    yield _UNKNOWN, [_end(_NO_SUCH_CALL)]


def _private_or_read_only() -> list[_Code]:
    """Rule for mmap(2): what is written there must not reach a file."""
    return [
        _load_argument(2),
        (_IF_ANY_BIT, 0, 3, mmap.PROT_WRITE),
        _load_argument(3),
        (_IF_ANY_BIT, 0, 1, _MAP_SHARED),
        _end(_REFUSE),
        _end(_ALLOW),
    ]


def _without_bits(argument: int, bits: int) -> list[_Code]:
    return [_load_argument(argument), (_IF_ANY_BIT, 0, 1, bits), _end(_REFUSE), _end(_ALLOW)]


def _one_of(argument: int, values: Iterable[int]) -> list[_Code]:
    tests = [code for value in values for code in ((_IF_EQUAL, 0, 1, value), _end(_ALLOW))]
    return [_load_argument(argument), *tests, _end(_REFUSE)]


def _reads_own_limits(own: int) -> list[_Code]:
    """Rule for prlimit(2): no new limits, and not another process's old ones."""
    own_process = [_load_argument(0), (_IF_EQUAL, 2, 0, 0), (_IF_EQUAL, 1, 0, own), _end(_REFUSE)]
    nothing_new = [
        code
        for word in (0, 4)
        for code in (_load_argument(2, word), (_IF_EQUAL, 1, 0, 0), _end(_REFUSE))
    ]
    return [*own_process, *nothing_new, _end(_ALLOW)]


def _load(offset: int) -> _Code:
    return (_LOAD, 0, 0, offset)


def _load_argument(number: int, word: int = 0) -> _Code:
    """Load the lower half, or with `word` 4 the upper one; the kernel cuts ints the same way."""
    return _load(_ARGUMENTS + 8 * number + word)


def _end(action: int) -> _Code:
    return (_RETURN, 0, 0, action)
