#!/usr/bin/env python3
"""Hands every new instance of an Orthanc on: to `cxr-edge receive`, or into a folder.

    export ORTHANC_PASSWORD=...
    follow_orthanc.py http://127.0.0.1:8042 cxr-edge to-receiver.mark --modality cxr-edge
    follow_orthanc.py http://127.0.0.1:8042 cxr-edge to-folder.mark --folder /srv/xray/incoming

One call hands on what has come since the last one; a timer or a loop calls it. The mark is a file:
the number of the last change that was seen, and below it the instances that were not taken, which
the next call tries again. So nothing is lost while the receiver, Orthanc or this script is away. An
instance may be handed on twice, which does no harm. Without a mark it begins with everything that
Orthanc holds.

The exit code is 1 while something is not taken. In a folder, a file is named by Orthanc's own
identifier, never by a text of a header; it appears under its name when it is whole.
"""

import argparse
import base64
import fcntl
import functools
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS = 600  # for one answer: a store ends when the receiver has synced the film


def ask(base: str, user: str, path: str, body: object = None) -> bytes:
    """The body of an answer of Orthanc's; to a POST, where there is a body."""
    secret = base64.b64encode(f"{user}:{os.environ['ORTHANC_PASSWORD']}".encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"Authorization": f"Basic {secret}"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return bytes(answer.read())


def keep(path: Path, data: bytes) -> None:
    """Write beside, sync, and rename: whoever looks sees a whole file or none."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def pages(orthanc: Callable[..., bytes], last: int) -> Iterator[tuple[int, list[str]]]:
    """New instances after a change, a page at a time, each with its last change."""
    done = False
    while not done:
        page = json.loads(orthanc(f"/changes?since={last}&limit=100"))
        last, done = page["Last"], page["Done"]
        yield last, [each["ID"] for each in page["Changes"] if each["ChangeType"] == "NewInstance"]


def follow(orthanc: Callable[..., bytes], mark: Path, hand_on: Callable[[str], None]) -> int:
    """Hand on what was left and what is new; returns how many instances are left."""
    first, *waiting = mark.read_text().split() if mark.exists() else ["0"]
    handed, left, why = 0, list[str](), ""
    for last, new in pages(orthanc, int(first)):
        for each in waiting + new:
            try:
                hand_on(each)
                handed += 1
            except urllib.error.HTTPError as error:
                if error.code != 404:  # what Orthanc no longer holds cannot be handed on
                    left.append(each)
                    why = f"; the last one: {error}"
        waiting = []  # each is tried once in a call
        keep(mark, "\n".join([str(last), *left, ""]).encode())
    sys.stderr.write(f"{handed} instances handed on, {len(left)} left for the next call{why}\n")
    return len(left)


def main() -> int:
    """One call; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("user")
    parser.add_argument("mark", type=Path)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--modality", help="Orthanc's name of the receiver")
    target.add_argument("--folder", type=Path)
    words = parser.parse_args()
    orthanc = functools.partial(ask, words.url.rstrip("/"), words.user)

    def store(identifier: str) -> None:
        orthanc(f"/modalities/{words.modality}/store", [identifier])

    def copy(identifier: str) -> None:
        keep(words.folder / f"{identifier}.dcm", orthanc(f"/instances/{identifier}/file"))

    with words.mark.with_name(f"{words.mark.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if words.modality:
                orthanc(f"/modalities/{words.modality}/echo", {})
            return int(follow(orthanc, words.mark, copy if words.folder else store) > 0)
        except BlockingIOError:
            sys.stderr.write("another call is at it\n")
            return 0
        except OSError as error:
            sys.stderr.write(f"{error}: Orthanc or the receiver is away, the next call goes on\n")
            return 1


if __name__ == "__main__":
    sys.exit(main())
