"""The command line: the only place that prints and exits."""

from __future__ import annotations

import signal

__all__ = ["main"]


def main() -> None:
    """Entry point of the `cxr-edge` script."""
    # Ctrl-C while modules are loaded ends the process, without a traceback from inside of one.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cxr_edge.cli.commands import run

    run()
