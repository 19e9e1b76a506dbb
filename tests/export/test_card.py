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
from cxr_edge.statistics.operating_points import OnCopies, Proportion
from cxr_export.card import MOST_CHANGES, render_card
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
    """The lines that hold figures of the spec, and none that are computed or of the data set."""
    lines = without(card, "Of 1,000 films").splitlines()
    return "\n".join(line for line in lines if line.startswith("|") and "KV series" not in line)


CARDS = {
    "everything": spec(),
    "reliability": spec(reliability=reliability_values()),
    "nothing measured": spec(evaluations=(), training=None),
    "two tests": spec(evaluations=(evaluation(), replace(evaluation(300), data="test_y"))),
    **{item.name: item for item in bundled_specs()},
}


@pytest.mark.parametrize("shown", CARDS.values(), ids=CARDS.keys())
def test_every_figure_of_the_tables_stands_in_the_spec(shown: ModelSpec) -> None:
    assert unknown_numbers(tables(render_card(shown)), shown) == []


def test_a_figure_from_nowhere_is_seen() -> None:
    """A test of the test."""
    card = render_card(spec())
    for right, wrong in (("0.981", "0.777"), ("1.4e-06", "1.5e-06"), ("256", "1,256")):
        text = tables(card).replace(right, wrong)
        assert set(unknown_numbers(text, spec())) == {wrong}


def test_every_figure_that_matters_is_shown() -> None:
    copies = OnCopies(1, 6, Proportion.of(4565, 4656, 776), Proportion.of(1308, 1608, 268))
    points = spec().operating_points
    both = {**points, "screening": replace(points["screening"], copies=copies)}
    text = render_card(spec(operating_points=both))
    for line in (
        "Testing. Network `cnn3_128`, 868,961 parameters, input 8x8 grey pixels.",
        "| `screening` | 0.123457 | set A | 0.981 (0.968 to 0.988) | 0.937 (0.901 to 0.960) |",
        "| | | their changed copies | 0.980 (0.968 to 0.988) | 0.813 (0.762 to 0.856) |",
        "| | | `test_x` | 0.964 (0.928 to 0.983) | 0.684 (0.595 to 0.761) |",
        "- `screening`: by rule A",
        "`test_x` chose nothing: 117 normal and 195 pneumonia films of 211 patients, AUC 0.943 "
        "(0.912 to 0.967) by patient, accuracy at `screening` 0.830 (0.785 to 0.868), accuracy at "
        "`balanced` 0.859 (0.816 to 0.893).",
        "- the evidence map (2x2 cells, the first around pixel 2.0, the next 4 further each, each "
        "sees 4x4) shows what moved this score, not where a disease is",
        "Recipe `tuned` (sha256 `fedcba9876543210`), 97 epochs, pre-trained weights: imagenet.",
        "`kermany224/train` (sha256 `0123456789abcdef`): trained on 1073 normal and 3099 pneumonia "
        "films, validated on 269 and 777 (20 % of patients held out, seed 42), AUC 0.9961.",
        "| `fancy.onnx` | 3.48 MB | float32 | 1.4e-06 on 256 films |",
    ):
        assert line in text.splitlines(), line


def test_who_taught_it_is_said_where_somebody_did() -> None:
    alone = spec()
    assert alone.training is not None
    assert "learnt from" not in render_card(alone)
    taught = replace(alone, training=replace(alone.training, teachers=("net (sha256 0a)", "b")))
    assert "imagenet, learnt from net (sha256 0a), b." in render_card(taught)
    assert ModelSpec.from_dict(taught.to_dict()) == taught


@pytest.mark.parametrize("measured", [True, False], ids=["measured", "not measured"])
def test_how_far_the_scores_can_be_trusted(measured: bool) -> None:
    lines = render_card(spec(reliability=reliability_values() if measured else None)).splitlines()
    for line in (
        "| some films | 1,044 | 0.712 | 0.743 | 0.057 | 0.035 |",
        "| their changed copies (version 1, 6 draws) | 6,264 | 0.712 | 0.743 | 0.043 | 0.035 |",
        "| test_x | 312 | 0.712 | 0.743 | 0.032 | 0.035 |",
        "| this model | 0.981 (0.970 to 0.988) |",
        "| metadata: width, bytes | these films do not differ |",
        "| style: top | 0.876 (0.865 to 0.883) |",
        "| change | `screening` missed | alarms | `balanced` missed | alarms | warned |",
        "| too much light | 31 | 13 | 62 | 26 | 26 |",
    ):
        assert (line in lines) == measured, line
    assert any(line.startswith("The probability is the network's own. No") for line in lines) == (
        measured
    )


def test_the_worst_changes_come_first_and_the_spec_has_the_others() -> None:
    values = reliability_values()
    none, light = values["changes"]
    others = [
        {**light, "change": f"change {missed}", "turned": worse(light["turned"], missed)}
        for missed in range(MOST_CHANGES + 3)
    ]
    card = render_card(spec(reliability={**values, "changes": [none, *others]}))
    rows = [line.split() for line in card.splitlines() if line.startswith("| change ")][1:]
    shown = [int(row[2]) for row in rows]
    assert shown == list(range(MOST_CHANGES + 2, 2, -1))
    assert f"The worst of {MOST_CHANGES + 3}; the spec has all." in card


