"""The bar goes to stderr, and it brings no Keras."""

from __future__ import annotations

import pytest

from cxr_training.support.progress import item_bar


def test_a_bar_leaves_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with item_bar("reading images", 3) as advance:
        for _ in range(3):
            advance()
    assert capsys.readouterr().out == ""


def test_an_error_passes_through_the_bar() -> None:
    with pytest.raises(ValueError, match="broken"), item_bar("reading images", 1):
        raise ValueError("broken")
