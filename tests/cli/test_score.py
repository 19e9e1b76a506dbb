"""`cxr-edge score`, from the command line to the report."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake import discover
from cxr_edge.model.catalog import choose_model
from cxr_edge.report.context import BANNER
from cxr_edge.scoring import pipeline
from cxr_edge.scoring.job import DEFAULT_MODEL, ScoreJob
from tests.cli.conftest import Run
from tests.factories import (
    bundled_choices,
    chest,
    file_name,
    in_12_bits,
    names_in,
    raising,
    write_tree,
)
from tests.images.films import jpeg, png, tiff
from tests.runtime.broken import BROKEN
from tests.tiny import write_tiny

INCOMING = Path(__file__).parent.parent / "data/incoming"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Three films: the first is flagged at either operating point or below, the others are not."""
    return write_tree(
        tmp_path / "in",
        {
            "bright.png": png(chest(tilt=-110)),
            "sub/film.jpg": jpeg(chest()),
            "wide.tif": tiff(in_12_bits(chest())),
        },
    )


@pytest.fixture
def mixed(films: Path) -> Path:
    """And three files that cannot."""
    return write_tree(films, {"cut.jpg": jpeg()[:500], "empty.png": b"", "notes.txt": b"hello"})


def csv_rows(out: Path) -> list[dict[str, str]]:
    with (out / "triage.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def run_values(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((out / "run.json").read_text())
    return values


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "3"], "note: 3 workers on 2 usable cores\n"),
        (["--workers", "2"], ""),
        ([], ""),
        (["--workers", "3", "-q"], ""),
    ],
    ids=["more", "as many", "by itself", "quiet"],
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
    assert made.err.splitlines()[-5:] == [
        "tiny.onnx on cpu (auto), screening at 0.250000",
        "6 found = 3 scored + 3 not scored + 0 deferred",
        "3 need attention, 1 flagged, 2 unflagged",
        f"report: {out / 'triage.html'}",
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
    (name,) = names_in(tmp_path / "reports")
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z", name)


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

    assert [{key: as_cell(value) for key, value in row.items()} for row in rows] == csv_rows(out)
    assert {type(row["probability"]) for row in rows} == {float, type(None)}


def test_empty_folder(run: Run, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "out")
    assert made.code == 0
    assert "0 found = 0 scored + 0 not scored + 0 deferred" in made.err
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


USAGE = {
    "no input": ([], "give INPUTs or --files-from, one of the two"),
    "input and list": (["in", "--files-from", "list"], "give INPUTs or --files-from"),
    "both thresholds": (
        ["in", "--threshold", "0.5", "--operating-point", "balanced"],
        "give one of --operating-point, --threshold and --site-profile",
    ),
    "threshold that rounds to 0": (
        ["in", "--threshold", "0.0000004"],
        "--threshold must lie between 0 and 1: 4e-07",
    ),
    "threshold 0": (["in", "--threshold", "0"], "--threshold must lie between 0 and 1: 0.0"),
    "threshold 1": (["in", "--threshold", "1"], "--threshold must lie between 0 and 1: 1.0"),
    "threshold NaN": (["in", "--threshold", "nan"], "--threshold must lie between 0 and 1: nan"),
    "threshold text": (["in", "--threshold", "high"], "not a valid float"),
    "unknown point": (
        ["in", "--operating-point", "rule-out"],
        "tiny has no operating point 'rule-out'\n  tip: it has: screening, balanced",
    ),
    "unknown device": (
        ["in", "--device", "tpu"],
        "error: unknown device 'tpu'\n  tip: use auto, cpu, cuda or cuda:N\n",
    ),
    "no index": (
        ["in", "--device", "cuda:x"],
        "error: unknown device 'cuda:x'\n  tip: use auto, cpu, cuda or cuda:N\n",
    ),
    "missing input": (["in", "nowhere"], "input does not exist: "),
    "missing list": (["--files-from", "nowhere"], "--files-from nowhere cannot be read: No such"),
    "no workers": (["in", "--workers", "0"], "0 is not in the range"),
    "negative workers": (
        ["in", "--workers", "-1"],
        "'--workers': -1 is not in the range 1<=x<=256",
    ),
    "huge workers": (
        ["in", "--workers", "9999"],
        "'--workers': 9999 is not in the range 1<=x<=256",
    ),
    "no batch": (
        ["in", "--batch-size", "0"],
        "Invalid value for '--batch-size': 0 is not in the range",
    ),
    "negative batch": (
        ["in", "--batch-size", "-3"],
        "'--batch-size': -3 is not in the range 1<=x<=256",
    ),
    "huge batch": (
        ["in", "--batch-size", "1000000000"],
        "1000000000 is not in the range 1<=x<=256",
    ),
    "half a batch": (["in", "--batch-size", "1.5"], "'1.5' is not a valid integer"),
    "report that exists": (["in", "--out", "in"], "in already exists\n  tip: a report is never"),
    "report among the films": (
        ["in", "--out", "in/sub/../report"],
        "error: the report folder in/sub/../report lies inside an INPUT\n"
        "  tip: give --out a folder outside of what is scored\n",
    ),
    "report among the films by default": (["."], "error: the report folder reports/"),
    "unknown option": (["in", "--sieve"], "No such option"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage_error(
    arguments: list[str],
    message: str,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("score", *arguments, "--model", tiny)
    assert (made.code, made.out) == (2, "")
    assert message in made.err
    assert names_in(tmp_path) == ["in"]


def test_default_model() -> None:
    """It is a bundled name, and the help says so."""
    assert DEFAULT_MODEL == "cnn3_128"


LISTS = {
    "lines": b"in/bright.png\nin/sub/film.jpg\n",
    "no last newline": b"in/bright.png\nin/sub/film.jpg",
    "empty lines": b"\n\nin/bright.png\n\nin/sub/film.jpg\n\n",
    "made on Windows": b"in/bright.png\r\nin/sub/film.jpg\r\n",
    "with a byte order mark": b"\xef\xbb\xbfin/bright.png\nin/sub/film.jpg\n",
    "made by find -print0": b"in/bright.png\0in/sub/film.jpg\0",
    "twice": b"in/bright.png\nin/sub/film.jpg\nin/bright.png\n",
}


@pytest.mark.parametrize("source", ["-", "list"])
@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_files_from(
    text: bytes,
    source: str,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list").write_bytes(text)
    made = run("score", "--files-from", source, "--model", tiny, "--out", "out", "-q", stdin=text)
    assert made.code == 0
    assert {row["path"] for row in csv_rows(Path("out"))} == {"in/bright.png", "in/sub/film.jpg"}


def test_files_from_takes_any_name(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [b"Gr\xc3\xb6\xc3\x9fe.png", b"latin\xff.png", b" space.png", b"nowhere.png"]
    for name in names[:3]:
        Path(os.fsdecode(name)).write_bytes(png())
    text = b"\n".join(names)
    made = run("score", "--files-from", "-", "--model", tiny, "--out", "out", "-q", stdin=text)
    assert made.code == 3
    assert {row["path"]: row["reason"] for row in csv_rows(Path("out"))} == {
        "Größe.png": "",
        r"latin\udcff.png": "",
        " space.png": "",
        "nowhere.png": "missing",
    }


def test_a_list_ended_by_null_bytes_takes_line_ends(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a\nb.png").write_bytes(png())
    asked = ("score", "--files-from", "-", "--model", tiny, "--out", "out", "-q")
    made = run(*asked, stdin=b"a\nb.png\0")
    assert made.code == 0
    assert [row["path"] for row in csv_rows(Path("out"))] == [r"a\nb.png"]


def test_lists_of_a_folder_share_its_ledger(
    run: Run,
    films: Path,
    tiny: Path,
    own_state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tonight's list has another name than last night's, and the same films."""
    monkeypatch.chdir(tmp_path)
    for night in ("2026-11-29", "2026-11-30"):
        Path(night).write_bytes(b"in/bright.png\n")
        run("score", "--files-from", night, "--model", tiny, "--out", f"{night}.out", "-q")
    assert len(names_in(own_state)) == 1


HALF_LISTS = {
    "a tail of zeros": (b"in/bright.png\n" + bytes(64), "has null bytes in a row"),
    "an empty name": (b"in/bright.png\0\0in/sub/film.jpg\0", "has null bytes in a row"),
    "from PowerShell": ("in/bright.png\r\n".encode("utf-16"), "is UTF-16"),
}


@pytest.mark.parametrize(("text", "message"), HALF_LISTS.values(), ids=HALF_LISTS)
def test_a_list_that_cannot_be_meant(
    text: bytes, message: str, run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    made = run("score", "--files-from", "-", "--model", tiny, "--out", tmp_path / "out", stdin=text)
    assert made.code == 2
    assert made.err.startswith(f"error: --files-from - {message}\n  tip: ")
    assert not (tmp_path / "out").exists()


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


def must_not_happen(*_: Any) -> NoReturn:
    pytest.fail("a film was looked for")


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_model_is_refused_before_any_film(
    changes: dict[str, Any],
    message: str,
    run: Run,
    films: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discover, "_walk", must_not_happen)
    monkeypatch.setattr(Workers, "prepare", must_not_happen)
    path = write_tiny(tmp_path / "model", **changes)
    made = run("score", films, "--model", path, "--out", tmp_path / "out")
    assert (made.code, made.out) == (4, "")
    assert re.match(f"error: .*({message})", made.err)
    assert names_in(tmp_path) == ["in", "model"]


REFUSED = {
    "no such model": ("nothing", "error: no model 'nothing'\n  tip: bundled: "),
    "keras": (
        "net.keras",
        "error: net.keras is neither .onnx nor .tflite\n  tip: give the .onnx or .tflite beside it",
    ),
    "no spec": ("alone.onnx", "error: alone.onnx has no spec alone.json beside it\n  tip: "),
    "no GPU": ("tiny.onnx", "error: cuda:0 was asked for"),
}


@pytest.mark.parametrize(("model", "message"), REFUSED.values(), ids=REFUSED)
def test_model_or_device_is_refused(
    model: str,
    message: str,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discover, "_walk", must_not_happen)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.chdir(tmp_path)
    for name in ("net.keras", "alone.onnx"):
        Path(name).write_bytes(b"x")
    for suffix in (".onnx", ".json"):
        shutil.copy(tiny.with_suffix(suffix), ".")
    made = run("score", films, "--model", model, "--device", "cuda")
    assert made.code == 4
    assert made.err.startswith(message)
    assert not Path("reports").exists()


def test_missing_library_names_its_extra(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cxr_edge.runtime.onnx", None)
    made = run("score", films, "--model", tiny, "--out", tmp_path / "out")
    assert (made.code, made.err) == (
        2,
        "error: the library that runs .onnx models is not installed\n"
        "  tip: install its extra: pip install 'PATH[cpu]', "
        "PATH being the wheel or checkout of cxr-edge\n",
    )


def test_report_that_cannot_be_written(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "rename", raising(OSError(28, "No space left on device")))
    made = run("score", films, "--model", tiny, "--out", tmp_path / "out")
    assert (made.code, made.out) == (1, "")
    assert made.err.startswith("error: the report could not be written to ")
    assert names_in(tmp_path) == ["in"]


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
    write_tree(tmp_path / "in", {"[red]x[bold].jpg": png(), "a\x1b[31mb.txt": b"hello"})
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


@pytest.mark.parametrize("choice", bundled_choices(), ids=file_name)
def test_same_bytes_whatever_the_batches_and_workers(choice: Any, run: Run, tmp_path: Path) -> None:
    """Real films and broken files; `triage.csv` byte for byte."""
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
        "worklist.txt": "unrecognised",
    }


def test_the_job_is_one_field_per_option() -> None:
    """Those apart that say how the command talks."""
    from cxr_edge.cli.score import score as command

    options = {parameter.name for parameter in command.params} - {"jsonl", "quiet", "verbose"}
    assert set(ScoreJob.__dataclass_fields__) == options | {"command"}
