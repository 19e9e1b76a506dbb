"""What all tests share: the tiny model, bundled runners, a closed network, a state of one's own."""

from __future__ import annotations

import itertools
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

from cxr_edge.ledger.runs import open_ledger
from cxr_edge.model import catalog
from cxr_edge.model.catalog import ModelChoice, choose_model
from cxr_edge.runtime import Device, Runner, load
from tests.nights import Night
from tests.tiny import file_entry, write_tiny

NEEDS = {"browser": "browser", "export": "keras", "training": "keras"}  # markers of folders

# No deadline: the machines that run this are busy. A failure prints how to repeat it.
settings.register_profile("cxr-edge", deadline=None, print_blob=True)
settings.load_profile("cxr-edge")


def pytest_configure(config: pytest.Config) -> None:
    """Pytest puts its own warning filters on top of those in `cxr_edge.images`.

    The background job of a shell ignores SIGINT, and so would the commands under test.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for library in ("PIL", "pydicom"):
        config.addinivalue_line("filterwarnings", rf"ignore::Warning:{library}\.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole folders by what their tests need; `slow` stands in the modules themselves."""
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        if marker := NEEDS.get(folder):
            item.add_marker(marker)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test, and nothing under test, opens a connection."""

    def refuse(self: socket.socket, address: Any) -> NoReturn:
        raise AssertionError(f"a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's ledgers; its own are made when needed, and most need none."""
    states = tmp_path_factory.getbasetemp() / f"state-{next(_numbers)}"
    monkeypatch.setenv("XDG_STATE_HOME", str(states))
    return states / "cxr-edge"


@pytest.fixture
def scope_gate() -> None:
    """Ask for the scope gate that ships; the made films of most tests would be beyond it."""


@pytest.fixture(autouse=True)
def no_scope_gate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that does not ask for the scope gate runs without one."""
    if "scope_gate" not in request.fixturenames:
        monkeypatch.setattr(catalog, "bundled_scope_spec", lambda: None)


@pytest.fixture(scope="session", autouse=True)
def tried_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Verdicts on models that were tried; tests share them, for each trial takes time."""
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield cache / "cxr-edge" / "models"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny.onnx` with its spec beside it; not to be changed."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_runner(tiny: Path) -> Runner:
    """The tiny model on the CPU."""
    return load(choose_model(str(tiny)), Device("cpu"))


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder that holds `tiny` in two formats; the current directory is another one.

    The TFLite file is the one that its spec pins, and no network.
    """
    folder = tmp_path / "models"
    entry = file_entry(b"flat", "tiny.tflite")
    write_tiny(folder, beside=lambda values: values["files"].update(tflite=entry))
    (folder / "tiny.tflite").write_bytes(b"flat")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(catalog, "models_dir", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def runner_of() -> Callable[[ModelChoice], Runner]:
    """Loads a model once for all tests."""
    loaded: dict[Path, Runner] = {}

    def load_once(choice: ModelChoice) -> Runner:
        if choice.path not in loaded:
            loaded[choice.path] = load(choice, Device("cpu"))
        return loaded[choice.path]

    return load_once


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages get one blank picture: drawing takes a second a page, and has its own tests."""
    from cxr_edge.evaluate import page
    from cxr_edge.evaluate.drawing import Plot
    from cxr_edge.evaluate.plots import ModelPlots, Plots
    from cxr_edge.evaluate.results import Evaluation

    plot = Plot(b"png", "A picture.", 1, 1)

    def draw(made: Evaluation) -> Plots:
        curve = plot if any(model.roc for model in made.models) else None
        models = (ModelPlots((plot,) * len(model.points), plot, plot) for model in made.models)
        return Plots(curve, curve, tuple(models))

    monkeypatch.setattr(page, "draw", draw)


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The forest of `evaluate` has five trees: a hundred take seconds, and have their own tests."""
    from cxr_edge.evaluate import baseline

    monkeypatch.setattr(baseline, "_TREES", 5)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """`night.run(folder)`, as often as need be."""
    state = tmp_path / "state"
    state.mkdir()
    with open_ledger(state) as ledger:
        yield Night(ledger)
