"""Objects to send, as the headers of their files name them."""

from __future__ import annotations

import errno
import hashlib
import os
from datetime import datetime
from pathlib import Path

from pydicom import dcmread

from cxr_edge.errors import InputError
from cxr_edge.hospital.peers import checked_uid
from cxr_edge.intake.read import MAX_BYTES
from cxr_edge.ledger.outbox import Outgoing
from cxr_edge.support.files import read_plain
from cxr_edge.support.locks import opened
from cxr_edge.support.text import display_name


class NoObjectError(Exception):
    """A file is no DICOM object, or cannot be read; the text says which and why."""


def real_folder(folder: Path) -> Path:
    """The folder without links: `latest` is another one by the time that a peer is back.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(
            f"no folder: {display_name(folder)}",
            tip="give the folder of a report with results, or any folder of DICOM objects",
        )
    return folder.resolve()


def files_below(folder: Path) -> list[Path]:
    """Every `*.dcm` below a folder, in the order of their paths."""
    return sorted(each for each in folder.rglob("*.dcm") if not each.is_dir())


def has_changed_since(path: Path, moment: datetime) -> bool:
    """Whether a file may be another one by now; its time of modification could be any."""
    try:
        return path.stat().st_ctime >= moment.timestamp()
    except OSError:
        return True


def object_of(path: Path, peer: str) -> Outgoing:
    """The object in a file, on its way to a peer.

    Raises:
        NoObjectError: the file cannot be read or holds no object.
    """
    try:
        digest = sha256_of(path)
        meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).file_meta
        instance = checked_uid(str(meta.MediaStorageSOPInstanceUID))
        sop_class = checked_uid(str(meta.MediaStorageSOPClassUID))
        syntax = checked_uid(str(meta.TransferSyntaxUID))
    except OSError as error:
        raise NoObjectError(f"{display_name(path)} cannot be read: {error.strerror}") from error
    except Exception as error:  # pydicom raises anything, and may quote what it has read
        raise NoObjectError(f"{display_name(path)} is no DICOM object") from error
    if not (instance and sop_class and syntax):
        raise NoObjectError(f"{display_name(path)} is no DICOM object: a UID is none")
    return Outgoing(peer, instance, sop_class, digest, path)


def sha256_of(path: Path) -> str:
    """SHA-256 of the bytes of a file, in hex.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(read_plain(path, MAX_BYTES)).hexdigest()


def check_same(each: Outgoing) -> None:
    """Refuse a file that is not what it was.

    Raises:
        FileNotFoundError, NotADirectoryError: it is gone, or another one by now.
        OSError: it cannot be read now.
    """
    if sha256_of(each.path) != each.sha256:
        raise _another()


def syntax_of(path: Path) -> str:
    """UID of the transfer syntax of a file in which `object_of` has found an object.

    Raises:
        OSError: as `check_same`.
    """
    try:
        with (
            opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor,  # a pipe would be waited for
            os.fdopen(descriptor, "rb", closefd=False) as file,
        ):
            found = dcmread(file, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        return str(found.file_meta.TransferSyntaxUID)
    except OSError:
        raise
    except Exception as error:  # pydicom raises anything
        raise _another() from error


def _another() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "it is another file by now")
