"""Has a model tried in a process of its own: a hostile one can hang, crash or exhaust its loader.

A model is tried once for each set of versions: that it has passed is kept in a private file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from cxr_edge import __version__
from cxr_edge.errors import CxrEdgeError, ModelRefusedError
from cxr_edge.ledger.state import states_folder
from cxr_edge.model.spec import ModelSpec
from cxr_edge.support.atomic import make_folder, write_atomically
from cxr_edge.support.cpu import instruction_sets
from cxr_edge.support.files import read_plain

SECONDS = 30  # bundled models take less than one
_GRACE_SECONDS = 5
# The child finds its modules where this process did; -P keeps the current folder out until then.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from cxr_edge.runtime.trial import main; main()"
)
_LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "ai-edge-litert", "numpy")
REFUSED = 4  # exit code of a process that prints why
_MOST_KEPT = 4096  # bytes of a verdict
TIP = "use a model of a source that you trust"


def check(content: bytes, kind: str, spec: ModelSpec) -> None:
    """Refuse a model that cannot be loaded and pass its self-test on the CPU, within limits.

    Args:
        content: the model's bytes.
        kind: `onnx` or `tflite`.
        spec: what they must match.

    Raises:
        ModelRefusedError: as `loading.start`, or it crashes, hangs or takes too much memory.
    """
    verdict = _verdict(content, kind, spec)
    if not _is_kept(verdict):
        _try(content, kind, spec)
        _keep(verdict)


def _try(content: bytes, kind: str, spec: ModelSpec) -> None:
    command = [sys.executable, "-P", "-c", _START, kind, str(SECONDS), json.dumps(sys.path)]
    head = json.dumps(spec.to_dict()).encode()
    try:
        made = subprocess.run(
            command,
            input=head + b"\n" + content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries talk there
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            timeout=SECONDS + _GRACE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _refused_by(-signal.SIGALRM) from error
    except OSError as error:
        raise CxrEdgeError(f"no process can be started here: {error.strerror}") from error
    if made.returncode == REFUSED:
        raise ModelRefusedError(*json.loads(made.stdout.splitlines()[-1]))
    if made.returncode:
        raise _refused_by(made.returncode)


def _refused_by(code: int) -> ModelRefusedError:
    if code in (-signal.SIGALRM, -signal.SIGKILL):  # the latter at the limit of CPU time
        return ModelRefusedError(f"the model does not load within {SECONDS} seconds", TIP)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return ModelRefusedError(f"the model crashes the library that loads it ({how})", TIP)


def _verdict(content: bytes, kind: str, spec: ModelSpec) -> bytes:
    """Text of the file that records that this model passes here."""
    from cxr_edge.support.inventory import installed_version  # takes a while to import

    facts = {
        "passes": hashlib.sha256(content).hexdigest(),
        "format": kind,
        "spec": spec.sha256(),
        "cxr-edge": __version__,
        "python": sys.version,
        "cpu": instruction_sets(),
        **{name: installed_version(name) for name in _LIBRARIES},
    }
    return json.dumps(facts, sort_keys=True).encode()


def _kept_at(verdict: bytes) -> Path:
    """Path of a verdict: in the cache, where a site names one; else beside the ledgers."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = cache / "cxr-edge" if cache.is_absolute() else states_folder()
    return folder / "models" / hashlib.sha256(verdict).hexdigest()


def _is_kept(verdict: bytes) -> bool:
    """Believe no file that somebody else could have written."""
    try:
        path = _kept_at(verdict)
        for place in (path, path.parent):
            facts = place.lstat()
            others_write = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if stat.S_ISLNK(facts.st_mode) or facts.st_uid != os.geteuid() or others_write:
                return False
        return read_plain(path, _MOST_KEPT) == verdict
    except (OSError, CxrEdgeError):
        return False


def _keep(verdict: bytes) -> None:
    """Spare the next start; where that cannot be, the model is tried again."""
    with contextlib.suppress(OSError, CxrEdgeError):
        path = _kept_at(verdict)
        make_folder(path.parent)
        write_atomically(path, verdict)
