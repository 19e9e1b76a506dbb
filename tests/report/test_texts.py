"""Every text in every language; every code is explained, here and in the manual."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from cxr_edge.report.context import BANNER
from cxr_edge.report.environment import TEMPLATES
from cxr_edge.report.texts import Explanation, Texts, in_words, kind_of, remarks_of, texts
from cxr_edge.types import LANGUAGES, InputWarning, Reason
from tests.factories import result

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "reasons.md"
ENGLISH = texts()
OTHERS = [texts(language) for language in LANGUAGES if language != "en"]


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("other", OTHERS, ids=lambda each: each.language)
def test_a_translation_is_complete(other: Texts) -> None:
    assert list(other.page) == list(ENGLISH.page)
    for key, text in other.page.items():
        assert placeholders(text) == placeholders(ENGLISH.page[key]), key
        assert text.strip(), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_words(language: str) -> None:
    found = texts(language)
    assert set(found.reasons) == set(Reason)
    assert set(found.warnings) == set(InputWarning)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_sentences_and_names_are_not(language: str) -> None:
    found = texts(language)
    for words in (*found.reasons.values(), *found.warnings.values()):
        for text in (words.meaning, words.advice):
            assert re.fullmatch(r"[A-Z\u00c0-\u00dc][^\n]*\.", text)
        assert len(words.name) <= 36 and not words.name.endswith(".")


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_remarks_differ(language: str) -> None:
    """The filter offers them by name."""
    found = texts(language)
    names = [words.name for words in (*found.reasons.values(), *found.warnings.values())]
    assert len(names) == len(set(names))


def test_no_translation_repeats_the_english_by_mistake() -> None:
    for other in OTHERS:
        same = [key for key, text in other.page.items() if text == ENGLISH.page[key]]
        assert not [key for key in same if len(ENGLISH.page[key].split()) > 5], other.language


def test_the_english_banner_is_that_of_every_output() -> None:
    assert ENGLISH("banner") == BANNER


def test_templates_use_every_text_and_no_other() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES[0].glob("*.j2"))
    source += "".join(path.read_text(encoding="utf-8") for path in TEMPLATES[0].glob("*.js"))
    asked = set(re.findall(r'\bt\("(\w+)"[,)]', source))
    assert asked <= set(ENGLISH.page)
    beginnings = tuple(re.findall(r'\bt\("(\w+_)" ~', source))
    named = set(re.findall(r'"(\w+)"', source)) | {"date", "date_time", "print_blank"}
    scripted = {f"js_{name}" for name in re.findall(r'(?:say\(|\[)"(\w+)"', source)}
    scripted |= {f"js_{name}" for name in re.findall(r"texts\.(\w+)", source)}
    unused = set(ENGLISH.page) - asked - named - scripted
    assert [key for key in unused if not key.startswith(beginnings)] == []


def manual_rows(heading: str) -> list[str]:
    """The rows of all tables in this section, without the lines of their headings."""
    section = MANUAL.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `.*$", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "words"), [("Reasons", ENGLISH.reasons), ("Warnings", ENGLISH.warnings)]
)
def test_the_manual_has_the_same_words(heading: str, words: dict[str, Explanation]) -> None:
    rows = [f"| `{k}` | {e.name} | {e.meaning} | {e.advice} |" for k, e in words.items()]
    assert sorted(manual_rows(heading)) == sorted(rows)


def test_a_row_is_explained_by_its_own_codes() -> None:
    """`modality` is a reason and a warning, with different words."""
    refused = result("a.dcm", None, reason=Reason.MODALITY)
    warned = result(warnings=(InputWarning.MODALITY, InputWarning.NONCONFORMING))
    assert ENGLISH.explanations(refused) == [("modality", "reason", ENGLISH.reasons["modality"])]
    found = ENGLISH.explanations(warned)
    assert [(code, kind) for code, kind, _ in found] == [
        ("modality", "warning"),
        ("nonconforming", "note"),
    ]
    assert found[0][2] == ENGLISH.warnings["modality"] != ENGLISH.reasons["modality"]
    assert [remarks_of(each) for each in (refused, warned, result())] == [
        ["modality"],
        ["modality", "nonconforming"],
        [],
    ]


def test_codes_in_words() -> None:
    assert in_words(Reason.STILL_CHANGING) == "still changing"


def test_notes_are_called_notes() -> None:
    kinds = {kind_of(InputWarning.NONCONFORMING), kind_of(InputWarning.EXTENSION_MISMATCH)}
    assert kinds == {"note"}
    assert kind_of(InputWarning.CLIPPED) == "warning"


def test_the_manual_has_each_heading_once_and_no_empty_table() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ .+$", text, re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert not re.search(r"^\|[-|]+\|\n(?!\|)", text, re.MULTILINE)
