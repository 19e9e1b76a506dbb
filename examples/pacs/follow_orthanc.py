#!/usr/bin/env python3
"""Hands every instance of an Orthanc on: to `cxr-edge receive`, or into a folder.

    export ORTHANC_PASSWORD=...
    follow_orthanc.py http://127.0.0.1:8042 cxr-edge to-receiver.mark --modality cxr-edge
    follow_orthanc.py http://127.0.0.1:8042 cxr-edge to-folder.mark --folder /srv/xray/incoming

One call hands on what has come since the last one; a timer or a loop calls it. The mark is a file:
the number of the last change that was seen, and below it the instances that were not taken, which
every call tries again. So nothing is lost while the receiver, Orthanc or this script is away; an
instance may be handed on twice, which does no harm. Without a mark it begins with everything that
Orthanc holds. To give an instance up, delete its line, or the instance in Orthanc.

Prints nothing where there was nothing to do. Exit code 1: something was not taken, and why is said;
2: the call itself is wrong. In a folder a file is named by Orthanc's own identifier, never by a
text of a header, and appears under its name when it is whole.
"""

import argparse
import base64
import contextlib
import fcntl
import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

SECONDS = 300  # for one answer: a store ends when the receiver has synced the film
PIECE = 100  # changes on a page, and instances between two writes of the mark
IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")


class StoppedError(Exception):
    """Nothing more can be handed on in this call."""


class RefusedError(Exception):
    """Orthanc has answered with an error, which may be about one instance."""

    def __init__(self, error: urllib.error.HTTPError) -> None:
        """Take the reason from the answer: of a store, the DIMSE status."""
        self.code = error.code
        try:
            said = json.loads(error.read())
            super().__init__(said.get("Details") or said["Message"])
        except (ValueError, LookupError, AttributeError, OSError, HTTPException):
            super().__init__(str(error))


class Orthanc:
    """The archive's REST interface."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Ask it directly: a proxy would get to know the password."""
        self.url = url.rstrip("/")
        self.secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, body: object = None) -> bytes:
        """The body of an answer; of one to a POST, where there is a body.

        Raises:
            RefusedError, StoppedError: as they say.
            OSError, HTTPException: there was no whole answer.
        """
        data = None if body is None else json.dumps(body).encode()
        head = {"Authorization": f"Basic {self.secret}"}
        request = urllib.request.Request(self.url + path, data, head)
        try:
            with self.opener.open(request, timeout=SECONDS) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise StoppedError("Orthanc refuses this user, or ORTHANC_PASSWORD") from error
            raise RefusedError(error) from error

    def list_of(self, path: str) -> Any:
        """A JSON answer to a question that Orthanc always has an answer for."""
        try:
            return json.loads(self.ask(path))
        except (OSError, HTTPException, RefusedError) as error:
            raise StoppedError(f"{self.url} does not answer as Orthanc does: {error}") from error
        except ValueError as error:
            raise StoppedError(f"{self.url} is no Orthanc") from error


class Receiver:
    """A modality of Orthanc's, which takes instances by C-STORE."""

    def __init__(self, orthanc: Orthanc, name: str) -> None:
        """Orthanc's name for it."""
        self.orthanc, self.name = orthanc, name
        self.path = f"/modalities/{quote(name, safe='')}"

    def check(self) -> None:
        """Stop unless it answers an echo."""
        try:
            self.orthanc.ask(f"{self.path}/echo", {})
        except RefusedError as error:
            unknown = error.code == 404
            why = f"Orthanc knows no modality {self.name}" if unknown else f"{self.name}: {error}"
            raise StoppedError(why) from error
        except (OSError, HTTPException) as error:
            raise StoppedError(f"Orthanc does not answer: {error}") from error

    def take(self, identifier: str) -> None:
        """Have Orthanc send it."""
        self.orthanc.ask(f"{self.path}/store", [identifier])


class Folder:
    """Takes instances as files."""

    def __init__(self, orthanc: Orthanc, path: Path) -> None:
        """It is there."""
        self.orthanc, self.path = orthanc, path

    def check(self) -> None:
        """Stop unless it is a folder."""
        if not self.path.is_dir():
            raise StoppedError(f"{self.path} is no folder")

    def take(self, identifier: str) -> None:
        """Write its file."""
        keep(self.path / f"{identifier}.dcm", self.orthanc.ask(f"/instances/{identifier}/file"))


