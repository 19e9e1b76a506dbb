"""What a user sees of a GPU that is there, is not, or gives out in the middle."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.reports import csv_rows
from tests.factories import chest, write_tree
from tests.gpu import Dying, Gpu, open_on_cpu, open_on_cuda, wrong
from tests.images.films import png

NO_DRIVER = "cuda:0 was asked for, onnxruntime took CPUExecutionProvider: "
CUDA_TIP = "  tip: docs/gpu.md says what CUDA needs; or use --device cpu\n"
FAILED = "the network fails on cuda:0: CUDNN failure 5003: CUDNN_STATUS_EXECUTION_FAILED\n"
SAFE = "  tip: what was scored is safe; see cxr-edge doctor, or try --device cpu\n"


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Five films."""
    tree = {f"{number}.png": png(chest(tilt=40 * number - 80)) for number in range(5)}
    return write_tree(tmp_path / "in", tree)


def device_of(out: Path) -> Any:
    return json.loads((out / "run.json").read_text())["device"]


REFUSED = {
    "wrong numbers": (
        wrong,
        "cuda",
        "error: tiny fails its self-test on cuda:0: off by 0.5, evidence by 0.62, allowed 0.0001\n"
        "  tip: the file is damaged or this device computes wrongly; try --device cpu\n",
    ),
    "a failure in the middle": (Dying(2), "cuda", f"error: {FAILED}{SAFE}"),
}


def without_path(text: str) -> str:
    """Where this onnxruntime lies, and that its build has no CUDA, is not in the expectations."""
    return re.sub(r"/\S+/libonnxruntime\S+: cannot open .*", "<loader>", text)


