"""A site's own films: DICOM, with findings and patients in a table, in headers or in names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.factories import write_tree
from tests.images import dicoms
from tests.training.helpers import texture

PATIENTS = 30
FOLLOW_UPS = 2


def write_site(folder: Path, *, named: bool = False, **elements: str) -> dict[str, str]:
    """DICOM films of PATIENTS in a folder for each year, and a table beside it.

    Args:
        folder: `site`; the table is `labels.csv` beside it, with a patient for each film.
        named: name films PATIENT_FOLLOWUP; else names tell nothing.
        elements: of every header.

    Returns:
        Patient by the path of a film.
    """
    rng = np.random.default_rng(3)
    films, patients, lines = {}, {}, ["path,label,patient"]
    for patient in range(PATIENTS):
        label = patient % 2
        for visit in range(FOLLOW_UPS):
            name = f"{patient:08}_{visit:03}" if named else f"x{(patient * 7 + visit * 31) % 97}"
            path = f"{2020 + visit}/{name}.dcm"
            identifier = f"ID {patient}"
            facts = {"PatientID": identifier, "BodyPartExamined": "CHEST", **elements}
            films[path] = dicoms.film(texture(label, rng), bits=8, **facts)
            patients[path] = identifier
            lines.append(f"{path},{('NORMAL', 'PNEUMONIA')[label]},{identifier}")
    write_tree(folder, films)
    (folder.parent / "labels.csv").write_text("\n".join(lines) + "\n")
    return patients


def without_patients(table: Path) -> Path:
    """The same table, its third column gone."""
    lines = [line.rsplit(",", 1)[0] for line in table.read_text().splitlines()]
    bare = table.with_name("bare.csv")
    bare.write_text("\n".join(lines))
    return bare
