"""The pictures open, say in words what they show, and are the same for the same figures."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from cxr_edge.evaluate.drawing import Plot
from cxr_edge.evaluate.plots import Plots, draw
from cxr_edge.evaluate.results import Evaluation
from tests.evaluate.made import CASES, evaluation

slow = pytest.mark.slow  # drawing takes a second a page


def every(plots: Plots) -> list[Plot]:
    curves = [plot for plot in (plots.roc, plots.precision_recall) if plot]
    each = [(*model.confusions, model.calibration, model.scores) for model in plots.models]
    return curves + [plot for group in each for plot in group]


COUNTS = dict(zip(CASES, (6, 10, 6, 4, 8, 6), strict=True))


@pytest.mark.parametrize(
    ("case", "count"),
    [
        pytest.param(CASES[name], count, marks=[] if name == "no negative film" else slow, id=name)
        for name, count in COUNTS.items()
    ],
)
def test_every_picture_opens_and_shows_something(
    case: Callable[[], Evaluation], count: int
) -> None:
    plots = every(draw(case()))
    assert len(plots) == count
    for plot in plots:
        with Image.open(io.BytesIO(plot.png)) as picture:
            assert (picture.format, picture.size) == ("PNG", (plot.width, plot.height))
            assert picture.mode == "RGBA"
            ink = np.asarray(picture)[:, :, 3]
        assert 0.01 < (ink > 0).mean() < 0.9
        assert plot.alt.endswith(".")


def test_the_same_figures_give_the_same_bytes_and_leave_no_settings_behind() -> None:
    before = settings()
    once, again = draw(evaluation()), draw(evaluation())
    assert once == again
    assert settings() == before
    assert all(b"matplotlib" not in plot.png.lower() for plot in every(once))


def settings() -> dict[str, Any]:
    """Without the backend, which matplotlib settles on when it is first asked."""
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_alternative_texts_name_the_figures() -> None:
    made = evaluation(models=2)
    plots = draw(made)
    assert plots.roc
    assert plots.precision_recall
    first, second = made.models
    assert first.auc
    assert second.auc
    assert f"tiny0: AUC {first.auc.value:.3f} ({first.auc.low:.3f} to" in plots.roc.alt
    assert f"tiny1: AUC {second.auc.value:.3f}" in plots.roc.alt
    screening = first.points[0]
    assert screening.specificity
    assert f"screening at x {1 - screening.specificity.value:.3f}" in plots.roc.alt
    assert f"average precision {second.average_precision:.3f}" in plots.precision_recall.alt
    wrong = screening.confusion
    assert plots.models[0].confusions[0].alt == (
        f"Confusion matrix at screening: {wrong.false_negative} of 48 PNEUMONIA missed, "
        f"{wrong.false_positive} of 23 NORMAL flagged."
    )


@slow
@pytest.mark.parametrize(
    "name", ["$x^2$", "$\\frac{", "\u80ba\u708e", "a" * 300, "<b>&amp;</b>", "_", "%s {0}"]
)
def test_any_class_name_can_be_drawn(name: str) -> None:
    """A warning about a missing letter, or about mathematics in a name, would be an error here."""
    made = evaluation()
    (model,) = made.models
    bins = model.distribution.counts.values()
    named = replace(
        made,
        films=replace(made.films, classes=("NORMAL", name)),
        models=(
            replace(
                model,
                spec=replace(model.spec, name=name),
                distribution=replace(
                    model.distribution, counts=dict(zip(("NORMAL", name), bins, strict=True))
                ),
            ),
        ),
    )
    assert len(every(draw(named))) == 6


@slow
def test_without_validation_scores_the_films_stand_alone() -> None:
    made = evaluation()
    (model,) = made.models
    bare = replace(model, spec=replace(model.spec, validation_scores=None))
    before, after = (draw(replace(made, models=(each,))).models[0] for each in (model, bare))
    assert before.scores.png != after.scores.png
    assert before.calibration == after.calibration


@slow
def test_a_seventh_operating_point_is_drawn_as_well_as_the_first() -> None:
    """Shapes and dashes begin again, instead of points that vanish."""
    made = evaluation()
    (model,) = made.models
    names = [f"point {number}" for number in range(7)]
    points = tuple(
        replace(model.points[0], name=name, threshold=0.1 + 0.1 * number)
        for number, name in enumerate(names)
    )

    def drawn(count: int) -> Plots:
        return draw(replace(made, models=(replace(model, points=points[:count]),)))

    six, seven = drawn(6), drawn(7)
    assert six.roc
    assert seven.roc
    assert six.models[0].scores.png != seven.models[0].scores.png
    assert "point 6 at x" in seven.roc.alt
    assert six.roc.png != seven.roc.png
