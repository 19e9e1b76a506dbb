"""Holds a built wheel against what it must and must not contain."""

import json
import re
import sys
import zipfile
from pathlib import Path

WHEEL = Path(sys.argv[1])
ROOT = Path(__file__).resolve().parent.parent
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")
LARGEST = int(re.search(r"^LARGEST_MODEL_FILE = ([\d_]+)$", SETUP, re.MULTILINE)[1])
WANTED = {
    *(f"cxr_training/recipes/{path.name}" for path in ROOT.glob("training/recipes/*.toml")),
    *(f"cxr_edge/report/templates/{t}" for t in ("triage.html.j2", "triage.js", "base.css")),
    "cxr_edge/evaluate/templates/evaluation.html.j2",
    "cxr_edge/py.typed",
}


def model_files(small: bool) -> set[str]:
    """Everything of the models whose files are all small enough, or of the others."""
    found: set[str] = set()
    for path in ROOT.glob("models/*.json"):
        files = json.loads(path.read_text(encoding="utf-8"))["files"].values()
        if all(file["bytes"] <= LARGEST for file in files) == small:
            found |= {path.name, f"{path.stem}.md", *(file["name"] for file in files)}
    return {f"cxr_edge/models/{name}" for name in found}


names = set(zipfile.ZipFile(WHEEL).namelist())
missing = (WANTED | model_files(small=True)) - names
folders = {n for n in names if n.split("/")[0] in ("tests", "training", "export", "models")}
foreign = folders | (names & model_files(small=False))
megabytes = WHEEL.stat().st_size / 1e6
sys.stdout.write(f"{WHEEL.name}: {megabytes:.1f} MB, {len(names)} files\n")
if missing or foreign or megabytes >= 25:
    sys.exit(f"missing {sorted(missing)}, foreign {sorted(foreign)}, {megabytes:.1f} MB of 25")
