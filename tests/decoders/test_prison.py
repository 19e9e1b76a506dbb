"""Code of an attacker inside a real decoder: nothing of what it tries works."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cxr_edge.decoders import landlock, prison, seccomp
from cxr_edge.decoders.pool import Workers, sandbox
from cxr_edge.decoders.start import Decoders
from cxr_edge.decoders.syscalls import LATEST, NUMBERS
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.types import FoundFile, Reason
from tests.decoders.conftest import Evil, Start
from tests.decoders.harness import BAD, Marks, evil_decoder, never, prepared, same
from tests.factories import write_tree
from tests.faults.corpus import seeds
from tests.nights import SETTINGS

NOBODY = 65534
COLUMN = int(os.uname().machine == "aarch64")  # of the table of system calls
ROOT = Path(__file__).parents[2]
PROTECTIONS = ("landlock ABI", "seccomp", "no new privileges")

needs_all = pytest.mark.skipif("WITHOUT" in sandbox(), reason=f"this kernel: {sandbox()}")

# What an attacker does with the C library; `syscall` raises OSError as the kernel says.
TOOLS = """
import ctypes, errno, fcntl, mmap, resource, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def call(answer):
    if answer == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return answer
def libc_call(name, *arguments):
    return call(getattr(libc, name)(*arguments))
