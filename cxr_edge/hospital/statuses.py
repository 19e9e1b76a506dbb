"""Statuses of C-STORE and of storage commitment: what they mean, in words and for the outbox."""

from __future__ import annotations

from pynetdicom.status import GENERAL_STATUS, STORAGE_SERVICE_CLASS_STATUS

from cxr_edge.hospital.spool import Refusal
from cxr_edge.ledger.outbox import Sending

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND, INVALID_INSTANCE = 0x0000, 0xA700, 0xC000, 0x0117
NOT_OFFERED = 0x0122  # SOP class not supported, where no context for it was accepted
STATUS = {
    Refusal.QUOTA: OUT_OF_RESOURCES,  # the sender keeps it and tries again
    Refusal.DISK: OUT_OF_RESOURCES,
    Refusal.SIZE: CANNOT_UNDERSTAND,  # trying again would not help
    Refusal.INVALID: INVALID_INSTANCE,
}
# PS3.7, annex C: done, but not exactly as requested.
_WARNINGS = (0x0001, 0x0107, 0x0116)
_MEANINGS = {
    **{status: meaning for status, (_, meaning) in GENERAL_STATUS.items()},
    **{status: meaning for status, (_, meaning) in STORAGE_SERVICE_CLASS_STATUS.items()},
    SUCCESS: "success",
    INVALID_INSTANCE: "invalid SOP instance",
    0x0111: "duplicate SOP instance",
    0x0131: "duplicate transaction UID",  # PS3.3, C.14.1.1
}


def words(status: int) -> str:
    """A status as people read it: `A700H (refused: out of resources)`."""
    kind = "warning" if is_warning(status) else "error"
    meaning = _MEANINGS.get(status) or f"{kind} of its own"
    return f"{status:04X}H ({' '.join(map(_plain, meaning.split()))})"


def is_warning(status: int) -> bool:
    """Whether the status is a warning: the peer has stored the object."""
    return status >> 12 == 0xB or status in _WARNINGS


def state_after(status: int) -> Sending:
    """State of an object after an answer to C-STORE (PS3.4, table B.2-1)."""
    if status == SUCCESS or is_warning(status):
        return Sending.SENT
    return Sending.PENDING if status >> 8 == OUT_OF_RESOURCES >> 8 else Sending.REFUSED


def _plain(word: str) -> str:
    return word if word.isupper() else word.lower()
