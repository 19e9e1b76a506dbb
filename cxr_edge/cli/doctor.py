"""`cxr-edge doctor`."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING

import click

from cxr_edge import __version__
from cxr_edge.errors import CxrEdgeError, MissingExtraError, ModelRefusedError

if TYPE_CHECKING:
    from cxr_edge.catalog import ModelChoice
    from cxr_edge.runtime import Device
    from cxr_edge.spec import ModelSpec

_INFERENCE = ("onnxruntime", "onnxruntime-gpu", "ai-edge-litert")


@click.command()
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def doctor(device: str) -> int:
    """Will tonight's run work on this machine?

    Shows versions, disk and device, tries the state folder, and runs every bundled model's
    self-test.

    Exit code 0: all is well; 1: the ledger cannot be kept here; 4: a model or the device is
    refused.

    \b
    Example:
      cxr-edge doctor --device cpu
    """
    from cxr_edge.catalog import bundled_specs
    from cxr_edge.images import decoder_versions
    from cxr_edge.runtime.device import Device, usable_cores

    asked = Device.parse(device)
    click.echo(f"cxr-edge {__version__}, Python {platform.python_version()}")
    for name, number in decoder_versions().items():
        click.echo(f"{name} {number}")
    for name in ("numpy", *_INFERENCE):
        click.echo(f"{name} {_installed(name)}")
    click.echo(f"cores {usable_cores()}")
    _try_state()
    checks = [_check(spec, kind, asked) for spec in bundled_specs() for kind in spec.files]
    if not any(checks):
        raise ModelRefusedError("no bundled model could be run here", tip="see the lines above")
    return 0 if all(passed is not False for passed in checks) else ModelRefusedError.exit_code


def _try_state() -> None:
    """Hold a state folder and its ledger as a run would; StateError where that cannot be done."""
    from cxr_edge.ledger import open_ledger
    from cxr_edge.state import held, states_folder

    folder = states_folder()
    with held(folder / "doctor", ["cxr-edge", "doctor"]), open_ledger(folder / "doctor"):
        free = shutil.disk_usage(folder).free / 1e9
    click.echo(f"state {folder}, {free:.1f} GB free")


def _installed(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _check(spec: ModelSpec, kind: str, device: Device) -> bool | None:
    """Self-test one file: True, False, or None where it could not run in any case."""
    from cxr_edge.catalog import ModelChoice, models_dir

    choice = ModelChoice(spec, kind, models_dir() / spec.files[kind].name)
    if kind == "tflite" and device.kind == "cuda":
        click.echo(f"{choice.path.name}: not tested, TFLite models run on the CPU")
        return None
    try:
        click.echo(f"{choice.path.name}: {_self_test(choice, device)}")
    except MissingExtraError as error:
        click.echo(f"{choice.path.name}: not tested, {error}")
        return None
    except CxrEdgeError as error:
        click.secho(f"{choice.path.name}: REFUSED, {error}", fg="red")
        return False
    return True


def _self_test(choice: ModelChoice, device: Device) -> str:
    from cxr_edge.runtime import load
    from cxr_edge.runtime.loading import self_test

    runner = load(choice, device)
    difference = self_test(runner, choice.spec)
    return f"self-test passed on {runner.device}, off by {difference:.1e}"
