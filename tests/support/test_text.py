"""File names made fit to print."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.support.text import display_name, is_one_line
from tests.factories import ANY_TEXT

NAMES = {
    "plain": ("a/b.png", "a/b.png"),
    "umlauts": ("Müller/Größe.jpeg", "Müller/Größe.jpeg"),
    "other scripts": ("胸部/ر.png", "胸部/ر.png"),
    "space and quotes": ("a 'b' \"c\".png", "a 'b' \"c\".png"),
    "newline": ("a\nb", r"a\nb"),
    "escape": ("a\x1b[31mb", r"a\x1b[31mb"),
    "line separator": ("a\u2028b", r"a\u2028b"),
    "undecodable byte": (os.fsdecode(b"a\xffb"), r"a\udcffb"),
    "half a character": ("a\ud800b", r"a\ud800b"),
    "right-to-left override": ("a\u202egnp.exe", r"a\u202egnp.exe"),
    "zero width": ("a\u200bb", r"a\u200bb"),
    "byte order mark": ("\ufeffa", r"\ufeffa"),
    "backslash": (r"a\nb", r"a\\nb"),
}


@pytest.mark.parametrize(("name", "shown"), NAMES.values(), ids=NAMES)
def test_display_name(name: str, shown: str) -> None:
    assert display_name(name) == shown


@given(ANY_TEXT | st.binary().map(os.fsdecode))
def test_display_name_can_always_be_printed(name: str) -> None:
    shown = display_name(name)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert shown.isprintable()


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_two_names_never_look_the_same(one: bytes, other: bytes) -> None:
    same = display_name(os.fsdecode(one)) == display_name(os.fsdecode(other))
    assert same == (one == other)


ONE_LINE = [
    "",
    "Müller^Zoë",
    "山田\u3000太郎",
    "a\u00a0b",
    "a\u200db",
    "\u200fa",
    "\ufeffa",
    "\ue000",
]
NOT_ONE_LINE = ["a\nb", "a\rb", "a\tb", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]


@pytest.mark.parametrize("text", ONE_LINE + NOT_ONE_LINE, ids=ascii)
def test_a_text_of_one_line(text: str) -> None:
    assert is_one_line(text) == (text in ONE_LINE)


def test_display_name_does_not_depend_on_the_locale() -> None:
    code = (
        "import os; from cxr_edge.support.text import display_name\n"
        "print(ascii(display_name(os.fsdecode(b'Gr\\xc3\\xb6\\xc3\\x9fe\\xff'))))"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-X", f"utf8={mode}", "-c", code],
            env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
            capture_output=True,
            check=True,
        ).stdout
        for mode in (0, 1)
    }
    assert shown == {ascii(r"Größe\udcff").encode() + b"\n"}


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_a_name_can_be_had_back(name: bytes) -> None:
    """By the expression that docs/report.md prints."""
    shown = display_name(os.fsdecode(name))
    assert os.fsencode(shown.encode("ascii", "backslashreplace").decode("unicode_escape")) == name
