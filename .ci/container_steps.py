"""Runs the steps of the Containerfile under a folder, where there is no container engine.

COPY and RUN are carried out with the image's folders under the one that is given. Left out is what
makes an account or needs one: useradd, and install -o.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE_FOLDERS = re.compile(r"(?<![\w./-])/(?=(?:src|wheels|opt/cxr-edge|var/lib/cxr-edge)\b)")
LEFT_OUT = ("useradd", "install")


def steps() -> list[tuple[str, str]]:
    """Instructions of the Containerfile with their arguments, both stages."""
    lines = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [(instruction, rest) for instruction, _, rest in pairs]


def copy_context(target: Path) -> None:
    """The tracked files that the ignore file lets through."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if not name.startswith("tests/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def run(command: str, image: Path, workdir: Path) -> None:
    """One RUN, with this Python as the image's."""
    if command.split()[0] in LEFT_OUT:
        sys.stdout.write(f"left out: {command}\n")
        return
    mapped = IMAGE_FOLDERS.sub(f"{image}/", command)
    if mapped.startswith("python "):
        mapped = mapped.replace("python", sys.executable, 1)
    sys.stdout.write(f"RUN {mapped}\n")
    sys.stdout.flush()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**kept, "HOME": str(workdir), "PIP_QUIET": "1"}
    subprocess.run(["/bin/sh", "-ec", mapped], cwd=workdir, env=environment, check=True)


def main() -> None:
    """Stop at the first step that fails."""
    image = Path(sys.argv[1]).absolute()
    workdir = image
    for instruction, rest in steps():
        if instruction == "WORKDIR":
            workdir = image / rest.lstrip("/")
            workdir.mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY" and rest == ". .":
            copy_context(workdir)
        elif instruction == "RUN":
            run(rest, image, workdir)
    sys.stdout.write("the steps of the Containerfile ran\n")


if __name__ == "__main__":
    main()
