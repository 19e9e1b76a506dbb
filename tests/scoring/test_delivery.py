"""Reports and state lie outside of what is scored, wherever links lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_edge.errors import InputError
from cxr_edge.intake.discover import discover
from cxr_edge.scoring.delivery import check_outside, is_inside
from cxr_edge.types import Reason


@pytest.mark.parametrize("place", ["in", "in/sub/out", "link/out"])
def test_a_place_inside_an_input_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    with pytest.raises(InputError, match="lies inside an INPUT"):
        check_outside(tmp_path / place, "report", "--out", [str(tmp_path / "in")])
    check_outside(tmp_path / "out", "report", "--out", [str(tmp_path / "in")])


def test_a_link_that_leads_to_itself_is_a_row_and_no_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    check_outside(tmp_path / "out", "report", "--out", [str(loop)])
    assert [file.problem for file in discover([loop])] == [Reason.SYMLINK]
    assert not is_inside(loop / "state", tmp_path / "out")
    assert is_inside(loop / "state", loop)
