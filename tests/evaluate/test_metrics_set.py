"""The set itself, and the threshold that a site proposes on it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cxr_edge.errors import DataError
from cxr_edge.evaluate.labels import LabelledSet, from_csv, from_folders
from cxr_edge.evaluate.metrics import propose, set_figures
from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.model.site_profile import load_profile
from cxr_edge.preprocess import PREPROCESSING_VERSION
from tests.evaluate.films import data, films, labelled, model, random_films, scored
from tests.factories import result, write_tree

pytest.importorskip("sklearn")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three films of each class, and a text file between them."""
    random = np.random.default_rng(0)
    for name, number in [(c, n) for c in ("NORMAL", "PNEUMONIA") for n in (2, 10, 1)]:
        (tmp_path / name).mkdir(exist_ok=True)
        pixels = random.integers(0, 255, (40, 30), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / f"person{number}_bacteria_é.png")
    (tmp_path / "NORMAL" / "notes.png").write_text("no film")
    return tmp_path


def evaluated(folder: Path) -> tuple[EvaluatedFilm, ...]:
    """As scoring would: whatever Pillow cannot open has no score."""
    rows = []
    for member in from_folders(folder).films:
        content = member.file.path.read_bytes()
        score = 0.5 if content.startswith(b"\x89PNG") else None
        sha256 = hashlib.sha256(content).hexdigest()
        outcome = result(member.file.display, score, sha256=sha256)
        rows.append(EvaluatedFilm(outcome, member.label, member.patient, len(content)))
    return tuple(rows)


def test_the_hash_is_that_of_training(folder: Path) -> None:
    data = pytest.importorskip("cxr_training.films.data")
    images, skipped = data.load_images(data.find_labelled(folder), 8)
    assert len(skipped) == 1
    films = evaluated(folder)
    found = set_figures(from_folders(folder), films)
    assert found.sha256 == images.sha256
    assert set_figures(from_folders(folder), films[::-1]).sha256 == images.sha256


def test_the_hash_is_over_labels_too(tmp_path: Path) -> None:
    """One changed line of the table is another set; labels as the folders have them add nothing."""
    names = {"NORMAL/a.png": "0", "NORMAL/b.png": "0", "PNEUMONIA/c.png": "1", "d.png": "1"}
    folder = write_tree(tmp_path / "site", {name: name.encode() for name in names})
    hashes = []
    for changed in [None, *names]:
        lines = [
            f"{name},{1 - int(label) if name == changed else label}"
            for name, label in names.items()
        ]
        table = tmp_path / "labels.csv"
        table.write_text("\n".join(["path,label", *lines]))
        hashes.append(hashed(from_csv(folder, table)))
    assert len(set(hashes)) == len(hashes)
    (folder / "d.png").unlink()
    table.write_text("\n".join(["path,label", *(f"{n},{x}" for n, x in list(names.items())[:3])]))
    assert hashed(from_csv(folder, table)) == hashed(from_folders(folder))


def hashed(labelled: LabelledSet) -> str:
    """With a score for every film."""
    films = tuple(
        EvaluatedFilm(
            result(
                member.file.display,
                0.5,
                sha256=hashlib.sha256(member.file.path.read_bytes()).hexdigest(),
            ),
            member.label,
            member.patient,
            1,
        )
        for member in labelled.films
    )
    return set_figures(labelled, films).sha256


def test_counts_and_patients(folder: Path) -> None:
    found = set_figures(from_folders(folder), evaluated(folder))
    assert found.name == folder.name
    assert found.counts == {"NORMAL": 4, "PNEUMONIA": 3}
    assert list(found.counts) == ["NORMAL", "PNEUMONIA"]
    assert (found.patients, found.patients_from) == (
        6,
        "every film counted as a patient of its own (1), file names (6)",
    )
    assert (found.missing_class, found.repeated) == ("", 0)


