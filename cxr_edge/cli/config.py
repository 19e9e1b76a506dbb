"""`--config FILE`: the options of a command, written down in TOML."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cxr_edge.errors import InputError

CONFIG = "cxr_edge.config"  # where a command's context keeps the file

_MAX_BYTES = 10**6
_ASKS_FOR = {"doctor": "score"}  # whose table counts for it too: it tries tonight's run
_NOT_SET_HERE = ("--config", "--help", "--version")

_Way = tuple[str, ...]  # the words that lead to a command


def add_config(group: click.Group) -> None:
    """Give every command of a group the option, once all of them are there."""
    commands = dict(_commands(group))
    for way, command in commands.items():
        callback = _Reader(way, commands)
        command.params.append(
            click.Option(
                ["--config"],
                type=click.Path(path_type=Path),
                metavar="FILE",
                is_eager=True,
                expose_value=False,
                callback=callback,
                help="Read options from this TOML file; those on the command line win.",
            )
        )


def _commands(group: click.Group, *way: str) -> Iterator[tuple[_Way, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *way, name)
        else:
            yield (*way, name), command


def _keys(command: click.Command) -> dict[str, click.Parameter]:
    """Parameters by their name in a file: an option's long one, an argument's own."""
    found: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            found[str(parameter.name)] = parameter
        else:
            long = (name for name in parameter.opts if name.startswith("--"))
            found |= {name[2:]: parameter for name in long if name not in _NOT_SET_HERE}
    return found


@dataclass(frozen=True)
class _Reader:
    """Reads a file for one command; the whole file is checked, also what is for others.

    Attributes:
        way: that command.
        commands: all of them.
    """

    way: _Way
    commands: Mapping[_Way, click.Command]

    def __call__(self, context: click.Context, _: click.Parameter, path: Path | None) -> None:
        """Make what the file says the default of each option.

        Raises:
            InputError: the file cannot be read or used.
        """
        if path is not None:
            context.meta[CONFIG] = path
            context.default_map = self._defaults(_read(path), f"--config {path}")

    def _defaults(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Values by parameter; those of a command's own table win over those at the top."""
        groups = {way[:-1] for way in self.commands} - {()}
        tables: dict[_Way, dict[str, Any]] = {}
        _flatten(values, (), groups | set(self.commands), tables, where)
        keys = {way: _keys(command) for way, command in self.commands.items()}
        own = keys[self.way]
        for way, table in tables.items():
            everywhere = {key for each in keys.values() for key in each}
            for key, value in table.items():
                name = ".".join((*way, key))
                known = keys.get(way, {}).keys() if way else everywhere
                if key not in known:
                    raise _unknown(name, way, known, where)
                parameter = keys[way][key] if way else own.get(key)
                if parameter is not None:  # else a key at the top that is for other commands
                    _check(parameter, value, f"{where}: {name}")
        ways = ((), (_ASKS_FOR.get(self.way[0], ""),), self.way)
        merged = {key: value for way in ways for key, value in tables.get(way, {}).items()}
        return {str(own[key].name): value for key, value in merged.items() if key in own}


def _flatten(
    values: dict[str, Any], way: _Way, ways: set[_Way], tables: dict[_Way, Any], where: str
) -> None:
    """Sort a file's values by the command whose table they stand in.

    Raises:
        InputError: a table is no command's.
    """
    for key, value in values.items():
        if not isinstance(value, dict):
            tables.setdefault(way, {})[key] = value
        elif (*way, key) in ways:
            _flatten(value, (*way, key), ways, tables, where)
        else:
            name = ".".join((*way, key))
            tip = _meant(name, map(".".join, ways), "tables have the names of commands")
            raise InputError(f"{where}: [{name}] is no command", tip=tip)


def _unknown(name: str, way: _Way, known: Iterable[str], where: str) -> InputError:
    whose = f"`cxr-edge {' '.join(way)}`" if way else "any command"
    rule = "keys are the long names of options, such as operating-point"
    tip = _meant(name.rpartition(".")[2].replace("_", "-"), known, rule)
    return InputError(f"{where}: {name} is no option of {whose}", tip=tip)


def _meant(name: str, known: Iterable[str], rule: str) -> str:
    """Suggest the name that was meant by a mistyped one, or repeat the rule."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else rule


def _check(parameter: click.Parameter, value: Any, where: str) -> None:
    """Raise InputError for a value of another type than a parameter's; click checks the rest."""
    if getattr(parameter, "is_flag", False):
        if not isinstance(value, bool):
            raise InputError(f"{where} is true or false")
        return
    many = parameter.multiple or parameter.nargs != 1
    if many and not isinstance(value, list):
        raise InputError(f'{where} takes a list, such as ["a", "b"]')
    for item in value if many else [value]:
        if isinstance(item, bool) or not isinstance(item, str | int | float):
            raise InputError(f"{where} takes text or a number")


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    from cxr_edge.support.files import read_plain

    try:
        return tomllib.loads(read_plain(path, _MAX_BYTES).decode("utf-8"))
    except OSError as error:
        raise InputError(f"--config {path} cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise InputError(f"--config {path} nests too deep") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise InputError(f"--config {path} is no TOML: {error}") from error
