"""What `--model` means, and what is refused before a model is even opened."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model import catalog
from cxr_edge.model.catalog import bundled_specs, choose_model, load_spec, models_dir
from tests.factories import bundled_choices, file_name, set_value
from tests.tiny import file_entry, write_tiny


@pytest.mark.parametrize("choice", bundled_choices(), ids=file_name)
def test_bundled_file_is_the_one_its_spec_pins(choice: catalog.ModelChoice) -> None:
    content = choice.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == choice.file.sha256
    assert len(content) == choice.file.bytes
    assert choice.path.with_suffix(".json").is_file()


def test_models_lie_beside_the_package_in_a_checkout() -> None:
    assert models_dir() == Path(catalog.__file__).parents[2] / "models"
    assert bundled_specs(), "no models: run cxr-edge export, or restore models/"


CHOICES = {
    "bundled name": ("tiny", "tiny.onnx"),
    "bundled file": ("tiny.onnx", "tiny.onnx"),
    "bundled file of the other format": ("tiny.tflite", "tiny.tflite"),
    "relative path": ("../models/tiny.tflite", "tiny.tflite"),
}


@pytest.mark.parametrize(("model", "file"), CHOICES.values(), ids=CHOICES)
def test_choice(model: str, file: str, bundle: Path) -> None:
    choice = choose_model(model)
    assert choice.path.resolve() == bundle / file
    assert (choice.spec.name, choice.format) == ("tiny", Path(file).suffix[1:])
    assert choice.file.name == file


def test_a_bundled_name_means_the_bundled_model_wherever_it_is_typed(bundle: Path) -> None:
    """A file that happens to lie in cron's current directory must not change what is run."""
    own = write_tiny(Path.cwd(), spec=set_value("version", "9.9.9"))
    for model in ("tiny", "tiny.onnx"):
        assert choose_model(model).spec.version == "1.0.0"
    for path in ("./tiny.onnx", str(own)):
        assert choose_model(path).spec.version == "9.9.9"


def test_a_file_of_another_name_needs_no_dot(bundle: Path) -> None:
    for suffix in (".onnx", ".json"):
        shutil.copy(bundle / f"tiny{suffix}", f"mine{suffix}")
    values = json.loads(Path("mine.json").read_text())
    values["files"]["onnx"]["name"] = "mine.onnx"
    Path("mine.json").write_text(json.dumps(values))
    assert choose_model("mine.onnx").path == Path("mine.onnx")


@pytest.mark.parametrize(
    "model",
    ["nothing", "nothing.onnx", "./nothing.onnx", "", ".", "n" * 300, "a\0b"],
    ids=["name", "file", "path", "empty", "dot", "too long", "null byte"],
)
def test_nothing_of_that_name(model: str, bundle: Path) -> None:
    with pytest.raises(ModelRefusedError, match="no model") as caught:
        choose_model(model)
    assert caught.value.tip == "bundled: tiny; others by path, as in models/NAME.onnx"


@pytest.mark.parametrize("model", ["../models", "../models/tiny"], ids=["folder", "no suffix"])
def test_a_path_next_to_a_model_leads_to_it(model: str, bundle: Path) -> None:
    with pytest.raises(ModelRefusedError, match="no model") as caught:
        choose_model(model)
    assert caught.value.tip == "did you mean ../models/tiny.onnx?"


def test_a_run_of_a_training_is_exported_first(bundle: Path) -> None:
    Path("mine").mkdir()
    Path("mine/model.keras").touch()
    with pytest.raises(ModelRefusedError, match="no model") as caught:
        choose_model("mine")
    assert "cxr-edge export" in caught.value.tip


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.pt", "net.pkl", "net", "net.ONNX"])
def test_foreign_format_is_refused_with_the_way_out(name: str, bundle: Path) -> None:
    Path(name).write_bytes(b"\x80\x04anything")
    with pytest.raises(ModelRefusedError, match=r"neither \.onnx nor \.tflite") as caught:
        choose_model(f"./{name}")
    assert caught.value.tip == (
        "give the .onnx or .tflite beside it, or convert one first: cxr-edge export --help"
    )


def test_no_spec_beside(bundle: Path) -> None:
    (bundle / "tiny.json").rename(bundle / "other.json")
    with pytest.raises(ModelRefusedError, match=r"tiny\.onnx has no spec tiny\.json beside it"):
        choose_model("tiny")


def test_spec_that_does_not_list_the_file(bundle: Path) -> None:
    for suffix in (".onnx", ".json"):
        shutil.copy(bundle / f"tiny{suffix}", f"renamed{suffix}")
    with pytest.raises(ModelRefusedError, match=r"renamed\.json does not list renamed\.onnx"):
        choose_model("./renamed.onnx")


def test_spec_that_lists_the_file_under_another_format(tmp_path: Path) -> None:
    path = write_tiny(tmp_path, beside=set_value("files", {"tflite": file_entry(b"x")}))
    with pytest.raises(ModelRefusedError, match="does not list"):
        choose_model(str(path))


DAMAGED = {
    "cut": b'{"schema_version": 1',
    "not UTF-8": b'{"name": "\xff"}',
    "not a spec": b"{}",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_damaged_spec_is_refused_by_name(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_bytes(text)
    with pytest.raises(ModelRefusedError, match=r"tiny\.json"):
        load_spec(path)


def test_missing_spec(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="No such file"):
        load_spec(tmp_path / "tiny.json")


def test_bundled_specs_come_by_name(bundle: Path) -> None:
    write_tiny(bundle / "later", spec=set_value("name", "big"))
    (bundle / "later/tiny.json").rename(bundle / "big.json")
    assert [spec.name for spec in bundled_specs()] == ["big", "tiny"]
