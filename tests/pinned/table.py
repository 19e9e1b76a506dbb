"""The results that the fixed films gave, kept under the version that they gave them in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge import images, preprocess
from cxr_edge.errors import ImageError
from cxr_edge.intake import gates
from cxr_edge.intake.prepare import film_of
from cxr_edge.preprocess import (
    Extent,
    to_network_input,
    to_scope_input,
    to_view,
    without_border,
)
from cxr_edge.types import DecodedImage
from tests.intake.gate_films import PIXELS, STUDIES
from tests.pinned.films import File, files, planes

TABLE = Path(__file__).parents[1] / "data" / "pinned_behaviour.json"
COMMAND = "python -m tests.pinned"
_SCOPE_SIDE = 48
_CELLS = 4  # a side, whose mean levels stand for a lossy film
_LEVELS_APART = 0.25  # of a cell: builds of libjpeg differ by a level in single pixels

Results = dict[str, Any]
Table = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Stage:
    """A part of the way to a score that has a version of its own.

    Attributes:
        constant: the name of its version.
        file: where that stands.
        results: what it makes of each fixed film, as plain values.
    """

    constant: str
    file: str
    version: int
    results: Callable[[], Results]


def stages() -> dict[str, Stage]:
    """Stages by name, with the versions of now."""
    return {
        "decoding": Stage(
            "DECODING_VERSION", "cxr_edge/images/__init__.py", images.DECODING_VERSION, _decoding
        ),
        "preprocessing": Stage(
            "PREPROCESSING_VERSION",
            "cxr_edge/preprocess.py",
            preprocess.PREPROCESSING_VERSION,
            _preprocessing,
        ),
        "scope preprocessing": Stage(
            "SCOPE_PREPROCESSING_VERSION",
            "cxr_edge/preprocess.py",
            preprocess.SCOPE_PREPROCESSING_VERSION,
            _scope_preprocessing,
        ),
        "gates": Stage("GATES_VERSION", "cxr_edge/intake/gates.py", gates.GATES_VERSION, _gates),
    }


def _decoding() -> Results:
    return {name: _decoded(file) for name, file in files().items()}


def _decoded(file: File) -> Results:
    try:
        image, _ = film_of(file.data, file.name, file.settings)
    except ImageError as error:
        return {"refused": error.reason.value}
    return {
        "format": image.format,
        "shape": [*image.pixels.shape, image.height, image.width],
        "warnings": [warning.value for warning in image.warnings],
        "study": image.study and json.loads(json.dumps(asdict(image.study))),
        "pixels": _mean_levels(image.pixels) if file.lossy else _sha256(image.pixels),
    }


def _mean_levels(pixels: NDArray[np.uint8]) -> list[float]:
    """Of the cells of a coarse grid, row by row."""
    bands = np.array_split(pixels, _CELLS)
    cells = [cell for band in bands for cell in np.array_split(band, _CELLS, axis=1)]
    return [round(float(cell.mean()), 2) for cell in cells]


def _sha256(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _preprocessing() -> Results:
    return {name: _preprocessed(*plane) for name, plane in planes().items()}


def _preprocessed(pixels: NDArray[np.uint8], extent: Extent | None) -> Results:
    film = without_border(pixels, extent)
    inputs = {str(size): _sha256(to_network_input(film, size)) for size in (50, 128)}
    return {**inputs, "view": _sha256(to_view(film))}


def _scope_preprocessing() -> Results:
    return {
        name: _sha256(to_scope_input(without_border(*plane), _SCOPE_SIDE))
        for name, plane in planes().items()
    }


def _gates() -> Results:
    headers = {
        f"header: {name}": list(gates.scope_warnings(study, scope))
        for name, (study, scope, _) in STUDIES.items()
    }
    films = {
        f"film: {name}": list(
            gates.pixel_warnings(DecodedImage(make(), "PNG"), without_border(make()), size)
        )
        for name, (make, size, _) in PIXELS.items()
    }
    return {**headers, **films}


def is_same(result: Any, pinned: Any) -> bool:
    """Whether two results are equal, mean levels but for what a build of libjpeg may change."""
    if isinstance(result, dict) and isinstance(pinned, dict) and result.keys() == pinned.keys():
        return all(is_same(result[key], pinned[key]) for key in result)
    if isinstance(result, list) and isinstance(pinned, list) and _are_floats(result + pinned):
        pairs = zip(result, pinned, strict=True)
        return all(abs(level - other) <= _LEVELS_APART for level, other in pairs)
    return bool(result == pinned)


def _are_floats(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, float) for value in values)


def moved(results: Results, pinned: Results) -> list[str]:
    """The films of both whose results differ."""
    return [name for name in results if name in pinned and not is_same(results[name], pinned[name])]


def complaint(stage: Stage, results: Results, entry: dict[str, Any]) -> str:
    """The difference between a stage and its entry in the table, and the remedy; or nothing."""
    if stage.version != entry["version"]:
        return f"{stage.constant} has been changed: regenerate with {COMMAND}"
    if films := moved(results, entry["films"]):
        return (
            f"behaviour changed: raise {stage.constant} in {stage.file} and regenerate with "
            f"{COMMAND}; it is another for {', '.join(films)}"
        )
    if results.keys() != entry["films"].keys():
        return f"other films than in the table: regenerate with {COMMAND}"
    return ""


def regenerated(table: Table) -> Table:
    """The table of now; what is the same within the tolerance stays as it was.

    Raises:
        ValueError: behaviour changed and its version did not.
    """
    entries = {}
    for name, stage in stages().items():
        results, entry = stage.results(), table.get(name, {"version": 0, "films": {}})
        pinned = entry["films"]
        if stage.version == entry["version"] and moved(results, pinned):
            raise ValueError(complaint(stage, results, entry))
        films = {
            film: pinned[film] if film in pinned and is_same(result, pinned[film]) else result
            for film, result in results.items()
        }
        entries[name] = {"version": stage.version, "films": films}
    return entries


def read_table() -> Table:
    """The table that is kept; empty before the first."""
    table: Table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
    return table


def written(table: Table) -> str:
    """JSON with a line for each film."""
    entries = [f" {json.dumps(name)}: {_entry(entry)}" for name, entry in table.items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _entry(entry: dict[str, Any]) -> str:
    films = [f"   {json.dumps(name)}: {json.dumps(each)}" for name, each in entry["films"].items()]
    version = json.dumps(entry["version"])
    return f'{{\n  "version": {version},\n  "films": {{\n' + ",\n".join(films) + "\n  }\n }"
