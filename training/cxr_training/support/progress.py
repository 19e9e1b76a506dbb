"""Progress bars on stderr; without Keras, because `explore` trains nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def item_bar(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar over `total` items; yields what to call after each."""
    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def console() -> Console:
    """Console on stderr, so that stdout stays data."""
    return Console(stderr=True, highlight=False)
