"""Services that a sender may propose: storage of anything, and C-ECHO."""

from __future__ import annotations

from collections.abc import Callable

from pydicom.uid import UID
from pynetdicom.acse import ACSE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

_SERVICE_PROVIDER = 0x02  # source of an A-ABORT
_NOT_SUPPORTED = 0x03  # the abstract syntax (PS3.8, table 9-18)


class StorageAcse(ACSE):
    """Rejects contexts of any other service: the library would accept every one it does not know.

    Attributes:
        on_nonsense: called when a request contradicts itself; the association is then aborted.
    """

    on_nonsense: Callable[[], None]

    def _negotiate_as_acceptor(self) -> None:
        try:
            super()._negotiate_as_acceptor()
        except Exception:  # the library trusts a request; its thread would end silently
            self.on_nonsense()
            self.send_abort(_SERVICE_PROVIDER)
            self.assoc.is_aborted = True
            self.assoc.kill()

    def send_accept(self) -> None:
        """Accept the association, but reject the contexts of other services."""
        accepted, rejected = self.assoc._accepted_cx, self.assoc._rejected_cx
        for number, context in list(accepted.items()):
            if not is_taken(UID(context.abstract_syntax or "")):
                context.result = _NOT_SUPPORTED
                rejected.append(accepted.pop(number))
        super().send_accept()


def is_taken(sop_class: UID) -> bool:
    """Whether a class is one of storage, or that of C-ECHO.

    Unknown classes are accepted: a modality may be newer than any list.
    """
    name = sop_class.name if sop_class.type else ""
    is_storage = "Storage" in name and not name.startswith("Storage ")
    return sop_class == Verification or not name or is_storage
