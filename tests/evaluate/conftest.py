"""What several tests of the evaluation start from."""

from __future__ import annotations

import pytest


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages get one blank picture: drawing takes a second a page, and has its own tests."""
    from cxr_edge.evaluate import page
    from cxr_edge.evaluate.drawing import Plot
    from cxr_edge.evaluate.plots import ModelPlots, Plots
    from cxr_edge.evaluate.results import Evaluation

    plot = Plot(b"png", "A picture.", 1, 1)

    def draw(made: Evaluation) -> Plots:
        curve = plot if any(model.roc for model in made.models) else None
        models = (ModelPlots((plot,) * len(model.points), plot, plot) for model in made.models)
        return Plots(curve, curve, tuple(models))

    monkeypatch.setattr(page, "draw", draw)
