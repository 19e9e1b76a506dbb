"""Every command explains itself."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from cxr_edge import __version__
from cxr_edge.cli.commands import cli
from cxr_training.recipe.shipped import shipped_recipes
from tests.cli.conftest import Run


def commands(group: click.Group, *way: str) -> Iterator[tuple[str, ...]]:
    """The words that lead to each command, groups included."""
    yield way
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *way, name)
        else:
            yield (*way, name)


COMMANDS = list(commands(cli))


def test_the_commands_of_the_design() -> None:
    assert {" ".join(way) for way in COMMANDS} == {
        "",
        "score",
        "report",
        "results",
        "mercure",
        "prune",
        "history",
        "drift",
        "reads",
        "reads add",
        "reads show",
        "audit",
        "audit show",
        "audit verify",
        "models",
        "models list",
        "models show",
        "evaluate",
        "doctor",
        "receive",
        "send",
        "explore",
        "train",
        "search",
        "runs",
        "runs judge-again",
        "runs compare",
        "runs reproduce",
        "export",
        "sbom",
    }


@pytest.mark.parametrize("way", COMMANDS, ids=" ".join)
def test_help_has_an_example(way: tuple[str, ...], run: Run) -> None:
    """The long spelling: test_imports."""
    made = run(*way, "-h")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith("Usage: ")
    example = made.out.split("Example:\n")[1].splitlines()[0]
    assert example.strip().startswith("cxr-edge ")
    assert example.split()[1 : len(way) + 1] == list(way) or not way or way == ("models",)


def test_train_lists_every_network_that_has_a_recipe(run: Run) -> None:
    lines = run("train", "--help").out.split("Networks and their recipes:\n")[1].splitlines()
    listed = [line.split(maxsplit=1) for line in lines[: lines.index("")]]
    assert {name: of.split(", ") for name, of in listed} == shipped_recipes()


def test_every_option_is_explained() -> None:
    for way in COMMANDS:
        command: click.Command = cli
        for name in way:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "batch_size":
                assert parameter.help, (way, parameter.name)


def test_version(run: Run) -> None:
    assert run("--version").out == f"cxr-edge, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["scare"], ["models", "lost"], ["--fast"], ["models", "show"]], ids=" ".join
)
def test_usage_error(arguments: list[str], run: Run) -> None:
    made = run(*arguments)
    assert (made.code, made.out) == (2, "")
    assert made.err.startswith("Usage: cxr-edge")


def test_the_list_of_commands_cuts_none_short(run: Run) -> None:
    assert "..." not in run("--help").out.split("Commands:")[1]


def test_an_option_before_the_command_is_told_its_place(run: Run) -> None:
    made = run("--settle", "0", "score", "films")
    assert (made.code, made.err.splitlines()[-1]) == (
        2,
        "  tip: options stand behind the command: cxr-edge COMMAND --settle",
    )
