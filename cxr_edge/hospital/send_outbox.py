"""The outbox of a state folder, which is locked only while something is written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from cxr_edge.ledger.outbox import Outbox
from cxr_edge.ledger.runs import open_ledger, read_ledger
from cxr_edge.ledger.state import held, held_in_turn
from cxr_edge.support.text import display_name

_COMMAND = ("cxr-edge", "send")


class SharedOutbox:
    """An outbox beside other runs: a peer that does not answer does not block scoring.

    Attributes:
        is_new: whether a new one was begun because the ledger was damaged; what waited is lost.
    """

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        """Open nothing yet.

        Args:
            state: folder of the ledger.
            say: prints a line.
        """
        self._state, self._say = state, say
        self.is_new = False
        self._is_checked = False  # each association opens the ledger anew

    @contextlib.contextmanager
    def held(self) -> Iterator[Outbox]:
        """Hold it, to write.

        Raises:
            StateBusyError: another run holds the state folder.
            StateError: the ledger cannot be written.
        """
        with held(self._state, _COMMAND), self._opened() as outbox:
            yield outbox

    @contextlib.contextmanager
    def held_in_turn(self, waiting: Callable[[str], None]) -> Iterator[Outbox]:
        """Hold it after its present holder; `waiting` is called with a line that names that one.

        Raises:
            StateError: the ledger cannot be written.
        """
        with held_in_turn(self._state, _COMMAND, waiting), self._opened() as outbox:
            yield outbox

    @contextlib.contextmanager
    def read(self) -> Iterator[Outbox]:
        """Read it, even while another run holds it.

        Raises:
            StateError: the ledger cannot be read.
        """
        with read_ledger(self._state) as ledger:
            yield Outbox(ledger.connection)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Outbox]:
        with open_ledger(self._state, is_checked=self._is_checked) as ledger:
            self._is_checked = True
            if ledger.set_aside is not None:
                self.is_new, name = True, display_name(ledger.set_aside)
                self._say(
                    f"warning: the ledger was damaged and is set aside: {name}; "
                    "send again what has not arrived"
                )
            yield Outbox(ledger.connection)
