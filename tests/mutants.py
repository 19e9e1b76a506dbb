"""`python -m tests.mutants`: small faults in the code that decides, and whether a test fails.

Each mutant changes one place of one module; the tests that mirror the module run first, then the
nearest ones from end to end. No test itself: 200 mutants take half an hour of one core.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 300.0  # the longest set takes half a minute of an idle core
COPIED = ("cxr_edge", "tests")  # into a scratch folder; the rest is linked there

# The module, and the tests that it is held by, in the order in which they run.
_LEDGER = (
    "tests/ledger",
    "tests/test_types.py",
    "tests/scoring/test_scorer*.py",
    "tests/cli/test_score_ledger*.py",
    "tests/cli/test_report.py",
)
TESTS = {
    "cxr_edge/ledger/file.py": _LEDGER,
    "cxr_edge/ledger/run.py": _LEDGER,
    "cxr_edge/ledger/runs.py": _LEDGER,
    "cxr_edge/ledger/state.py": _LEDGER,
    "cxr_edge/triage.py": ("tests/test_triage.py", "tests/report/test_csv.py", _LEDGER[-1]),
    "cxr_edge/intake/gates.py": (
        "tests/intake/test_gates*.py",
        "tests/intake/test_prepare.py",
        "tests/pinned",
    ),
    "cxr_edge/model/spec.py": (
        "tests/model",
        "tests/test_types.py",
        "tests/runtime/test_loading.py",
    ),
}

Edit = Callable[[], None]

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Mutant:
    """One change: the `number`-th of its module."""

    module: str
    number: int
    line: int
    change: str


def changes(tree: ast.Module) -> Iterator[tuple[int, str, Edit]]:
    """Every change of a module, always in the same order: its line, words for it, and the edit."""
    for node in _code(tree):
        for words, edit in _changes_of(node):
            yield node.lineno, words, edit  # type: ignore[attr-defined]
        for statement, edit in _deletions(node):
            yield statement.lineno, "deleted: " + ast.unparse(statement).split("\n")[0], edit


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run: no annotations, docstrings, imports or tables of measured numbers."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_inert(child):
                yield from _code(child)


def _is_inert(node: ast.AST) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    measured = isinstance(node, ast.List) and len(node.elts) >= 8  # one level more or less is noise
    return text or measured or isinstance(node, ast.Import | ast.ImportFrom)


def _changes_of(node: ast.AST) -> Iterator[tuple[str, Edit]]:
    if isinstance(node, ast.Compare):
        yield from _operators(node.ops)
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign):
        if new := _OPERATORS.get(type(node.op)):
            yield f"{type(node.op).__name__} -> {new.__name__}", _replacing(node, "op", new())
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "not " + ast.unparse(node.test), _replacing(node, "test", _negated(node.test))
    elif isinstance(node, ast.Return) and not _is_none(node.value):
        yield "return None", _replacing(node, "value", ast.Constant(None))
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        swapped = [node.args[1], node.args[0], *node.args[2:]]
        yield f"{ast.unparse(node.func)}: arguments swapped", _replacing(node, "args", swapped)


def _operators(operators: list[Any]) -> Iterator[tuple[str, Edit]]:
    for place, old in enumerate(operators):
        if new := _OPERATORS.get(type(old)):
            words = f"{type(old).__name__} -> {new.__name__}"
            yield words, functools.partial(operators.__setitem__, place, new())


def _constants(node: ast.Constant) -> Iterator[tuple[str, Edit]]:
    if isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", _replacing(node, "value", not node.value)
    elif isinstance(node.value, int | float):
        for new in (node.value + 1, node.value - 1):
            yield f"{node.value} -> {new}", _replacing(node, "value", new)


def _deletions(node: ast.AST) -> Iterator[tuple[ast.stmt, Edit]]:
    kinds = ast.Expr | ast.Assign | ast.AugAssign | ast.Raise | ast.Delete
    for name in ("body", "orelse", "finalbody"):
        statements = getattr(node, name, None)
        for place, each in enumerate(statements if isinstance(statements, list) else []):
            if isinstance(each, kinds) and not _is_inert(each):
                yield each, functools.partial(statements.__setitem__, place, ast.Pass())


def _replacing(node: ast.AST, name: str, value: object) -> Edit:
    return lambda: setattr(node, name, value)


def _negated(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def mutants(root: Path = ROOT) -> list[Mutant]:
    """All of them."""
    return [
        Mutant(module, number, line, words)
        for module in TESTS
        for number, (line, words, _) in enumerate(changes(ast.parse((root / module).read_text())))
    ]


def mutated(source: str, number: int) -> str:
    """The module with that change."""
    tree = ast.parse(source)
    list(changes(tree))[number][2]()
    return ast.unparse(ast.fix_missing_locations(tree))


def scratch_copy(folder: Path) -> Path:
    """The repository in a new folder, where its modules may be changed."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, folder / path.name, ignore=ignored)
        elif not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    return folder