@pytest.mark.parametrize(("opens", "device", "said"), REFUSED.values(), ids=REFUSED)
def test_cuda_is_refused(
    opens: Any,
    device: str,
    said: str,
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Gpu(monkeypatch, opens)
    options = ("--model", tiny, "--out", tmp_path / "out", "--batch-size", "2")
    made = run("score", films, *options, "-q", "--device", device)
    assert (made.code, made.out, without_path(made.err)) == (4, "", said)
    assert not (tmp_path / "out").exists()


AUTO = {
    "no driver": (open_on_cpu, f"{NO_DRIVER}<loader>\n{CUDA_TIP}", "cpu", {"cpu": 5}),
    "a failure in the middle": (Dying(2), FAILED + SAFE, "cuda:0", {"cuda:0": 2, "cpu": 3}),
}


@pytest.mark.parametrize(("opens", "said", "used", "counted"), AUTO.values(), ids=AUTO)
def test_auto_goes_on_and_says_so(
    opens: Any,
    said: str,
    used: str,
    counted: dict[str, int],
    run: Run,
    films: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even when quiet, and in every row; the CSV is that of the CPU."""
    if isinstance(opens, Dying):
        opens = Dying(opens.runs)
    plain, out = tmp_path / "plain", tmp_path / "out"
    options = ("--model", tiny, "--batch-size", "2", "--workers", "1", "-q")
    run("score", films, *options, "--out", plain, "--device", "cpu")
    Gpu(monkeypatch, opens)
    made = run("score", films, *options, "--out", out, "--jsonl")
    expected = f"warning: scoring continues on the CPU: {said}" if said else ""
    assert (made.code, without_path(made.err)) == (0, expected)
    assert device_of(out) == {"asked": "auto", "used": used, "films": counted}
    rows = [json.loads(line) for line in made.out.splitlines()]
    moved = sum(row.get("device") == "cpu" for row in rows)
    assert moved == (counted.get("cpu", 0) if used != "cpu" else 0)
    assert sum("device" in row for row in rows) == moved
    assert csv_rows(out) == [{**row, "new": "false"} for row in csv_rows(plain)]
    again = run("score", films, *options[:-1], "--out", tmp_path / "told", "--device", "cpu")
    assert "films scored:" not in again.err


def test_the_summary_and_the_page_say_which(
    run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpu(monkeypatch, Dying(2))
    out = tmp_path / "out"
    made = run("score", films, "--model", tiny, "--batch-size", "2", "--out", out)
    assert "films scored: 2 on cuda:0, 3 on cpu\n" in made.err
    assert "cuda:0 (asked for: auto); films scored: cuda:0 2, cpu 3</dd>" in (
        (out / "triage.html").read_text()
    )


@pytest.mark.parametrize(
    ("opens", "batches"),
    [(open_on_cuda, [5, 40]), (open_on_cpu, [5, 8, 8, 8, 8, 8])],
    ids=["GPU", "CPU"],
)
def test_the_device_decides_the_batch(
    opens: Any,
    batches: list[int],
    batch_sizes: list[int],
    run: Run,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = {f"{number}.png": png(chest(tilt=5 * number - 100)) for number in range(40)}
    write_tree(tmp_path / "in", tree)
    Gpu(monkeypatch, opens)
    options = ("--out", tmp_path / "out", "-q", "--workers", "1")
    assert run("score", tmp_path / "in", "--model", tiny, *options).code == 0
    assert batch_sizes == batches


def test_evaluate_names_every_device(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NORMAL", "PNEUMONIA"):
        write_tree(
            tmp_path / "in" / name,
            {f"{n}.png": png(chest(tilt=20 * n + len(name))) for n in range(3)},
        )
    Gpu(monkeypatch, Dying(2))
    out = tmp_path / "out"
    made = run("evaluate", tmp_path / "in", "--model", tiny, "--batch-size", "2", "--out", out)
    assert made.err.startswith(f"warning: scoring continues on the CPU: {FAILED}")
    assert "on cuda:0 and cpu" in made.err


def lines_about_models(out: str) -> list[str]:
    return out.split(" GB free\n")[1].splitlines()


def test_doctor_compares_with_the_cpu(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpu(monkeypatch, open_on_cuda)
    made = run("doctor", "--device", "cuda", "--model", tiny)
    assert (made.code, made.err) == (0, "")
    line, last = lines_about_models(made.out)
    assert last == "ready"
    assert re.fullmatch(
        r"tiny\.onnx: self-test passed on cuda:0, off by \S+, 0\.0e\+00 from the CPU", line
    )


DOCTOR = {
    "runs no more": (
        Dying(2),
        "cuda",
        4,
        [f"tiny.onnx: REFUSED, {FAILED.strip()}"],
    ),
    "auto without a driver": (
        open_on_cpu,
        "auto",
        0,
        [
            f"CUDA is not used: {NO_DRIVER}<loader>",
            r"tiny.onnx: self-test passed on cpu, off by ...",
            "ready",
        ],
    ),
}


@pytest.mark.parametrize(("opens", "device", "code", "lines"), DOCTOR.values(), ids=DOCTOR)
def test_doctor_on_a_gpu_that_fails(
    opens: Any,
    device: str,
    code: int,
    lines: list[str],
    run: Run,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Gpu(monkeypatch, opens)
    made = run("doctor", "--device", device, "--model", tiny)
    said = re.sub(r"off by \S+", "off by ...", without_path(made.out))
    assert (made.code, lines_about_models(said)) == (code, lines)
    refused = f"error: {tiny} could not be run here\n  tip: see the lines above\n"
    assert made.err == (refused if code else "")


def test_doctor_further_from_the_cpu_than_promised(
    run: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On larger batches than the self-test's."""

    def off_in_large_batches(content: bytes, options: Any) -> Any:
        session = open_on_cuda(content, options)
        real = type(session).run

        def run_(names: Any, feeds: Any) -> Any:
            probability, *rest = real(session, names, feeds)
            return [probability + (2e-4 if len(probability) > 5 else 0), *rest]

        session.run = run_
        return session

    Gpu(monkeypatch, off_in_large_batches)
    made = run("doctor", "--device", "cuda", "--model", tiny)
    assert made.code == 4
    assert lines_about_models(made.out) == [
        "tiny.onnx: REFUSED, cuda:0 is 2.0e-04 from the CPU, allowed 0.0001"
    ]


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        (("onnxruntime", "onnxruntime-gpu"), True),
        (("onnxruntime",), False),
        (("onnxruntime-gpu",), False),
    ],
    ids=["both", "cpu", "gpu"],
)
def test_two_onnxruntimes_are_noticed(
    installed: tuple[str, ...],
    said: bool,
    run: Run,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if not name.startswith("onnxruntime"):
            return real(name)
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return "1.31.1"

    monkeypatch.setattr(metadata, "version", version)
    made = run("doctor", "--device", "cpu", "--model", tiny)
    assert made.code == 0
    warning = (
        "onnxruntime and onnxruntime-gpu overwrite each other: uninstall both (pip uninstall "
        "onnxruntime onnxruntime-gpu), then install cpu, or gpu, again: pip install 'PATH[cpu]', "
        "PATH being the wheel or checkout of cxr-edge\n"
    )
    assert (warning in made.out) == said
