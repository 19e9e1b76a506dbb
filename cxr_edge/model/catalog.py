"""Finds models: bundled ones by name, others by path; a file always needs its spec beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.files import ModelFile
from cxr_edge.model.scope_spec import ScopeSpec
from cxr_edge.model.spec import ModelSpec
from cxr_edge.support.files import read_plain
from cxr_edge.support.strict_json import parse

SUFFIXES = {"onnx": ".onnx", "tflite": ".tflite"}
Spec = TypeVar("Spec")
_MAX_SPEC_BYTES = 4_000_000  # a hundred times a bundled one
SCOPE_NAME = "scope_48"  # the gate that serves every classifier
_NEAR = 0.8  # a letter more, less or swapped


@dataclass(frozen=True)
class ModelChoice:
    """A spec and the one of its files that will be run."""

    spec: ModelSpec
    format: str
    path: Path

    @property
    def file(self) -> ModelFile:
        """The spec's entry for that file."""
        return self.spec.files[self.format]


@dataclass(frozen=True)
class ScopeChoice:
    """The spec of a scope gate and the one of its files that will be run."""

    spec: ScopeSpec
    format: str
    path: Path

    @property
    def file(self) -> ModelFile:
        """The spec's entry for that file."""
        return self.spec.files[self.format]


def models_dir() -> Path:
    """Folder of the bundled models: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def is_bundled(choice: ModelChoice) -> bool:
    """Whether a model lies in the folder of the bundled ones."""
    return choice.path.resolve().parent == models_dir().resolve()


def bundled_specs() -> list[ModelSpec]:
    """Every bundled classifier, by name."""
    paths = sorted(models_dir().glob("*.json"))
    return [load_spec(path) for path in paths if path.stem != SCOPE_NAME]


def bundled_scope(kind: str) -> ScopeChoice | None:
    """The scope gate that ships, in one format; None where none does.

    Raises:
        ModelRefusedError: its spec cannot be read, or lists no such file.
    """
    spec = bundled_scope_spec()
    if spec is None:
        return None
    if kind not in spec.files:
        raise ModelRefusedError(f"the spec {SCOPE_NAME}.json lists no {kind} file")
    return ScopeChoice(spec, kind, models_dir() / spec.files[kind].name)


def bundled_scope_spec() -> ScopeSpec | None:
    """The spec of the scope gate that ships; None where none does.

    Raises:
        ModelRefusedError: it cannot be read.
    """
    path = models_dir() / f"{SCOPE_NAME}.json"
    return _read(path, ScopeSpec.from_dict) if _is_file(path) else None


def load_spec(path: Path) -> ModelSpec:
    """Read one spec.

    Raises:
        ModelRefusedError: it cannot be read, or is not a spec this version understands.
    """
    return _read(path, ModelSpec.from_dict)


def _read(path: Path, from_dict: Callable[[Any], Spec]) -> Spec:
    try:
        return from_dict(parse(read_plain(path, _MAX_SPEC_BYTES).decode("utf-8")))
    except (OSError, ValueError) as error:
        raise ModelRefusedError(f"spec {path} cannot be read: {error}") from error
    except ModelRefusedError as error:
        raise ModelRefusedError(f"{path}: {error}", error.tip) from error


def choose_model(model: str) -> ModelChoice:
    """Resolve `--model`: a bundled name, a bundled file name, or a path.

    Raises:
        ModelRefusedError: nothing of that name, no spec beside the file, or a format that the
            spec does not list.
    """
    path = _model_path(model)
    if path.suffix not in SUFFIXES.values():
        raise ModelRefusedError(
            f"{model} is neither .onnx nor .tflite",
            tip="give the .onnx or .tflite beside it, or convert one first: cxr-edge export --help",
        )
    spec_path = path.with_suffix(".json")
    if not spec_path.is_file():
        raise ModelRefusedError(
            f"{path.name} has no spec {spec_path.name} beside it",
            tip="cxr-edge export writes both; copy them together",
        )
    spec = load_spec(spec_path)
    for kind, file in spec.files.items():
        if file.name == path.name and SUFFIXES.get(kind) == path.suffix:
            return ModelChoice(spec, kind, path)
    raise ModelRefusedError(f"the spec {spec_path.name} does not list {path.name}")


def _model_path(model: str) -> Path:
    bundled = models_dir()
    for name in (model, model + SUFFIXES["onnx"]):
        if Path(model).name == model and _is_file(bundled / name) and Path(name).suffix:
            return bundled / name
    if not _is_file(Path(model)):
        raise ModelRefusedError(f"no model {model!r}", tip=_what_was_meant(model))
    return Path(model)


def _what_was_meant(model: str) -> str:
    """The model file beside a wrong path, or else the names that there are."""
    from difflib import get_close_matches

    path = Path(model)
    if _is_file(path / "model.keras"):
        return "that is the run of a training: cxr-edge export makes a model of it"
    if beside := _file_beside(path):
        return f"did you mean {beside}?"
    names = [spec.name for spec in bundled_specs()]
    near = get_close_matches(model.lower(), names if path.name == model else [], 1, _NEAR)
    slip = f"did you mean {near[0]}? " if near else ""
    return f"{slip}bundled: {', '.join(names)}; others by path, as in models/NAME.onnx"


def _file_beside(path: Path) -> Path | None:
    """A model file in a folder of that name, or of that name but for the suffix."""
    with contextlib.suppress(OSError, ValueError):
        candidates = (*sorted(path.glob("*.onnx")), path.with_name(f"{path.name}.onnx"))
        return next(filter(_is_file, candidates), None)
    return None


def _is_file(path: Path) -> bool:
    """Unlike `Path.is_file`, also when the name is too long or a folder on the way is closed."""
    return os.path.isfile(path)  # noqa: PTH113
