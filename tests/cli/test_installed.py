"""The installed `cxr-edge`, as cron runs it: real processes, real streams, real signals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.installed import (
    BINARY,
    SCORE,
    cxr_edge,
    environment,
    installed,
)
from tests.factories import chest, names_in
from tests.images.films import png

pytestmark = installed


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


LOCALES = {
    "C without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8, strict streams": {"PYTHONIOENCODING": "utf-8:strict"},
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
    rows = page[page.index(b'<section class="band"') : page.index(b'<section id="about"')]
    return (out / "triage.csv").read_bytes(), rows


@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES)
def test_names_in_a_list_do_not_depend_on_the_locale(
    locale: dict[str, str],
    reference: tuple[Path, bytes, bytes],
    tiny: Path,
    tmp_path: Path,
) -> None:
    """`faults/test_locale_clock` reads folders, in real locales."""
    folder, *expected = reference
    names = b"\n".join(os.fsencode(name) for name in sorted(os.listdir(folder)))  # noqa: PTH208
    made = cxr_edge(
        *(*SCORE, "--files-from", "-", "--model", tiny, "--out", tmp_path / "out"),
        cwd=folder,
        input=names,
        env=environment(**locale),
    )
    assert made.returncode == 0, made.stderr.decode()
    assert list(csv_and_rows(tmp_path / "out")) == expected


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
    *reports, page, latest = names_in(tmp_path / "reports")
    assert (len(reports), page, latest) == (3, "index.html", "latest")
