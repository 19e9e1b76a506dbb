"""`cxr-edge score` night after night: state, resuming, settling, stopping, identifiers."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from cxr_edge.cli.score import score
from cxr_edge.decoders.pool import Workers
from cxr_edge.errors import ReportError
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.state import held
from cxr_edge.runtime.onnx import OnnxRunner
from cxr_edge.scoring import delivery, night
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, is_night_line
from tests.factories import chest, names_in, raising, write_tree
from tests.images.films import png

INCOMING = Path(__file__).parent.parent / "data/incoming"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Five films of different bytes and one file that is none."""
    tree = {f"{number}.png": png(chest(tilt=40 * number - 80)) for number in range(5)}
    return write_tree(tmp_path / "in", {**tree, "notes.txt": b"\0hello"})


def test_the_second_night_asks_the_network_for_new_films_alone(
    run: Run, films: Path, tiny: Path, tmp_path: Path, batch_sizes: list[int]
) -> None:
    one, two, three = (tmp_path / f"out-{number}" for number in range(3))
    assert run("score", films, "--model", tiny, "--out", one, "-q").code == 3
    assert run("score", films, "--model", tiny, "--out", two, "-q").code == 3
    write_tree(films, {"new.png": png(chest(tilt=5))})
    run("score", films, "--model", tiny, "--out", three, "-q")
    self_test = batch_sizes[0]
    assert batch_sizes == [self_test, 5, self_test, self_test, 1]
    assert [{**row, "new": "false"} for row in csv_rows(one)] == csv_rows(two)
    assert len(csv_rows(three)) == 7


def test_rows_of_an_earlier_run_are_counted(run: Run, tiny: Path, tmp_path: Path) -> None:
    """All but those that may be whole by now, and young ones."""
    damaged = 2
    for number, told in enumerate((0, len(names_in(INCOMING)) - damaged)):
        out = tmp_path / str(number)
        made = run("score", INCOMING, "--model", tiny, "--out", out)
        line = f"\n{told} files unchanged since an earlier run: their rows were taken from it\n"
        assert (line in made.err) == bool(told)
        assert json.loads((out / "run.json").read_text())["recalled"] == told


CHANGES = {
    "another threshold": (["--threshold", "0.9"], False),
    "other batches": (["--batch-size", "2", "--workers", "1"], False),
    "other fields of the header": (["--identify", "--id-tag", "PatientID"], False),
    "another ledger": (["--state", "elsewhere"], True),
}


