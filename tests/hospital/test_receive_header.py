"""The study of a data set, found without a decoder."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxr_edge.hospital.peers import checked_uid
from cxr_edge.hospital.receive_header import HEAD, study_of
from tests.hospital.receiving import uid
from tests.images import dicoms


def data_set(made: Dataset, syntax: str) -> bytes:
    """Encoded, without the header of a file."""
    data = dicoms.written(made, syntax)
    return data[144 + struct.unpack("<I", data[140:144])[0] :]


def film(study: str, *, undefined: bool = False) -> Dataset:
    """With sequences before the study, one inside the other."""
    made, inner = Dataset(), Dataset()
    made.SOPClassUID, made.SOPInstanceUID = dicoms.DX, uid(1)
    inner.StudyInstanceUID = uid("another")
    inner.PurposeOfReferenceCodeSequence = Sequence([Dataset()])
    inner.PurposeOfReferenceCodeSequence[0].CodeValue = "1"
    made.ReferencedStudySequence = Sequence([inner])
    made["ReferencedStudySequence"].is_undefined_length = undefined
    inner.is_undefined_length_sequence_item = undefined
    made.PatientName, made.StudyInstanceUID = "A" * 300, study
    return made


@pytest.mark.parametrize("undefined", [False, True], ids=["with lengths", "without"])
@pytest.mark.parametrize("syntax", [dicoms.EXPLICIT, dicoms.IMPLICIT, dicoms.BIG_ENDIAN])
def test_it_is_found_behind_sequences(syntax: str, undefined: bool) -> None:
    data = data_set(film(uid("this"), undefined=undefined), syntax)
    assert study_of(data, syntax) == uid("this")


def test_of_an_encapsulated_film() -> None:
    data = dicoms.film(syntax=dicoms.J2K_LOSSLESS, StudyInstanceUID=uid("this"))
    start = 144 + struct.unpack("<I", data[140:144])[0]
    assert study_of(data[start : start + HEAD], dicoms.J2K_LOSSLESS) == uid("this")


@pytest.mark.parametrize("study", ["", "../../x", "1.2.x", "1" * 65])
def test_one_that_is_none_is_not_found(study: str) -> None:
    made = film("1.2.3")
    data = data_set(made, dicoms.EXPLICIT).replace(b"UI\x06\x001.2.3\0", b"UI" + padded(study))
    assert study_of(data, dicoms.EXPLICIT) == ""


def padded(text: str) -> bytes:
    value = text.encode() + b"\0" * (len(text) % 2)
    return struct.pack("<H", len(value)) + value


def test_what_is_deflated_or_cut_has_none() -> None:
    data = data_set(film(uid("this")), dicoms.EXPLICIT)
    assert study_of(data, dicoms.DEFLATED) == ""
    assert {study_of(data[:end], dicoms.EXPLICIT) for end in range(len(data))} == {""}


@given(st.binary(max_size=400), st.sampled_from([dicoms.EXPLICIT, dicoms.IMPLICIT]))
def test_any_bytes_have_a_study_or_none(data: bytes, syntax: str) -> None:
    found = study_of(data, syntax)
    assert found == checked_uid(found)
