"""Who may open a connection: `receive` and `send`, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cxr_edge

PACKAGE = Path(cxr_edge.__file__).parent
NETWORK = {"socket", "socketserver", "ssl", "pynetdicom", "http", "urllib.request", "asyncio"}
# A cluster is somebody's own, and asked for by name.
MAY = ("hospital/receive", "hospital/send", "hospital/tls", "engines/ray_address")
WORDS = {"hospital/statuses.py": {"pynetdicom"}}  # what statuses are called, no more
BETWEEN_PROCESSES = "decoders/"  # connections of one machine: no address but a descriptor
OURS = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imported(module: str) -> Iterator[str]:
    """Everything that a module imports, also inside functions and for type checkers alone."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def network_of(module: str) -> set[str]:
    """What of that is a way into a network."""
    names = [f"{name}." for name in imported(module)]
    return {each for each in NETWORK if any(name.startswith(f"{each}.") for name in names)}


def test_receive_and_send_alone_import_a_network() -> None:
    importing = {module for module in OURS if network_of(module) - WORDS.get(module, set())}
    assert {m for m in importing if not m.startswith((*MAY, BETWEEN_PROCESSES))} == set()
    assert {"hospital/receive_server.py", "hospital/receive_wire.py"} <= importing


@pytest.mark.parametrize("module", [m for m in OURS if m.startswith(BETWEEN_PROCESSES)])
def test_decoders_use_sockets_of_this_machine_alone(module: str) -> None:
    assert network_of(module) <= {"socket"}
    text = (PACKAGE / module).read_text(encoding="utf-8")
    far = ("AF_INET", "create_connection", "create_server", "getaddrinfo")
    assert [each for each in far if each in text] == []