def worse(turned: dict[str, Any], missed: int) -> dict[str, Any]:
    """The same with so many pneumonias missed at one operating point, and no more wrong."""
    first, *rest = turned
    right = {"films": 100, "missed": 0, "alarms": 0}
    return {first: {**right, "missed": missed}, **dict.fromkeys(rest, right)}


@pytest.mark.parametrize(("source", "told"), [(KERMANY, True), ("made up", False)])
def test_other_children_and_the_series_are_about_the_public_films(source: str, told: bool) -> None:
    card = render_card(spec(reliability=reliability_values(), data_source=source))
    for words in ("Togunwa et al., PLOS Digital Health 2025", "| the KV series:", "116 person"):
        assert (words in card) == told, words


@pytest.mark.parametrize(("name", "told"), [("test_a", True), ("our-clinic-2026", False)])
def test_the_mark_of_the_source_report_is_about_its_own_test_set(name: str, told: bool) -> None:
    shown = spec(evaluations=(replace(evaluation(), data=name),), data_source=KERMANY)
    card = render_card(replace(shown, architecture=replace(shown.architecture, name="cnn3_50")))
    assert ("The source report prints an accuracy of 0.857" in card) == told


def test_the_series_is_told_without_what_a_model_made_of_it() -> None:
    card = render_card(spec(reliability=reliability_values(), data_source=KERMANY))
    (row,) = [line for line in card.splitlines() if "KV series" in line]
    assert "flagged" not in row


def test_what_a_site_loses() -> None:
    """Both have sensitivity 0.964 (0.928 to 0.983) and specificity 0.684 (0.595 to 0.761)."""
    lines = render_card(spec()).splitlines()
    for point in ("screening", "balanced"):
        assert (
            f"| `{point}` | 10 % | 3.6 | 285 | 0.253 (0.203 to 0.314) | 0.994 (0.987 to 0.997) |"
        ) in lines
    assert any("by Bayes' theorem from `test_x`." in line for line in lines)
    without = render_card(spec(evaluations=()))
    assert "from the films that chose the thresholds." in without


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
        (312, "reaches that mark."),
        (271, "reaches that mark."),
        (268, "**misses that mark by 0.008**."),
        (200, "**misses that mark by 0.226**."),
    ],
)
def test_the_mark_of_the_report(right: int, wording: str) -> None:
    on_test_a = replace(evaluation(right), data="test_a")
    measured = spec(evaluations=(on_test_a,), data_source=KERMANY)
    line = "prints an accuracy of 0.867 for this network; at `balanced` this model " + wording
    assert line in render_card(measured)


def test_no_mark_for_an_unknown_network_or_without_a_test() -> None:
    other = replace(spec().architecture, name="another")
    for shown in (spec(architecture=other), spec(evaluations=())):
        assert "mark" not in render_card(shown)


def test_every_network_has_its_mark() -> None:
    assert REPORT_ACCURACY.keys() == NETS.keys() - {"resnet18_96", "efficientnet_lite0_160"}


@pytest.mark.parametrize(
    ("cells", "wording"),
    [
        (
            (1, 1),
            "- this model cannot point at anything: its evidence map is a single cell around pixel "
            "2.0 that sees 4x4",
        ),
        (
            (4, 4),
            "- the evidence map (4x4 cells, the first around pixel 2.0, the next 4 further each, "
            "each sees 4x4) shows what moved this score, not where a disease is",
        ),
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
            "- the last 1 of 8 columns (right) and rows (bottom) lie outside every cell: what is "
            "there cannot be found",
        ),
        (
            ReceptiveField(0.5, 4.0, 33),
            "- the evidence map (2x2 cells, the first around pixel 0.5, the next 4 further each, "
            "each sees 33x33, the whole film) shows what moved this score, not where a disease is",
        ),
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
    card, said = render_card(shown), describe(shown)
    assert figures(said) <= figures(card)
    measured = card[card.index("## Operating points") : card.index("## Of 1,000 films")]
    tables = "\n".join(line for line in measured.splitlines() if line.startswith("|"))
    assert figures(tables) <= figures(said)


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


def test_a_missing_figure_is_an_error_not_a_blank() -> None:
    metrics = {key: value for key, value in training().metrics.items() if key != "auc"}
    with pytest.raises(ExportError, match="the card of fancy lacks a figure"):
        render_card(spec(training=replace(training(), metrics=metrics)))


@pytest.mark.parametrize("shown", bundled_specs(), ids=lambda shown: shown.name)
def test_the_cards_that_ship_are_those_of_their_specs(shown: ModelSpec) -> None:
    assert (models_dir() / f"{shown.name}.md").read_text() == render_card(shown)
    assert json.loads((models_dir() / f"{shown.name}.json").read_text()) == shown.to_dict()


def test_a_card_says_how_the_network_ranks_copies() -> None:
    metrics = {**training().metrics, "copies": {"version": 1, "auc": 0.983079}}
    card = render_card(spec(training=replace(training(), metrics=metrics)))
    assert "AUC 0.9961, of copies 0.9831." in card
    assert "of copies" not in render_card(spec()), "runs of before it was measured"
