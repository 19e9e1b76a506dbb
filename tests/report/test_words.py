"""Every code is explained, here and in the README."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from cxr_edge.report.words import REASONS, WARNINGS, explanations, in_words, kind_of, remarks_of
from cxr_edge.types import InputWarning, Reason
from tests.factories import result

README = Path(__file__).resolve().parents[2] / "README.md"


def test_every_code_has_words() -> None:
    assert set(REASONS) == set(Reason)
    assert set(WARNINGS) == set(InputWarning)


@pytest.mark.parametrize("words", [*REASONS.values(), *WARNINGS.values()], ids=lambda w: w.meaning)
def test_words_are_sentences(words: object) -> None:
    for text in vars(words).values():
        assert re.fullmatch(r"[A-Z][^\n]*\.", text)


def readme_codes(heading: str) -> set[str]:
    """The codes in the first column of the table under this heading."""
    lines = README.read_text(encoding="utf-8").split(f"| {heading} |")[1].splitlines()
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[1:])
    return set(re.findall("`([a-z_]+)`", " ".join(line.split("|")[1] for line in table)))


@pytest.mark.parametrize(("heading", "codes"), [("reason", Reason), ("warning", InputWarning)])
def test_the_readme_has_the_same_codes(heading: str, codes: type[Reason | InputWarning]) -> None:
    assert readme_codes(heading) == {code.value for code in codes}


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