@pytest.mark.parametrize(("options", "again"), CHANGES.values(), ids=CHANGES)
def test_what_makes_scores_be_computed_again(
    options: list[str],
    again: bool,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    batch_sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run("score", films, "--model", tiny, "--out", "one", "-q")
    batch_sizes.clear()
    run("score", films, "--model", tiny, "--out", "two", "-q", *options)
    assert batch_sizes[1:] == ([5] if again else [])


def test_each_set_of_inputs_has_a_ledger_by_default(
    run: Run, films: Path, tiny: Path, tmp_path: Path, own_state: Path
) -> None:
    write_tree(tmp_path / "more", {"a.png": png(chest())})
    for number, inputs in enumerate(([films], [films], [films, tmp_path / "more"])):
        out = tmp_path / f"out-{number}"
        run("score", *inputs, "--model", tiny, "--out", out, "-q")
    assert len(names_in(own_state)) == 2
    modes = {path.stat().st_mode & 0o77 for path in own_state.rglob("*")}
    assert modes == {0}


def test_state_folder_of_one_s_own(
    run: Run, films: Path, tiny: Path, tmp_path: Path, own_state: Path
) -> None:
    state = tmp_path / "new" / "state"
    run("score", films, "--model", tiny, "--out", tmp_path / "out", "-q", "--state", state)
    assert LEDGER_NAME in names_in(state)
    assert not own_state.exists()


@pytest.mark.parametrize("where", ["in/state", "in", "link/state", "in/sub/../state"])
def test_a_state_folder_inside_an_input_is_refused(
    where: str, run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files would be rows, and the ledger would never be quiet."""
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("in")
    before = names_in(films)
    made = run("score", "in", "--model", tiny, "--state", where, "--out", "out")
    assert (made.code, made.out) == (2, "")
    assert re.search("error: the state folder .* lies inside an INPUT\n", made.err)
    assert (names_in(films), Path("out").exists()) == (before, False)


def test_a_state_folder_that_another_run_holds(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before the model is loaded or a film is looked for."""
    monkeypatch.setattr(OnnxRunner, "predict", raising(AssertionError("loaded")))
    state, out = tmp_path / "state", tmp_path / "out"
    with held(state, ["cxr-edge", "score"]):
        made = run("score", films, "--model", tiny, "--state", state, "--out", out)
    assert (made.code, made.out) == (75, "")
    assert made.err.startswith(f"error: another run holds {state}: process {os.getpid()} on ")
    assert not out.exists()


def test_a_damaged_ledger_is_said_even_when_quiet(
    run: Run, films: Path, tiny: Path, tmp_path: Path, batch_sizes: list[int]
) -> None:
    """The run goes on with a new one, and the damaged one is kept."""
    state, out = tmp_path / "state", tmp_path / "out"
    write_tree(state, {LEDGER_NAME: b"rubbish" * 1000})
    made = run("score", films, "--model", tiny, "--state", state, "--out", out, "-q")
    assert made.code == 3
    assert made.err.startswith(f"warning: the ledger was damaged and is set aside: {state}/")
    _, tip, line = made.err.splitlines(keepends=True)
    assert (tip, is_night_line(line)) == ("  tip: check the disk; this run goes on\n", True)
    (aside,) = (name for name in names_in(state) if ".damaged-" in name)
    assert (state / aside).read_bytes() == b"rubbish" * 1000
    assert batch_sizes[1:] == [5]
    assert run("score", films, "--model", tiny, "--state", state, "--out", out, "-q").code == 2
    again = run("score", films, "--model", tiny, "--state", state, "--out", tmp_path / "2", "-q")
    assert (again.code, is_night_line(again.err)) == (3, True)


def test_a_signal_while_scoring(
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is in the network is recorded, the next run goes on, and the rows are the same.

    The third batch may be there already when the main thread hears of it, and so may the file that
    has no score.
    """
    real, sizes = OnnxRunner.predict, []

    def predict(self: OnnxRunner, images: Any) -> Any:
        sizes.append(len(images))
        if len(sizes) == 3:  # the second batch after the self-test
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, images)

    monkeypatch.setattr(OnnxRunner, "predict", predict)
    options = ["--model", tiny, "--batch-size", "2", "--workers", "1"]
    made = run("score", films, *options, "--out", tmp_path / "out")
    assert (made.code, made.out) == (143, "")
    assert sizes[1:] in ([2, 2], [2, 2, 1])
    scored = sum(sizes[1:])
    assert made.err in [
        f"error: stopped by a signal; {safe} files of this run are safe\n"
        "  tip: the same command goes on from here\n"
        for safe in (scored, scored + 1)
    ]
    assert names_in(tmp_path) == ["in"]
    assert run("score", films, *options, "--out", tmp_path / "out", "-q").code == 3
    assert sum(sizes[1:]) - sizes[0] == 5
    fresh = tmp_path / "fresh"
    run("score", films, *options, "--out", fresh, "-q", "--state", tmp_path / "state")
    assert (tmp_path / "out/triage.csv").read_bytes() == (fresh / "triage.csv").read_bytes()


def test_young_files_are_waited_for(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (films / "0.png").touch()
    made = run("score", films, "--model", tiny, "--out", out, "--settle", "1")
    assert made.code == 3
    assert re.search(
        r"^waiting 1 s for [1-6] files to settle \(--settle 0 trusts them\)$",
        made.err,
        re.MULTILINE,
    )
    assert {row["status"] for row in csv_rows(out)} == {"scored", "not_scored"}


def test_files_are_waited_for_ten_seconds_by_default() -> None:
    defaults = {parameter.name: parameter.default for parameter in score.params}
    assert defaults["settle"] == 10.0


def test_the_way_to_the_scores_names_the_state(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ReportError("the report could not be written: No space left on device")

    state = tmp_path / "state"
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "write_report", full)
        made = run("score", films, "--model", tiny, "--out", tmp_path / "out", "--state", state)
    assert made.code == 1
    (again,) = re.findall(r"tip: the scores are safe: cxr-edge (.*) --out NEW", made.err)
    assert run(*again.split(), "--out", tmp_path / "new", "-q").code == 3


def test_settle_must_be_a_number(run: Run, films: Path, tiny: Path) -> None:
    made = run("score", films, "--model", tiny, "--settle", "nan")
    assert (made.code, made.err) == (2, "error: settle must be a number of seconds: nan\n")


def test_state_inside_the_report_is_refused(
    run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "--state", out / "state")
    assert (made.code, "--state lies inside --out" in made.err) == (2, True)
    assert not out.exists()


def test_a_list_from_a_stream_that_cron_has_closed(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = night._files

    def closed(*arguments: Any) -> Any:
        monkeypatch.setattr(sys, "stdin", None)
        return real(*arguments)

    monkeypatch.setattr(night, "_files", closed)
    made = run("score", "--files-from", "-", "--model", tiny, "--out", tmp_path / "out")
    assert (made.code, made.err) == (2, "error: --files-from - needs an open stdin\n")


def test_what_cannot_be_read_is_left_to_the_run() -> None:
    """Click would end the run over one file among the INPUTs."""
    (inputs,) = (each for each in score.params if each.name == "inputs")
    assert isinstance(inputs.type, click.Path) and not inputs.type.readable


def test_a_second_report_never_takes_the_place_of_the_first(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs with the same --out: one that came later while this one was scoring."""
    out = tmp_path / "out"
    real = Workers.prepare

    def meanwhile(self: Workers, *arguments: Any) -> Any:
        write_tree(out, {"triage.csv": b"of another run"})
        return real(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Workers, "prepare", meanwhile)
        made = run("score", films, "--model", tiny, "--out", out)
    assert (made.code, made.out) == (1, "")
    assert names_in(out) == ["triage.csv"]
    (name,) = re.findall(r"tip: the scores are safe: cxr-edge report (\S+) --out NEW", made.err)
    assert run("report", name, "--out", tmp_path / "new").code == 3
    assert len(csv_rows(tmp_path / "new")) == 6


def test_system_folders_are_left_out_and_counted(
    run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    preview = films / "@eaDir" / "a.png" / "SYNOPHOTO_THUMB_XL.jpg"
    preview.parent.mkdir(parents=True)
    preview.write_bytes(b"a preview")
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out)
    assert "left out: 1 files in system folders" in made.err
    values = json.loads((out / "run.json").read_text())
    assert values["counts"]["left_out"] == 1
    assert "@eaDir" not in (out / "triage.csv").read_text()
