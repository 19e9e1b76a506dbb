"""Joins a Ray cluster, or starts one on this machine; it and `ray_pool` alone know Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from typing import Any

import ray
from ray._private import ray_constants, services

from cxr_edge.errors import InputError
from cxr_edge.support.cores import usable_cores
from cxr_edge.support.signals import handled
from cxr_edge.support.text import display_name

LOCAL = "local"
_NETWORKED = "ENABLE_RAY_CLUSTER"  # whether nodes of a cluster may be elsewhere
_OBJECT_STORE_BYTES = 100 * 10**6  # of a cluster of our own: rows and pieces travel beside it
_SECONDS_TO_ANSWER = 10.0
_HOST_AND_PORT = re.compile(r"(ray://)?(?P<host>[^/:]+|\[[^/]+\]):(?P<port>\d{1,5})")
_FRAME_HEADER = 9  # bytes of HTTP/2; the fourth is the kind of frame
_SETTINGS = 4


@contextlib.contextmanager
def joined(address: str) -> Iterator[None]:
    """Be a driver of a Ray cluster; `local` starts one on this machine and ends it.

    Nothing is reported to anybody outside, and no dashboard is started.

    Raises:
        InputError: there is none at this address, or it refuses.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.pop("RAY_ADDRESS", None)  # Ray would take it for `auto`, and join another cluster
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    _check_answers(address)
    with contextlib.ExitStack() as stack:
        if address == LOCAL:
            options |= _local_options(stack)
        stack.callback(ray.shutdown)
        with _own_signal_handlers():
            try:
                ray.init(address=address, configure_logging=False, **options)
            except Exception as error:  # plain ones, of many kinds
                raise _refused(address, error) from error
        yield


def _check_answers(address: str) -> None:
    """Look whether somebody listens there who talks as Ray does: it would wait for minutes.

    Raises:
        InputError: nobody does.
    """
    match = _HOST_AND_PORT.fullmatch(address)
    if match is None:
        return
    host = match["host"].strip("[]")
    # For the loopback address Ray goes to that of this machine's network, unless told otherwise.
    place = host if match[1] else services.resolve_ip_for_localhost(host)
    try:
        with socket.create_connection((place, int(match["port"])), _SECONDS_TO_ANSWER) as server:
            if os.environ.get("RAY_USE_TLS", "0") != "1":  # else it is encrypted
                _check_greets(server)
    except (OSError, UnicodeError, OverflowError) as error:  # no name of a host, no port
        if place != host:
            error = OSError(f"Ray goes to {place} for it, and there: {error}")
        raise _refused(address, error) from error


def _check_greets(connection: socket.socket) -> None:
    """Say hello in HTTP/2, in which Ray talks; RFC 9113, 3.4: the answer is a frame of settings.

    Raises:
        OSError: there was another answer, or none.
    """
    no_settings = bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + no_settings)
    answer = connection.recv(_FRAME_HEADER, socket.MSG_WAITALL)
    if len(answer) < _FRAME_HEADER or answer[3] != _SETTINGS:
        raise OSError("another program than Ray answers there")


def _local_options(stack: contextlib.ExitStack) -> dict[str, Any]:
    """Options of a cluster that only this process uses, and of which nothing stays."""
    # Or Ray takes the loopback address for that of the network, and listens there.
    stack.callback(setattr, ray_constants, _NETWORKED, getattr(ray_constants, _NETWORKED))
    setattr(ray_constants, _NETWORKED, False)
    # Ray asks for a token by default here; without this one it writes one at home.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    folder = tempfile.mkdtemp(prefix="cxr-ray-", dir="/tmp")  # sockets allow no long names
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return {
        "num_cpus": usable_cores(),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "_temp_dir": folder,
        "_node_ip_address": "127.0.0.1",  # nobody else reaches it
    }


@contextlib.contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Keep Ray from handling signals: a run has its own way to end, once Ray has started.

    Ended while it starts, it leaves processes behind or dies of a fault; a second signal is obeyed
    all the same.
    """
    caught: list[int] = []
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def later(number: int, _: object) -> None:
        caught.append(number)
        signal.signal(number, former[signal.Signals(number)])

    try:
        with handled(former, later):
            yield
    except SystemExit:  # as Ray's own handler of SIGTERM ends it
        caught.append(signal.SIGTERM)
        raise
    finally:
        for pending in caught:
            signal.raise_signal(pending)


def _refused(address: str, error: Exception) -> InputError:
    first = display_name(str(error).strip().partition("\n")[0])
    return InputError(
        f"no Ray cluster can be used at {address}: {first}",
        tip="is it up (ray status), with this Ray and Python, and is its token set here?",
    )