parent = os.getppid()  # what forks decoders; they share its user with the main process
main_process = {main}
place = {place!r}
"""

# Fails with an error that the decoder survives: its film is `internal_error`.
REFUSED = {
    "read a file of this user": 'open(f"{place}/secret").read()',
    "read another film": 'open(f"{place}/in/a0.png", "rb").read()',
    "read the ledger": 'open(f"{place}/ledger.sqlite3", "rb").read()',
    "read the passwords": 'open("/etc/passwd").read()',
    "list a folder": 'os.listdir(f"{place}/in")',
    "list the home folder": 'os.listdir("/root"); os.listdir("/home")',
    "a TCP connection": 'socket.create_connection(("127.0.0.1", {port}), 2)',
    "a UDP packet": 'socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", {port}))',
    "an abstract socket": r'socket.socket(socket.AF_UNIX).connect("\0cxr-edge-{port}")',
    "a pair of sockets": "socket.socketpair()",
    "create a file": 'open(f"{place}/new", "w")',
    "create a file in memory": 'os.memfd_create("new")',
    "write a file": 'os.open(f"{place}/secret", os.O_WRONLY)',
    "write a file of the library": "os.open(np.__file__, os.O_RDWR)",
    "write the shared marks' file": "os.open(marks.filename, os.O_RDWR)",
    "change a library by mmap": (
        "opened = os.open(np.__file__, os.O_RDONLY)\n"
        "mmap.mmap(opened, 100, mmap.MAP_SHARED, mmap.PROT_WRITE | mmap.PROT_READ)"
    ),
    "truncate": 'os.truncate(f"{place}/secret", 0)',
    "delete": 'os.unlink(f"{place}/secret")',
    "rename": 'os.rename(f"{place}/secret", f"{place}/gone")',
    "a symbolic link": 'os.symlink("/etc/passwd", f"{place}/in/link")',
    "a hard link": 'os.link(f"{place}/secret", f"{place}/in/link")',
    "a folder": 'os.mkdir(f"{place}/folder")',
    "a pipe with a name": 'os.mkfifo(f"{place}/new")',
    "mode": 'os.chmod(f"{place}/secret", 0o777)',
    "owner": 'os.chown(f"{place}/secret", 0, 0)',
    "an attribute": 'os.setxattr(f"{place}/secret", "user.x", b"x")',
    "times": 'os.utime(f"{place}/secret", (0, 0))',
    "the parent's memory": 'os.open(f"/proc/{parent}/mem", os.O_RDONLY)',
    "the main process's memory": 'os.open(f"/proc/{main_process}/mem", os.O_RDWR)',
    "the parent's descriptors": 'os.listdir(f"/proc/{parent}/fd")',
    "the parent's program": 'open(f"/proc/{parent}/exe", "rb").read(1)',
    "its own memory as a file": 'os.open("/proc/self/mem", os.O_RDWR)',
    "a signal to its parent": "os.kill(parent, 0)",
    "a signal to the main process": "os.kill(main_process, 0)",
    "a signal to all": "os.kill(-1, 0)",
    "a signal to its group": "os.kill(0, 0)",
    "a signal to a thread": "libc_call('tgkill', main_process, main_process, 0)",
    "a descriptor of a process": "os.pidfd_open(main_process)",
    "a signal by way of a pipe": (
        "ours, theirs = os.pipe()\nfcntl.fcntl(ours, fcntl.F_SETOWN, main_process)"
    ),
    "a larger file limit": "resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "limits of the main process": (
        "resource.prlimit(main_process, resource.RLIMIT_AS, (2**40, 2**40))"
    ),
    "limits seen of the main process": "resource.prlimit(main_process, resource.RLIMIT_AS)",
    "fifty processes": "[os.fork() or os._exit(0) for _ in range(50)]",
    "a thread": "import _thread; _thread.start_new_thread(time.sleep, (1,))",
    "a shell": 'os.posix_spawn("/bin/sh", ["sh", "-c", "id"], {})',
    "a program": 'subprocess.run(["id"])',
    "an alarm": "signal.setitimer(signal.ITIMER_REAL, 0)",
    "its name and dumps": "libc_call('prctl', 4, 1, 0, 0, 0)",
    "a device": "fcntl.ioctl(0, 0x5412, b'x')",
    "another working folder": "os.chdir('/')",
    "another user": "os.setuid(12345)",
    "a priority": "os.nice(-5)",
    "memory of the system": "libc_call('shmget', 1, 4096, 0o1600)",
    "a queue of events": "libc_call('epoll_create1', 0)",
    "the name of the machine": "socket.sethostname(socket.gethostname())",
    "the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
}
# What no library ever tries: the process is ended, twice, and its film is `decoder_crashed`.
FATAL = {
    "another program": 'os.execv("/bin/true", ["true"])',
    "trace its parent": "libc_call('ptrace', 16, parent, 0, 0)",
    "write the main process's memory": (
        "libc_call('process_vm_writev', main_process, None, 0, None, 0, 0)"
    ),
    "namespaces": "libc_call('unshare', 0x10000000)",
    "mounts": "libc_call('mount', b'none', b'/mnt', b'tmpfs', 0, None)",
    "another root": "os.chroot('/')",
    "a program in the kernel": f"call(libc.syscall({NUMBERS['bpf'][COLUMN]}, 0, 0, 0))",
    "a ring of calls": "call(libc.syscall(425, 1, 0))",
    "keys": f"call(libc.syscall({NUMBERS['keyctl'][COLUMN]}, 0, 0))",
}


# Those of the refused ones that can be shown to work without a prison, and to harm nothing.
WORK_OUTSIDE = {
    *("read a file of this user", "read another film", "read the ledger", "list a folder"),
    *("a TCP connection", "a UDP packet", "an abstract socket", "a pair of sockets"),
    *("create a file", "write a file", "a symbolic link", "a folder", "mode", "times"),
    *("a signal to its parent", "a signal to the main process", "a signal by way of a pipe"),
    *("the parent's memory", "the parent's descriptors", "the parent's program"),
    *("limits seen of the main process", "a thread", "a program", "an alarm"),
}

# As the real decoder, and as one of another user, which proves that no privilege is needed.
AS_USER = """
real_work = worker.decode_films
def work(descriptor):
    os.setgroups([])
    os.setgid({user})
    os.setuid({user})
    real_work(descriptor)
worker.decode_films = work
"""
OUTSIDE = """
from cxr_edge.decoders import prison
prison.enter = lambda connection: ""
"""
# Tries one attack after the other and leaves a mark for each.
TRY_ALL = """
for number, attack in enumerate({attacks!r}, start=FIRST):
    try:
        exec(attack, globals())
        marks[number] = WORKED
    except BaseException as error:
        marks[number] = getattr(error, "errno", None) or NO_NUMBER
