"""Films that are being copied while the tool looks: none is scored before it is complete."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.installed import installed
from tests.cli.reports import is_night_line
from tests.factories import chest
from tests.faults.conftest import Figures
from tests.faults.night import INCOMPLETE, Ward, csv_of, cxr_edge, rows_of
from tests.faults.tiers import SEED, tier
from tests.images.films import png, tiff

# Films that arrive during whole runs; scoring/test_scorer_settle has the rule.
pytestmark = [installed, pytest.mark.slow]

SETTLE = 0.75
PAUSE = 0.04  # between two pieces of a film
AT_ONCE = 10
Steps = Iterator[None]


def pieces(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """A film in 5 to 40 pieces, not one of them empty."""
    cuts = sorted(rng.sample(range(1, len(data)), rng.randint(5, 40) - 1))
    yield from (data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))


def append(path: Path, data: bytes, rng: random.Random) -> Steps:
    with path.open("wb", buffering=0) as stream:
        for piece in pieces(data, rng):
            stream.write(piece)
            yield


def fill(path: Path, data: bytes, rng: random.Random) -> Steps:
    """Its whole length from the beginning, as copiers do that reserve the space."""
    with path.open("wb", buffering=0) as stream:
        stream.truncate(len(data))
        yield
        for piece in pieces(data, rng):
            stream.write(piece)
            yield


def rename(path: Path, data: bytes, rng: random.Random) -> Steps:
    temporary = path.with_name(f".{path.name}.x7Qa")
    yield from append(temporary, data, rng)
    temporary.rename(path)


def truncate(path: Path, data: bytes, rng: random.Random) -> Steps:
    """A film that is complete gives way to a newer one."""
    path.write_bytes(older())
    yield
    yield from append(path, data, rng)


def overwrite(path: Path, data: bytes, rng: random.Random) -> Steps:
    """The newer one is written over it in place: every moment between looks like a film."""
    path.write_bytes(older())
    yield
    with path.open("r+b", buffering=0) as stream:
        for piece in pieces(data, rng):
            stream.write(piece)
            yield


WAYS: list[Callable[[Path, bytes, random.Random], Steps]] = [
    *(append, fill, rename, truncate, overwrite)
]


def older() -> bytes:
    """Another film; uncompressed TIFF all of them, whose decoder notices least."""
    return tiff(chest(tilt=-90))


@dataclass
class Arrival:
    """One film on its way.

    Attributes:
        longest: seconds between two of its pieces; over the settle time nothing is promised.
    """

    path: Path
    data: bytes
    steps: Steps
    last: float = field(default_factory=time.monotonic)
    longest: float = 0.0

    def step(self) -> bool:
        """One more piece; False when there is none."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now
        return next(self.steps, self) is None

    @property
    def stalled(self) -> bool:
        """This machine, not the tool, is to blame if this film is scored too early."""
        return self.longest > SETTLE - 0.1

    @property
    def complete(self) -> set[str]:
        """What may be scored: the film, or the whole one that was there before."""
        return {hashlib.sha256(data).hexdigest() for data in (self.data, older())}


def arrivals(folder: Path, count: int) -> list[Callable[[], Arrival]]:
    rng = random.Random(SEED)

    def arrival(number: int) -> Arrival:
        data, path = tiff(chest(tilt=number % 200)), folder / f"{number}.tif"
        return Arrival(path, data, WAYS[number % len(WAYS)](path, data, rng))

    return [lambda number=number: arrival(number) for number in range(count)]  # type: ignore[misc]


def deliver(waiting: list[Callable[[], Arrival]], done: list[Arrival]) -> None:
    """`AT_ONCE` films at a time, a piece of each in turn."""
    active: list[Arrival] = []
    while waiting or active:
        while waiting and len(active) < AT_ONCE:
            active.append(waiting.pop(0)())
        finished = [each for each in active if not each.step()]
        active = [each for each in active if each not in finished]
        done += finished
        time.sleep(PAUSE)


def test_no_film_is_scored_before_it_is_complete(
    tiny: Path, tmp_path: Path, figures: Figures
) -> None:
    ward = Ward(tmp_path / "in", tiny)
    ward.films.mkdir()
    (ward.films / "first.png").write_bytes(png())
    count, runs = tier(50, 500), 0
    done: list[Arrival] = []
    writer = threading.Thread(target=deliver, args=(arrivals(ward.films, count), done))
    writer.start()
    scored: list[tuple[str, str]] = []
    reasons: Counter[str] = Counter()
    over = False
    while not over:
        over = not writer.is_alive()  # then one more run
        out = f"out{runs}"
        runs += 1
        ended = cxr_edge(ward.score(tmp_path, "--settle", SETTLE, out=out))
        assert ended.returncode in (0, INCOMPLETE)
        assert is_night_line(ended.stderr) is (ended.returncode == INCOMPLETE), ended.stderr
        rows = rows_of(tmp_path / out)
        scored += [(row["path"], row["sha256"]) for row in rows if row["probability"]]
        reasons += Counter(row["reason"] for row in rows if row["reason"])
    check(ward, done, scored)
    figures(
        films=count,
        runs=runs,
        unscored_meanwhile=dict(reasons),
        from_incomplete_bytes=0,
        stalled_by_this_machine=sum(each.stalled for each in done),
    )
    assert ended.returncode == 0
    assert len(rows_of(tmp_path / out)) == count + 1
    assert reasons["still_changing"] > 0


def check(ward: Ward, done: list[Arrival], scored: list[tuple[str, str]]) -> None:
    """What was scored was complete; in the end that is all of it, in its last version."""
    films = {each.path.name: each for each in done}
    for name, sha256 in scored:
        arrival = films.get(name)
        assert arrival is None or arrival.stalled or sha256 in arrival.complete, name
    last = dict(scored)
    for path in ward.films.iterdir():
        assert last[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sum(each.stalled for each in done) <= len(done) // 5, (
        "too slow a machine to say anything"
    )


def test_without_the_settle_rule_it_would_be(tiny: Path, tmp_path: Path) -> None:
    """The proof above can fail: half a film written over another is scored where all is trusted."""
    ward = Ward(tmp_path / "in", tiny)
    ward.films.mkdir()
    data = tiff(chest(tilt=90))
    steps = overwrite(ward.films / "half.tif", data, random.Random(SEED))
    for _ in range(4):
        next(steps)
    trusting = cxr_edge(ward.score(tmp_path))
    assert trusting.returncode == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["sha256"] not in {hashlib.sha256(each).hexdigest() for each in (data, older())}
    assert csv_of(tmp_path / "out").count(b"scored") == 1
