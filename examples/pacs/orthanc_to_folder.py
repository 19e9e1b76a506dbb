#!/usr/bin/env python3
"""Copies every new instance of an Orthanc into a folder, for `cxr-edge score`, without C-STORE.

    ORTHANC_PASSWORD=... orthanc_to_folder.py http://127.0.0.1:8042 cxr-edge /srv/xray/incoming

One call copies what has come since the last one; a timer calls it. A file is named by Orthanc's own
identifier, never by a text of a header; it appears under its name when it is whole.
"""

import base64
import json
import os
import sys
import urllib.request
from pathlib import Path

MARK = ".orthanc-changes"  # behind the folder's name: how far the changes were followed


def get(url: str, user: str) -> bytes:
    """The body of an answer of Orthanc's."""
    secret = base64.b64encode(f"{user}:{os.environ['ORTHANC_PASSWORD']}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {secret}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def keep(path: Path, data: bytes) -> None:
    """Write beside, sync, and rename: whoever looks sees a whole file or none."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def follow(base: str, user: str, folder: Path) -> int:
    """Copy what is new; returns how many instances."""
    mark = folder.with_name(folder.name + MARK)  # beside it: inside, it would be a row
    last = int(mark.read_text()) if mark.exists() else 0
    copied, done = 0, False
    while not done:
        changes = json.loads(get(f"{base}/changes?since={last}&limit=100", user))
        for change in changes["Changes"]:
            if change["ChangeType"] == "NewInstance":
                identifier = change["ID"]
                data = get(f"{base}/instances/{identifier}/file", user)
                keep(folder / f"{identifier}.dcm", data)
                copied += 1
        last, done = changes["Last"], changes["Done"]
        keep(mark, str(last).encode())
    return copied


if __name__ == "__main__":
    address, name, target = sys.argv[1:]
    sys.stderr.write(f"{follow(address.rstrip('/'), name, Path(target))} instances copied\n")
