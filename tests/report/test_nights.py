"""The folder of the reports: a link to the newest one, a page of the nights, and their age."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cxr_edge.errors import InputError, ReportError
from cxr_edge.report import nights, write_report
from cxr_edge.report.nights import (
    delete,
    outdated,
    parse_age,
    point_latest,
    renew_latest,
    reports_in,
    write_index,
)
from tests.factories import names_in, raising, report, result
from tests.report.page import Page

DAY = 86400


def night(folder: Path, name: str, days: float = 0, **counts: int) -> Path:
    """A report whose run began so many days ago, and that nobody has touched since."""
    began = time.time() - days * DAY
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
    write_report(report(result(), started_utc=text), folder / name)
    values = json.loads((folder / name / "run.json").read_text())
    values["counts"] |= counts
    (folder / name / "run.json").write_text(json.dumps(values))
    os.utime(folder / name, (began, began))
    return folder / name


def test_latest_leads_to_the_newest_report(tmp_path: Path) -> None:
    for name in ("one", "two"):
        point_latest(night(tmp_path, name))
        assert str((tmp_path / "latest").readlink()) == name
    assert names_in(tmp_path) == ["latest", "one", "two"]


def test_what_is_no_link_stays(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(ReportError, match="is no link of cxr-edge and stays as it is"):
        point_latest(night(tmp_path, "one"))
    assert (tmp_path / "latest").is_dir()


def test_a_report_of_that_name_is_no_trouble(tmp_path: Path) -> None:
    point_latest(night(tmp_path, "latest"))
    assert (tmp_path / "latest" / "run.json").is_file()


def test_a_link_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_latest(night(tmp_path, "one"))
    two = night(tmp_path, "two")
    monkeypatch.setattr(Path, "rename", raising(OSError("full")))
    with pytest.raises(OSError, match="full"):
        point_latest(two)
    assert str((tmp_path / "latest").readlink()) == "one"
    assert names_in(tmp_path) == ["latest", "one", "two"]


def index(folder: Path) -> Page:
    write_index(folder)
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_the_page_lists_the_nights(tmp_path: Path) -> None:
    night(tmp_path, "older", 2, found=7, new=5)
    night(tmp_path, "newer", 1, found=8, new=6)
    page = index(tmp_path)
    links = [dict(attributes)["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["newer/triage.html", "older/triage.html"]
    rows = re.findall(r"<tr>(.*)</tr>", (tmp_path / "index.html").read_text())[1:]
    cells = [re.findall(r"<td[^>]*>([^<]*)<", row) for row in rows]
    assert [row[1:] for row in cells] == [
        ["8", "0", "1", "0", "0", "6", "0", "newer"],
        ["7", "0", "1", "0", "0", "5", "0", "older"],
    ]
    assert stat.S_IMODE((tmp_path / "index.html").stat().st_mode) == 0o600


def test_the_page_is_closed(tmp_path: Path) -> None:
    """Hostile names are text and lead nowhere else."""
    name = "javascript:<script>alert('x')<%2f>..#?"
    night(tmp_path, name)
    page = index(tmp_path)
    assert name in page.text
    assert {tag.lstrip("/") for tag, _ in page.tags} & {"script", "img", "iframe"} == set()
    (link,) = (dict(attributes)["href"] for tag, attributes in page.tags if tag == "a")
    assert link == ("javascript%3A%3Cscript%3Ealert%28%27x%27%29%3C%252f%3E..%23%3F/triage.html")
    (policy,) = (
        str(dict(attributes)["content"])
        for tag, attributes in page.tags
        if dict(attributes).get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "script-src" not in policy


def test_nights_of_an_earlier_version_have_no_new(tmp_path: Path) -> None:
    out = night(tmp_path, "old")
    values = json.loads((out / "run.json").read_text())
    for name in ("new", "gone", "other"):
        del values["counts"][name]
    (out / "run.json").write_text(json.dumps(values))
    assert [each.counts.new for each in reports_in(tmp_path)] == [None]
    index(tmp_path)


NO_REPORTS = {
    "another program's": '{"run": "x", "counts": {}}',
    "no JSON": "banner",
    "empty": "",
    "too deep": "[" * 100_000,
    "no counts": '{"banner": "", "run": "", "settings_sha256": "", "started_utc": "yesterday"}',
}


@pytest.mark.parametrize("text", NO_REPORTS.values(), ids=NO_REPORTS)
def test_other_folders_are_no_nights(text: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text(text)
    assert reports_in(tmp_path) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    real = night(tmp_path / "elsewhere", "real", 200)
    folder = tmp_path / "reports"
    (folder / "inside").mkdir(parents=True)
    (folder / "linked").symlink_to(real)
    (folder / "inside" / "run.json").symlink_to(real / "run.json")
    assert reports_in(folder) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_another_page_stays(kind: str, tmp_path: Path) -> None:
    page, other = tmp_path / "index.html", tmp_path / "other.html"
    other.write_text("<title>mine</title>")
    make = {
        "file": lambda: page.write_text("<title>mine</title>"),
        "folder": page.mkdir,
        "link": lambda: page.symlink_to(other),
        "pipe": lambda: os.mkfifo(page),
    }
    make[kind]()
    with pytest.raises(ReportError, match="is no page of cxr-edge"):
        write_index(tmp_path)
    assert other.read_text() == "<title>mine</title>"


def test_a_long_history_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "NIGHTS_SHOWN", 2)
    for number in range(5):
        night(tmp_path, str(number), number)
    assert "And 3 older ones in the folder." in index(tmp_path).text


def test_old_reports_are_outdated(tmp_path: Path) -> None:
    for name, days in {"old": 91, "young": 89, "latest of all": 200, "touched": 200}.items():
        night(tmp_path, name, days)
    os.utime(tmp_path / "touched")
    point_latest(tmp_path / "latest of all")
    assert [each.name for each in outdated(tmp_path, timedelta(days=90))] == ["old"]


def test_a_report_is_deleted_whole(tmp_path: Path) -> None:
    """Also what somebody has put into it; a link in it leads nowhere."""
    kept = tmp_path / "kept"
    kept.mkdir()
    out = night(tmp_path / "reports", "old", 200)
    (out / "link").symlink_to(kept)
    (each,) = reports_in(tmp_path / "reports")
    delete(each)
    assert (names_in(tmp_path / "reports"), kept.is_dir()) == ([], True)


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "90w", "\u0661d", "999999d"])
def test_no_age(text: str) -> None:
    with pytest.raises(InputError, match="no age"):
        parse_age(text)


def test_latest_leads_to_a_report_that_came_late_and_never_back(tmp_path: Path) -> None:
    night(tmp_path, "yesterday", 2)
    point_latest(tmp_path / "yesterday")
    renew_latest(night(tmp_path, "late", 1))
    assert str((tmp_path / "latest").readlink()) == "late"
    renew_latest(night(tmp_path, "old-again", 3))
    assert str((tmp_path / "latest").readlink()) == "late"


def test_latest_is_not_made_where_there_is_none(tmp_path: Path) -> None:
    renew_latest(night(tmp_path, "aside", 1))
    assert names_in(tmp_path) == ["aside"]