def fails(folder: Path, module: str, source: str) -> bool:
    """Whether the tests of a module fail, or never end, with another text in its place."""
    path = folder / module
    original = path.read_text()
    path.write_text(source)
    Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)
    shutil.rmtree(folder / ".hypothesis", ignore_errors=True)  # no examples of other mutants
    try:
        return _run_tests(folder, TESTS[module]) != 0
    finally:
        path.write_text(original)


def _run_tests(folder: Path, patterns: tuple[str, ...]) -> int:
    files = [str(path) for pattern in patterns for path in sorted(folder.glob(pattern))]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    paths = os.pathsep.join(str(folder / name) for name in ("", "training", "export"))
    process = subprocess.Popen(
        [*command, "--hypothesis-seed=0", *files],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return 1
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def table(outcomes: list[dict[str, Any]]) -> str:
    """Killed and survived, by module."""
    lines = ["| module | mutants | killed | survived |", "|---|---|---|---|"]
    counts = Counter((each["module"], each["killed"]) for each in outcomes)
    for module in TESTS:
        killed, survived = counts[module, True], counts[module, False]
        lines.append(f"| `{module}` | {killed + survived} | {killed} | {survived} |")
    total = sum(each["killed"] for each in outcomes)
    lines.append(f"| all | {len(outcomes)} | {total} | {len(outcomes) - total} |")
    return "\n".join(lines)


def judge(sample: list[Mutant], jobs: int) -> Iterator[dict[str, Any]]:
    """Each mutant's outcome, in the order of the sample; each job has a copy of its own."""
    copies: queue.SimpleQueue[Path] = queue.SimpleQueue()

    def outcome(mutant: Mutant) -> dict[str, Any]:
        folder = copies.get()
        try:
            source = mutated((ROOT / mutant.module).read_text(), mutant.number)
            return asdict(mutant) | {"killed": fails(folder, mutant.module, source)}
        finally:
            copies.put(folder)

    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(jobs) as pool:
        for number in range(jobs):
            copies.put(scratch_copy(Path(scratch, str(number))))
        yield from pool.map(outcome, sample)


def check_unchanged(modules: set[str]) -> None:
    """The tests must pass with the modules as they are, but for comments.

    Raises:
        click.ClickException: they do not.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = scratch_copy(Path(scratch, "0"))
        for module in {TESTS[module]: module for module in sorted(modules)}.values():
            if fails(folder, module, ast.unparse(ast.parse((ROOT / module).read_text()))):
                raise click.ClickException(f"the tests of {module} fail as it is")


@click.command()
@click.option("--seed", default=2026, help="Of the sample.")
@click.option("--count", default=200, help="Mutants in the sample.")
@click.option("--jobs", default=2, help="Mutants tried at a time.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON lines of every outcome.")
def main(seed: int, count: int, jobs: int, out: Path | None) -> None:
    """Count the mutants that the tests kill; the unchanged modules must pass first."""
    sample = random.Random(seed).sample(mutants(), count)
    check_unchanged({each.module for each in sample})
    outcomes = []
    for outcome in judge(sample, jobs):
        outcomes.append(outcome)
        word = "killed" if outcome["killed"] else "SURVIVED"
        click.echo(f"{word} {outcome['module']}:{outcome['line']} {outcome['change']}", err=True)
        if out:
            out.write_text("".join(json.dumps(each) + "\n" for each in outcomes))
    click.echo(table(outcomes))


if __name__ == "__main__":
    main()
