"""The card says what the spec says, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cxr_edge.errors import ExportError
from cxr_edge.model.catalog import bundled_specs, models_dir
from cxr_edge.model.describe import describe
from cxr_edge.model.spec import ModelSpec, ReceptiveField, TensorFormat
from cxr_export.card import render_card
from cxr_export.intended_use import KERMANY, REPORT_ACCURACY
from cxr_training.nets import NETS
from tests.export.specs import evaluation, spec, training
from tests.tiny import reliability_values

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def leaves(values: Any) -> Iterator[Any]:
    """Every plain value of nested dicts and lists, keys too."""
    if isinstance(values, dict):
        yield from values
        values = values.values()
    if isinstance(values, str | int | float) or values is None:
        yield values
        return
    for value in values:
        yield from leaves(value)


def unknown_numbers(card: str, known: ModelSpec) -> list[str]:
    """Numbers of the card that no value of the spec rounds to.

    Sizes are printed in MB and durations in minutes; hashes by their first 16 digits.
    """
    numbers, texts = [], []
    for value in leaves(known.to_dict()):
        (texts if isinstance(value, str) else numbers).append(value)
    figures = [abs(float(n)) for n in numbers if n is not None]  # a sign is no part of a number
    figures += [n / 1e6 for n in figures] + [n / 60 for n in figures]
    for text in sorted(texts, key=len, reverse=True):
        for shown in (text, text[:16]):
            card = card.replace(shown, " ") if len(shown) > 2 else card
    return [number for number in NUMBER.findall(card) if not is_rounded(number, figures)]


def is_rounded(shown: str, figures: list[float]) -> bool:
    """Whether one of the figures prints like that."""
    plain = shown.replace(",", "")
    if "e" in plain:
        return any(f"{figure:.1e}" == plain for figure in figures)
    decimals = len(plain.partition(".")[2])
    return any(f"{figure:.{decimals}f}" == plain for figure in figures)


def without(card: str, section: str) -> str:
    """The card less one section, if it has that."""
    before, found, rest = card.partition(f"\n## {section}")
    return before + rest[rest.index("\n## ") :] if found else card


def tables(card: str) -> str:
    """The lines that hold figures of the spec, and none that are computed from them or aims."""
    card = without(without(card, "Goals on"), "At other prevalences")
    return "\n".join(line for line in card.splitlines() if line.startswith("|"))


CARDS = {
    "everything": spec(),
    "reliability": spec(reliability=reliability_values()),
    "nothing measured": spec(evaluations=(), training=None),
    "two tests": spec(evaluations=(evaluation(), replace(evaluation(300), data="test_y"))),
    **{item.name: item for item in bundled_specs()},
}


@pytest.mark.parametrize("shown", CARDS.values(), ids=CARDS.keys())
def test_every_figure_of_the_tables_stands_in_the_spec(shown: ModelSpec) -> None:
    text = tables(render_card(shown)).replace("accuracy at 0.5", "accuracy")
    assert unknown_numbers(text, shown) == []


def test_a_figure_from_nowhere_is_seen() -> None:
    """A test of the test."""
    card = render_card(spec())
    for right, wrong in (("0.981", "0.777"), ("1.4e-06", "1.5e-06"), ("3099", "3,098")):
        text = tables(card).replace("accuracy at 0.5", "accuracy").replace(right, wrong)
        assert set(unknown_numbers(text, spec())) == {wrong}


def test_every_figure_that_matters_is_shown() -> None:
    text = render_card(spec())
    for line in (
        "868,961 parameters, input 8x8 grey pixels.",
        "| `screening` | 0.123457 | by rule A | 0.981 (0.968 to 0.988) | 0.937 (0.901 to 0.960) "
        "| set A |",
        "| `balanced` | 0.859 (0.816 to 0.893) | 0.964 (0.928 to 0.983) | 0.684 (0.595 to 0.761) |",
        "117 normal and 195 pneumonia films of 211 patients, which chose nothing.",
        "Area under the ROC curve 0.943 (0.912 to 0.967); the 95 % interval comes from a bootstrap "
        "that draws patients (1987 replicates).",
        "2x2 cells on the 8x8 input, the first around pixel 2.0 from the left and the top edge, "
        "the next 4 pixels further each.",
        "A cell sees 4x4 pixels.",
        "| trained on | 1073 normal, 3099 pneumonia, 2107 patients |",
        "| length | 97 epochs, 39 minutes, finished 2026-11-22T20:51:10Z |",
        "| pre-trained weights | imagenet |",
        "| validation | AUC 0.996096, accuracy at 0.5 0.965517 |",
        "| onnx | `fancy.onnx` | 3.48 MB | float32 | 1.4e-06 on 256 x-rays | 2.0e-07 | 0 |",
    ):
        assert line in text.splitlines(), line


def test_who_taught_it_is_said_where_somebody_did() -> None:
    alone = spec()
    assert alone.training is not None
    assert "learnt from" not in render_card(alone)
    taught = replace(alone, training=replace(alone.training, teachers=("net (sha256 0a)", "b")))
    assert "| learnt from | net (sha256 0a), b |" in render_card(taught).splitlines()
    assert ModelSpec.from_dict(taught.to_dict()) == taught


@pytest.mark.parametrize("measured", [True, False], ids=["measured", "not measured"])
def test_how_far_the_scores_can_be_trusted(measured: bool) -> None:
    lines = render_card(spec(reliability=reliability_values() if measured else None)).splitlines()
    for line in (
        "1,044 films (some films: 269 normal, 775 pneumonia, 527 patients), each changed and sent "
        "through the program's own",
        "| change | AUC | `screening` changed | missed | alarms | `balanced` changed | missed "
        "| alarms | probability moves, mean | at most | warned |",
        "| none | 0.981 (0.970 to 0.988) | 0 | 0 | 0 | 0 | 0 | 0 | 0.000 | 0.000 | 1 |",
        "| too much light | 0.912 (0.901 to 0.919) | 47 | 31 | 13 | 94 | 62 | 26 | 0.047 | 0.470 "
        "| 26 |",
        "| this model | 0.981 (0.970 to 0.988) | |",
        "| metadata: width, bytes | these films do not differ | these |",
        "| style: top | 0.876 (0.865 to 0.883) | those |",
        "| 0.9 to 1.0 | 741 | 0.968 | 0.951 (0.948 to 0.953) |",
        "| none, as it ships | 1.000 | 0.000 | 0.1234 | 0.0345 | 0.0567 |",
        "| temperature | 0.789 | 0.000 | 0.1234 | 0.0345 | 0.0432 |",
        "| platt | 1.000 | -0.246 | 0.1234 | 0.0345 | 0.0321 |",
    ):
        assert (line in lines) == measured, line
    assert any("223x225 pixels" in line for line in lines) == measured


def test_the_films_of_this_project_were_reduced() -> None:
    told = ", reduced from larger ones for this project."
    assert told in render_card(spec(reliability=reliability_values(), data_source=KERMANY))
    assert told not in render_card(spec(reliability=reliability_values()))


def test_the_same_points_at_other_prevalences() -> None:
    """Both have sensitivity 0.964 (0.928 to 0.983) and specificity 0.684 (0.595 to 0.761)."""
    lines = render_card(spec()).splitlines()
    for point in ("screening", "balanced"):
        assert (
            f"| `{point}` | 10 % | 0.253 (0.203 to 0.314) | 0.994 (0.987 to 0.997) "
            "| 38.1 (30.8 to 46.3) |"
        ) in lines
    assert any("specificity on `test_x`." in line for line in lines)
    without = render_card(spec(evaluations=()))
    assert "specificity on the films that chose the thresholds." in without


@pytest.mark.parametrize(
    ("name", "source", "logged"),
    [("test_a", KERMANY, True), ("test_x", KERMANY, False), ("test_a", "made up", False)],
)
def test_looks_at_the_test_films_are_logged(name: str, source: str, logged: bool) -> None:
    shown = spec(evaluations=(replace(evaluation(), data=name),), data_source=source)
    line = "Each look at `test_a` is logged in [CHANGELOG.md](CHANGELOG.md)."
    assert (line in render_card(shown).splitlines()) == logged


def test_without_a_run_the_training_is_unknown() -> None:
    text = render_card(spec(training=None))
    assert "Unknown: exported from a `.keras` file without its run." in text
    assert "validated on" not in text


@pytest.mark.parametrize(
    ("right", "wording"),
    [
        (312, "At `balanced` this model reaches that mark on `test_x`."),
        (271, "At `balanced` this model reaches that mark on `test_x`."),
        (268, "At `balanced` this model **misses that mark by 0.008** on `test_x`."),
        (200, "At `balanced` this model **misses that mark by 0.226** on `test_x`."),
    ],
)
def test_the_mark_of_the_report(right: int, wording: str) -> None:
    measured = spec(evaluations=(evaluation(right),), data_source=KERMANY)
    lines = render_card(measured).splitlines()
    assert wording in lines
    assert any("prints an accuracy of 0.867 for this network" in line for line in lines)


def test_no_mark_for_an_unknown_network_or_without_a_test() -> None:
    other = replace(spec().architecture, name="another")
    for shown in (spec(architecture=other), spec(evaluations=())):
        assert "mark" not in render_card(shown)


def test_a_network_that_the_report_lacks_is_not_said_to_be_its() -> None:
    other = replace(spec().architecture, name="another")
    assert "Network `cnn3_128` of the source report," in render_card(spec())
    assert "Network `another`, which the source report lacks," in render_card(
        spec(architecture=other)
    )


def test_every_network_has_its_mark() -> None:
    assert REPORT_ACCURACY.keys() == NETS.keys() - {"resnet18_96"}


@pytest.mark.parametrize(
    ("cells", "wording"),
    [
        ((1, 1), "- this model cannot point at anything: its evidence map is a single cell"),
        ((4, 4), "- the evidence map shows what moved this score, not where a disease is"),
    ],
)
def test_whether_it_can_point(cells: tuple[int, int], wording: str) -> None:
    tensors = spec().network_data_format
    evidence: TensorFormat = replace(tensors.outputs["evidence"], spatial_shape=cells)
    outputs = {**tensors.outputs, "evidence": evidence}
    text = render_card(spec(network_data_format=replace(tensors, outputs=outputs)))
    assert wording in text.splitlines()
    assert ("cannot point" in text) == (cells == (1, 1))
    assert ("further each" in text) == (cells != (1, 1))


@pytest.mark.parametrize(
    ("field", "wording"),
    [
        (
            ReceptiveField(2.0, 3.0, 4),
            "- the last 1 of 8 columns (right edge) and rows (bottom) lie outside every cell of "
            "the network's last map: what is there cannot be found",
        ),
        (ReceptiveField(0.5, 4.0, 33), "A cell sees 33x33 pixels, the whole film."),
    ],
    ids=["not all", "everything"],
)
def test_what_the_cells_see(field: ReceptiveField, wording: str) -> None:
    text = render_card(spec(receptive_field=field))
    assert wording in text.splitlines()
    assert ("cannot be found" in text) != ("whole film" in text)


def figures(text: str) -> set[str]:
    """The numbers in a text, without the commas of its sentences."""
    return {number.rstrip(",") for number in NUMBER.findall(text)}


@pytest.mark.parametrize("shown", CARDS.values(), ids=CARDS.keys())
def test_models_show_and_the_card_give_the_same_figures(shown: ModelSpec) -> None:
    """All of `models show` stands in the card; what the card measures stands in `models show`."""
    card, said = without(render_card(shown), "Goals on"), describe(shown)
    assert figures(said) <= figures(card)
    measured = card[card.index("## Evidence map") : card.index("## At other prevalences")]
    # Words of the card alone: how wide its intervals are, and the mark of the source report.
    mark = REPORT_ACCURACY.get(shown.architecture.name)
    prose = {"95"} | ({"596", f"{mark:.3f}"} if mark else set())
    assert figures(measured) - prose <= figures(said)


def test_the_banner_the_use_and_the_sources_are_always_there() -> None:
    shown = spec()
    text = render_card(shown)
    assert "**Prioritisation aid. Not a diagnosis. Unflagged studies still need reading.**" in text
    for sentence in (
        shown.use.intended_use,
        shown.use.population,
        *shown.use.exclusions,
        *shown.use.known_failure_modes,
        shown.license,
        shown.data_source,
    ):
        assert sentence in text


@pytest.mark.parametrize("missing", ["auc", "accuracy_at_0.5"])
def test_a_missing_figure_is_an_error_not_a_blank(missing: str) -> None:
    metrics = {key: value for key, value in training().metrics.items() if key != missing}
    with pytest.raises(ExportError, match="the card of fancy lacks a figure"):
        render_card(spec(training=replace(training(), metrics=metrics)))


@pytest.mark.parametrize("shown", bundled_specs(), ids=lambda shown: shown.name)
def test_the_cards_that_ship_are_those_of_their_specs(shown: ModelSpec) -> None:
    assert (models_dir() / f"{shown.name}.md").read_text() == render_card(shown)
    assert json.loads((models_dir() / f"{shown.name}.json").read_text()) == shown.to_dict()


def test_a_card_says_what_thresholds_do_to_films_changed_as_in_training() -> None:
    reached = {
        "auc": 0.983079,
        "screening": {"sensitivity": 0.989691, "specificity": 0.679104},
        "balanced": {"sensitivity": 0.975515, "specificity": 0.813433},
    }
    metrics = {**training().metrics, "changed_films": reached}
    card = render_card(spec(training=replace(training(), metrics=metrics)))
    said = [line for line in card.splitlines() if "changed once as in training" in line]
    assert said == [
        "| validation, each film changed once as in training | AUC 0.983079; `screening` "
        "sensitivity 0.990, specificity 0.679; `balanced` sensitivity 0.976, specificity 0.813 |"
    ]
    assert "changed once" not in render_card(spec()), "runs of before it was measured"
