"""Templates compiled ahead: the same page without the compiler, and never an outdated one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import pytest

from cxr_edge.report import Report, environment, html
from cxr_edge.report.environment import compiled_templates, new_environment
from tests.factories import html_of, names_in, report, result
from tests.report.pictures import pictured

ROOT = Path(__file__).resolve().parents[2]
ROWS = report(result("a", None), result("b", 0.9, sha256="ab" * 32), result("c", 0.1))
PAGES = {"rows of every band": ROWS, "films": pictured(ROWS)}


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the build makes it, in use."""
    folder = tmp_path / "compiled"
    folder.mkdir()
    for name, text in compiled_templates().items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(environment, "COMPILED", folder)
    return folder


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("a template is compiled")


@pytest.mark.parametrize("rows", PAGES.values(), ids=PAGES)
def test_the_page_is_the_same_and_nothing_is_compiled(
    rows: Report, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = html_of(rows)  # by the environment of all other tests
    made = new_environment()
    monkeypatch.setattr(jinja2.Environment, "compile", refuse)
    monkeypatch.setattr(html, "page_environment", lambda: made)
    assert html_of(rows) == expected


def test_one_module_for_each_template_of_the_report(compiled: Path) -> None:
    templates = list((ROOT / "cxr_edge" / "report" / "templates").glob("*.j2"))
    assert len(names_in(compiled)) == len(templates) > 5


def other_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> jinja2.Environment:
    made = new_environment()
    text = (environment.TEMPLATES[0] / "parts.html.j2").read_text(encoding="utf-8")
    assert isinstance(made.loader, jinja2.FileSystemLoader)
    changed = jinja2.DictLoader({"parts.html.j2": text.replace("<title>", "<title>new ")})
    return made.overlay(loader=jinja2.ChoiceLoader([changed, made.loader]))


def other_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> jinja2.Environment:
    made = new_environment()
    text = (environment.TEMPLATES[0] / "parts.html.j2").read_text(encoding="utf-8")
    return made.overlay(loader=jinja2.DictLoader({"other.html.j2": text}))


def other_jinja(folder: Path, monkeypatch: pytest.MonkeyPatch) -> jinja2.Environment:
    monkeypatch.setattr(jinja2, "__version__", "3.99.0")
    return new_environment()


def folders_for_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> jinja2.Environment:
    for file in folder.iterdir():
        file.unlink()
        file.mkdir()
    return new_environment()


CHANGES = {
    "another text": other_text,
    "another name": other_name,
    "another Jinja": other_jinja,
    "what cannot be read": folders_for_files,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_has_changed_is_compiled_when_used(
    change: Callable[[Path, pytest.MonkeyPatch], jinja2.Environment],
    compiled: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = change(compiled, monkeypatch)
    before = sorted(compiled.rglob("*"))
    name = "other.html.j2" if change is other_name else "parts.html.j2"
    with monkeypatch.context() as patched, pytest.raises(AssertionError, match="is compiled"):
        patched.setattr(jinja2.Environment, "compile", refuse)
        made.get_template(name)
    said = str(made.get_template(name).module.head("t", "p", ""))  # type: ignore[attr-defined]
    assert "<title>new t" in said if change is other_text else "<title>t" in said
    assert sorted(compiled.rglob("*")) == before, "nothing is written"


def test_values_are_escaped_in_what_is_compiled_ahead(
    compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = new_environment()
    monkeypatch.setattr(jinja2.Environment, "compile", refuse)
    module = made.get_template("parts.html.j2").module
    assert "<title>&lt;b&gt;</title>" in module.head("<b>", "", "")  # type: ignore[attr-defined]


def test_the_build_writes_them(tmp_path: Path) -> None:
    """Where the package will look, and as it would make them itself."""
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    relative = environment.COMPILED.relative_to(Path(environment.__file__).parents[2])
    written = {path.name: path.read_text("utf-8") for path in (tmp_path / relative).iterdir()}
    assert written == compiled_templates()


DAMAGED = {
    "cut short": b"from jinja2.runtime import (",
    "something else": b"name = 'x'\n",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_module_is_compiled_again(
    content: bytes, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night's report must not fail for what is only there to save time."""
    expected = html_of(ROWS)
    for module in compiled.iterdir():
        module.write_bytes(content)
    monkeypatch.setattr(html, "page_environment", new_environment)
    assert html_of(ROWS) == expected


def test_damaged_byte_code_is_compiled_again(
    compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(html, "page_environment", new_environment)
    expected = html_of(ROWS)
    written = list((compiled / "__pycache__").iterdir())
    assert written
    for path in written:
        path.write_bytes(path.read_bytes()[:40])
    assert html_of(ROWS) == expected
