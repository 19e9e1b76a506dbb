"""`cxr-edge mercure`: a task as mercure lays it, and everything accounted for."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from cxr_edge.hospital.mercure_job import MercureSettings
from tests.cli.conftest import Outcome, Run
from tests.factories import chest, failing, write_tree
from tests.hospital.studies import FLAGGED, PLANTED, study

ENVIRONMENT = ("MERCURE_IN_DIR", "MERCURE_OUT_DIR", "MODULE_PERSISTENCE_DIR")


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of one task: a flagged film and a cut one, with their tags."""
    folder = write_tree(
        tmp_path / "in",
        {
            "1.2.3.4.0.1#1.2.3.4.0.1.1.dcm": study(0, chest(tilt=FLAGGED)),
            "1.2.3.4.0.1#1.2.3.4.0.1.1.tags": b'{"PatientName": "Planted"}',
            "1.2.3.4.1.1#1.2.3.4.1.1.1.dcm": study(1)[:-500],
        },
    )
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("MERCURE_IN_DIR", str(folder))
    monkeypatch.setenv("MERCURE_OUT_DIR", str(tmp_path / "out"))
    monkeypatch.delenv("MODULE_PERSISTENCE_DIR", raising=False)
    return folder


def settings(task: Path, **values: Any) -> None:
    (task / "task.json").write_text(json.dumps({"process": {"settings": values}}))


def answer(task: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((task.parent / "out" / "result.json").read_text())
    return values


def test_a_task(run: Run, task: Path, tiny: Path) -> None:
    settings(task, model=str(tiny), target="radiologist", secondary_capture="flagged")
    made = run("mercure")
    assert made.code == 0, made.err
    out = task.parent / "out"
    given = {path.name: path.read_bytes() for path in task.glob("*.dcm")}
    assert {name: (out / name).read_bytes() for name in given} == given
    results = [dcmread(path) for path in out.glob("s?.*.dcm")]
    assert sorted(each.Modality for each in results) == ["OT", "SR", "SR"]
    values = answer(task)
    assert values["cxr-edge"] == {
        **{"found": 2, "scored": 1, "not_scored": 1, "deferred": 0},
        **{"attention": 1, "flagged": 1, "unflagged": 0, "other": 0},
    }
    assert values["__mercure_notification"]["requested"] is True
    assert values["__mercure_routing"] == {"target": ["radiologist"]}
    said = json.dumps(values) + made.err + made.out
    assert not any(planted in said for planted in PLANTED)
    assert not list(out.glob("*.tags"))


def test_what_needs_no_hurry_is_not_announced(run: Run, task: Path, tiny: Path) -> None:
    for path in task.glob("*.dcm"):
        path.unlink()
    (task / "a.dcm").write_bytes(study(1))
    settings(task, model=str(tiny), target="radiologist")
    assert run("mercure").code == 0
    assert answer(task)["__mercure_notification"]["requested"] is False
    assert "__mercure_routing" not in answer(task)


def test_results_that_come_back_get_none(run: Run, task: Path, tiny: Path) -> None:
    settings(task, model=str(tiny))
    assert run("mercure").code == 0
    out = task.parent / "out"
    back = {path.name: path.read_bytes() for path in out.glob("*.dcm")}
    write_tree(task, back)
    assert run("mercure").code == 0
    assert {path.name: path.read_bytes() for path in out.glob("*.dcm")} == back
    assert answer(task)["cxr-edge"]["other"] == len(back) - 2


def test_no_films(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    made = run("mercure", "--in", tmp_path / "in", "--out", tmp_path / "out")
    assert made.code == 0, made.err
    values = json.loads((tmp_path / "out" / "result.json").read_text())
    assert values["cxr-edge"]["found"] == 0


def test_the_ledger_is_kept_where_mercure_has_room(
    run: Run, task: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODULE_PERSISTENCE_DIR", str(tmp_path / "kept"))
    settings(task, model=str(tiny))
    assert run("mercure").code == 0
    assert (tmp_path / "kept" / "state" / "ledger.sqlite3").is_file()
    history = run("history", "--state", tmp_path / "kept" / "state")
    assert "PLANTED" not in history.out


WRONG: dict[str, dict[str, Any]] = {
    "not known": {"colour": "red"},
    "no class": {"sr": "pdf"},
    "no text": {"model": 3},
    "no number": {"threshold": "high"},
    "no switch": {"key_object": "yes"},
    "no threshold": {"threshold": 10**400},
    "not a number": {"threshold": float("nan")},
    "a giant": {"model": "x" * 10**6},
    "a name of a giant": {"x" * 10**6: 1},
    "a NUL": {"model": "a\0b"},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_settings_that_cannot_be(run: Run, task: Path, values: dict[str, Any]) -> None:
    settings(task, **values)
    refused: Outcome = run("mercure")
    assert refused.code == 2
    assert refused.err.startswith(("error: mercure: ", "error: threshold must lie"))
    assert len(refused.err) < 1000


BROKEN = {
    "half": b"{",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "noise": b"\xff\xfe\0",
    "several processes": b'{"process": [{"settings": {"sr": "basic-text"}}]}',
    "settings in a text": b'{"process": {"settings": "{}"}}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_task_that_cannot_be_read(run: Run, task: Path, text: bytes) -> None:
    (task / "task.json").write_bytes(text)
    refused = run("mercure")
    assert (refused.code, refused.err[:16]) == (2, "error: mercure: ")


def test_a_task_that_is_a_pipe_is_not_waited_for(run: Run, task: Path) -> None:
    os.mkfifo(task / "task.json")
    assert run("mercure").code == 2


@pytest.mark.parametrize("text", ["{}", '{"process": null}', '{"process": {"settings": null}}'])
def test_a_task_without_settings_has_the_usual_ones(text: str) -> None:
    assert MercureSettings.of(json.loads(text)) == MercureSettings()


@pytest.mark.parametrize("call", ["os.replace", "shutil.copyfile"])
def test_a_folder_for_results_that_cannot_be_written_is_named(
    call: str, run: Run, task: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(task, model=str(tiny))
    with monkeypatch.context() as patch:
        patch.setattr(call, failing(errno.EROFS))
        refused = run("mercure")
    assert refused.code == 1
    assert "results could not be written" in refused.err and "Read-only" in refused.err
    assert not (task.parent / "out" / "result.json").exists()


def test_films_of_one_name_in_two_folders_are_two(run: Run, task: Path, tiny: Path) -> None:
    settings(task, model=str(tiny))
    for number in (5, 6):
        write_tree(task / str(number), {"film.dcm": study(number)})
    assert run("mercure").code == 0
    given = sorted(path.read_bytes() for path in task.rglob("*.dcm"))
    out = task.parent / "out"
    copied = [path for path in out.rglob("*.dcm") if not path.name.startswith(("sr.", "sc."))]
    assert sorted(path.read_bytes() for path in copied) == given


def test_a_model_that_is_not_there_is_an_error_of_the_task(run: Run, task: Path) -> None:
    settings(task, model="none")
    assert run("mercure").code == 4
    assert not (task.parent / "out" / "result.json").exists()


def test_objects_are_whole(run: Run, task: Path, tiny: Path) -> None:
    settings(task, model=str(tiny), secondary_capture="all", key_object=True)
    assert run("mercure").code == 0
    for path in (task.parent / "out").glob("[sk]?.*.dcm"):
        assert dcmread(io.BytesIO(path.read_bytes())).Manufacturer == "cxr-edge"
