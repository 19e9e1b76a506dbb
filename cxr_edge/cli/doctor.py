"""`cxr-edge doctor`."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cxr_edge import __version__
from cxr_edge.cli.boundary import echo, say_warning
from cxr_edge.cli.config import CONFIG
from cxr_edge.errors import (
    CxrEdgeError,
    DeviceError,
    MissingExtraError,
    ModelRefusedError,
    StateError,
    install_command,
)
from cxr_edge.scoring.job import DEFAULT_MODEL, ScoreJob

if TYPE_CHECKING:
    from cxr_edge.model.catalog import ModelChoice
    from cxr_edge.runtime import Device, Runner

_RUNS = {"onnx": ("onnxruntime", "onnxruntime-gpu"), "tflite": ("ai-edge-litert",)}
_INFERENCE = tuple(itertools.chain.from_iterable(_RUNS.values()))
_BATCH_COMPARED = 64
_AS_THAT_USER = "run doctor as the user that scores: sudo -u USER cxr-edge doctor"


@click.command()
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--model", help="Name or path of one model.  [default: all bundled ones]")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path, readable=False),
    help="State folder that the run will be given.  [default: where the others are made]",
)
def doctor(device: str, model: str | None, state: Path | None) -> int:
    """Check that tonight's run will work on this machine.

    Shows versions, disk and device, tries the state folder, and runs the self-test of every bundled
    model, or of one; on a GPU it also compares with the CPU.

    With --config, tries everything that `score --config` would use tonight: the folders of films
    and reports, state, space, model, threshold and clock.

    Exit code 0: all is well; 1: the ledger or a report cannot be kept here; 2: an option or a
    folder in the config is wrong; 4: a model or the device is refused.

    \b
    Example:
      cxr-edge doctor --state /var/lib/cxr-edge/state  # as the user that runs it
      cxr-edge doctor --config /etc/cxr-edge.toml
    """
    if CONFIG in click.get_current_context().meta:
        return _will_work(device, model, state)
    from cxr_edge.decoders.pool import sandbox
    from cxr_edge.images import decoder_versions
    from cxr_edge.runtime.device import Device
    from cxr_edge.support.cores import usable_cores
    from cxr_edge.support.inventory import installed_version

    chosen_device = Device.parse(device)
    echo(f"cxr-edge {__version__}, Python {platform.python_version()}")
    for name, number in decoder_versions().items():
        echo(f"{name} {number}")
    for name in ("numpy", *_INFERENCE):
        echo(f"{name} {installed_version(name) or 'not installed'}")
    _check_one_onnxruntime()
    echo(f"cores {usable_cores()}")
    echo(f"decoders: {sandbox()}")
    gate_passes = _check_scope()
    _try_state(state)
    checks = {choice.path.name: _check(choice, chosen_device) for choice in _choices(model)}
    usable = [name for name, passed in checks.items() if passed]
    if not usable:
        what = "no bundled model could" if model is None else f"{model} could not"
        raise ModelRefusedError(f"{what} be run here", tip="see the lines above")
    if False in (gate_passes, *checks.values()):
        return ModelRefusedError.exit_code
    # Not tested: no library here runs what `score` takes where nobody says.
    is_usual = checks.get(f"{DEFAULT_MODEL}.onnx", True) is not None
    echo("ready" if is_usual else f"ready with --model {usable[0]}, not without")
    return 0


def _will_work(device: str, model: str | None, state: Path | None) -> int:
    """Answer whether tonight's run will work; says nothing of what it does not use.

    Args:
        device: as the command line and the config of this command say.
        model: the same; None for what the run takes.
        state: the same.
    """
    from cxr_edge.decoders.pool import sandbox
    from cxr_edge.model.catalog import choose_model
    from cxr_edge.runtime.device import Device
    from cxr_edge.scoring.night import state_of
    from cxr_edge.scoring.readiness import findings
    from cxr_edge.support.inventory import installed_version

    job, metrics = _configured()
    job = replace(job, device=device, model=model or job.model, state=state or job.state)
    choice = choose_model(job.model)
    echo(f"cxr-edge {__version__}, Python {platform.python_version()}")
    for name in _RUNS[choice.format]:
        if number := installed_version(name):
            echo(f"{name} {number}")
    _check_one_onnxruntime()
    echo(f"decoders: {sandbox()}")
    has_warned = False
    for finding in findings(job, metrics):
        if finding.tip:
            has_warned = True
            say_warning(finding.text, finding.tip)
        else:
            echo(finding.text)
    _try_state(state_of(job))
    if not _check(choice, Device.parse(job.device)):
        raise ModelRefusedError(f"{job.model} could not be run here", tip="see the lines above")
    echo("tonight's run will work" + ("; look at the warnings" if has_warned else ""))
    return 0


def _configured() -> tuple[ScoreJob, Path | None]:
    """Tonight's job, as `score` would read it from the same file, and the file of its metrics."""
    from cxr_edge.cli.results import wanted_of
    from cxr_edge.cli.score import check_results, score

    here = click.get_current_context()
    arguments = ["--config", str(here.meta[CONFIG])]
    with score.make_context("score", arguments, parent=here) as context:
        wanted, known = wanted_of(context.params), ScoreJob.__dataclass_fields__
        options = {k: v for k, v in context.params.items() if k in known and v is not None}
        job = ScoreJob(**options)
        check_results(job, wanted)
        return job, context.params["metrics"]


