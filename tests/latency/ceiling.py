"""What the cores could do: decoding and inference alone, without anything around them.

Arguments: a model and a folder. One process per usable core, pinned to it, all at once so that
they share caches and memory as they would; each prepares its part of the films with the product's
own functions and scores them in batches, in one thread, and counts its CPU seconds. Start-up and
the first batch are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Where `intake.prepare` spends its time, by the names under which it calls them.
STAGES = ("read_film", "decode", "without_border", "to_network_input", "pixel_warnings")
_BATCH = 32


def main(model: str, folder: str, *part: str) -> None:
    """CPU seconds of each stage, as JSON."""
    seconds = _of_one_core(model, folder, *map(int, part)) if part else _of_all(model, folder)
    sys.stdout.write(json.dumps(seconds))


def _of_all(model: str, folder: str) -> Counter[str]:
    from cxr_edge.decoders.start import ENVIRONMENT
    from cxr_edge.support.cores import usable_cores

    cores = sorted(os.sched_getaffinity(0))[: usable_cores()]
    environment = {**os.environ, **ENVIRONMENT}  # as decoders have it
    me = [sys.executable, "-m", "tests.latency.ceiling", model, folder]
    processes = [
        subprocess.Popen(
            [*me, str(core), str(rank), str(len(cores))], stdout=subprocess.PIPE, env=environment
        )
        for rank, core in enumerate(cores)
    ]
    answers = [process.communicate()[0] for process in processes]
    return sum((Counter(json.loads(answer)) for answer in answers), Counter())


def _of_one_core(model: str, folder: str, core: int, rank: int, cores: int) -> Counter[str]:
    """The films rank, rank + cores, rank + 2 cores ..."""
    os.sched_setaffinity(0, {core})  # before any library counts its threads
    import numpy as np

    from cxr_edge.intake import prepare as prepare_module
    from cxr_edge.intake.prepared import IntakeSettings, Scope
    from cxr_edge.model.catalog import choose_model
    from cxr_edge.runtime import Device, load
    from cxr_edge.types import FoundFile

    choice = choose_model(model)
    runner, spec = load(choice, Device("cpu")), choice.spec
    settings = IntakeSettings(spec.size, Scope(spec.use.age_years, spec.use.views))
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    files = [FoundFile(path, path.name) for path in paths]
    first = prepare_module.prepare(files[0], settings)  # imports what the format needs
    if first.pixels is None:
        raise RuntimeError(f"{paths[0]} has no pixels: {first.result.reason}")
    runner.predict(np.stack([first.pixels] * _BATCH))
    seconds: Counter[str] = Counter()
    for name in STAGES:
        setattr(prepare_module, name, _counted(seconds, name, getattr(prepare_module, name)))
    prepare = _counted(seconds, "prepare", prepare_module.prepare)
    predict = _counted(seconds, "infer", runner.predict)
    mine = files[rank::cores]
    for start in range(0, len(mine), _BATCH):
        films = [prepare(file, settings).pixels for file in mine[start : start + _BATCH]]
        predict(np.stack(films))
    return seconds


def _counted(seconds: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*args, **more)
        finally:
            seconds[name] += time.process_time() - begun  # type: ignore[assignment]

    return call


if __name__ == "__main__":
    main(*sys.argv[1:])
