"""Labelled folders: what is found, what is read, and splits that share no patient."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxr_edge.errors import DataError
from cxr_training.films.data import (
    ImageSet,
    LabelledFile,
    Split,
    find_labelled,
    load_images,
    split_by_patient,
)
from tests.training.helpers import FILMS_PER_CLASS


@pytest.fixture
def folder(tmp_path: Path, labelled: Path) -> Path:
    """A copy of the labelled folder that a test may change."""
    return Path(shutil.copytree(labelled, tmp_path / "labelled"))


def fake_set(patients: list[tuple[int, int]]) -> ImageSet:
    """Blank 1x1 images for (label, films) of each patient."""
    files = [
        LabelledFile(Path(f"p{p}-{film}.png"), label, f"p{p}")
        for p, (label, films) in enumerate(patients)
        for film in range(films)
    ]
    labels = np.array([file.label for file in files], np.float32)
    return ImageSet(tuple(files), np.zeros((len(files), 1, 1, 1), np.uint8), labels, "0" * 64)


def test_find_labelled_is_ordered_and_labelled(labelled: Path) -> None:
    files = find_labelled(labelled)
    assert len(files) == 2 * FILMS_PER_CLASS
    assert [file.label for file in files] == [0] * FILMS_PER_CLASS + [1] * FILMS_PER_CLASS
    names = [file.name for file in files]
    assert names == sorted(names)
    assert names[0] == "NORMAL/IM-0000-0000.png"


def test_every_file_of_a_class_may_be_a_film_but_hidden_ones(folder: Path) -> None:
    (folder / "NORMAL" / "2026").mkdir()
    for name in (".DS_Store", "2026/film.dcm", "1.2.840.101"):
        (folder / "NORMAL" / name).touch()
    names = {file.name for file in find_labelled(folder)}
    assert len(names) == 2 * FILMS_PER_CLASS + 2
    assert {"NORMAL/2026/film.dcm", "NORMAL/1.2.840.101"} <= names


def test_a_film_may_be_a_link_to_an_archive(folder: Path, tmp_path: Path) -> None:
    film = folder / "NORMAL" / "IM-0000-0000.png"
    before, _ = load_images(find_labelled(folder), 50)
    film.rename(tmp_path / "archived.png")
    film.symlink_to(tmp_path / "archived.png")
    assert load_images(find_labelled(folder), 50)[0].sha256 == before.sha256


@pytest.mark.parametrize("is_left", [True, False], ids=["empty folder", "no folder"])
def test_find_labelled_names_the_class_without_films(is_left: bool, folder: Path) -> None:
    shutil.rmtree(folder / "PNEUMONIA")
    if is_left:
        (folder / "PNEUMONIA").mkdir()
    with pytest.raises(DataError, match="holds no film of the class PNEUMONIA") as refused:
        find_labelled(folder)
    assert refused.value.tip.startswith("a labelled folder holds the folders NORMAL and PNEUMONIA")


def test_pixels_stay_with_their_file(folder: Path) -> None:
    for level, name in ((40, "NORMAL/aa.png"), (200, "PNEUMONIA/zz.png")):
        Image.new("L", (80, 60), level).save(folder / name)
    images, _ = load_images(find_labelled(folder), 50)
    of_name = {file.name: pixels for file, pixels in zip(images.files, images.pixels, strict=True)}
    assert (of_name["NORMAL/aa.png"] == 40).all()
    assert (of_name["PNEUMONIA/zz.png"] == 200).all()


def test_unreadable_files_are_listed_and_left_out(folder: Path) -> None:
    (folder / "NORMAL" / "empty.png").touch()
    (folder / "PNEUMONIA" / "text.txt").write_text("no film")
    whole = (folder / "PNEUMONIA" / "person0_virus_1.jpeg").read_bytes()
    (folder / "PNEUMONIA" / "cut.jpeg").write_bytes(whole[:-500])
    calls: list[int] = []
    images, skipped = load_images(find_labelled(folder), 50, lambda: calls.append(1))
    reasons = {item.name: item.reason.partition(":")[0] for item in skipped}
    assert reasons == {
        "NORMAL/empty.png": "empty",
        "PNEUMONIA/cut.jpeg": "truncated",
        "PNEUMONIA/text.txt": "no_film",
    }
    assert len(images.files) == 2 * FILMS_PER_CLASS
    assert len(calls) == len(images.files) + len(skipped)


def test_one_readable_class_is_not_enough(folder: Path) -> None:
    for path in (folder / "NORMAL").iterdir():
        path.write_bytes(b"no film")
    with pytest.raises(DataError, match="both classes are needed; 30 of 60 files could be read"):
        load_images(find_labelled(folder), 50)


def test_the_hash_follows_content_and_names_only(folder: Path) -> None:
    def digest() -> str:
        return load_images(find_labelled(folder), 50)[0].sha256

    before = digest()
    film = folder / "NORMAL" / "IM-0000-0001.jpeg"
    os.utime(film, (1, 1))
    assert digest() == before
    data = bytearray(film.read_bytes())
    data[-10] ^= 1
    film.write_bytes(data)
    changed = digest()
    assert changed != before
    film.rename(film.with_name("IM-0000-0009.jpeg"))
    assert digest() not in (before, changed)


def test_a_name_that_is_not_utf8_is_read_all_the_same(folder: Path) -> None:
    odd = os.fsdecode(b"film\xff.png")
    shutil.copy(folder / "NORMAL" / "IM-0000-0000.png", folder / "NORMAL" / odd)
    images, skipped = load_images(find_labelled(folder), 50)
    assert len(images.files) == 2 * FILMS_PER_CLASS + 1
    assert not skipped


def test_subset_keeps_rows_together_and_the_hash_of_the_whole(labelled: Path) -> None:
    images, _ = load_images(find_labelled(labelled), 50)
    some = images.subset([40, 3])
    assert some.files == (images.files[40], images.files[3])
    assert some.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(some.pixels, images.pixels[[40, 3]])
    assert some.sha256 == images.sha256
    assert some.counts() == {"NORMAL": 1, "PNEUMONIA": 1, "patients": 2}


PATIENT = st.tuples(st.integers(0, 1), st.integers(1, 9))


@settings(max_examples=60, deadline=None)
@given(
    patients=st.lists(PATIENT, min_size=40, max_size=90).filter(
        lambda people: 15 <= sum(label for label, _ in people) <= len(people) - 15
    ),
    tenths=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_split_never_shares_a_patient(
    patients: list[tuple[int, int]], tenths: int, seed: int
) -> None:
    images = fake_set(patients)
    split = split_by_patient(images, tenths, seed)
    sides = [{file.patient for file in side.files} for side in (split.train, split.validation)]
    assert not sides[0] & sides[1]
    both = split.train.files + split.validation.files
    assert sorted(file.path for file in both) == sorted(file.path for file in images.files)
    for label in (0, 1):
        share = (split.validation.labels == label).sum() / (images.labels == label).sum()
        assert share == pytest.approx(tenths / 10, abs=0.15)


def test_a_split_is_reproducible_and_follows_the_seed() -> None:
    images = fake_set([(i % 2, 1 + i % 3) for i in range(60)])
    first = split_by_patient(images, 2, 42)
    assert split_by_patient(images, 2, 42).validation.files == first.validation.files
    assert split_by_patient(images, 2, 43).validation.files != first.validation.files


def test_more_tenths_only_add_to_validation() -> None:
    images = fake_set([(i % 2, 2) for i in range(60)])
    kept = [set(split_by_patient(images, tenths, 42).validation.files) for tenths in (1, 2, 3)]
    assert kept[0] < kept[1] < kept[2]


def test_too_few_films_to_split() -> None:
    with pytest.raises(DataError, match="too few images to split by patient"):
        split_by_patient(fake_set([(0, 1), (1, 1)] * 4), 2, 42)


def test_too_few_patients_to_validate_both_classes() -> None:
    with pytest.raises(DataError, match="side holds one class only; more patients are needed"):
        split_by_patient(fake_set([(0, 1)] * 20 + [(1, 20)]), 2, 42)


def test_a_split_refuses_a_shared_patient() -> None:
    images = fake_set([(0, 2), (1, 2), (0, 1), (1, 1)])
    with pytest.raises(DataError, match="patients on both sides of the split: p0, p1"):
        Split(images.subset([0, 2]), images.subset([1, 3, 4, 5]))


@pytest.mark.parametrize(
    ("train", "validation", "side"), [([0], [1, 2], "training"), ([0, 1], [2], "validation")]
)
def test_a_split_refuses_a_side_of_one_class(
    train: list[int], validation: list[int], side: str
) -> None:
    images = fake_set([(0, 1), (1, 1), (0, 1), (1, 1)])
    with pytest.raises(DataError, match=f"the {side} side holds one class only"):
        Split(images.subset(train), images.subset(validation))
