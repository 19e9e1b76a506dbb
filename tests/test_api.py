"""The Python API: what it offers, one film, a folder, and the examples of its page."""

from __future__ import annotations

import gc
import hashlib
import logging
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxr_edge
from cxr_edge import api
from cxr_edge.cli.commands import cli
from cxr_edge.decoders.pool import Workers
from cxr_edge.types import InputWarning, Url
from tests.cli.reports import csv_rows
from tests.factories import chest, names_in, raising, write_tree
from tests.images import dicoms
from tests.images.films import jpeg, png

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
FILMS = {"a.jpg": jpeg(chest()), "b.png": png(chest(tilt=20)), "c.dcm": dicoms.film()}


@pytest.fixture
def model(tiny: Path) -> Iterator[cxr_edge.Model]:
    with cxr_edge.load_model(tiny) as loaded:
        yield loaded


@pytest.fixture
def films(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", FILMS)


def test_what_is_offered_is_exact() -> None:
    assert cxr_edge.__all__ == sorted({*api.__all__, "__version__"})
    assert all(getattr(cxr_edge, name) is getattr(api, name) for name in api.__all__)
    assert [name for name in dir(cxr_edge) if not name.startswith("__")] == sorted(
        set(cxr_edge.__all__) - {"__version__"}
    )
    assert "__version__" in dir(cxr_edge)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        cxr_edge.nonsense  # noqa: B018
    errors = {name for name in api.__all__ if name.endswith("Error")}
    assert all(issubclass(getattr(api, name), cxr_edge.CxrEdgeError) for name in errors)


def test_the_page_lists_the_errors() -> None:
    listed = set(
        re.findall(r"`(\w+Error)`", PAGE.read_text(encoding="utf-8").split("## Errors")[1])
    )
    assert listed == {name for name in api.__all__ if name.endswith("Error")}


def test_the_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path, {"film.dcm": dicoms.film(), "report.txt": b"no film"})
    write_tree(tmp_path / "incoming", FILMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(api.score_folder.__kwdefaults__ or {}, "settle", 0.0)
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert len(EXAMPLES) == 6
    assert printed[0].startswith(f"{names['score'].probability:.6f} ")
    assert "not scored: no_film" in printed
    assert "3 of 3" in printed
    assert names_in(tmp_path / "report") == ["run.json", "triage.csv", "triage.html"]


def test_one_film_is_scored_as_a_night_scores_it(
    model: cxr_edge.Model, films: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    cli.main(
        ["score", str(films), "--model", str(tiny), "--settle", "0", "--out", str(out), "-q"],
        standalone_mode=False,
    )
    rows = csv_rows(out)
    assert len(rows) == len(FILMS)
    for row in rows:
        for film in (films / row["path"], str(films / row["path"]), FILMS[row["path"]]):
            score = model.score(film)
            assert f"{score.probability:.6f}" == row["probability"]
            assert str(score.flagged).lower() == row["flagged"]
            assert (score.band, score.sha256, score.format) == (
                row["band"],
                row["sha256"],
                row["format"],
            )
            assert ";".join(score.warnings) == row["warnings"]


def test_evidence_and_bias_are_the_logit(model: cxr_edge.Model) -> None:
    score = model.score(FILMS["a.jpg"])
    logit = float(score.evidence.sum()) + score.bias
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(score.probability, abs=1e-6)


def test_an_array_is_a_film_without_a_header(model: cxr_edge.Model) -> None:
    pixels = chest(480, 640)
    array, file = model.score(pixels), model.score(png(pixels))
    assert (array.probability, array.warnings) == (file.probability, file.warnings)
    assert (array.width, array.height, array.format, array.sha256) == (640, 480, "array", "")


NO_FILMS = {
    "floats": chest().astype(np.float32),
    "colours": np.zeros((8, 8, 3), np.uint8),
    "nothing": np.zeros((0, 8), np.uint8),
}


@pytest.mark.parametrize("pixels", NO_FILMS.values(), ids=NO_FILMS)
def test_other_arrays_are_refused(pixels: Any, model: cxr_edge.Model) -> None:
    with pytest.raises(cxr_edge.InputError, match=r"a film is uint8 \[H, W\]"):
        model.score(pixels)


def test_gates_are_asked(model: cxr_edge.Model) -> None:
    adult = model.score(dicoms.film(PatientAge="045Y"))
    assert InputWarning.PATIENT_AGE in adult.warnings
    assert adult.band is cxr_edge.Band.ATTENTION


def test_what_cannot_be_scored_says_why(model: cxr_edge.Model, tmp_path: Path) -> None:
    write_tree(tmp_path, {"empty": b"", "text": b"hello"})
    for film, reason in (
        (tmp_path / "empty", "empty"),
        (tmp_path / "text", "no_film"),
        (tmp_path / "none", "missing"),
        (tmp_path, "not_a_file"),
        (b"", "empty"),
        (FILMS["a.jpg"][:-200], "truncated"),
    ):
        with pytest.raises(cxr_edge.ImageError) as caught:
            model.score(film)
        assert caught.value.reason == cxr_edge.Reason(reason)
    assert model.score(FILMS["a.jpg"]).probability > 0, "the next film is scored"


def test_a_bad_output_is_no_score(model: cxr_edge.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    real = model._networks.runner.predict

    def nan(images: Any) -> Any:
        answer = real(images)
        answer.probability[:] = np.nan
        return answer

    monkeypatch.setattr(model._networks.runner, "predict", nan)
    with pytest.raises(cxr_edge.ImageError, match="bad_output"):
        model.score(FILMS["a.jpg"])


def test_thresholds(tiny: Path) -> None:
    with cxr_edge.load_model(tiny, threshold=0.0000014) as low:
        assert (low.operating_point, low.threshold) == ("custom", 0.000001)
        assert low.score(FILMS["a.jpg"]).flagged
    with pytest.raises(cxr_edge.InputError, match="no operating point 'none'"):
        cxr_edge.load_model(tiny, operating_point="none")
    with pytest.raises(cxr_edge.InputError, match="give only one of"):
        cxr_edge.load_model(tiny, operating_point="screening", threshold=0.5)
    with pytest.raises(cxr_edge.InputError, match="between 0 and 1"):
        cxr_edge.load_model(tiny, threshold=2.0)
    with pytest.raises(cxr_edge.InputError, match="DICOM keyword"):
        cxr_edge.load_model(tiny, id_tags=["Nonsense"])
    with pytest.raises(cxr_edge.ModelRefusedError, match="no model"):
        cxr_edge.load_model("cnn9_999")


def test_an_identifier_where_asked_for(tiny: Path) -> None:
    with cxr_edge.load_model(tiny, id_tags=["AccessionNumber"]) as loaded:
        assert loaded.score(dicoms.film(AccessionNumber="A-17")).identity == {
            "AccessionNumber": "A-17"
        }


def test_threads_take_turns(model: cxr_edge.Model) -> None:
    names = list(FILMS) * 4
    alone = {name: model.score(FILMS[name]).probability for name in FILMS}
    together: dict[int, tuple[str, float]] = {}

    def one(number: int, name: str) -> None:
        together[number] = name, model.score(FILMS[name]).probability

    threads = [threading.Thread(target=one, args=each) for each in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == len(names)
    assert all(probability == alone[name] for name, probability in together.values())


def server_of(model: cxr_edge.Model) -> int:
    """Process that forks the model's decoder."""
    server = model._workers._decoders._server
    assert server is not None
    return server._process.pid


def ends(pid: int) -> bool:
    """Whether a process is gone within a few seconds."""
    deadline = time.monotonic() + 10
    while Path("/proc", str(pid)).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not Path("/proc", str(pid)).exists()


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("place", ["_ask_for", "_hand_out", "_look"])
def test_an_interrupted_film_is_not_the_next_one_s_answer(
    place: str, as_bytes: bool, model: cxr_edge.Model, tmp_path: Path
) -> None:
    """Ctrl-C in a notebook, before a film has its reader, its decoder or its answer."""
    films = {"a": jpeg(chest()), "b": jpeg(chest(tilt=70))}
    write_tree(tmp_path, films)
    given = {name: films[name] if as_bytes else tmp_path / name for name in films}
    expected = model.score(given["b"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workers, place, raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            model.score(given["a"])
    for name in ("b", "a", "b"):
        score = model.score(given[name])
        assert score.sha256 == hashlib.sha256(films[name]).hexdigest()
    assert score.probability == expected.probability


def test_a_closed_model_leaves_no_process(tiny: Path) -> None:
    with cxr_edge.load_model(tiny) as loaded:
        loaded.score(FILMS["a.jpg"])
        pid = server_of(loaded)
    assert ends(pid)
    with pytest.raises(cxr_edge.InputError, match="closed"):
        loaded.score(FILMS["a.jpg"])
    loaded.close()


def test_a_model_that_nobody_holds_leaves_none_either(tiny: Path) -> None:
    loaded = cxr_edge.load_model(tiny)
    loaded.score(FILMS["a.jpg"])
    pid = server_of(loaded)
    del loaded
    gc.collect()
    assert ends(pid)


def folder(films: Path, tiny: Path, tmp_path: Path, name: str, **options: Any) -> Any:
    options = {"model": tiny, "settle": 0, "state": tmp_path / "state", **options}
    return cxr_edge.score_folder(films, out=tmp_path / name, **options)


def test_a_folder_is_scored_as_the_command_scores_it(
    films: Path, tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_tree(films, {"text.txt": b"hello"})
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    run = folder(films, tiny, tmp_path, "api")
    assert capfd.readouterr() == ("", "")
    assert {number: signal.getsignal(number) for number in handlers} == handlers
    command = tmp_path / "command"
    arguments = ["--model", str(tiny), "--settle", "0", "-q"]
    cli.main(["score", str(films), *arguments, "--out", str(command)], standalone_mode=False)
    assert (run.out / "triage.csv").read_bytes() == (command / "triage.csv").read_bytes()
    assert [row.result.path for row in run.rows()] == [row["path"] for row in csv_rows(command)]
    assert list(run.rows()) == list(run.rows()), "as often as need be"
    assert (run.counts.found, run.counts.scored, run.counts.not_scored) == (4, 3, 1)
    assert run.context.command[0] == "cxr_edge.score_folder"
    assert (run.run_id, run.state) == (run.context.run_id, tmp_path / "state")
    assert len(repr(run)) < 1000, "a notebook shows it"


def test_several_inputs_and_progress(films: Path, tiny: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    inputs = [films / "a.jpg", films]
    run = cxr_edge.score_folder(
        inputs,
        model=tiny,
        out=tmp_path / "out",
        state=tmp_path / "state",
        settle=0,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[-1] == (3, 3)
    assert run.counts.found == 3


def test_another_thread_may_score_a_folder(films: Path, tiny: Path, tmp_path: Path) -> None:
    """Signal handlers can be set in the main thread alone."""
    runs: list[Any] = []
    thread = threading.Thread(target=lambda: runs.append(folder(films, tiny, tmp_path, "out")))
    thread.start()
    thread.join()
    assert runs[0].counts.scored == 3


def test_a_callback_may_end_a_run_and_the_next_one_goes_on(
    films: Path, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        folder(films, tiny, tmp_path, "one", progress=raising(KeyboardInterrupt()))
    assert names_in(tmp_path) == ["in", "state"]
    assert folder(films, tiny, tmp_path, "two").counts.scored == 3


def test_a_run_that_was_forgotten(films: Path, tiny: Path, tmp_path: Path) -> None:
    run = folder(films, tiny, tmp_path, "out")
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    with pytest.raises(cxr_edge.StateError):
        list(run.rows())


def test_films_are_left_out_by_pattern(films: Path, tiny: Path, tmp_path: Path) -> None:
    made = folder(films, tiny, tmp_path, "out", exclude=["*.png"])
    assert all(not row.result.path.endswith(".png") for row in made.rows())
    assert made.context.excluded > 0


def test_messages_go_to_the_logger(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in").mkdir()
    with caplog.at_level(logging.INFO, "cxr_edge"):
        folder(tmp_path / "in", tiny, tmp_path, "out", workers=200)
    messages = "\n".join(caplog.messages)
    assert "no file was found (is the folder mounted" in messages
    assert "200 workers on" in messages


def test_rows_say_whom_films_are_of_where_that_was_asked_for(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/film.dcm").write_bytes(dicoms.film(PatientID="P17"))
    (row,) = folder(tmp_path / "in", tiny, tmp_path, "out", identify=True).rows()
    assert row.result.identity["patient_id"] == "P17"
    (row,) = folder(tmp_path / "in", tiny, tmp_path, "bare").rows()
    assert row.result.identity == {}


def test_a_report_for_a_url_is_not_written_into_a_folder_of_that_name(
    films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Any] = []
    monkeypatch.setattr(cxr_edge.api, "_scored", lambda job, _: jobs.append(job))
    cxr_edge.score_folder(films, out="s3://bucket/night")
    assert jobs[0].out == Url("s3://bucket/night")
