"""`--cluster` and URLs where nothing of theirs is installed, and what contradicts itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxr_edge.cli.score import score
from cxr_edge.errors import InputError
from cxr_edge.ledger.state import default_state
from cxr_edge.scoring.delivery import check_report_folder
from cxr_edge.scoring.job import ScoreJob
from cxr_edge.types import Url
from tests.factories import write_tree

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("ray", "fsspec")))
from cxr_edge.cli import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(("in", "--cluster", "auto"), "cluster"), (("s3://films/night",), "cloud")],
    ids=["cluster", "cloud"],
)
def test_what_is_not_installed_is_said_with_its_extra(
    arguments: tuple[str, ...], extra: str, tmp_path: Path
) -> None:
    write_tree(tmp_path / "in", {"a.txt": b"hello"})
    made = subprocess.run(
        [sys.executable, "-c", WITHOUT, "score", *arguments, "--state", str(tmp_path / "state")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 2, made.stderr
    assert "is not installed" in made.stderr
    assert f"[{extra}]" in made.stderr


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(InputError, match="--cluster is an empty string"):
        ScoreJob(inputs=("in",), cluster="")


def test_a_report_is_not_written_where_films_are_looked_for() -> None:
    for out in ("s3://films/night", "s3://films/night/reports"):
        with pytest.raises(InputError, match="lies inside an INPUT"):
            check_report_folder(ScoreJob(inputs=("s3://films/night",), out=Url(out)))


def test_the_state_of_a_url_does_not_depend_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = default_state(["s3://films/night"])
    monkeypatch.chdir(tmp_path)
    assert default_state(["s3://films/night"]) == before


def test_the_help_names_both() -> None:
    text = CliRunner().invoke(score, ["--help"]).output
    assert "--cluster ADDRESS" in text
    assert "s3://BUCKET/PREFIX" in text