def keep(path: Path, data: bytes) -> None:
    """Write beside, sync, and rename: whoever looks sees a whole file or none.

    Raises:
        StoppedError: the disk takes no more.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise StoppedError(f"{path.parent} cannot be written: {error.strerror}") from error


class Follower:
    """One call: what is left to do, and what came of it."""

    def __init__(self, orthanc: Orthanc, mark: Path, target: Receiver | Folder) -> None:
        """Read the mark.

        Raises:
            StoppedError: it is damaged, or Orthanc does not answer.
        """
        self.orthanc, self.mark, self.target = orthanc, mark, target
        self.handed, self.gone, self.why = 0, 0, ""
        if mark.exists():
            last, *self.waiting = mark.read_text(errors="replace").split() or [""]
            if not last.isdecimal() or not all(map(IDENTIFIER.fullmatch, self.waiting)):
                raise StoppedError(f"{mark} is damaged: delete it to begin with everything again")
            self.last = int(last)
        else:  # the number first: what comes meanwhile is handed on twice, not never
            self.last = orthanc.list_of("/changes?last")["Last"]
            self.waiting = orthanc.list_of("/instances")

    def work(self) -> None:
        """Hand on what is new, and then what was left.

        Raises:
            StoppedError: nothing more can be handed on; the mark says what is left.
        """
        self.target.check()
        old = len(self.waiting)
        for last, new in self._pages():
            self.last = last
            self._hand_on(new)
        most = max(PIECE, old // 100)  # the mark is as long as what waits: not written too often
        while old:
            piece = self.waiting[: min(old, most)]
            del self.waiting[: len(piece)]
            self._hand_on(piece)
            old -= len(piece)

    def _pages(self) -> Iterator[tuple[int, list[str]]]:
        """New instances, a page at a time, each with the number of its last change."""
        done = False
        while not done:
            page = self.orthanc.list_of(f"/changes?since={self.last}&limit={PIECE}")
            if page["Last"] < self.last:
                sys.stderr.write(
                    "Orthanc has a new list of changes: it is read from its beginning\n"
                )
                self.last = 0
                continue
            done = page["Done"]
            new = (each for each in page["Changes"] if each["ChangeType"] == "NewInstance")
            yield page["Last"], [each["ID"] for each in new]

    def _hand_on(self, identifiers: list[str]) -> None:
        """Hand on some; whatever stops it, the rest waits, and the mark is written."""
        rest = [*identifiers]
        try:
            while rest:
                is_done = self._is_done(rest[0])
                if not is_done:
                    self.waiting.append(rest[0])
                del rest[0]
                if not is_done:  # about this one, or does nobody take anything any more?
                    self.orthanc.list_of("/system")
                    self.target.check()
        finally:
            self.waiting += rest
            keep(self.mark, "\n".join([str(self.last), *self.waiting, ""]).encode())

    def _is_done(self, identifier: str) -> bool:
        """Hand on one; whether it was taken, or is no longer there to be."""
        try:
            self.target.take(identifier)
        except (RefusedError, OSError, HTTPException) as error:
            if isinstance(error, RefusedError) and error.code == 404 and self._is_gone(identifier):
                self.gone += 1
                return True
            self.why = f" ({identifier}: {error})"
            return False
        self.handed += 1
        return True

    def _is_gone(self, identifier: str) -> bool:
        """Whether Orthanc no longer holds it; a store to a modality unknown by now is a 404 too."""
        try:
            self.orthanc.ask(f"/instances/{identifier}")
        except RefusedError as error:
            return error.code == 404
        except (OSError, HTTPException):
            pass
        return False

    def said(self) -> str:
        """What came of the call; empty where nothing was to do."""
        parts = {
            "handed on": self.handed,
            "no longer in Orthanc": self.gone,
            f"not taken{self.why}": len(self.waiting),
        }
        return ", ".join(f"{number} {what}" for what, number in parts.items() if number)


def main() -> int:
    """One call; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("user")
    parser.add_argument("mark", type=Path)
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--modality", help="Orthanc's name of the receiver")
    targets.add_argument("--folder", type=Path)
    words = parser.parse_args()
    if not words.url.startswith(("http://", "https://")):
        parser.error("the URL begins with http:// or https://")
    if words.modality == "":
        parser.error("--modality is empty")
    if words.folder and words.mark.resolve().is_relative_to(words.folder.resolve()):
        parser.error("the mark lies inside --folder, where it would be scored")
    if "ORTHANC_PASSWORD" not in os.environ:
        parser.error("ORTHANC_PASSWORD is not set")
    orthanc = Orthanc(words.url, words.user, os.environ["ORTHANC_PASSWORD"])
    target = Folder(orthanc, words.folder) if words.folder else Receiver(orthanc, words.modality)
    with contextlib.suppress(KeyboardInterrupt):
        return _call(orthanc, words.mark, target)
    return 130


def _call(orthanc: Orthanc, mark: Path, target: Receiver | Folder) -> int:
    follower = None
    try:
        with mark.with_name(f"{mark.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            follower = Follower(orthanc, mark, target)
            follower.work()
    except BlockingIOError:
        sys.stderr.write("another call is at it\n")
        return 0
    except (StoppedError, OSError) as error:
        waiting = f"; {len(follower.waiting)} wait" if follower and follower.waiting else ""
        sys.stderr.write(f"stopped: {error}{waiting}\n")
        return 1
    if said := follower.said():
        sys.stderr.write(f"{said}\n")
    return int(bool(follower.waiting))


if __name__ == "__main__":
    sys.exit(main())
