"""The one error boundary: a red line, a tip with the next step, and the documented exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from cxr_edge.cli.config import CONFIG
from cxr_edge.errors import CxrEdgeError, InputError, MissingExtraError
from cxr_edge.support.text import printable

if TYPE_CHECKING:
    from logging import LogRecord

EXIT_INTERRUPTED = 130
_STDERR = 2


class BestEffort:
    """A stream for talk: once it cannot be written, nothing is said any more, and nothing stops.

    A full disk behind a log, or a pager that was closed, must not cost a night its scores.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to this stream as long as it goes."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the stream."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """The text's length, whatever became of it."""
        with self._given_up_on_errors():
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Best effort as well."""
        with self._given_up_on_errors():
            self._stream.flush()

    @contextlib.contextmanager
    def _given_up_on_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _let_go(self._stream)


def _let_go(stream: TextIO) -> None:
    """Drop the buffer: it would fail again when Python ends, and change the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def run_command(command: click.Command) -> int:
    """Run a click command; returns the exit code instead of raising.

    Exit codes: 0 done; 1 failed, no report; 2 usage; 3 report complete with unscored files; 4 model
    or device refused; 5 a limit was passed; 75 another run holds the state; 129, 130, 143
    interrupted. A `CxrEdgeError` carries its own.
    """
    try:
        outcome = command.main(prog_name="cxr-edge", standalone_mode=False, color=_colour())
    except click.ClickException as error:
        _say_usage(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say_error("interrupted; safe to run again")
        return EXIT_INTERRUPTED
    except CxrEdgeError as error:
        say_error(str(error), error.tip)
        return error.exit_code
    except OSError as error:
        if error.filename is not None:
            raise
        say_error(f"the output cannot be written: {error.strerror}")
        _let_go(sys.stdout)
        return 1
    return outcome if isinstance(outcome, int) else 0


def _say_usage(error: click.ClickException) -> None:
    text = io.StringIO()
    error.show(text)  # it quotes what was typed
    echo(text.getvalue().removesuffix("\n"), err=True)
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context and CONFIG in context.meta:  # a value that nobody has typed
        echo(f"  tip: options are also read from {context.meta[CONFIG]}", err=True)
    if isinstance(error, click.NoSuchOption) and context and context.parent is None:
        echo(
            f"  tip: options stand behind the command: cxr-edge COMMAND {error.option_name}",
            err=True,
        )


def exit_code_of(error: BaseException) -> int:
    """The code that `run_command` ends with after an error."""
    if isinstance(error, CxrEdgeError | click.ClickException):
        return error.exit_code
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def say_error(message: str, tip: str = "") -> None:
    """One red line on stderr, and a line with the way out."""
    _say("error", "red", message, tip)


def say_warning(message: str, tip: str = "") -> None:
    """The same in yellow, where the command goes on."""
    _say("warning", "yellow", message, tip)


def _say(kind: str, colour: str, message: str, tip: str) -> None:
    echo(f"{kind}: {message}", err=True, colour=colour)
    if tip:
        echo(f"  tip: {tip}", err=True)


def echo(text: str, *, err: bool = False, colour: str | None = None) -> None:
    """Print lines that may quote what comes from outside: nothing in them steers a terminal."""
    click.secho(printable(text), fg=colour, err=err, color=_colour())


def say_from_handler(kind: str, message: str, tip: str = "") -> None:
    """The same, plain, from a signal handler: Python's streams refuse who interrupts a write."""
    lines = [f"{kind}: {message}\n", f"  tip: {tip}\n" if tip else ""]
    with contextlib.suppress(OSError):
        os.write(_STDERR, "".join(lines).encode())


def _colour() -> bool | None:
    """Off where NO_COLOR is set (https://no-color.org), else click's choice: on a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def quiet_tensorflow() -> None:
    """Keep TensorFlow's own greetings off stderr; to be called before it is imported.

    Without a GPU it prints an error about CUDA, which is none; what does go wrong it raises. With
    one, its errors may say why the GPU stands idle. Its advice about retracing is for programmers:
    changed copies of films are scored by a network that is built for each of them.
    """
    import logging  # `--help` does without

    logging.getLogger("tensorflow").addFilter(_is_no_advice)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if _has_nvidia_device() else "3")


def _is_no_advice(record: LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)


def _has_nvidia_device(devices: Path = Path("/dev")) -> bool:
    """Look for a driver's device files; in WSL 2 it is one of Windows."""
    return any(devices.glob("nvidia*")) or (devices / "dxg").exists()


def missing_extra(error: ImportError, extra: str) -> InputError:
    """The extra that brings the module which could not be imported."""
    if (error.name or "").startswith("cxr_"):
        raise error  # a defect of ours, not a missing dependency
    if error.name in ("jax", "torch"):
        return InputError(
            f"KERAS_BACKEND asks for {error.name}, which is not installed",
            tip=f"install {error.name}, or unset KERAS_BACKEND",
        )
    return MissingExtraError(error.name or str(error), extra)
