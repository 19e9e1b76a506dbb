"""The morning list from the command line: studies, links, prevalence, language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr_edge.report.texts import texts
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import chest, in_12_bits, write_tree
from tests.images import dicoms
from tests.report.page import Page, words


def film(tilt: int, patient: str, study: str, **header: str) -> bytes:
    whose = {"PatientID": patient, "StudyInstanceUID": study, "AccessionNumber": study}
    return dicoms.film(in_12_bits(chest(tilt=tilt)), **whose, **header)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Two films of one study, and one of another patient."""
    tree = {"a.dcm": film(-110, "P1", "1.1"), "b.dcm": film(110, "P1", "1.1")}
    return write_tree(tmp_path / "in", {**tree, "c.dcm": film(90, "P2", "1.2")})


def page(out: Path) -> Page:
    return Page((out / "triage.html").read_text(encoding="utf-8"))


def test_studies_with_links_prevalence_and_language(
    run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--identify", "--viewer-url", "https://pacs.example/{accession_number}")
    more = ("--prevalence", "0.1", "--language", "de")
    assert run("score", studies, "--model", tiny, "--out", out, "-q", *options, *more).code == 0
    made = page(out)
    assert sorted(row.texts["who"] for row in made.rows()) == ["P1", "P2"]
    assert len(csv_rows(out)) == 3
    links = {dict(attributes).get("href") for tag, attributes in made.tags if tag == "a"}
    assert {f"https://pacs.example/{study}" for study in ("1.1", "1.2")} <= links
    assert "Bei einer Prävalenz von 10 %" in made.text
    values = run_values(out)
    assert [values[key] for key in ("language", "prevalence", "viewer_url")] == [
        *("de", 0.1, "https://pacs.example/{accession_number}")
    ]


def test_report_renders_a_run_in_another_language(
    run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    run("score", studies, "--model", tiny, "--out", tmp_path / "one", "-q", "--language", "fr")
    run("report", "latest", "--out", tmp_path / "same", "-q")
    run("report", "latest", "--out", tmp_path / "other", "-q", "--language", "es")
    for name, language in (("one", "fr"), ("same", "fr"), ("other", "es")):
        assert words(texts(language)("banner")) in words(page(tmp_path / name).text)


def test_earlier_scores_of_the_patient(run: Run, studies: Path, tiny: Path, tmp_path: Path) -> None:
    """Those of another study, of an earlier night; not the other film of the same one."""
    run("score", studies, "--model", tiny, "--out", tmp_path / "one", "-q", "--identify")
    assert "Earlier:" not in page(tmp_path / "one").text
    for name in ("a.dcm", "b.dcm"):
        (studies / name).unlink()
    today = {"AcquisitionDate": "20991130"}
    write_tree(studies, {"d.dcm": film(-100, "P1", "1.9", **today)})
    run("score", studies, "--model", tiny, "--out", tmp_path / "two", "-q", "--identify")
    (row,) = (row for row in page(tmp_path / "two").rows() if row.texts["who"] == "P1")
    assert row.texts["tag"].count("Earlier:") == 2
    again = run("report", "latest", "--out", tmp_path / "again", "-q")
    assert again.code == 0
    assert page(tmp_path / "again").text.count("Earlier:") == 2


def test_one_number_of_two_hospitals_is_of_two_patients(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    films, later = tmp_path / "in", {"AcquisitionDate": "20991130"}
    write_tree(films, {"a.dcm": film(-110, "P1", "1.1", IssuerOfPatientID="WEST")})
    options = (films, "--model", tiny, "-q", "--identify", "--settle", "0")
    run("score", *options, "--out", tmp_path / "one")
    (films / "a.dcm").unlink()
    for tilt, issuer in ((90, "WEST"), (80, "EAST")):
        content = film(tilt, "P1", f"1.{tilt}", IssuerOfPatientID=issuer, **later)
        write_tree(films, {f"{issuer}.dcm": content})
    run("score", *options, "--out", tmp_path / "two")
    rows = {row.texts["path"]: row.texts["tag"] for row in page(tmp_path / "two").rows()}
    assert {path: text.count("Earlier:") for path, text in rows.items()} == {
        "WEST.dcm": 1,
        "EAST.dcm": 0,
    }
    assert "IssuerOfPatientID" not in csv_rows(tmp_path / "two")[0]


HOSTILE = ("\x1b[31mred", "\u202eP1", "=1+1", "<b>P1</b>", "P" * 65_536, "\u00e9\u4e2d")


def test_hostile_identity_is_printable_text_in_every_output(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    """Escapes and marks of direction are spelt out, lengths are bounded, markup is text."""
    unicode = {"SpecificCharacterSet": "ISO_IR 192"}
    tree = {f"{n}.dcm": film(60, value, f"1.{n}", **unicode) for n, value in enumerate(HOSTILE)}
    films, out = write_tree(tmp_path / "in", tree), tmp_path / "out"
    options = ("--identify", "--jsonl", "-q", "--settle", "0")
    made = run("score", films, "--model", tiny, "--out", out, *options)
    shown = {row.texts["path"]: row.texts["who"] for row in page(out).rows()}
    cells = {row["path"]: row["patient_id"] for row in csv_rows(out)}
    printed = {row["path"]: row["patient_id"] for row in map(json.loads, made.out.splitlines())}
    assert len(shown) == len(cells) == len(printed) == len(HOSTILE)
    for path, text in printed.items():
        assert text.isprintable() and len(text) <= 64
        assert shown[path] == text == cells[path].removeprefix("'")
        assert cells[path][:1] not in "=+-@"
    assert printed["5.dcm"] == HOSTILE[5]
    assert "b" not in {tag for tag, _ in page(out).tags}


REFUSED = {
    "another scheme": (("--identify", "--viewer-url", "javascript:{patient_id}"), "http or https"),
    "an unknown field": (("--identify", "--viewer-url", "https://x/{name}"), "unknown field"),
    "no identity": (("--viewer-url", "https://x/{patient_id}"), "needs --identify"),
    "a prevalence in percent": (("--prevalence", "10"), "between 0 and 1"),
    "another language": (("--language", "tlh"), "'en', 'de', 'es', 'fr'"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_before_any_film(
    options: tuple[str, ...], said: str, run: Run, studies: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = run("score", studies, "--model", tiny, "--out", out, *options)
    assert (outcome.code, out.exists()) == (2, False)
    assert said in outcome.err
