"""A report for object storage: what stays in the state folder when it could not go there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_edge.scoring import publish
from cxr_edge.types import Url
from tests.cli.conftest import Run


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What was uploaded, by URL."""
    objects: dict[str, bytes] = {}
    monkeypatch.setattr(publish, "check_url", lambda out, inputs: None)
    monkeypatch.setattr(
        publish, "write_object", lambda path, url: objects.update({str(url): path.read_bytes()})
    )
    return objects


def refuse(path: Path, url: Url) -> None:
    if url.name == publish.LAST:
        raise ConnectionResetError


def test_a_report_that_could_not_be_uploaded_stays_until_one_could(
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    bucket: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = tmp_path / "state"
    place = (films, "--model", tiny, "--state", state, "--out")
    with monkeypatch.context() as outage:
        outage.setattr(publish, "write_object", refuse)
        for night in ("1", "2"):
            outcome = run("score", *place, f"s3://films/{night}")
            assert outcome.code != 0
            assert str(state / "unpublished") in outcome.err.replace("\n", "")
    kept = [{path.name for path in each.iterdir()} for each in (state / "unpublished").iterdir()]
    assert len(kept) == 2
    assert kept[0] == kept[1] > {"triage.html", "triage.csv"}
    assert run("score", *place, "s3://films/3").code == 0
    assert not (state / "unpublished").exists()
    assert [*bucket][-1] == "s3://films/3/run.json"
    assert {Path(url).name for url in bucket} == kept[0]
