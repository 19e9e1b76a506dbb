"""A site's own films: who is on them, what is doubted, and that no patient is on both sides."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from cxr_edge.errors import DataError, InputError
from cxr_edge.evaluate.job import Labels
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input, without_border
from cxr_training.films.data import (
    ImageSet,
    LabelledFile,
    find_labelled,
    labelled_set,
    load_images,
    split_by_patient,
    tally,
)
from cxr_training.fit import run, training
from cxr_training.fit.training import LoadedData, TrainingJob
from cxr_training.recipe.recipe import load_recipe
from cxr_training.support.writing import write_json
from tests.factories import chest, write_tree
from tests.images import dicoms
from tests.images.films import jpeg
from tests.training.films.site import FOLLOW_UPS, PATIENTS, without_patients, write_site

ROOT = Path(__file__).resolve().parents[3]
KERMANY = ROOT.parent / "shared" / "data" / "kermany224" / "train"
# The scope gate is trained on other pictures besides, and has no such file.
SOURCES = [
    each.with_name("run.json")
    for each in sorted((ROOT / "models" / "sources").glob("*/predictions.csv"))
]


def read(site: Path, labels: Labels) -> ImageSet:
    images, skipped = load_images(find_labelled(site, labels), 50, labels=labels)
    assert not skipped
    return images


@pytest.mark.parametrize("told_by", ["table", "header", "names"])
def test_a_follow_up_of_a_validation_patient_never_trains(told_by: str, tmp_path: Path) -> None:
    truth = write_site(tmp_path / "site", named=told_by == "names")
    table = tmp_path / "labels.csv"
    labels = Labels(
        table if told_by == "table" else without_patients(table),
        patients_from_header=told_by == "header",
    )
    images = read(tmp_path / "site", labels)
    assert images.unknown_patients == 0
    for seed in range(5):
        split = split_by_patient(images, 3, seed)
        sides = [{truth[f.name] for f in side.files} for side in (split.train, split.validation)]
        assert not sides[0] & sides[1]
        assert len(sides[0] | sides[1]) == PATIENTS


def test_without_any_of_them_each_film_is_a_patient_and_a_warning_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_site(tmp_path / "site")
    images = read(tmp_path / "site", Labels(without_patients(tmp_path / "labels.csv")))
    assert images.unknown_patients == PATIENTS * FOLLOW_UPS
    assert images.counts()["patients"] == PATIENTS * FOLLOW_UPS
    capsys.readouterr()
    training.say_about(images, ())
    said = capsys.readouterr().err
    assert "no patient is known of 60 of 60 films: each counts as one of its own" in said
    assert "--labels" in said
    assert "--patients-from-header" in said


def test_no_name_of_a_patient_is_handed_on(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    for labels in (
        Labels(tmp_path / "labels.csv"),
        Labels(without_patients(tmp_path / "labels.csv"), patients_from_header=True),
    ):
        assert "ID" not in str(read(tmp_path / "site", labels).files)


def test_a_table_knows_better_than_a_header(tmp_path: Path) -> None:
    write_site(tmp_path / "site", PatientID="the same")
    images = read(tmp_path / "site", Labels(tmp_path / "labels.csv", patients_from_header=True))
    assert images.counts()["patients"] == PATIENTS


def test_other_patients_on_the_same_films_are_another_split(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    table = tmp_path / "labels.csv"
    told, alone = (
        read(tmp_path / "site", Labels(each)) for each in (table, without_patients(table))
    )
    assert told.sha256 == alone.sha256
    assert (told.patients_sha256 != "", alone.patients_sha256) == (True, "")
    job = TrainingJob(load_recipe("cnn3_50", "tuned"), tmp_path / "site", tmp_path / "run")
    claims = [
        training._claim(job, LoadedData(split_by_patient(images, 2, 1), ()))
        for images in (told, alone)
    ]
    assert claims[0] != claims[1]
    assert "patients_sha256" not in claims[1], "runs of films that names tell go on as before"


def test_names_that_came_to_tell_the_patient_are_another_split(tmp_path: Path) -> None:
    """A run begun before `PATIENT_FOLLOWUP` was one patient does not go on with another split."""
    write_site(tmp_path / "site", named=True)
    images = read(tmp_path / "site", Labels(without_patients(tmp_path / "labels.csv")))
    assert images.counts()["patients"] == PATIENTS
    job = TrainingJob(load_recipe("cnn3_50", "tuned"), tmp_path / "site", tmp_path / "run")
    claim = training._claim(job, LoadedData(split_by_patient(images, 2, 1), ()))
    before = {key: value for key, value in claim.items() if key != "patients_sha256"}
    assert before != claim
    folder = run.RunFolder(job.out)
    folder.claim(before)
    write_json(folder.checkpoint / "state.json", asdict(run.TrainingProgress(epochs_done=1)))
    with pytest.raises(InputError, match="divided the films otherwise: it knew other patients"):
        folder.claim(claim)
    folder.claim(before)


def test_the_order_of_the_table_changes_nothing(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    table = tmp_path / "labels.csv"
    first = read(tmp_path / "site", Labels(table))
    header, *lines = table.read_text().splitlines()
    table.write_text("\n".join([header, *reversed(lines)]))
    again = read(tmp_path / "site", Labels(table))
    assert (again.files, again.sha256) == (first.files, first.sha256)


def test_laterals_and_adults_are_used_and_told(tmp_path: Path) -> None:
    """Someone has labelled them; what is no film to learn from is for them to take out."""
    write_site(tmp_path / "site", ViewPosition="LL", PatientAge="044Y", PatientBirthDate="19790101")
    images = read(tmp_path / "site", Labels(tmp_path / "labels.csv"))
    assert len(images.files) == PATIENTS * FOLLOW_UPS
    counts = dict(part.split(" ") for part in tally(images.doubted).split(", "))
    assert counts["view_position"] == counts["patient_age"] == str(PATIENTS * FOLLOW_UPS)
    assert {item.name for item in images.doubted} == {file.name for file in images.files}
    assert images.subset([0]).doubted == images.doubted


def test_a_file_that_is_no_film_is_left_out_with_its_reason(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    path = tmp_path / "site" / "2020" / "x0.dcm"
    path.write_bytes(dicoms.film(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    labels = Labels(tmp_path / "labels.csv")
    images, skipped = load_images(find_labelled(tmp_path / "site", labels), 50)
    assert [f"{item}" for item in skipped] == ["2020/x0.dcm: modality"]
    assert len(images.files) == PATIENTS * FOLLOW_UPS - 1


def test_a_site_names_its_classes(tmp_path: Path) -> None:
    films = {f"{name}/{n}.dcm": dicoms.film() for name in ("well", "TB") for n in range(2)}
    write_tree(tmp_path, films)
    files = find_labelled(tmp_path, Labels(positive=("TB",)))
    assert [(file.name, file.label) for file in files] == [
        ("well/0.dcm", 0),
        ("well/1.dcm", 0),
        ("TB/0.dcm", 1),
        ("TB/1.dcm", 1),
    ]
    with pytest.raises(DataError, match="unknown classes: TB, well"):
        find_labelled(tmp_path)


def test_files_without_a_label_are_known(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    write_tree(tmp_path / "site", {"late.dcm": dicoms.film()})
    assert labelled_set(tmp_path / "site", Labels(tmp_path / "labels.csv")).unlabelled == (
        "late.dcm",
    )


def test_a_large_film_is_read_with_all_its_pixels(tmp_path: Path) -> None:
    """A night decodes it at a fraction; networks that shipped have seen all of it."""
    film = jpeg(chest(1200, 1500))
    write_tree(tmp_path, {"NORMAL/a.jpeg": film, "PNEUMONIA/b.jpeg": film})
    images = read(tmp_path, Labels())
    whole = to_network_input(without_border(decode(film, "a.jpeg").pixels), 50)
    np.testing.assert_array_equal(images.pixels[0], whole)


@pytest.mark.slow
@pytest.mark.skipif(not KERMANY.is_dir(), reason="the public films are not beside the checkout")
def test_the_public_films_have_the_hash_and_the_splits_that_shipped_runs_record() -> None:
    """5,216 files are hashed: this takes seconds. Their pixels do not matter."""
    files = find_labelled(KERMANY)
    read = (replace(f, sha256=hashlib.sha256(f.path.read_bytes()).hexdigest()) for f in files)
    sha256 = hashlib.sha256("".join(f.hash_line() for f in read).encode()).hexdigest()
    images = blank(files, sha256)
    assert images.patients_sha256 == ""
    for source in SOURCES:
        described = json.loads(source.read_text())
        assert described["data"]["sha256"] == sha256
        recipe = described["recipe"]
        split = split_by_patient(images, recipe["validation_tenths"], recipe["seed"])
        with (source.parent / "predictions.csv").open(newline="") as stream:
            recorded = [row["name"] for row in csv.DictReader(stream)]
        assert [file.name for file in split.validation.files] == recorded
        assert split.train.counts() == described["data"]["train"]
        assert split.validation.counts() == described["data"]["validation"]


def blank(files: tuple[LabelledFile, ...], sha256: str) -> ImageSet:
    """A set whose pixels nobody looks at."""
    labels = np.array([file.label for file in files], np.float32)
    return ImageSet(files, np.zeros((len(files), 1, 1, 1), np.uint8), labels, sha256)
