"""Cautions about a model's figures, printed before any figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cxr_edge.evaluate.results import ModelFigures, SetFigures
from cxr_edge.report.texts import in_words
from cxr_edge.types import doubts

CHANCE = 0.5


def cautions(model: ModelFigures, data: SetFigures) -> Iterator[str]:
    """One sentence each; none where nothing is known against the set.

    Args:
        model: with what it said about every film.
        data: the set.
    """
    training = model.spec.training
    if training is not None and training.data_sha256 == data.sha256:
        yield (
            f"{model.spec.name} was trained on these very films: the figures say nothing about "
            "any other."
        )
    scored = [film.result for film in model.films if film.result.probability is not None]
    warned = [result for result in scored if doubts(result.warnings)]
    if warned:
        kinds = Counter(doubt for result in warned for doubt in doubts(result.warnings))
        named = ", ".join(f"{in_words(kind)} {films}" for kind, films in kinds.most_common())
        yield (
            f"{len(warned)} of {len(scored)} scored films carry a warning ({named}): the model may "
            "not be made for them, and cxr-edge score puts them into attention."
        )
    if model.auc is not None and model.auc.value < CHANCE:
        yield "The AUC is below 0.5, worse than chance: are the classes swapped?"
