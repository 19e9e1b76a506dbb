"""Reports of every class and band before a validator that knows templates: PixelMed's.

Slow: Java takes several seconds a file.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.objects import finished
from cxr_edge.hospital.report_sr import report_of
from cxr_edge.hospital.results_job import SR_CLASSES
from tests.hospital.studies import ANSWERS, source

_JAR = Path("/usr/share/java/pixelmed.jar")
_NO_LIMITS = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("ExprOp", "TotalOp", "ExprGrp")]
# Its list of procedures is older than the code.
_KNOWN = 'Code (43468-8,LN,"XR unspecified body region") not found in context group 100'
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("java") is None or not _JAR.exists(),
        reason="no PixelMed: apt install pixelmed-apps",
    ),
]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("sr", SR_CLASSES)
def test_reports_follow_their_templates(sr: str, answer: Answer, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    film = source()
    path.write_bytes(finished(report_of(film, answer, sr), film, answer).content)
    validate = ("-cp", f"{_JAR.parent}/*", "com.pixelmed.validate.DicomSRValidator", path)
    made = subprocess.run(
        ["java", *_NO_LIMITS, *validate], capture_output=True, text=True, timeout=600, check=True
    )
    lines = (made.stdout + made.stderr).splitlines()
    assert any("IOD" in line for line in lines), lines
    errors = [line for line in lines if line.startswith("Error") and _KNOWN not in line]
    assert errors == []
