"""Every error that cxr-edge raises on purpose.

    CxrEdgeError                 exit 1
    ├── InputError               exit 2   folders, data or options that cannot be used
    │   ├── MissingExtraError             the command needs an extra that is not installed
    │   ├── DataError                     a labelled folder cannot be trained on or exported with
    │   ├── RecipeError                   a recipe does not parse or asks for the impossible
    │   └── WeightsError                  pre-trained weights that were asked for cannot be had
    ├── ImageError               a row    one image cannot be scored; carries its `Reason`
    ├── ModelRefusedError        exit 4   a model does not match its spec or fails its self-test
    ├── DeviceError              exit 4   the device asked for is not there
    ├── DecoderError             exit 1   no process that decodes films can be started
    ├── ThreadError              exit 1   no thread can be started
    ├── ReportError              exit 1   the report could not be written
    ├── StateError               exit 1   the ledger cannot be read or written
    │   └── StateBusyError       exit 75  another run holds this state folder
    ├── RunInterruptedError      exit 129, 130, 143   stopped by a signal; what is scored is safe
    └── ExportError              exit 1   a model cannot be exported
        └── ParityError                   an exported file disagrees with its source

Stages raise; `intake` alone turns a per-image exception into a row; `cli` alone prints and exits.
"""

from __future__ import annotations

from cxr_edge.types import Reason


def install_command(extra: str) -> str:
    """Name where cxr-edge came from, wheel or checkout: its name on an index may be another's."""
    return f"pip install 'PATH[{extra}]', PATH being the wheel or checkout of cxr-edge"


class CxrEdgeError(Exception):
    """Root of the tree.

    Attributes:
        exit_code: what the command line exits with.
        tip: the next step for the person who reads the message, or an empty string.
    """

    exit_code = 1

    def __init__(self, message: str, tip: str = "") -> None:
        """Keep the message for `str(error)` and the tip beside it."""
        super().__init__(message)
        self.tip = tip


class InputError(CxrEdgeError):
    """The command cannot start with these arguments."""

    exit_code = 2


class MissingExtraError(InputError):
    """The command needs an optional dependency."""

    def __init__(self, what: str, extra: str) -> None:
        """Name what is missing and the extra that brings it."""
        super().__init__(
            f"{what} is not installed",
            tip=f"install its extra: {install_command(extra)}",
        )


class DataError(InputError):
    """A labelled folder cannot be used."""


class RecipeError(InputError):
    """A training recipe cannot be used."""


class WeightsError(InputError):
    """Pre-trained weights cannot be had."""


class ImageError(CxrEdgeError):
    """One image cannot be scored.

    Attributes:
        reason: of the closed vocabulary.
        format: what the file is, by its signature, where it is none that is read.
    """

    def __init__(self, reason: Reason, detail: str = "", *, format: str = "") -> None:
        """Keep the reason; the detail is for people."""
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason, self.format = reason, format


class ModelRefusedError(CxrEdgeError):
    """A model will not be run."""

    exit_code = 4


class DeviceError(CxrEdgeError):
    """A device was asked for and is not there."""

    exit_code = 4


class DecoderError(CxrEdgeError):
    """A process that decodes films cannot be started."""


class ThreadError(CxrEdgeError):
    """A thread cannot be started: limits on processes count them as well."""

    def __init__(self, error: RuntimeError) -> None:
        """Say what Python says."""
        super().__init__(
            f"this process cannot have another thread here: {error}",
            tip="raise the limit on processes (ulimit -u, pids of the container)",
        )


class ReportError(CxrEdgeError):
    """The report could not be written."""


class StateError(CxrEdgeError):
    """The state folder cannot be used."""


class StateBusyError(StateError):
    """Another run holds the state folder."""

    exit_code = 75


class RunInterruptedError(CxrEdgeError):
    """A signal ended the run after its last batch was recorded."""

    def __init__(self, signal_number: int, recorded: int | None = None) -> None:
        """128 plus the signal, as a shell reports it; None when every file has been recorded."""
        files = "all" if recorded is None else recorded
        super().__init__(
            f"stopped by a signal; {files} files of this run are safe",
            tip="the same command goes on from here",
        )
        self.exit_code = 128 + signal_number


class ExportError(CxrEdgeError):
    """A model cannot be exported."""


class ParityError(ExportError):
    """An exported file does not compute what its source computes."""
