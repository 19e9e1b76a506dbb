"""`cxr-edge doctor --config` answers whether tonight's run will work."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_edge.ledger.runs import open_ledger
from cxr_edge.ledger.state import held
from cxr_edge.scoring import readiness
from tests.cli.conftest import Run
from tests.factories import names_in


@pytest.fixture(autouse=True)
def right_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "is_synchronised", lambda: True)


@pytest.fixture
def values(
    tmp_path: Path, films: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A config that works, value by value."""
    monkeypatch.chdir(tmp_path)
    return {
        "inputs": f'["{films}"]',
        "model": f'"{tiny}"',
        "state": f'"{tmp_path / "state"}"',
        "device": '"cpu"',
        "metrics": f'"{tmp_path / "a.prom"}"',
        "quiet": "true",
    }


def written(values: dict[str, str]) -> Path:
    lines = (f"{key} = {value}\n" for key, value in values.items())
    Path("night.toml").write_text(f"[score]\n{''.join(lines)}")
    return Path("night.toml")


def test_tonight_s_run_will_work(run: Run, values: dict[str, str], tmp_path: Path) -> None:
    """Formats that are not in use are not spoken of, and nothing stays behind."""
    before = names_in(tmp_path)
    made = run("doctor", "--config", written(values))
    assert (made.code, made.err) == (0, "")
    lines = made.out.splitlines()
    assert lines[-1] == "tonight's run will work"
    assert f"films {tmp_path / 'in'}, readable" in lines
    assert "threshold 0.250000, screening" in lines
    assert "clock synchronised" in lines
    assert any(line.startswith(f"reports {tmp_path / 'reports'}, ") for line in lines)
    assert any(line.startswith(f"state {tmp_path / 'state'}, ") for line in lines)
    assert any(line.startswith("tiny.onnx: self-test passed on cpu") for line in lines)
    assert "not installed" not in made.out
    assert "litert" not in made.out
    assert names_in(tmp_path) == sorted([*before, "night.toml"])


WRONG: dict[str, tuple[dict[str, str], int, str]] = {
    "no films": ({"inputs": '["lost"]'}, 2, "error: input does not exist: lost\n"),
    "no input": ({"inputs": "[]"}, 2, "error: give INPUTs or --files-from, one of the two\n"),
    "a report that is there": ({"out": '"in"'}, 2, "error: in already exists\n"),
    "no model": ({"model": '"lost"'}, 4, "error: "),
    "no device": ({"device": '"tpu"'}, 2, "error: "),
    "no threshold": ({"threshold": "2"}, 2, "error: threshold must lie between 0 and 1: 2.0\n"),
    "no operating point": ({"operating-point": '"lost"'}, 2, "error: "),
    "no tag": ({"id-tag": '["Lost"]'}, 2, "error: --id-tag Lost"),
    "unknown key": ({"lost": "1"}, 2, "error: --config night.toml: score.lost is no option"),
    "no number": ({"settle": '"x"'}, 2, "Invalid value for '--settle'"),
}


@pytest.mark.parametrize(("change", "code", "said"), WRONG.values(), ids=WRONG)
def test_what_would_stop_the_run(
    change: dict[str, str], code: int, said: str, run: Run, values: dict[str, str]
) -> None:
    made = run("doctor", "--config", written(values | change))
    assert (made.code, said in made.err) == (code, True), made.err
    assert "will work" not in made.out


def test_a_state_folder_that_is_held(run: Run, values: dict[str, str], tmp_path: Path) -> None:
    with held(tmp_path / "state", ["score"]), open_ledger(tmp_path / "state"):
        assert run("doctor", "--config", written(values)).code == 75


def test_what_somebody_should_look_at(
    run: Run, values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run would work, and yet not do what it is for."""
    monkeypatch.setattr(readiness, "is_synchronised", lambda: False)
    monkeypatch.setattr(readiness, "_FEW_BYTES", 10**18)
    (tmp_path / "share").mkdir()
    change = {"inputs": '["share"]', "metrics": '"lost/a.prom"'}
    made = run("doctor", "--config", written(values | change))
    assert (made.code, made.out.splitlines()[-1]) == (
        0,
        "tonight's run will work; look at the warnings",
    )
    warnings = [line for line in made.err.splitlines() if line.startswith("warning: ")]
    assert [line.split()[1] for line in warnings] == ["films", "reports", "metrics", "clock"]
    assert "films share: nothing in it\n  tip: is the share mounted?\n" in made.err


def test_the_command_line_wins(run: Run, values: dict[str, str], tmp_path: Path) -> None:
    file = written(values | {"state": '"in/state"'})
    assert run("doctor", "--config", file).code == 2
    assert run("doctor", "--config", file, "--state", tmp_path / "other").code == 0


def test_films_from_a_list(run: Run, values: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a.png\nb.png\n")
    del values["inputs"]
    made = run("doctor", "--config", written(values | {"files-from": '"list"'}))
    assert "films: 2 listed in list\n" in made.out
