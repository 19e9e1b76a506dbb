"""Runs every `sh` block of the README and the manual, in order.

Each page has its own copy of this checkout and its own state folder. A block runs with `bash -e`.
Lines that need hardware, a network, root or hours stand in `text` blocks. The folders `train/` and
`site-films/` of the pages are made from the films in tests/data/incoming.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Commands that a page runs after installing use the environment that CI has.
PATHS = os.pathsep.join([str(ROOT / ".venv/bin"), os.environ["PATH"]])


def make_labelled_folder(checkout: Path, name: str) -> None:
    """Sort the films of tests/data into NORMAL and PNEUMONIA by their names."""
    for film in sorted((checkout / "tests/data/incoming").glob("*-0001*.jpeg")):
        copy(film, checkout / name / "NORMAL")
    for film in sorted((checkout / "tests/data/incoming").glob("person*.jpeg")):
        copy(film, checkout / name / "PNEUMONIA")


def copy(film: Path, folder: Path) -> None:
    """Copy, making the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(film, folder)


def blocks_of(page: Path) -> list[str]:
    """The page's `sh` blocks."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def run_page(page: Path, blocks: list[str]) -> None:
    """Run the blocks in a fresh copy; the first that fails raises."""
    with tempfile.TemporaryDirectory() as scratch:
        checkout = Path(scratch, "cxr-edge")
        subprocess.run(["git", "clone", "--quiet", ROOT, checkout], check=True)
        for name in ("train", "site-films"):
            make_labelled_folder(checkout, name)
        environment = {**os.environ, "PATH": PATHS, "XDG_STATE_HOME": str(Path(scratch, "state"))}
        for block in blocks:
            sys.stdout.write(f"--- {page.name}:\n{block}")
            sys.stdout.flush()
            subprocess.run(["bash", "-ec", block], cwd=checkout, env=environment, check=True)


def main() -> None:
    """Stop at the first block that fails."""
    for page in PAGES:
        blocks = blocks_of(page)
        if blocks:
            start = time.monotonic()
            run_page(page, blocks)
            seconds = time.monotonic() - start
            sys.stdout.write(f"=== {page.name}: {len(blocks)} blocks in {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