def _try_state(state: Path | None) -> None:
    """Hold a state folder and its ledger as a run would; StateError where that cannot be done.

    One without a ledger is tried where its ledger would be, or as near as there is a folder, and
    nothing stays: it would be this user's, and tonight's may be another.
    """
    from cxr_edge.ledger.file import LEDGER_NAME
    from cxr_edge.ledger.runs import open_ledger
    from cxr_edge.ledger.state import held, opened_folder, states_folder
    from cxr_edge.support.text import display_name

    folder = (state or states_folder()).absolute()
    with contextlib.ExitStack() as stack:
        if state and folder.is_dir():
            _check_own(folder)
            with opened_folder(folder):
                pass
        is_there = state and os.path.lexists(folder / LEDGER_NAME)
        tried = folder if is_there else stack.enter_context(_made_in(folder))
        stack.enter_context(held(tried, ["cxr-edge", "doctor"]))
        ledger = stack.enter_context(open_ledger(tried))
        if ledger.set_aside is not None:
            say_warning(
                f"the ledger was damaged and is set aside: {display_name(ledger.set_aside)}",
                "check the disk; this run goes on",
            )
        free = shutil.disk_usage(tried).free / 1e9
    echo(f"state {display_name(folder)}, {free:.1f} GB free")


def _check_own(folder: Path) -> None:
    """Refuse another user's folder: what is made there would be this user's."""
    from cxr_edge.support.text import display_name

    if folder.stat().st_uid != os.geteuid():
        message = f"the state folder {display_name(folder)} is another user's"
        raise StateError(message, tip=_AS_THAT_USER)


@contextlib.contextmanager
def _made_in(folder: Path) -> Iterator[Path]:
    """A folder that goes again, in the nearest one that is there already."""
    from cxr_edge.ledger.state import unusable

    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    try:
        made = tempfile.TemporaryDirectory(prefix=".cxr-edge-doctor-", dir=nearest)
    except OSError as error:
        raise unusable(folder, error) from error
    with made as name:
        yield Path(name)


def _check_one_onnxruntime() -> None:
    """Warn of both packages: they write the same folder, and the one installed last runs."""
    from cxr_edge.support.inventory import installed_version

    if installed_version("onnxruntime") and installed_version("onnxruntime-gpu"):
        echo(
            "onnxruntime and onnxruntime-gpu overwrite each other: uninstall both "
            "(pip uninstall onnxruntime onnxruntime-gpu), then install cpu, or gpu, again: "
            + install_command("cpu"),
            colour="red",
        )


