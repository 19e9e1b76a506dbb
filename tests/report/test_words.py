"""Every code is explained, here and in the manual, in the same words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cxr_edge.report.words import (
    REASONS,
    WARNINGS,
    Explanation,
    explanations,
    in_words,
    kind_of,
    remarks_of,
)
from cxr_edge.types import InputWarning, Reason
from tests.factories import result

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "reasons.md"


def test_every_code_has_words() -> None:
    assert set(REASONS) == set(Reason)
    assert set(WARNINGS) == set(InputWarning)


@pytest.mark.parametrize("words", [*REASONS.values(), *WARNINGS.values()], ids=lambda w: w.meaning)
def test_words_are_sentences(words: object) -> None:
    for text in vars(words).values():
        assert re.fullmatch(r"[A-Z][^\n]*\.", text)


def manual_rows(heading: str) -> list[str]:
    """The rows of all tables in this section, without the lines of their headings."""
    section = MANUAL.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `.*$", section, re.MULTILINE)


@pytest.mark.parametrize(("heading", "words"), [("Reasons", REASONS), ("Warnings", WARNINGS)])
def test_the_manual_has_the_same_words(
    heading: str, words: dict[Reason | InputWarning, Explanation]
) -> None:
    rows = [f"| `{code}` | {text.meaning} | {text.advice} |" for code, text in words.items()]
    assert sorted(manual_rows(heading)) == sorted(rows)


def test_a_row_is_explained_by_its_own_codes() -> None:
    """`modality` is a reason and a warning, with different words."""
    refused = result("a.dcm", None, reason=Reason.MODALITY)
    warned = result(warnings=(InputWarning.MODALITY, InputWarning.BLANK))
    assert explanations(refused) == [("modality", REASONS[Reason.MODALITY])]
    assert [name for name, _ in explanations(warned)] == ["modality", "blank"]
    assert explanations(warned)[0][1] == WARNINGS[InputWarning.MODALITY]
    assert [remarks_of(each) for each in (refused, warned, result())] == [
        ["modality"],
        ["modality", "blank"],
        [],
    ]


def test_codes_in_words() -> None:
    assert in_words(Reason.STILL_CHANGING) == "still changing"


def test_notes_are_called_notes() -> None:
    kinds = {kind_of(InputWarning.NONCONFORMING), kind_of(InputWarning.EXTENSION_MISMATCH)}
    assert kinds == {"note"}
    assert kind_of(InputWarning.CLIPPED) == "warning"