@pytest.mark.parametrize(("label", "missing"), [(0, "PNEUMONIA"), (1, "NORMAL")])
def test_a_missing_class_is_named(label: int, missing: str) -> None:
    made = scored([label, label], [0.2, 0.4])
    found = set_figures(labelled(made), made)
    assert found.missing_class == missing
    assert found.counts[missing] == 0


def test_repeated_films_are_counted() -> None:
    hashes = ["aa" * 32, "bb" * 32, "aa" * 32, "", ""]
    made = tuple(
        EvaluatedFilm(result(f"NORMAL/{i}.png", None, sha256=sha256), 0, "p", 1)
        for i, sha256 in enumerate(hashes)
    )
    assert set_figures(labelled(made), made).repeated == 2


def test_no_labelled_film_is_lost() -> None:
    made = random_films(4)
    with pytest.raises(ValueError, match="3 rows for 4 labelled films"):
        set_figures(labelled(made), made[:3])


def test_a_proposed_threshold(tmp_path: Path) -> None:
    labels = [1] * 50 + [0] * 10
    scores = [0.1, *np.linspace(0.5, 0.9, 49).round(6), *np.linspace(0.05, 0.45, 10).round(6)]
    made = scored(labels, scores)
    profile = propose(made, model(), 0.98, data(made))
    assert profile.point.chosen_by == (
        "highest threshold with sensitivity >= 0.98 on the site's films"
    )
    assert profile.point.data == "set"
    assert 0.45 < profile.point.threshold <= 0.5
    assert (profile.point.sensitivity.value, profile.point.sensitivity.n) == (0.98, 50)
    assert (profile.point.specificity.value, profile.point.specificity.n) == (1.0, 10)
    assert (profile.model, profile.model_version) == ("tiny", "1.0.0")
    assert (profile.model_sha256, profile.data_sha256) == ("ab" * 32, "cd" * 32)
    assert profile.preprocessing_version == PREPROCESSING_VERSION
    path = tmp_path / "site-profile.json"
    path.write_text(profile.to_json())
    assert load_profile(path) == profile
    profile.check("ab" * 32)


rows = st.lists(st.tuples(st.integers(0, 1), st.floats(1e-6, 1)), max_size=60)


@given(rows, st.floats(0, 1, exclude_min=True))
def test_a_proposed_threshold_keeps_its_promise(
    rows: list[tuple[int, float]], least: float
) -> None:
    rows = [*rows, (0, 0.2), (1, 0.7)]
    made = films((label, p, f"p{i}") for i, (label, p) in enumerate(rows))
    point = propose(made, model(), least, data(made)).point
    printed = [float(f"{p:.6f}") for label, p in rows if label == 1]
    flagged = sum(p >= point.threshold for p in printed)
    assert flagged / len(printed) == point.sensitivity.value >= least
    higher = min((p for p in printed if p >= point.threshold), default=1.0)
    assert sum(p > higher for p in printed) / len(printed) < least


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_proposes_nothing(label: int) -> None:
    made = scored([label, label, 1 - label], [0.2, 0.4, None])
    with pytest.raises(DataError, match=r"cannot be chosen on set.*NORMAL and PNEUMONIA"):
        propose(made, model(), 0.98, data(made))


@pytest.mark.parametrize("sensitivity", [0.0, -0.1, 1.01, 98.0, float("nan")])
def test_a_sensitivity_is_a_share(sensitivity: float) -> None:
    made = scored([0, 1], [0.2, 0.8])
    with pytest.raises(DataError, match="a sensitivity lies above 0 and is 1 at most"):
        propose(made, model(), sensitivity, data(made))


def test_a_film_scored_zero_is_below_every_threshold() -> None:
    made = scored([0, 1, 1], [0.2, 0.0, 0.8])
    with pytest.raises(DataError, match=r"no threshold has sensitivity 0.98 on set.*0.000001.*0.5"):
        propose(made, model(), 0.98, data(made))
    assert propose(made, model(), 0.5, data(made)).point.threshold > 0.2
