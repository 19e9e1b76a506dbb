"""Labels from folders: every file is a film of its class, and nothing is guessed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge.errors import DataError
from cxr_edge.evaluate.labels import LabelledSet, check_contradictions, from_folders
from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.types import Reason
from tests.factories import result, write_tree


def tree(root: Path, *names: str) -> Path:
    return write_tree(root / "site", dict.fromkeys(names, b"film"))


def labels(found: LabelledSet) -> list[tuple[str, int]]:
    return [(film.file.display, film.label) for film in found.films]


def test_every_file_below_a_class_folder(tmp_path: Path) -> None:
    folder = tree(
        tmp_path,
        "PNEUMONIA/person7_virus_2.jpeg",
        "NORMAL/2026/b.dcm",
        "NORMAL/notes.txt",
        "NORMAL/.DS_Store",
        "NORMAL/a.png",
    )
    found = from_folders(folder)
    assert found.name == "site"
    assert found.classes == ("NORMAL", "PNEUMONIA")
    assert labels(found) == [
        ("NORMAL/.DS_Store", 0),
        ("NORMAL/2026/b.dcm", 0),
        ("NORMAL/a.png", 0),
        ("NORMAL/notes.txt", 0),
        ("PNEUMONIA/person7_virus_2.jpeg", 1),
    ]
    assert [film.patient for film in found.films] == ["1", "2", "3", "4", "5"]
    assert found.patients_from == ("every film counted as a patient of its own (4), file names (1)")
    assert found.films[0].file.problem is Reason.TEMPORARY_NAME
    assert all(film.file.path.read_bytes() == b"film" for film in found.films)


def test_what_lies_beside_the_class_folders_is_unlabelled(tmp_path: Path) -> None:
    folder = tree(tmp_path, "NORMAL/a.png", "PNEUMONIA/b.png", "loose.png", ".git/x", "Thumbs.db")
    (folder / "link").symlink_to(folder / "NORMAL")
    found = from_folders(folder)
    assert len(found.films) == 2
    assert found.unlabelled == (".git", "Thumbs.db", "link", "loose.png")


@pytest.mark.parametrize("made", [True, False], ids=["empty", "missing"])
@pytest.mark.parametrize("name", ["NORMAL", "PNEUMONIA"])
def test_one_class_is_enough(tmp_path: Path, name: str, made: bool) -> None:
    folder = tree(tmp_path, f"{name}/a.png")
    for other in ("NORMAL", "PNEUMONIA") if made else ():
        (folder / other).mkdir(exist_ok=True)
    found = from_folders(folder)
    assert labels(found) == [(f"{name}/a.png", int(name == "PNEUMONIA"))]
    assert found.classes == ("NORMAL", "PNEUMONIA")


@pytest.mark.parametrize(
    ("names", "positive", "classes", "expected"),
    [
        (("SICK/a", "WELL/b"), ("SICK",), ("WELL", "SICK"), [0, 1]),
        (("VIRUS/a", "BACTERIA/b", "NORMAL/c"), ("VIRUS", "BACTERIA"), None, [0, 1, 1]),
        (("TB/a",), ("TB",), ("NORMAL", "TB"), [1]),
        (("PNEUMONIA/a", "NORMAL/b"), ("PNEUMONIA",), ("NORMAL", "PNEUMONIA"), [0, 1]),
        (("NORMAL/a", "PNEUMONIA/b"), ("NORMAL",), ("PNEUMONIA", "NORMAL"), [0, 1]),
    ],
    ids=["named", "two", "alone", "the usual", "the other way round"],
)
def test_a_site_names_the_positive_class(
    tmp_path: Path,
    names: tuple[str, ...],
    positive: tuple[str, ...],
    classes: tuple[str, str] | None,
    expected: list[int],
) -> None:
    found = from_folders(tree(tmp_path, *names), positive)
    assert found.classes == (classes or ("NORMAL", "VIRUS+BACTERIA"))
    assert [label for _, label in labels(found)] == expected
    inside = {film.file.display.partition("/")[0] for film in found.films if film.label}
    assert inside == set(positive)


@pytest.mark.parametrize(
    ("names", "positive", "message", "tip"),
    [
        (("NORMAL/a", "TB/b"), (), "unknown classes: TB", "NORMAL and PNEUMONIA; name others with"),
        (("Normal/a", "PNEUMONIA/b"), (), "unknown classes: Normal", "write NORMAL, in capitals"),
        (("NORMAL/a", "PNEUMONIA /b"), (), "classes: PNEUMONIA ", "PNEUMONIA, in capitals and w"),
        (("NORMAL/a", "TB/b", "X/c"), ("TB",), "unknown classes: X", "NORMAL and TB"),
        (("B/a", "TB/b", "X/c"), ("TB",), "unknown classes: B, X", "NORMAL and TB"),
        (("NORMAL/a", "TB/b"), ("tb",), "no folder in .*/site for the positive class: tb", ""),
        (("NORMAL/a",), ("NORMAL",), "no class is left beside the positive one: NORMAL", ""),
        (
            tuple(f"{name}/a" for name in "ABCDEFG"),
            (),
            r"unknown classes: A, B, C, D, E and 2 more \(7 in all\)$",
            "--positive",
        ),
        (("a.png",), (), "no labelled film in site", "in the folders NORMAL and PNEUMONIA"),
    ],
    ids=[
        "unknown",
        "case",
        "blank",
        "unknown beside a named one",
        "two beside a named one",
        "no such folder",
        "nothing left",
        "many",
        "loose files only",
    ],
)
def test_refused_folders(
    tmp_path: Path, names: tuple[str, ...], positive: tuple[str, ...], message: str, tip: str
) -> None:
    folder = tree(tmp_path, *names)
    with pytest.raises(DataError, match=message) as caught:
        from_folders(folder, positive)
    assert tip in caught.value.tip


@pytest.mark.parametrize("name", ["PNEUMONIA", "PNEUMONIA/", "PNEUMONIA//"])
def test_a_slash_at_the_end_of_a_positive_folder_changes_no_label(
    tmp_path: Path, name: str
) -> None:
    found = from_folders(tree(tmp_path, "NORMAL/a", "PNEUMONIA/b"), (name,))
    assert found.classes == ("NORMAL", "PNEUMONIA")
    assert labels(found) == [("NORMAL/a", 0), ("PNEUMONIA/b", 1)]


@pytest.mark.parametrize(
    "name", ["", "/", ".", "..", "./PNEUMONIA", "PNEUMONIA/sub", "../site/PNEUMONIA", "loose"]
)
def test_a_positive_folder_is_a_name_in_the_folder(tmp_path: Path, name: str) -> None:
    folder = tree(tmp_path, "NORMAL/a", "PNEUMONIA/sub/b", "loose")
    with pytest.raises(DataError, match="for the positive class"):
        from_folders(folder, (name,))


@pytest.mark.parametrize("name", ["nothing", "a.png"])
def test_not_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=f"not a folder: .*{name}"):
        from_folders(tmp_path / name)


def test_a_class_folder_that_is_a_link_hides_its_films(tmp_path: Path) -> None:
    folder = tree(tmp_path, "NORMAL/a.png", "elsewhere/b.png")
    (folder / "PNEUMONIA").symlink_to(folder / "elsewhere")
    (folder / "elsewhere").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="links or cannot be opened: PNEUMONIA"):
        from_folders(folder)


def closed(name: str) -> Callable[[int], list[str]]:
    """`os.listdir` of open folders, for a user who may not look into those of a name."""
    listdir = os.listdir

    def listed(descriptor: int) -> list[str]:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == name:
            raise PermissionError
        return listdir(descriptor)

    return listed


@pytest.mark.parametrize("name", ["PNEUMONIA", "TB"])
def test_a_folder_that_cannot_be_opened_hides_its_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tree(tmp_path, "NORMAL/a.png", f"{name}/b.png")
    monkeypatch.setattr(os, "listdir", closed(name))
    with pytest.raises(DataError, match=f"links or cannot be opened: {name}"):
        from_folders(folder)


def test_patients_are_numbers_and_strangers_stay_apart(tmp_path: Path) -> None:
    """Exports without a suffix, and one numbering in the folders of two patients."""
    folder = tree(
        tmp_path,
        "NORMAL/1.2.840.101",
        "NORMAL/1.2.840.102",
        "NORMAL/anna/IM-0001-0001.dcm",
        "NORMAL/bert/IM-0001-0001.dcm",
        "NORMAL/bert/IM-0001-0002.dcm",
    )
    found = from_folders(folder)
    assert [film.patient for film in found.films] == ["1", "2", "3", "4", "4"]


def test_a_link_inside_a_class_hides_films_if_it_leads_to_a_folder(tmp_path: Path) -> None:
    folder = tree(tmp_path, "NORMAL/a.png")
    (folder / "NORMAL/file").symlink_to(folder / "NORMAL/a.png")
    (folder / "NORMAL/broken").symlink_to("nowhere")
    problems = [film.file.problem for film in from_folders(folder).films]
    assert problems == [None, Reason.SYMLINK, Reason.SYMLINK]
    (folder / "NORMAL/archive").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"links or cannot be opened: NORMAL/archive$"):
        from_folders(folder)


def test_names_are_fit_to_print(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "si\x1bte", {"NORMAL/\x1b[31m.png": b"", "TB\n/b": b""})
    with pytest.raises(DataError) as caught:
        from_folders(folder)
    assert str(caught.value).isprintable()
    found = from_folders(folder, ("TB\n",))
    assert found.classes == ("NORMAL", "TB\\n")
    assert found.name == "si\\x1bte"
    assert labels(found) == [("NORMAL/\\x1b[31m.png", 0), ("TB\\n/b", 1)]


def evaluated(
    path: str, label: int, content: str, probability: float | None = 0.5
) -> EvaluatedFilm:
    found = result(path, probability, sha256=content and content * 32)
    return EvaluatedFilm(found, label, "p", 1)


def test_identical_films_under_different_labels() -> None:
    films = [
        evaluated("NORMAL/a", 0, "aa"),
        evaluated("PNEUMONIA/b", 1, "aa"),
        evaluated("NORMAL/c", 0, "cc"),
        evaluated("NORMAL/d", 0, "cc"),
    ]
    with pytest.raises(DataError, match=r"different labels: NORMAL/a = PNEUMONIA/b$"):
        check_contradictions(films)


def test_repeated_films_and_unread_ones_contradict_nothing() -> None:
    check_contradictions([evaluated("a", 0, "cc"), evaluated("b", 0, "cc")])
    check_contradictions([evaluated("a", 0, "", None), evaluated("b", 1, "", None)])
    check_contradictions([evaluated("empty", 0, "ee", None), evaluated("too", 1, "ee", None)])
