"""A Ray cluster on this machine: `python -m tests.engines.ray_cluster NODES`.

Says its address on stdout. On stdin, `remove` takes away the node that came last, without grace,
`add` brings another one, and the end ends everything. Nobody else here imports Ray's tools for
tests.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from typing import Any

_SECONDS_TO_START = 60  # Ray gives a node 30, and a busy machine takes longer
_TRIES = 5
_PORTS = (
    *("metrics_agent_port", "metrics_export_port"),
    *("dashboard_agent_listen_port", "runtime_env_agent_port"),
)


def a_node() -> dict[str, Any]:
    """Options of a node whose agents have ports already: it ends where they take long to say."""
    with contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(socket.socket()) for name in _PORTS}
        for each in sockets.values():
            each.bind(("127.0.0.1", 0))
        ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    here = {"node_ip_address": "127.0.0.1"}  # where Ray's servers listen then
    return {"num_cpus": 1, "object_store_memory": 100 * 10**6, **here, **ports}


def be_patient() -> None:
    """Have Ray wait longer for a node that starts, whose agents need nothing of a dashboard's."""
    from ray._private import services, utils

    utils.get_dashboard_dependency_error = lambda: ImportError("not wanted")
    real = services.get_node

    def get_node(*arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                return real(*arguments, **options)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    services.get_node = get_node


def with_a_head() -> Any:
    """A cluster of one node.

    On a busy machine some nodes end before they have begun: Ray gives their agents 15 seconds.
    """
    from ray.cluster_utils import Cluster

    for _ in range(_TRIES):
        cluster = Cluster()
        with contextlib.suppress(Exception):
            cluster.add_node(wait=False, include_dashboard=False, **a_node())
            return cluster
    raise SystemExit("no node could be started")


def add(cluster: Any, added: list[Any]) -> None:
    """One more node, if one can be started."""
    for _ in range(_TRIES):
        with contextlib.suppress(Exception):
            added.append(cluster.add_node(wait=False, **a_node()))
            return


def main(nodes: int) -> None:
    """Serve until stdin ends."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    be_patient()
    cluster = with_a_head()
    added: list[Any] = []
    for _ in range(nodes - 1):
        add(cluster, added)
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line == "add\n":
            threading.Thread(target=add, args=(cluster, added), daemon=True).start()
        elif added:
            cluster.remove_node(added.pop(), allow_graceful=False)
        sys.stdout.write(line)
        sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