def _choices(model: str | None) -> list[ModelChoice]:
    from cxr_edge.model.catalog import ModelChoice, bundled_specs, choose_model, models_dir

    if model is not None:
        return [choose_model(model)]
    return [
        ModelChoice(spec, kind, models_dir() / file.name)
        for spec in bundled_specs()
        for kind, file in spec.files.items()
    ]


def _check(choice: ModelChoice, device: Device) -> bool | None:
    """Self-test one file: True, False, or None where it could not run in any case."""
    if choice.format == "tflite" and device.kind == "cuda":
        echo(f"{choice.path.name}: not tested, TFLite models run on the CPU")
        return None
    try:
        echo(f"{choice.path.name}: {_self_test(choice, device)}")
    except MissingExtraError as error:
        echo(f"{choice.path.name}: not tested, {error}")
        return None
    except CxrEdgeError as error:
        echo(f"{choice.path.name}: REFUSED, {error}", colour="red")
        return False
    return True


def _self_test(choice: ModelChoice, device: Device) -> str:
    from cxr_edge.runtime import load
    from cxr_edge.runtime.loading import self_test

    runner = load(choice, device, _tell_fallback)
    difference = self_test(runner, choice.spec, choice.spec.golden_of(choice.format))
    passed = f"self-test passed on {runner.device}, off by {difference:.1e}"
    return passed if runner.device == "cpu" else f"{passed}, {_compared(runner, choice)}"


def _check_scope() -> bool:
    """Self-test the files of the scope gate; whether none is refused."""
    from cxr_edge.model.catalog import SCOPE_NAME, bundled_scope_spec

    try:
        spec = bundled_scope_spec()
    except ModelRefusedError as error:
        echo(f"{SCOPE_NAME}: REFUSED, {error}", colour="red")
        return False
    if spec is None:
        echo(f"{SCOPE_NAME}: not there, films are scored without a scope gate")
        return True
    return all([_check_scope_file(kind) for kind in spec.files])


def _check_scope_file(kind: str) -> bool:
    from cxr_edge.model.catalog import SCOPE_NAME, SUFFIXES, bundled_scope
    from cxr_edge.runtime.loading import pinned_bytes
    from cxr_edge.runtime.scope import self_test_scope, start_scope

    name = SCOPE_NAME + SUFFIXES[kind]
    try:
        if (choice := bundled_scope(kind)) is None:
            return True
        runner = start_scope(pinned_bytes(choice.path, choice.file), kind, choice.spec)
        difference = self_test_scope(runner, choice.spec)
    except MissingExtraError as error:
        echo(f"{name}: not tested, {error}")
        return True
    except CxrEdgeError as error:
        echo(f"{name}: REFUSED, {error}", colour="red")
        return False
    version = f"scope gate {choice.spec.version}, sha256 {choice.file.sha256[:16]}"
    echo(f"{name}: self-test passed, off by {difference:.1e}; {version}")
    return True


def _compared(runner: Runner, choice: ModelChoice) -> str:
    """Compare the GPU with the CPU, on the golden cases in a batch as large as a run's.

    Raises:
        DeviceError: further than what is promised.
    """
    import numpy as np

    from cxr_edge.model.self_test import golden_image
    from cxr_edge.runtime import Device, load
    from cxr_edge.runtime.loading import GPU_TOLERANCE

    spec, golden = choice.spec, choice.spec.golden_of(choice.format)
    made = np.stack([golden_image(case.rule, spec.size) for case in golden.cases])
    images = np.resize(made, (_BATCH_COMPARED, *made.shape[1:]))
    on_cpu = load(choice, Device("cpu")).predict(images).probability
    difference = float(np.abs(runner.predict(images).probability - on_cpu).max())
    allowed = max(golden.tolerance, GPU_TOLERANCE)
    if not difference <= allowed:  # also NaN
        raise DeviceError(f"{runner.device} is {difference:.1e} from the CPU, allowed {allowed:g}")
    return f"{difference:.1e} from the CPU"


def _tell_fallback(error: CxrEdgeError) -> None:
    echo(f"CUDA is not used: {error}", colour="red")
