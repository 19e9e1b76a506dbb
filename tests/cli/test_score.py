"""`cxr-edge score`, from the command line to the report."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxr_edge.model.catalog import choose_model
from cxr_edge.report.context import BANNER
from cxr_edge.scoring import pipeline
from cxr_edge.scoring.job import DEFAULT_MODEL, ScoreJob
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import (
    bundled_choices,
    chest,
    file_name,
    names_in,
    write_tree,
)
from tests.images.films import jpeg, png

INCOMING = Path(__file__).parent.parent / "data/incoming"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "3"], "note: 3 workers on 2 usable cores\n"),
        (["--workers", "2"], ""),
    ],
    ids=["more", "as many"],
)
def test_more_workers_than_cores_are_noted(
    options: list[str],
    said: str,
    run: Run,
    films: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 2)
    made = run("score", films, "--model", tiny, "--out", films.parent / "out", *options)
    assert made.code == 0
    assert "".join(re.findall("note: .*\n", made.err)) == said


def test_quiet_run(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--out", out, "-q")
    assert (made.code, made.out, made.err) == (0, "", "")
    assert names_in(out) == ["run.json", "triage.csv", "triage.html"]
    assert [row["path"] for row in csv_rows(out)] == ["bright.png", "sub/film.jpg", "wide.tif"]
    assert [row["band"] for row in csv_rows(out)] == ["flagged", "unflagged", "unflagged"]


def test_usual_run_talks_on_stderr(run: Run, mixed: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("score", mixed, "--model", tiny, "--out", out)
    assert (made.code, made.out) == (3, "")
    lines = [re.sub(r"[┃│|]", "", line).split() for line in made.err.splitlines()]
    table = [line for line in lines if line and line[0].isdigit()][:4]
    scores = {row["path"]: row["probability"] for row in csv_rows(out)}
    assert table == [
        ["1", "attention", "cut.jpg", "truncated"],
        ["2", "attention", "empty.png", "empty"],
        ["3", "attention", "notes.txt", "unrecognised"],
        ["4", "flagged", scores["bright.png"], "bright.png"],
    ]
    assert made.err.splitlines()[-4:] == [
        "tiny.onnx on cpu (auto), screening at 0.250000",
        "6 found = 3 scored + 3 not scored + 0 deferred",
        "6 found, 6 new, 3 need attention (truncated 1, empty 1, unrecognised 1), 1 flagged, "
        f"2 unflagged; report: {out / 'triage.html'}",
        BANNER,
    ]


def test_verbose_says_what_was_used(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    made = run("score", films, "--model", tiny, "--out", tmp_path / "out", "-v")
    assert re.search(
        r"^[\d.]+ s, \d+ files/s; cxr-edge \S+, "
        r"python \S+, numpy \S+, pillow \S+, .*, onnxruntime \S+$",
        made.err,
        re.MULTILINE,
    )


def test_run_json(run: Run, mixed: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("score", mixed, "--model", tiny, "--out", out, "-q", "--device", "auto")
    values = run_values(out)
    films = {"cpu": values["counts"]["scored"]}
    assert values["device"] == {"asked": "auto", "used": "cpu", "films": films}
    assert values["operating_point"] == {"name": "screening", "threshold": 0.25}
    assert values["model"]["file"] == "tiny.onnx"
    assert values["model"]["sha256"] == choose_model(str(tiny)).file.sha256
    assert values["counts"]["found"] == 6
    assert values["command"][:2] == ["cxr-edge", "score"]


def test_report_lands_in_reports_by_default(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("score", films, "--model", tiny, "-q").code == 0
    name, *beside = names_in(tmp_path / "reports")
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z", name)
    assert beside == ["index.html", "latest"]
    assert str((tmp_path / "reports/latest").readlink()) == name


def test_jsonl_is_the_csv_on_stdout(run: Run, mixed: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = run("score", mixed, "--model", tiny, "--out", out, "--jsonl")
    rows = [json.loads(line) for line in made.out.splitlines()]
    assert made.out.endswith("}\n")
    assert "found" in made.err

    def as_cell(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.6f}"
        if isinstance(value, bool):
            return str(value).lower()
        return ";".join(value) if isinstance(value, list) else str("" if value is None else value)

    how = {"run", "model", "model_version", "operating_point", "threshold"}
    cells = [{key: as_cell(value) for key, value in row.items() if key not in how} for row in rows]
    assert cells == csv_rows(out)
    assert {(row["run"], row["model"], row["threshold"]) for row in rows} == {
        (run_values(out)["run"], "tiny", 0.25)
    }
    assert {type(row["probability"]) for row in rows} == {float, type(None)}


def test_empty_folder(run: Run, tiny: Path, tmp_path: Path) -> None:
    """Said even when quiet: a share may not be mounted."""
    (tmp_path / "in").mkdir()
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "out", "-q")
    assert made.code == 0
    assert made.err.startswith("warning: no file was found")
    assert csv_rows(tmp_path / "out") == []


POINTS = {
    "default": ([], "screening", 0.25),
    "named": (["--operating-point", "balanced"], "balanced", 0.5),
    "by hand": (["--threshold", "0.9"], "custom", 0.9),
    "as many decimals as a score": (["--threshold", "0.12345678"], "custom", 0.123457),
}


@pytest.mark.parametrize(("options", "name", "threshold"), POINTS.values(), ids=POINTS)
def test_operating_point(
    options: list[str],
    name: str,
    threshold: float,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    run("score", films, "--model", tiny, "--out", out, "-q", *options)
    assert run_values(out)["operating_point"] == {"name": name, "threshold": threshold}
    for row in csv_rows(out):
        assert row["flagged"] == str(float(row["probability"]) >= threshold).lower()


def test_default_model() -> None:
    """It is a bundled name, and the help says so."""
    assert DEFAULT_MODEL == "cnn3_128"


def test_a_deleted_working_folder_costs_no_report(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    out, state = tmp_path / "out", tmp_path / "state"
    made = run("score", films, "--model", tiny, "--out", out, "--state", state, "-q")
    assert made.code == 0
    assert json.loads((out / "run.json").read_text())["directory"] == ""


def test_what_a_file_says_about_the_patient_goes_nowhere(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    secret = "DOE^JANE"
    text = PngInfo()
    text.add_text("PatientName", secret)
    exif = Image.Exif()
    exif[0x010E] = secret
    files = {
        "text.png": png(pnginfo=text),
        "exif.jpg": jpeg(exif=exif),
        "cut.jpg": jpeg(exif=exif)[:-2],
        "note.txt": f"patient: {secret}".encode(),
    }
    assert sum(secret.encode() in data for data in files.values()) == 4
    write_tree(tmp_path / "in", files)
    out = tmp_path / "out"
    made = run("score", tmp_path / "in", "--model", tiny, "--out", out, "-v", "--jsonl")
    written = [path.read_text() for path in out.iterdir()]
    assert not any(secret in text for text in (made.out, made.err, *written))


def test_names_are_no_markup(run: Run, tiny: Path, tmp_path: Path) -> None:
    write_tree(tmp_path / "in", {"[red]x[bold].jpg": png(), "a\x1b[31mb.txt": b"\0hello"})
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "out")
    assert "[red]x[bold].jpg" in made.err
    assert r"a\x1b[31mb.txt" in made.err
    assert "\x1b" not in made.err


def test_a_log_holds_whole_names(run: Run, tiny: Path, tmp_path: Path) -> None:
    """Whoever looks for a film there finds it, however wide the terminal was."""
    name = "/".join(number * 61 for number in "123")
    write_tree(tmp_path / "in", {name: png(chest(tilt=-100))})
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "out")
    assert name in made.err
    assert "remarks" not in made.err, "a column without a word in it"
    write_tree(tmp_path / "in", {f"{name}.jpg": png(size=(60, 400))})
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "warned")
    (line,) = (line for line in made.err.splitlines() if f"{name}.jpg" in line)
    assert "extension_mismatch" in line


def test_long_lists_are_cut_and_say_so(run: Run, tiny: Path, tmp_path: Path) -> None:
    write_tree(tmp_path / "in", {f"{number:02}.png": b"" for number in range(25)})
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "out")
    assert "... and 5 more that need attention or are flagged, see triage.html" in made.err
    assert "19.png" in made.err
    assert "20.png" not in made.err


@pytest.mark.parametrize(
    "choice",
    [choice for choice in bundled_choices() if choice.spec.name == "cnn3_50"],
    ids=file_name,
)
def test_same_bytes_whatever_the_batches_and_workers(choice: Any, run: Run, tmp_path: Path) -> None:
    """Real films and broken files, byte for byte; runtime/test_bundled batches every model."""
    names = sorted(path for path in INCOMING.iterdir())
    made = []
    for number, options in enumerate(([], ["--batch-size", "3", "--workers", "1"])):
        out = tmp_path / str(number)
        state = tmp_path / f"state-{number}"
        options = [*options, "--state", state, "--out", out, "-q"]
        assert run("score", INCOMING, "--model", choice.path, *options).code == 3
        made.append((out / "triage.csv").read_bytes())
    random.Random(1).shuffle(names)
    text = "\n".join(str(name) for name in names)
    run(
        "score",
        "--files-from",
        "-",
        "--model",
        choice.path,
        "--out",
        tmp_path / "list",
        "-q",
        stdin=text.encode(),
    )
    listed = (tmp_path / "list/triage.csv").read_bytes().replace(f"{INCOMING}/".encode(), b"")
    assert made[0] == made[1] == listed


def test_the_sample_has_four_files_that_are_no_films(run: Run, tmp_path: Path, tiny: Path) -> None:
    run("score", INCOMING, "--model", tiny, "--out", tmp_path / "out", "-q")
    reasons = {row["path"]: row["reason"] for row in csv_rows(tmp_path / "out") if row["reason"]}
    assert reasons == {
        "empty.png": "empty",
        "half-copied.jpeg": "truncated",
        "preallocated.jpeg": "truncated",
        "worklist.txt": "no_film",
    }


def test_the_job_is_one_field_per_option() -> None:
    """Those apart that say how the command talks, or what it writes besides."""
    from cxr_edge.cli.score import score as command

    options = {parameter.name for parameter in command.params} - {
        *("jsonl", "quiet", "verbose", "metrics", "config"),
        *("results", "sr", "secondary_capture", "key_object", "hl7"),
    }
    assert set(ScoreJob.__dataclass_fields__) == options | {"command", "results"}