"""
FIRST, WORKED, NO_NUMBER = 100, -1, -2
REFUSALS = {errno.EPERM, errno.EACCES, NO_NUMBER}


@pytest.fixture
def place(films: list[FoundFile]) -> Path:
    """A folder with what an attacker may want."""
    folder = films[0].path.parents[1]
    for name in ("secret", "ledger.sqlite3"):
        (folder / name).write_text("untouched")
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture
def port() -> Iterator[int]:
    """Something listens at it: TCP, and an abstract socket of the same number."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        number = tcp.getsockname()[1]
        abstract.bind(f"\0cxr-edge-{number}")
        abstract.listen()
        yield number


def attacking(body: str, place: Path, port: int) -> str:
    """Code for an evil decoder."""
    tools = TOOLS.format(main=os.getpid(), place=str(place))
    numbers = f"FIRST, WORKED, NO_NUMBER = {FIRST}, {WORKED}, {NO_NUMBER}"
    return f"{tools}{numbers}\n{body.replace('{port}', str(port))}\nmarks[FIRST] = WORKED"


def all_of(attacks: Iterable[str], place: Path, port: int) -> str:
    """Code that tries them all."""
    tools = TOOLS.format(main=os.getpid(), place=str(place))
    filled = [attack.replace("{port}", str(port)) for attack in attacks]
    numbers = f"FIRST, WORKED, NO_NUMBER = {FIRST}, {WORKED}, {NO_NUMBER}"
    names = "globals().update(locals())"
    return f"{tools}{numbers}\n{names}\n{TRY_ALL.format(attacks=filled)}"


def outcomes(marks: Marks, names: Iterable[str]) -> dict[str, int]:
    """The error number of each attack, or that it worked."""
    numbers = np.fromfile(marks.path, np.int64)[FIRST:]
    return dict(zip(names, map(int, numbers), strict=False))


def facts(place: Path, marks: Marks) -> dict[str, tuple[int, ...]]:
    """Everything in a folder, with what would show a change."""
    paths = sorted(path for path in place.rglob("*") if path != marks.path)
    seen = {str(path): path.stat() for path in paths}
    return {
        name: (each.st_mode, each.st_size, each.st_mtime_ns, each.st_uid, each.st_nlink)
        for name, each in seen.items()
    }


