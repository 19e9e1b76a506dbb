"""Holds a built wheel against what it must and must not contain."""

import sys
import zipfile
from pathlib import Path

WHEEL = Path(sys.argv[1])
SMALL_MODELS = ("cnn3_50", "cnn4_50", "cnn3_128", "resnet18_96")
WANTED = {
    *(f"cxr_edge/models/{m}.{s}" for m in SMALL_MODELS for s in ("onnx", "tflite", "json", "md")),
    *(f"cxr_edge/report/templates/{t}" for t in ("triage.html.j2", "triage.js", "base.css")),
    "cxr_edge/evaluate/templates/evaluation.html.j2",
    "cxr_training/recipes/cnn3_128.tuned.toml",
    "cxr_edge/py.typed",
}

names = set(zipfile.ZipFile(WHEEL).namelist())
missing = WANTED - names
foreign = {n for n in names if n.split("/")[0] in ("tests", "training", "export", "models")}
megabytes = WHEEL.stat().st_size / 1e6
sys.stdout.write(f"{WHEEL.name}: {megabytes:.1f} MB, {len(names)} files\n")
if missing or foreign or megabytes >= 25:
    sys.exit(f"missing {sorted(missing)}, foreign {sorted(foreign)}, {megabytes:.1f} MB of 25")
