"""The process that tries a model, see `probe`: it may hang or crash, and nothing else is lost."""

from __future__ import annotations

import json
import resource
import signal
import sys
from typing import Any

from cxr_edge.errors import CxrEdgeError, MissingExtraError
from cxr_edge.model.spec import ModelSpec
from cxr_edge.runtime.device import Device
from cxr_edge.runtime.loading import start
from cxr_edge.runtime.probe import REFUSED, TIP

# Of addresses: the largest bundled model has 24 MB and takes 0.5 GB in all.
_BASE_BYTES, _BYTES_PER_BYTE = 4 * 1024**3, 16


def main() -> None:
    """Load the model that stdin holds behind a line with its spec; print why it is refused.

    Arguments: format, and seconds that it may take.
    """
    kind, seconds = sys.argv[1:]
    # Their default actions end the process, also from inside a library that never returns.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds))
    head, content = sys.stdin.buffer.readline(), sys.stdin.buffer.read()
    _limit_resources(len(content), int(seconds))
    refusal = _refusal(content, kind, json.loads(head))
    if refusal is not None:
        sys.stdout.write(f"\n{json.dumps(refusal)}\n")
        sys.exit(REFUSED)


def _refusal(content: bytes, kind: str, spec: Any) -> tuple[str, str] | None:
    """Message and tip; None for a model that may be loaded."""
    try:
        start(content, kind, ModelSpec.from_dict(spec), Device("cpu"))
    except MissingExtraError:
        return None  # the caller says so
    except CxrEdgeError as error:
        return str(error), error.tip
    except MemoryError:
        return "the model takes more memory than is allowed", TIP
    except Exception as error:  # the libraries' exceptions share no public base class
        return f"the model cannot be loaded: {type(error).__name__}: {error}", TIP
    return None


def _limit_resources(size: int, seconds: int) -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, _BASE_BYTES + _BYTES_PER_BYTE * size),
        (resource.RLIMIT_CPU, seconds + 1),  # several threads may spend it before the alarm
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))
