"""What a run pays before it sees a film: the command line, and which package takes how long."""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import Any

from tests.latency.measure import ROOT, product, timed

_IMPORTS = {
    "--help": "import sys; sys.argv[1:] = ['--help']; import cxr_edge.cli",
    "score": "import cxr_edge.cli, cxr_edge.scoring.night, cxr_edge.runtime.onnx",
    "decoder process": "import cxr_edge.decoders.worker",
}


def measure(interpreter: str, runs: int) -> dict[str, Any]:
    """Seconds of `--help` and of an empty Python, and milliseconds of import by package."""
    python = [interpreter, "-c", "pass"]
    helped = [*product(interpreter), "--help"]
    both = [(timed(python).wall, timed(helped).wall) for _ in range(runs + 1)][1:]
    return {
        "python": [wall for wall, _ in both],
        "--help": [wall for _, wall in both],
        "imports": {name: _imports(interpreter, code, runs) for name, code in _IMPORTS.items()},
    }


def _imports(interpreter: str, code: str, runs: int) -> dict[str, float]:
    """Of the fastest run: Python counts wall time here."""
    command = [interpreter, "-P", "-X", "importtime", "-c", code]
    answers = [
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        for _ in range(runs)
    ]
    return min((by_package(each.stderr) for each in answers), key=lambda spent: spent["all"])


def by_package(said: str) -> dict[str, float]:
    """Milliseconds of each top-level package, its own modules alone, the slowest ten.

    Args:
        said: lines such as `import time:  self [us] | cumulative | name`.
    """
    spent: Counter[str] = Counter()
    for line in said.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():  # else the heading, or somebody's warning
            spent[rest.rpartition("|")[2].strip().partition(".")[0]] += int(own)
    ranked = {name: round(microseconds / 1000, 1) for name, microseconds in spent.most_common(10)}
    return {"all": round(spent.total() / 1000, 1), **ranked}
