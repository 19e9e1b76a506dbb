"""Runs every `sh` block of the README, in order, in a copy of this checkout.

A block runs line by line with `bash -e`. `make test` is left out because `.ci/run` has just run it,
and lines that need hardware or a network that CI lacks stand in `text` blocks.
The README's `train/` is made from the films in tests/data/incoming.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = {"make test"}


def make_train_folder(checkout: Path) -> None:
    """NORMAL and PNEUMONIA, told apart by the file names."""
    for film in sorted((checkout / "tests/data/incoming").glob("*-0001*.jpeg")):
        copy(film, checkout / "train/NORMAL")
    for film in sorted((checkout / "tests/data/incoming").glob("person*.jpeg")):
        copy(film, checkout / "train/PNEUMONIA")


def copy(film: Path, folder: Path) -> None:
    """Copy, making the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(film, folder)


def main() -> None:
    """Stop at the first block that fails."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    with tempfile.TemporaryDirectory() as scratch:
        checkout = Path(scratch, "cxr-edge")
        subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
        make_train_folder(checkout)
        # Commands that the README runs after installing use the environment that CI has.
        paths = [str(ROOT / ".venv/bin"), os.environ["PATH"]]
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(paths),
            "XDG_STATE_HOME": str(Path(scratch, "state")),
        }
        for block in blocks:
            lines = [line for line in block.splitlines() if line not in LEFT_OUT]
            sys.stdout.write(f"--- README:\n{chr(10).join(lines)}\n")
            sys.stdout.flush()
            script = "\n".join(lines)
            subprocess.run(["bash", "-ec", script], cwd=checkout, env=environment, check=True)
    sys.stdout.write(f"{len(blocks)} README blocks ran\n")


if __name__ == "__main__":
    main()
