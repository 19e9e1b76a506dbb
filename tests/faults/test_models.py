"""Thousands of damaged models: refused with a sentence, and the process lives to say it."""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.catalog import choose_model
from cxr_edge.runtime import Device, load
from tests.factories import bundled_choices
from tests.faults.conftest import Figures
from tests.faults.tiers import SEED, tier

# Every damaged model and spec is loaded as a run would load it.
pytestmark = pytest.mark.slow

_CPU = Device("cpu")
_BATCH = 50
_LARGE = 10_000_000  # bytes; such a file is damaged less often, for each time it is copied whole


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant.

    Attributes:
        mutant: the file that was changed, and the number that makes it again.
        outcome: `refused`, `same` for a spec that still says the same, `accepted`; or what was
            raised that is no refusal.
        changed: for an accepted spec, the fields that it says otherwise.
    """

    mutant: str
    outcome: str
    changed: tuple[str, ...] = ()


def model_files(tiny: Path) -> list[Path]:
    """The tiny model and the bundled ones in every format."""
    return [tiny, *(choice.path for choice in bundled_choices())]


def other_digit(data: bytes, rng: random.Random) -> bytes:
    """A slip of the pen: the text still reads well."""
    places = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    mutant = bytearray(data)
    mutant[rng.choice(places)] = ord(rng.choice("0123456789"))
    return bytes(mutant)


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Flipped bits, a cut, the tail of another file, or a run of zeros."""
    kind, start = rng.randrange(4), rng.randrange(1, len(data))
    if kind == 1:
        return data[:start]
    if kind == 2:
        return data[:start] + other[rng.randrange(len(other)) :]
    mutant = bytearray(data)
    if kind == 3:
        mutant[start : start + 16] = bytes(len(mutant[start : start + 16]))
    for _ in range(rng.randint(1, 4)):
        mutant[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(mutant)


def leaves(value: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Every plain value of a spec by its dotted path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{where}.{number}")
    else:
        yield where.removeprefix("."), value


def said_otherwise(one: bytes, other: bytes) -> tuple[str, ...]:
    """The fields of two specs that differ."""
    a, b = dict(leaves(json.loads(one))), dict(leaves(json.loads(other)))
    return tuple(sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key)))


@cache
def contents(path: Path) -> bytes:
    return path.read_bytes()


def judge(files: list[Path], suffix: str | None, numbers: range) -> list[Verdict]:
    """Damage a model file, or the file of this suffix beside it, and load the model."""
    with TemporaryDirectory() as folder:
        return [_judge(files, suffix, number, Path(folder)) for number in numbers]


def _judge(files: list[Path], suffix: str | None, number: int, folder: Path) -> Verdict:
    rng = random.Random(f"{SEED} {suffix} {number}")
    small = [file for file in files if len(contents(file)) < _LARGE]
    model = rng.choice(small if suffix or number % _BATCH else files)
    target = model.with_suffix(suffix) if suffix else model
    other = rng.choice(small)
    source = contents(target)
    if suffix and number % 2:
        mutant = other_digit(source, rng)
    else:
        mutant = mutated(source, contents(other.with_suffix(suffix) if suffix else other), rng)
    for path in (model, model.with_suffix(".json")):
        shutil.copyfile(path, folder / path.name)
    (folder / target.name).write_bytes(mutant)
    name = f"{target.name} {number}"
    try:
        load(choose_model(str(folder / model.name)), _CPU)
    except ModelRefusedError:
        return Verdict(name, "same" if mutant == source else "refused")
    except Exception as error:
        return Verdict(name, f"{type(error).__name__}: {error}")
    changed = said_otherwise(mutant, source) if suffix else ()
    kind = f"accepted {model.suffix}" if changed or (not suffix and mutant != source) else "same"
    return Verdict(name, kind, changed)


def in_child_processes(
    count: int, judged: Callable[..., list[Verdict]], *arguments: object
) -> list[Verdict]:
    """In numbered batches; a child that dies is an error here (`BrokenProcessPool`)."""
    context = multiprocessing.get_context("spawn")
    batches = [range(first, min(first + _BATCH, count)) for first in range(0, count, _BATCH)]
    with ProcessPoolExecutor(2, context) as pool:
        waiting = [pool.submit(judged, *arguments, batch) for batch in batches]
        return [verdict for each in waiting for verdict in each.result()]


def outcomes(verdicts: list[Verdict]) -> dict[str, int]:
    return dict(Counter(verdict.outcome for verdict in verdicts))


def test_a_damaged_model_file_is_refused(tiny: Path, figures: Figures) -> None:
    count = tier(2_000, 10_000)
    verdicts = in_child_processes(count, judge, model_files(tiny), None)
    figures(mutants=count, outcomes=outcomes(verdicts))
    assert len(verdicts) == count
    assert [each for each in verdicts if each.outcome not in ("refused", "same")] == []
    assert outcomes(verdicts)["refused"] > 0.99 * count


def test_a_damaged_spec_is_refused_or_says_the_same(tiny: Path, figures: Figures) -> None:
    """An ONNX file carries its spec; beside a TFLite file, a spec that reads well is believed."""
    count = tier(400, 10_000)
    verdicts = in_child_processes(count, judge, model_files(tiny), ".json")
    believed = [each for each in verdicts if each.outcome.startswith("accepted")]
    fields = Counter(field for each in believed for field in each.changed)
    figures(mutants=count, outcomes=outcomes(verdicts), believed=dict(fields.most_common(10)))
    assert len(verdicts) == count
    assert outcomes(verdicts).keys() <= {"refused", "same", "accepted .onnx", "accepted .tflite"}
    beside_onnx = [each for each in believed if each.outcome == "accepted .onnx"]
    # What `files` says of a file is its hash, which is checked, and how it was made.
    assert [
        each
        for each in beside_onnx
        if not all(field.startswith("files.") for field in each.changed)
    ] == []