@needs_all
@pytest.mark.parametrize("user", [None, NOBODY], ids=["this user", "nobody"])
def test_every_attack_is_refused(
    user: int | None, start: Start, films: list[FoundFile], place: Path, port: int
) -> None:
    """All films are scored, also the one with the code in it: it was not let down either."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("root alone can become somebody else")
    marks = Marks(place / "marks")
    code = evil_decoder(all_of(REFUSED.values(), place, port), marks)
    first = "" if user is None else AS_USER.format(user=user)
    start(code.replace("worker.main()", f"{first}worker.main()"))
    before = facts(place, marks)
    made = prepared(films)
    assert facts(place, marks) == before
    refused = outcomes(marks, REFUSED)
    assert {name: code for name, code in refused.items() if code not in REFUSALS} == {}
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def test_the_attacks_work_outside(
    start: Start, films: list[FoundFile], place: Path, port: int
) -> None:
    """One that fails anywhere would prove nothing."""
    marks = Marks(place / "marks")
    attacks = {name: body for name, body in REFUSED.items() if name in WORK_OUTSIDE}
    assert set(attacks) == WORK_OUTSIDE
    code = evil_decoder(all_of(attacks.values(), place, port), marks)
    start(code.replace("worker.main()", f"{OUTSIDE}worker.main()"))
    prepared(films)
    failed = {name: code for name, code in outcomes(marks, attacks).items() if code != WORKED}
    assert failed == {}


SEEN = ("read another film", "fifty processes")


@needs_all
@pytest.mark.parametrize("name", SEEN)
def test_a_refusal_costs_its_film(
    name: str, evil: Evil, films: list[FoundFile], place: Path, port: int
) -> None:
    """Where the code in it does not catch the error."""
    marks = evil(attacking(REFUSED[name], place, port))
    made = prepared(films)
    assert made[BAD].result.reason is Reason.INTERNAL_ERROR
    assert outcomes(marks, [name])[name] != WORKED
    for file in films:
        assert file.display == BAD or same(made[file.display], prepare(file, SETTINGS))


@needs_all
@pytest.mark.parametrize("body", FATAL.values(), ids=FATAL)
def test_what_only_an_attacker_does_ends_the_decoder(
    body: str, evil: Evil, films: list[FoundFile], place: Path, port: int
) -> None:
    marks = evil(attacking(body, place, port))
    before = facts(place, marks)
    made = prepared(films)
    assert facts(place, marks) == before
    assert made[BAD].result.reason is Reason.DECODER_CRASHED
    assert len(marks.pids()) == 2
    assert outcomes(marks, ["it"])["it"] != WORKED
    for file in films:
        assert file.display == BAD or same(made[file.display], prepare(file, SETTINGS))


def test_every_format_is_read_inside(tmp_path: Path) -> None:
    """With every codec, of which most are imported when a film needs them."""
    files = list(discover([write_tree(tmp_path / "in", seeds())]))
    made = prepared(files, count=2)
    for file in files:
        assert same(made[file.display], prepare(file, SETTINGS)), file.display


def test_it_says_what_protects() -> None:
    assert [name for name in PROTECTIONS if name in sandbox()] == list(PROTECTIONS)


def test_what_the_kernel_does_not_have_is_said(
    start: Start, films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on with what is left."""
    start(
        "from cxr_edge.decoders import landlock, prison, seccomp, worker\n"
        "landlock._CREATE_RULESET = 100_000\n"
        "seccomp.platform.machine = lambda: 'riscv64'\n"
        "worker.main()"
    )
    with Decoders() as decoders, Workers(1, SETTINGS, decoders) as pool:
        made = dict(pool.prepare(films, never))
        assert decoders.sandbox == (
            "WITHOUT landlock (Function not implemented), "
            f"WITHOUT seccomp (unknown on {os.uname().machine}), no new privileges"
        )
    assert [item.pixels is None for item in made.values()] == [False] * len(films)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_table_of_calls_is_the_kernel_s(machine: str) -> None:
    """Where the kernel's headers are."""
    headers = {
        "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+) (\d+)"),
        "aarch64": ("/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+) (\d+)"),
    }
    path, pattern = headers[machine]
    if not Path(path).exists():
        pytest.skip("no headers of the kernel here")
    found = {name: int(number) for name, number in re.findall(pattern, Path(path).read_text())}
    found.setdefault("newfstatat", found.get("fstatat", -1))
    column = ("x86_64", "aarch64").index(machine)
    assert {name: numbers[column] for name, numbers in NUMBERS.items()} == {
        name: found.get(name) for name in NUMBERS
    }
    assert max(number for pair in NUMBERS.values() for number in pair if number) <= LATEST


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_way_through_the_filter_ends(machine: str) -> None:
    """Jumps lead to instructions, the last of which returns; the kernel takes 4,096."""
    code = seccomp.program(machine)
    assert len(code) < 1000
    for place, (operation, if_true, if_false, _) in enumerate(code):
        if operation != seccomp._LOAD and operation != seccomp._RETURN:
            assert place + 1 + max(if_true, if_false) < len(code)
    assert code[-1][0] == seccomp._RETURN


def test_a_machine_without_a_table() -> None:
    with pytest.raises(seccomp.UnknownArchitectureError):
        seccomp.program("riscv64")


@pytest.mark.parametrize(
    ("version", "rights"), [(1, (13,)), (2, (14,)), (3, (15,)), (4, (15, 2, 0))]
)
def test_an_older_kernel_is_asked_for_what_it_has(version: int, rights: tuple[int, ...]) -> None:
    tables = (landlock._FILE_RIGHTS, landlock._NETWORK_RIGHTS, landlock._SCOPES)
    known = [landlock._bits(table, version).bit_length() for table in tables]
    assert tuple(known[: len(rights)]) == rights
    assert not any(known[len(rights) :])


def test_no_folder_of_a_user_can_be_read() -> None:
    """Only those that hold libraries."""
    for folder in prison.readable():
        assert folder not in ("/", "/root", "/home", "/tmp", "/etc", "/proc", str(ROOT))
