"""What `receive` accepts: all that can be stored, and C-ECHO."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import UID
from pynetdicom import AE

from cxr_edge.hospital.receive_contexts import is_taken
from tests.hospital.receiving import PEER, TITLE, receiving
from tests.images import dicoms

WORKLIST = "1.2.840.10008.5.1.4.31"
FIND = "1.2.840.10008.5.1.4.1.2.1.1"


@pytest.mark.parametrize(
    ("sop_class", "taken"),
    [
        ("1.2.840.10008.1.1", True),
        (dicoms.DX, True),
        ("1.2.840.10008.5.1.4.1.1.88.1", True),  # retired
        ("1.2.840.10008.5.1.4.1.1.999", True),  # newer than any list
        ("1.3.6.1.4.1.5962.1", True),
        (WORKLIST, False),
        ("1.2.840.10008.4.2", False),
        ("1.2.840.10008.1.20.2", False),
    ],
)
def test_a_class_is_taken_or_not(sop_class: str, taken: bool) -> None:
    assert is_taken(UID(sop_class)) == taken


def test_other_services_are_not_supported_and_films_still_are(tmp_path: Path) -> None:
    entity = AE(PEER)
    for each in (WORKLIST, FIND, dicoms.DX):
        entity.add_requested_context(each)
    with receiving(tmp_path) as receiver:
        association = entity.associate("127.0.0.1", receiver.port, ae_title=TITLE)
        accepted = [context.abstract_syntax for context in association.accepted_contexts]
        results = {str(each.abstract_syntax): each.result for each in association.rejected_contexts}
        association.release()
    assert accepted == [dicoms.DX]
    assert results == {WORKLIST: 3, FIND: 3}
