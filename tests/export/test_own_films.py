"""From a hospital's DICOM films and a table of findings to a model, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge.evaluate.job import Labels
from cxr_export import reliability_measurement
from cxr_export.film_changes import UNCHANGED
from cxr_export.robustness import seen
from cxr_training.films.data import ImageSet, find_labelled
from cxr_training.films.style import all_statistics
from tests.export.films import xray_classes
from tests.factories import in_other_bytes, write_tree
from tests.images import dicoms
from tests.training.helpers import TINY, command_line, saves_keras_variables, table

pytestmark = [
    saves_keras_variables,
    pytest.mark.skipif(not xray_classes(), reason="the x-rays are not in the checkout"),
]

RECIPE = TINY.replace("epochs = 3", "epochs = 1")
ADULT = "044Y"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The x-rays of the checkout as DICOM, twice of each patient; the first one is an adult."""
    films, lines = {}, ["path,label"]
    for number, (path, finding) in enumerate(sorted(xray_classes().items())):
        with Image.open(path) as image:
            levels = np.asarray(image.convert("L").resize((160, 120)))
        age = {"PatientAge": ADULT} if not number else {}
        facts = {"BodyPartExamined": "CHEST", "PatientBirthDate": None, **age}
        for visit, plane in enumerate((levels, levels[:, ::-1].copy())):
            film = dicoms.film(plane, bits=8, PatientID=f"SECRET{number}", **facts)
            name = f"{visit}/film{number}.dcm"
            films[name] = film
            lines.append(f"{name},{finding}")
    write_tree(tmp_path / "site", films)
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path / "site"


def test_what_reliability_measures_can_be_measured_on_dicom_films(site: Path) -> None:
    files = find_labelled(site, Labels(site.parent / "labels.csv"))[:3]
    pixels, _ = seen(files, 50, UNCHANGED)
    assert pixels.shape == (3, 50, 50, 1)
    assert np.isfinite(all_statistics(files)).all()
    images = ImageSet(files, pixels, np.zeros(3, np.float32), "")
    assert reliability_measurement._usual_size(images) == (160, 120)


# Trains, converts and scores once; each part has quick tests of its own.
@pytest.mark.slow
def test_from_dicom_films_and_a_table_to_a_model(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(site.parent)
    labels = ("--labels", "labels.csv", "--patients-from-header")

    def cxr_edge(*arguments: object) -> str:
        assert command_line(monkeypatch, *arguments) == 0
        return capsys.readouterr().err

    cxr_edge("explore", site, *labels, "--out", "exploration.html")
    recipe = ("--recipe", "tiny.toml", "--out", "run")
    said = cxr_edge("train", "cnn3_50", "--data", site, *labels, *recipe)
    assert "patient_age 2" in said
    assert "no patient is known" not in said
    films = (
        "--calibration",
        site,
        *labels,
        "--test",
        later(site),
        "--test-labels",
        held_back(site),
    )
    cxr_edge("export", "run", "--name", "mine", *films, "--out", "models")
    model = ("--model", "models/mine.onnx", "--out", "evaluation")
    cxr_edge("evaluate", site, *labels, *model)

    described = json.loads(Path("run", "run.json").read_text())
    check_split(described, len(xray_classes()))
    spec = json.loads(Path("models", "mine.json").read_text())
    evaluation = json.loads(Path("evaluation", "evaluation.json").read_text())
    hashes = {described["data"]["sha256"], spec["training"]["data_sha256"]}
    assert hashes == {evaluation["films"]["sha256"]}, "all read the same films"
    assert sum(spec["evaluations"][0]["counts"][name] for name in ("NORMAL", "PNEUMONIA")) == 27
    written = (*Path("run").iterdir(), *Path("models").iterdir(), Path("exploration.html"))
    assert not [path for path in written if b"SECRET" in path.read_bytes()]


def later(site: Path) -> Path:
    """The films of the first visits, as if they were others."""
    return in_other_bytes(site / "0", site.parent / "later")


def held_back(site: Path) -> Path:
    """A table of the films of the first visits, without the first."""
    header, _, *lines = (site.parent / "labels.csv").read_text().splitlines()
    first = [line.removeprefix("0/") for line in lines if line.startswith("0/")]
    path = site.parent / "held-back.csv"
    path.write_text("\n".join([header, *first]))
    return path


def check_split(described: dict[str, Any], patients: int) -> None:
    """Both films of a patient are on one side."""
    data = described["data"]
    assert data["train"]["patients"] + data["validation"]["patients"] == patients
    assert data["unknown_patients"] == 0
    names = [row["name"].partition("/")[2] for row in table(Path("run", "predictions.csv"))]
    assert len(names) == 2 * len(set(names))
