"""What a survey finds: sets, duplicates, patients, files that cannot be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.errors import DataError
from cxr_training.explore.survey import (
    Duplicate,
    Film,
    Overlap,
    duplicates,
    find_sets,
    patients,
    read_films,
)
from cxr_training.films.data import LabelledFile
from tests.training.helpers import FILMS_PER_CLASS, write_labelled_folder


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A folder of two sets with six films in each class, and a folder that is no set."""
    for name in ("train", "test"):
        write_labelled_folder(tmp_path / name, 6)
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").touch()
    return tmp_path


def films_of(folder: Path) -> dict[str, Film]:
    return {film.name: film for film in read_films(find_sets(folder)).films}


def test_a_labelled_folder_is_one_set(labelled: Path) -> None:
    found = find_sets(labelled)
    assert {one.set_name for one in found} == {"labelled"}
    assert len(found) == 2 * FILMS_PER_CLASS
    assert found[0].name == "labelled/NORMAL/IM-0000-0000.png"


def test_a_folder_of_sets(sets: Path) -> None:
    found = find_sets(sets)
    assert [one.set_name for one in found] == ["test"] * 12 + ["train"] * 12
    assert {one.class_name for one in found} == {"NORMAL", "PNEUMONIA"}


def test_the_working_folder_has_a_name(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(labelled)
    assert find_sets(Path())[0].set_name == "labelled"


def test_neither_a_set_nor_sets(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="has no folders NORMAL and PNEUMONIA") as refused:
        find_sets(tmp_path)
    assert "folder of labelled folders" in refused.value.tip


def test_a_set_without_one_class(sets: Path) -> None:
    shutil.rmtree(sets / "test" / "NORMAL")
    with pytest.raises(DataError, match="test holds no film of the class NORMAL"):
        find_sets(sets)


@pytest.mark.parametrize(
    ("name", "image", "facts"),
    [
        ("a.jpeg", Image.new("L", (30, 20)), (30, 20, "JPEG", "L")),
        ("b.jpg", Image.new("RGB", (30, 20)), (30, 20, "JPEG", "RGB")),
        ("c.png", Image.new("L", (7, 90)), (7, 90, "PNG", "L")),
        ("d.png", Image.fromarray(np.ones((4, 5), np.uint16)), (5, 4, "PNG", "I;16")),
        ("e.tif", Image.new("L", (8, 8), 99), (8, 8, "TIFF", "L")),
        ("f.png", Image.new("P", (8, 8)), (8, 8, "PNG", "P")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_facts_of_a_film(
    labelled: Path, tmp_path: Path, name: str, image: Image.Image, facts: tuple[int, int, str, str]
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(labelled, folder)
    image.save(folder / "NORMAL" / name)
    film = films_of(folder)[f"set/NORMAL/{name}"]
    assert (film.width, film.height, film.format, film.mode) == facts
    assert film.aspect == facts[0] / facts[1]


def test_a_film_is_measured_upright(sets: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (30, 20)).save(sets / "test" / "NORMAL" / "turned.jpeg", exif=exif)
    film = films_of(sets)["test/NORMAL/turned.jpeg"]
    assert (film.width, film.height) == (20, 30)


def test_unreadable_files_are_kept_apart(sets: Path) -> None:
    (sets / "test" / "NORMAL" / "empty.png").touch()
    (sets / "train" / "PNEUMONIA" / "text.txt").write_text("no film")
    (sets / "train" / "PNEUMONIA" / "gone.png").symlink_to("nowhere")
    calls: list[int] = []
    survey = read_films(find_sets(sets), lambda: calls.append(1))
    reasons = {file.name: file.reason for file in survey.unreadable}
    assert reasons["test/NORMAL/empty.png"] == "empty"
    assert reasons["train/PNEUMONIA/text.txt"] == "no_film"
    assert reasons["train/PNEUMONIA/gone.png"] == "missing"
    assert (len(survey.films), len(survey.found), len(calls)) == (24, 27, 27)
    assert survey.sets == ("test", "train")


def test_names_are_printable(sets: Path) -> None:
    odd = os.fsdecode("a\u202eb".encode() + b"\xff\n.png")
    shutil.copy(sets / "test" / "NORMAL" / "IM-0000-0000.png", sets / "test" / "NORMAL" / odd)
    assert "test/NORMAL/a\\u202eb\\udcff\\n.png" in films_of(sets)


def film(**changes: object) -> Film:
    facts = {"set_name": "train", "label": 0, "patient": "p1", "sha256": "s", **changes}
    file = LabelledFile(Path("x.png"), int(str(facts["label"])), str(facts["patient"]))
    return Film(str(facts["set_name"]), file, 9, 9, "PNG", "L", str(facts["sha256"]))


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        ({}, (Overlap.ONE_PATIENT,)),
        ({"patient": "p2"}, (Overlap.SEVERAL_PATIENTS,)),
        ({"set_name": "test"}, (Overlap.SEVERAL_SETS,)),
        ({"label": 1}, (Overlap.BOTH_CLASSES,)),
        ({"label": 1, "set_name": "test"}, (Overlap.BOTH_CLASSES, Overlap.SEVERAL_SETS)),
        (
            {"label": 1, "set_name": "test", "patient": "p2"},
            (Overlap.BOTH_CLASSES, Overlap.SEVERAL_SETS, Overlap.SEVERAL_PATIENTS),
        ),
    ],
    ids=str,
)
def test_what_equal_files_share(other: dict[str, object], overlaps: tuple[Overlap, ...]) -> None:
    assert Duplicate((film(), film(**other))).overlaps == overlaps


def test_duplicates_are_equal_bytes_and_the_worst_come_first() -> None:
    films = [
        film(sha256="one"),
        film(sha256="same"),
        film(sha256="same"),
        film(sha256="leak"),
        film(sha256="leak", set_name="test"),
        film(sha256="conflict"),
        film(sha256="conflict", label=1),
        film(sha256="same"),
    ]
    found = duplicates(films)
    assert [duplicate.films[0].sha256 for duplicate in found] == ["conflict", "leak", "same"]
    assert [len(duplicate.films) for duplicate in found] == [2, 2, 3]


def test_equal_pixels_in_other_bytes_are_no_duplicate(sets: Path) -> None:
    source = sets / "test" / "NORMAL" / "IM-0000-0000.png"
    shutil.copy(source, source.with_name("copy.png"))
    with Image.open(source) as image:
        image.save(source.with_name("again.png"), compress_level=0)
    names = {f.file_name for d in duplicates(films_of(sets).values()) for f in d.films}
    assert {"IM-0000-0000.png", "copy.png"} <= names
    assert "again.png" not in names


def test_patients_by_size_with_their_sets_and_classes() -> None:
    found = patients(
        [film(patient="b"), film(patient="a"), film(patient="b", set_name="test", label=1)]
    )
    assert [(patient.name, len(patient.films)) for patient in found] == [("b", 2), ("a", 1)]
    assert found[0].sets == {"train": 1, "test": 1}
    assert found[0].classes == {"NORMAL": 1, "PNEUMONIA": 1}
