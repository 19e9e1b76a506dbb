"""Films a second of `cxr-edge receive` and of dcmtk's storescp, in pairs of the same minute.

    python -m tests.hospital.throughput [ROUNDS [FILMS]]

Each film is of 10 MB and sent by one storescu; receive syncs each to disk, storescp does not.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.hospital.receiving import PEER, TITLE, film, receiving_apart

SIDE = 2236  # of a film of 10 MB


def write_films(folder: Path, count: int) -> None:
    """Films that do not compress, two to a study."""
    folder.mkdir()
    for number in range(count):
        pixels = os.urandom(2 * SIDE * SIDE)
        data = film(number, number // 2, Rows=SIDE, Columns=SIDE, PixelData=pixels)
        (folder / f"{number}.dcm").write_bytes(data)


def seconds_to_send(port: int, films: Path) -> float:
    """How long storescu takes."""
    start = time.monotonic()
    command = ["storescu", "-aet", PEER, "-aec", TITLE, "127.0.0.1", str(port), "+sd", str(films)]
    subprocess.run(command, check=True, timeout=600)
    return time.monotonic() - start


def main() -> None:
    """Print each pair, and the median of the ratios."""
    rounds, count = (*map(int, sys.argv[1:]), *(6, 20)[len(sys.argv) - 1 :])
    ratios = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, theirs = Path(scratch), Path(scratch, "storescp")
        theirs.mkdir()
        write_films(folder / "source", count)
        port = 11998
        storescp = subprocess.Popen(["storescp", "-aet", TITLE, "-od", theirs, str(port)])
        try:
            with receiving_apart(folder) as ours:
                for number in range(rounds):
                    pair = [("ours", ours.port), ("storescp", port)]
                    order = pair if number % 2 else pair[::-1]
                    took = {name: seconds_to_send(at, folder / "source") for name, at in order}
                    ratios.append(took["storescp"] / took["ours"])
                    speeds = {name: count / each for name, each in took.items()}
                    load = os.getloadavg()[0]
                    sys.stdout.write(
                        f"films a second: receive {speeds['ours']:.1f}, storescp "
                        f"{speeds['storescp']:.1f}, ratio {ratios[-1]:.2f}, load {load:.1f}\n"
                    )
                    for path in (ours.films, theirs):
                        shutil.rmtree(path)
                        path.mkdir()
        finally:
            storescp.kill()
            storescp.wait()
    sys.stdout.write(f"median ratio {statistics.median(ratios):.2f}\n")


if __name__ == "__main__":
    main()
