"""The installed `cxr-edge`, as cron runs it: real processes, real streams, real signals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr_edge import __version__
from cxr_edge.model.catalog import bundled_specs
from tests.factories import chest, names_in, write_tree
from tests.images.films import jpeg, png
from tests.tiny import write_tiny

BINARY = Path(sys.executable).with_name("cxr-edge")

SCORE = ("score", "--settle", "0")  # the films have only just been made

pytestmark = pytest.mark.skipif(not BINARY.exists(), reason="cxr-edge is not installed here")


def environment(**more: str) -> dict[str, str]:
    """Warnings are errors here too; nothing of the caller's terminal, and a state of its own."""
    names = ("PATH", "HOME", "LD_LIBRARY_PATH", "XDG_STATE_HOME")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8", **more}


def cxr_edge(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """A real run, to its end."""
    options.setdefault("env", environment())
    command = [str(BINARY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, **options)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    film = chest()
    return write_tree(
        tmp_path / "in", {"a.png": png(film), "Größe.jpg": jpeg(film), "sub/b.png": png(film)}
    )


def test_version() -> None:
    made = cxr_edge("--version")
    assert made.stdout.decode() == f"cxr-edge, version {__version__}\n"


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "cxr_edge", "models", "lost"]
    made = subprocess.run(command, capture_output=True, env=environment(), timeout=60)
    assert made.returncode == 2
    assert made.stderr.startswith(b"Usage: cxr-edge models")


LAST = """
import atexit, gc, sys
from cxr_edge.cli import main
sys.argv[1:] = ["models", "lost"]
atexit.register(lambda: print(len(gc.get_objects()) < gc.get_freeze_count() / 10))
main()
"""


def test_nothing_is_looked_through_at_the_end() -> None:
    """And the exit code stands."""
    made = subprocess.run([sys.executable, "-c", LAST], capture_output=True, env=environment())
    assert (made.returncode, made.stdout) == (2, b"True\n")


@pytest.mark.parametrize("command", [SCORE, ("doctor",)], ids=["score", "doctor"])
def test_a_home_holds_our_state_and_nothing_else(
    command: tuple[str, ...], films: Path, tiny: Path, tmp_path: Path
) -> None:
    """onnxruntime would leave a device id and events that it means to send."""
    home = tmp_path / "home"
    home.mkdir()
    asked = (films, "--model", tiny, "--out", tmp_path / "out") if command == SCORE else ()
    made = cxr_edge(*command, *asked, env={"PATH": os.environ["PATH"], "HOME": str(home)})
    assert made.returncode == 0, made.stderr
    left = [path.relative_to(home).parts for path in home.rglob("*") if path.is_file()]
    assert bool(left) == (command == SCORE)
    assert all(parts[:3] == (".local", "state", "cxr-edge") for parts in left), left


def test_everything_scored(films: Path, tiny: Path, tmp_path: Path) -> None:
    made = cxr_edge(*SCORE, films, "--model", tiny, "--out", tmp_path / "out", "-q")
    assert (made.returncode, made.stdout, made.stderr) == (0, b"", b"")
    assert names_in(tmp_path / "out") == ["run.json", "triage.csv", "triage.html"]


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_bundled_model(kind: str, films: Path, tmp_path: Path) -> None:
    spec = bundled_specs()[0]
    model = spec.files[kind].name
    made = cxr_edge(*SCORE, films, "--model", model, "--out", tmp_path / "out", cwd=tmp_path)
    # The small one is smaller than any network's input: its row carries a warning and its score.
    assert (made.returncode, made.stdout) == (0, b"")
    assert b"3 found = 3 scored + 0 not scored + 0 deferred" in made.stderr
    assert b"\x1b" not in made.stderr


def test_some_not_scored(films: Path, tiny: Path, tmp_path: Path) -> None:
    (films / "empty.png").touch()
    made = cxr_edge(*SCORE, films, "--model", tiny, "--out", tmp_path / "out", "-q")
    assert (made.returncode, made.stderr) == (3, b"")


def test_usage() -> None:
    made = cxr_edge("score")
    assert (made.returncode, made.stdout) == (2, b"")
    assert made.stderr == b"error: give INPUTs or --files-from, one of the two\n"


def test_refused(films: Path, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "model", content=lambda content: content[:100])
    made = cxr_edge(*SCORE, films, "--model", model, "--out", tmp_path / "out")
    assert (made.returncode, made.stdout) == (4, b"")
    assert made.stderr == b"error: the file is not an ONNX model\n"


def test_no_report(films: Path, tiny: Path) -> None:
    made = cxr_edge(*SCORE, films, "--model", tiny, "--out", "/proc/report")
    assert (made.returncode, made.stdout) == (1, b"")
    assert made.stderr.startswith(b"error: no report can be written into /proc: ")


def interrupted(arguments: list[str], number: int, pipe: Path) -> tuple[int, bytes, bytes]:
    """Send a signal while the command waits for the list of files that comes through a pipe."""
    command = [str(BINARY), *arguments, "--files-from", str(pipe)]
    # A signal that comes while the pipe is being opened leaves it to the garbage collector.
    env = environment(PYTHONWARNINGS="error,ignore::ResourceWarning")

    def listen() -> None:
        # A test run in the background of a shell ignores SIGINT, and hands that on.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, preexec_fn=listen
    ) as process:
        with pipe.open("wb"):  # opens when the command has opened its end
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (signal.SIGINT, 130, b"error: interrupted; safe to run again"),
        (signal.SIGTERM, 143, b"error: terminated; safe to run again"),
    ],
    ids=["SIGINT", "SIGTERM"],
)
def test_signal(number: int, code: int, text: bytes, tiny: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list")
    arguments = ["score", "--model", str(tiny), "--out", str(tmp_path / "out")]
    made = interrupted(arguments, number, tmp_path / "list")
    assert (made[0], made[1], made[2].strip()) == (code, b"", text)
    assert names_in(tmp_path) == ["list"]


LOCALES = {
    "C": {"LC_ALL": "C"},
    "C without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8, strict streams": {"PYTHONIOENCODING": "utf-8:strict"},
    "German": {"LC_ALL": "de_DE.UTF-8"},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8"},
}


@pytest.fixture(scope="module")
def reference(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    """Films with names of all kinds, and CSV and HTML rows of them in the plain UTF-8 locale."""
    folder = tmp_path_factory.mktemp("names")
    for name in (
        "Größe.png",
        "I.png",
        "\N{LATIN SMALL LETTER DOTLESS I}.png",
        "胸部.png",
        os.fsdecode(b"latin\xff.png"),
    ):
        (folder / name).write_bytes(png(chest()))
        os.utime(folder / name, (0, 0))
    out = tmp_path_factory.mktemp("out") / "report"
    env = environment(XDG_STATE_HOME=str(tmp_path_factory.mktemp("state")))
    assert cxr_edge(*SCORE, folder, "--model", tiny, "--out", out, env=env).returncode == 0
    return folder, *csv_and_rows(out)


def csv_and_rows(out: Path) -> tuple[bytes, bytes]:
    page = (out / "triage.html").read_bytes()
    return (out / "triage.csv").read_bytes(), page[page.index(b'<section class="band"') :]


@pytest.mark.parametrize("way", ["folder", "list"])
@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
def test_report_does_not_depend_on_the_locale(
    locale: dict[str, str],
    way: str,
    reference: tuple[Path, bytes, bytes],
    tiny: Path,
    tmp_path: Path,
) -> None:
    folder, *expected = reference
    names = b"\n".join(os.fsencode(name) for name in sorted(os.listdir(folder)))  # noqa: PTH208
    inputs = ["."] if way == "folder" else ["--files-from", "-"]
    made = cxr_edge(
        *SCORE,
        *inputs,
        "--model",
        tiny,
        "--out",
        tmp_path / "out",
        cwd=folder,
        input=names,
        env=environment(**locale),
    )
    assert made.returncode == 0, made.stderr.decode()
    assert list(csv_and_rows(tmp_path / "out")) == expected


def on_a_terminal(*arguments: object, **more: str) -> bytes:
    """What a person sees: both streams on a pseudo-terminal."""
    ours, theirs = pty.openpty()
    command = [str(BINARY), *map(str, arguments)]
    env = environment(TERM="xterm-256color", **more)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        process.wait(timeout=60)
    return seen


def test_a_terminal_that_closes_stops_the_run(films: Path, tiny: Path, tmp_path: Path) -> None:
    """While the bar is shown: nobody reads on, and what is scored is safe."""

    def at_the_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A test run under nohup ignores it, and hands that on.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    ours, theirs = pty.openpty()
    state = tmp_path / "state"
    command = [str(BINARY), "score", str(films), "--model", str(tiny), "--state", str(state)]
    with subprocess.Popen(
        [*command, "--settle", "3600", "--out", str(tmp_path / "out")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color"),
        start_new_session=True,
        preexec_fn=at_the_terminal,
    ) as process:
        os.close(theirs)
        seen = b""
        while b"waiting" not in seen:
            seen += os.read(ours, 4096)
        os.close(ours)
        try:
            assert process.wait(timeout=60) == 129
        finally:
            process.kill()
    assert not (tmp_path / "out").exists()


def test_errors_are_red_on_a_terminal() -> None:
    assert b"\x1b[31merror: " in on_a_terminal("score")


@pytest.mark.parametrize("command", ["error", "score", "doctor"])
def test_no_color_is_honoured(command: str, films: Path, tiny: Path, tmp_path: Path) -> None:
    shutil.copy(tiny, tmp_path / "broken.onnx")
    arguments = {
        "error": ["score"],
        "score": [*SCORE, films, "--model", tiny, "--out", tmp_path / "out"],
        "doctor": ["doctor", "--device", "cuda"],
    }
    seen = on_a_terminal(*arguments[command], NO_COLOR="1")
    assert seen
    assert b"\x1b[3" not in seen, "a colour"


def test_scores_survive_a_reader_that_leaves(films: Path, tiny: Path, tmp_path: Path) -> None:
    """`cxr-edge score --jsonl | head -0`: no traceback, and the report is there."""
    ours, theirs = os.pipe()
    os.close(ours)
    made = subprocess.run(
        [str(BINARY), *SCORE, films, "--model", tiny, "--out", tmp_path / "out", "--jsonl", "-q"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=60,
    )
    os.close(theirs)
    assert b"Traceback" not in made.stderr
    assert len(names_in(tmp_path / "out")) == 3


def test_a_reader_that_stops_early_costs_nothing(tmp_path: Path) -> None:
    many = write_tree(tmp_path / "in", {f"{i}.png": b"" for i in range(3000)})
    out = tmp_path / "out"
    command = [str(BINARY), *SCORE, str(many), "--out", str(out), "--jsonl", "-q"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("no pipes")
        first = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert first.startswith(b'{"rank": 1,')
    assert (process.returncode, said) == (3, b"")
    assert len((out / "triage.csv").read_text().splitlines()) == 3001


def test_a_full_disk_behind_stdout_is_said_and_the_report_is_there(
    films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Path("/dev/full").open("wb") as full:
        command = [str(BINARY), *SCORE, str(films), "--out", str(out), "--jsonl", "-q"]
        made = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert made.returncode == 1
    assert made.stderr.decode() == (
        "error: the rows could not be written to stdout: No space left on device\n"
        f"  tip: the report itself is complete: {out}\n"
    )
    assert names_in(out) == ["run.json", "triage.csv", "triage.html"]


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def left() -> int:
    """A pipe whose reader has gone."""
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


@pytest.mark.parametrize("opened", [full, left])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("score", "in", "--settle", "0", "--out", "out"), 3), (("score", "nosuch"), 2)],
    ids=["a night", "usage"],
)
def test_a_log_that_cannot_be_written_changes_nothing(
    opened: Callable[[], int], arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    """A full disk under the log, or `2>&1 | head`; enough files for several lines of progress."""
    write_tree(tmp_path / "in", {f"{i}.png": b"" for i in range(1100)})
    log = opened()
    command = [str(BINARY), *arguments, "--model", "cnn3_50"]
    env = environment()
    made = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, env=env, check=False
    )
    os.close(log)
    assert (made.returncode, made.stdout) == (code, b"")
    if code == 3:
        rows = (tmp_path / "out" / "triage.csv").read_text().splitlines()
        assert len(rows) == 1101


@pytest.mark.parametrize("command", ["models", "doctor"])
def test_a_full_disk_behind_what_was_asked_for_is_one_line(command: str) -> None:
    arguments = [command, *(["list"] if command == "models" else [])]
    out = full()
    made = subprocess.run(
        [str(BINARY), *arguments],
        stdout=out,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(out)
    assert made.returncode == 1
    assert made.stderr == b"error: the output cannot be written: No space left on device\n"


def test_a_folder_without_files_is_said_even_when_quiet(tmp_path: Path) -> None:
    (tmp_path / "unmounted").mkdir()
    made = cxr_edge("score", tmp_path / "unmounted", "--out", tmp_path / "out", "-q")
    assert made.returncode == 0
    assert made.stderr.startswith(b"warning: no file was found\n")


def test_an_unset_variable_does_not_score_the_current_folder(tmp_path: Path) -> None:
    made = cxr_edge("score", "", "--out", tmp_path / "out", cwd=tmp_path)
    assert made.returncode == 2
    assert made.stderr.startswith(b"error: an INPUT is an empty string\n")


def test_runs_in_one_second_have_a_report_each(films: Path, tmp_path: Path) -> None:
    """By default each goes into its own new folder, also when they run side by side."""
    runs = [
        subprocess.Popen(
            [str(BINARY), *SCORE, str(films), "-q", "--state", str(tmp_path / f"state-{number}")],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
        )
        for number in range(3)
    ]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert ([run.returncode for run in runs], said) == ([0, 0, 0], [b"", b"", b""])
    assert len(names_in(tmp_path / "reports")) == 3


def test_two_jobs_on_one_folder(films: Path, tiny: Path, tmp_path: Path) -> None:
    """One runs; the other says at once which process it would have to wait for."""
    command = ["score", "--settle", "60", str(films), "--model", str(tiny)]
    with subprocess.Popen(
        [str(BINARY), *command], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE
    ) as first:
        until_it_waits(first)
        second = cxr_edge(*command, cwd=tmp_path)
        first.terminate()
        first.communicate(timeout=60)
    assert (second.returncode, second.stdout) == (75, b"")
    assert f": process {first.pid} on ".encode() in second.stderr
    assert b"tip: wait for it, or give this run its own --state" in second.stderr


def until_it_waits(process: subprocess.Popen[bytes]) -> None:
    """Until it says that it waits for files to settle."""
    if process.stderr is None:
        raise RuntimeError("no pipe")
    said = process.stderr.readline()
    # A busy machine has taken some of the 60 s by then.
    assert re.match(rb"waiting [3-6]\d s for 3 files to settle", said), said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_in_the_middle_costs_nothing(
    number: int, code: int, films: Path, tiny: Path, tmp_path: Path
) -> None:
    """The whole process group gets it, as from a terminal; the same command goes on."""
    out = tmp_path / "out"
    arguments = [str(films), "--model", str(tiny), "--out", str(out)]
    with subprocess.Popen(
        [str(BINARY), "score", "--settle", "60", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        until_it_waits(process)
        os.killpg(process.pid, number)
        said, err = process.communicate(timeout=60)
    assert (process.returncode, said) == (code, b""), err.decode()
    assert err.decode() == (
        "error: stopping after this batch\n"
        "  tip: once more to stop at once\n"
        "error: stopped by a signal; 3 files of this run are safe\n"
        "  tip: the same command goes on from here\n"
    )
    assert not out.exists()
    assert cxr_edge(*SCORE, *arguments, "-q").returncode == 0
    assert len(names_in(out)) == 3


def test_a_run_that_is_killed_goes_on(films: Path, tiny: Path, tmp_path: Path) -> None:
    """kill -9: no lock, no process and no half report stays behind."""
    out = tmp_path / "out"
    arguments = [str(films), "--model", str(tiny), "--out", str(out)]
    with subprocess.Popen(
        [str(BINARY), "score", "--settle", "60", *arguments],
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        until_it_waits(process)
        process.kill()
    made = cxr_edge(*SCORE, *arguments, "-q")
    assert (made.returncode, made.stderr) == (0, b"")
    assert names_in(tmp_path) == ["in", "out"]
