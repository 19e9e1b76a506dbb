"""Text from outside, made fit to print."""

from __future__ import annotations

import contextlib
import os
import unicodedata

REPLACED = "\ufffd"  # what a letter becomes that cannot be decoded
# Controls, separators of lines and of paragraphs, and what no encoding has.
_NO_LETTERS = {"Cc", "Zl", "Zp", "Cs"}


def display_name(path: str | os.PathLike[str]) -> str:
    """A path as clean UTF-8: undecodable bytes, control, bidi and invisible marks are escaped.

    So is the backslash: two names never look the same. The outcome does not depend on the locale.
    """
    text = os.fspath(path)
    if not text.isascii():
        with contextlib.suppress(UnicodeEncodeError):  # no file name: nothing to undo
            text = os.fsencode(text).decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:  # nearly all of them
        return text
    return "".join(c if _is_plain(c) else _escaped(c) for c in text)


def printable(text: str) -> str:
    """Lines for a terminal, which obeys some characters: those are escaped, but for line feeds.

    Specs, file names and the messages of libraries that quote them come from outside.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def is_one_line(text: str) -> bool:
    """Whether a text can be repeated as it is: no control character, nothing that ends a line.

    Names hold ideographic spaces, joiners and marks of direction, which are not for printing.
    """
    return text.isprintable() or not any(unicodedata.category(c) in _NO_LETTERS for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _is_plain(character: str) -> bool:
    """Letters, marks, digits, punctuation, symbols and the space; all but the backslash."""
    return character.isprintable() and character != "\\"
