"""The summary of a cross-validation as a table for people."""

from __future__ import annotations

from typing import Any

_HEAD = (
    *("fold", "normal", "pneumonia", "AUC (95 % by patient)", "spec at own 98 %"),
    *("(a) sens", "(a) specificity", "(b) sens", "(b) specificity"),
)
_NOTES = """
spec at own 98 %: specificity at a sensitivity of 0.98 on these very films; for ranking only
(a) threshold of each network's own validation patients  (b) of all seeds' scores in other folds
Figures are means over seeds, intervals are bootstrapped by patient with (a) and (b) as they are.
"""


def table(summary: dict[str, Any]) -> str:
    """Plain text, one row per fold and one for all."""
    rows = [_row(str(each["fold"]), each) for each in summary["folds"]]
    lines = [_HEAD, *rows, _row("all", summary["pooled"])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    recipe = summary["recipe"]
    title = (
        f"{recipe['net']}, recipe {recipe['name']}, {summary['scheme']} folds, "
        f"seeds {', '.join(map(str, summary['seeds']))}"
    )
    body = (
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines
    )
    return "\n".join((title, "", *body, _NOTES))


def _row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        str(figures["NORMAL"]),
        str(figures["PNEUMONIA"]),
        _interval(figures["auc"]),
        _interval(figures["specificity_at_own_98"]),
        _value(figures["sensitivity_at_validation"]),
        _interval(figures["specificity_at_validation"]),
        _value(figures["sensitivity_at_other_folds"]),
        _interval(figures["specificity_at_other_folds"]),
    )


def _value(figure: dict[str, Any]) -> str:
    return "-" if figure["value"] is None else f"{figure['value']:.3f}"


def _interval(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return _value(figure)
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
