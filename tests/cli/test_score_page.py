"""`cxr-edge score --thumbnails` and `--site-profile`, from the command line to the report."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import CxrEdgeError
from cxr_edge.images import DECODING_VERSION
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.scoring import night, page_films
from cxr_edge.scoring.pipeline import Pipeline
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, is_night_line
from tests.factories import chest, names_in, raising, write_tree
from tests.images.films import png

JPEG = re.compile(r'"data:image/jpeg;base64,')


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Five films, one of them twice, and one file that is none."""
    tree = {f"{number}.png": png(chest(tilt=40 * number - 80)) for number in range(5)}
    tree |= {"again.png": tree["0.png"], "notes.txt": b"\0hello"}
    return write_tree(tmp_path / "in", tree)


def page(out: Path) -> str:
    return (out / "triage.html").read_text(encoding="utf-8")


def test_films_are_shown_when_asked_for(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("score", films, "--model", tiny, "--out", out, "--thumbnails", "-q").code == 3
    assert len(JPEG.findall(page(out))) == 5, "every film with a score, once"
    assert json.loads((out / "run.json").read_text())["thumbnails"] is True
    assert names_in(tmp_path / "in") == sorted(path.name for path in films.iterdir())


def test_scores_that_are_known_are_illustrated_too(
    run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    """And the films are nowhere but in the page: `report` has none."""
    run("score", films, "--model", tiny, "--out", tmp_path / "one", "-q")
    run("score", films, "--model", tiny, "--out", tmp_path / "two", "--thumbnails", "-q")
    assert len(JPEG.findall(page(tmp_path / "two"))) == 5
    first, second = (csv_rows(tmp_path / out) for out in ("one", "two"))
    assert [{**row, "new": "false"} for row in first] == second
    assert "data:image" not in page(tmp_path / "one")
    assert run("report", "latest", "--out", tmp_path / "three", "-q").code == 3
    assert "data:image" not in page(tmp_path / "three")


def test_a_long_night_shows_its_first_films(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(night, "FILMS_SHOWN", 2)
    run("score", films, "--model", tiny, "--out", tmp_path / "out", "--thumbnails", "-q")
    assert len(set(re.findall(r"data:image/jpeg;base64,[^\"]*", page(tmp_path / "out")))) == 2


def test_what_fails_on_the_second_look_costs_the_films_alone(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network, or decoders that the system no longer lets start."""
    monkeypatch.setattr(Pipeline, "pictures", raising(CxrEdgeError("out of memory", tip="wait")))
    outcome = run("score", films, "--model", tiny, "--out", tmp_path / "out", "--thumbnails", "-q")
    assert outcome.code == 3
    warning, tip, line = outcome.err.splitlines(keepends=True)
    assert (warning, tip) == (
        "warning: the report shows no films: out of memory\n",
        "  tip: wait\n",
    )
    assert is_night_line(line)
    assert "data:image" not in page(tmp_path / "out")


def test_a_signal_while_films_are_read_again(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores are there: the report comes without films."""
    real = page_films.predict

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(page_films, "predict", interrupted)
    outcome = run("score", films, "--model", tiny, "--out", tmp_path / "out", "--thumbnails", "-q")
    assert outcome.code == 3
    assert "the report shows no films: stopped by a signal" in outcome.err
    assert "data:image" not in page(tmp_path / "out")


def profile(tiny: Path, **changes: Any) -> SiteProfile:
    choice = choose_model(str(tiny))
    share = Proportion.of(49, 50)
    facts = {
        "model": "tiny",
        "model_version": "1.0.0",
        "model_sha256": choice.file.sha256,
        "preprocessing_version": PREPROCESSING_VERSION,
        "decoding_version": DECODING_VERSION,
        "point": OperatingPoint(0.456789, "by hand", share, share, "ours"),
        "data_sha256": "ab" * 32,
        "created_utc": "2026-11-22T00:00:00Z",
    }
    return SiteProfile.of(**{**facts, **changes})


def test_a_site_s_own_threshold(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "out", tmp_path / "site.json"
    file.write_text(profile(tiny).to_json())
    outcome = run("score", films, "--model", tiny, "--out", out, "--site-profile", file)
    assert outcome.code == 3
    assert "tiny.onnx on cpu (auto), site at 0.456789" in outcome.err
    told = json.loads((out / "run.json").read_text())
    assert told["operating_point"] == {"name": "site", "threshold": 0.456789}
    assert told["site_profile"] == json.loads(file.read_text())
    assert "sensitivity 0.980" in outcome.err
    assert "on 50 positive films" in outcome.err
    for figure in ("0.456789", "0.980", "n = 50", "ours", "2026-11-22T00:00:00Z"):
        assert figure in page(out), figure
    again = tmp_path / "again"
    assert run("report", "latest", "--out", again, "-q").code == 3
    assert page(again).split("<body")[1] == page(out).split("<body")[1]


def edited(text: str) -> str:
    return text.replace("0.456789", "0.9")


REFUSED: dict[str, tuple[Any, int, str]] = {
    "another model": (lambda t: profile(t, model_sha256="cd" * 32).to_json(), 4, "cdcdcdcd"),
    "an edited threshold": (lambda t: edited(profile(t).to_json()), 2, "changed after"),
}


@pytest.mark.parametrize(("text", "code", "said"), REFUSED.values(), ids=REFUSED)
def test_a_profile_that_does_not_fit_is_refused_before_any_film(
    text: Any, code: int, said: str, run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    file = tmp_path / "site.json"
    file.write_text(text(tiny))
    out = tmp_path / "out"
    outcome = run("score", films, "--model", tiny, "--out", out, "--site-profile", file)
    assert (outcome.code, out.exists()) == (code, False)
    assert said in outcome.err
    assert "tip:" in outcome.err


def test_one_threshold_at_a_time(run: Run, films: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text(profile(tiny).to_json())
    two = ("--site-profile", tmp_path / "site.json", "--threshold", "0.5")
    outcome = run("score", films, "--model", tiny, *two)
    assert outcome.code == 2
    assert "give only one of operating point, threshold and site profile" in outcome.err


def test_a_profile_for_a_part_of_a_run_is_refused(run: Run, films: Path, tiny: Path) -> None:
    """One list has one threshold."""
    outcome = run("score", films, "--model", tiny, "--site-profile", f"{films}=site.json")
    assert outcome.code == 2
    assert "a run has one profile for all its films" in outcome.err
    assert "a run for each hospital" in outcome.err
