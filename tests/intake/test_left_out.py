"""What `--exclude` leaves out has no row and is counted apart from system folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_edge.intake.discover import LeftOut, discover, listed
from tests.factories import write_tree

TREE = {
    "a.png": b"",
    "Thumbs.db": b"",
    ".hidden": b"",
    "old/b.png": b"",
    "old/deep/c.png": b"",
    "new/old.txt": b"",
    "new/d.png": b"",
    "@eaDir/e.png": b"",
}
EVERYTHING = {".hidden", "Thumbs.db", "a.png", "new/d.png", "new/old.txt"} | {
    *("old/b.png", "old/deep/c.png"),
}

# Patterns, and what they leave out.
PATTERNS: dict[str, tuple[list[str], set[str]]] = {
    "a name": (["Thumbs.db"], {"Thumbs.db"}),
    "another case": (["thumbs.db"], set()),
    "a folder": (["old"], {"old/b.png", "old/deep/c.png"}),
    "a folder further down": (["deep"], {"old/deep/c.png"}),
    "a path": (["new/*.txt"], {"new/old.txt"}),
    "a star crosses folders": (["old/*.png"], {"old/b.png", "old/deep/c.png"}),
    "several": (["*.db", "new"], {"Thumbs.db", "new/d.png", "new/old.txt"}),
    "hidden files": ([".*"], {".hidden"}),
    "one letter": (["?"], set()),
    "everything": (["*"], EVERYTHING),
}


@pytest.mark.parametrize(("patterns", "gone"), PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_leaves_out_and_counts(
    patterns: list[str], gone: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of a folder that is walked and of a list of all that is in it."""
    write_tree(tmp_path, TREE)
    monkeypatch.chdir(tmp_path)
    walked, named = LeftOut(patterns), LeftOut(patterns)
    for files in (discover([tmp_path], walked), listed(TREE, named)):
        assert {file.display for file in files} == EVERYTHING - gone
    assert (walked.excluded, walked.files) == (named.excluded, named.files) == (len(gone), 1)


def test_a_folder_that_was_named_is_not_left_out(tmp_path: Path) -> None:
    write_tree(tmp_path, {"old/a.png": b"", "old/b.txt": b"", "c.png": b""})
    left_out = LeftOut(["old", "*.txt", "c.png"])
    files = discover([tmp_path / "old", tmp_path / "c.png"], left_out)
    assert [file.display for file in files] == ["old/a.png"]
    assert left_out.excluded == 2
