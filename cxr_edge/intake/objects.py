"""Films in object storage: finds those below a prefix, and reads one object at a time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cxr_edge.errors import ImageError, InputError, MissingExtraError
from cxr_edge.intake import storage
from cxr_edge.intake.read import MAX_BYTES, Held, NoRoomError, hold
from cxr_edge.support.text import display_name
from cxr_edge.types import FoundFile, Reason, Stamp, Url

_SILENCE_SECONDS = 5.0  # without a first answer of the storage, before a warning
_KEYS_OF_TIME = ("LastModified", "last_modified", "updated", "mtime", "created")
_KEYS_OF_TAG = ("ETag", "etag", "content_md5", "md5Hash")

_log = logging.getLogger(__name__)


def objects_below(url: Url) -> Iterator[FoundFile]:
    """Objects whose keys begin with a prefix, and the object of that name; a page at a time.

    Yields:
        Each with its stamp, shown by its key from the prefix on; a folder below it that may not be
        listed, with that problem.

    Raises:
        InputError: there is nothing, or it cannot be listed.
    """
    found = _named_so(url)
    try:
        with _silence_is_told(url):
            first = next(found, None)
        if first is not None:
            yield from (_found(url, facts) for facts in itertools.chain((first,), found))
    except (OSError, storage.StorageError) as error:
        raise _not_listed(url, error) from None
    if first is None and url.key:
        raise _not_listed(url, FileNotFoundError())


def _named_so(url: Url) -> Iterator[storage.Facts]:
    """Objects that `objects_below` finds; one named like a folder hides none below it."""
    own = _facts(url) if url.key and not url.key.endswith("/") else None
    may_be_all: tuple[type[Exception], ...] = ()
    if own is not None:
        yield own
        may_be_all = (PermissionError,)  # reading an object may be allowed, and listing not
    with contextlib.suppress(*may_be_all):
        for page in storage.pages(url):
            yield from (facts for facts in page if own is None or facts["name"] != own["name"])


def _not_listed(url: Url, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        tip = "are bucket and prefix spelled like that?"
        return InputError(f"input does not exist: {display_name(url)}", tip)
    if isinstance(error, PermissionError):
        tip = "are there credentials in the environment, still valid, and may they list it?"
        return InputError(f"input may not be listed: {display_name(url)}", tip)
    tip = f"{error}: is the server right (AWS_ENDPOINT_URL), and are the credentials still valid?"
    return InputError(f"input cannot be listed: {display_name(url)}", tip)


@contextlib.contextmanager
def _silence_is_told(url: Url) -> Iterator[None]:
    """Log once that there is no answer: a dead endpoint takes a minute to fail."""
    line = "note: no answer of %s for %.0f s; it is asked for a minute or so, then that is an error"
    teller = threading.Timer(_SILENCE_SECONDS, _log.warning, (line, url, _SILENCE_SECONDS))
    teller.daemon = True
    teller.start()
    try:
        yield
    finally:
        teller.cancel()


def found_object(url: Url) -> FoundFile:
    """One object that a list names, with a problem if it cannot be read."""
    try:
        facts = _facts(url)
    except PermissionError:
        return FoundFile(url, url.text, Reason.PERMISSION)
    except (OSError, storage.StorageError):
        return FoundFile(url, url.text, Reason.IO_ERROR)
    return FoundFile(url, url.text, Reason.MISSING) if facts is None else _found(url, facts)


def read_object(file: FoundFile, most: int = MAX_BYTES) -> Held:
    """The whole object, once, as `read.read_film` does it.

    Raises:
        ImageError: gone, forbidden, over 256 MiB, changed since it was listed, or not to be had.
        NoRoomError: more than `most`, and not too large in itself.
    """
    url = file.path
    if not isinstance(url, Url):
        raise TypeError(f"no URL: {type(url).__name__}")
    try:
        before = file.stamp or current_stamp(url)
        _check_size(before.size, most)
        data, after = _content_and_stamp(url, before)
    except FileNotFoundError as error:
        raise ImageError(Reason.MISSING) from error
    except PermissionError as error:
        raise ImageError(Reason.PERMISSION) from error
    except (OSError, storage.StorageError, MissingExtraError) as error:
        raise ImageError(Reason.IO_ERROR) from error
    if before != after or len(data) != after.size:
        raise ImageError(Reason.STILL_CHANGING)
    held = hold([data])
    return Held(held.descriptor, held.size, held.sha256, after)


def _content_and_stamp(url: Url, before: Stamp) -> tuple[bytes, Stamp]:
    """An object in the listed version if its bucket keeps versions, else as it is now."""
    if before.version:
        # An account that reads objects need not be allowed to read versions.
        with contextlib.suppress(PermissionError):
            return _content(url, before.size, version_id=before.version), before
    data, after = _content(url, before.size), current_stamp(url)
    # Nor to list them: then nobody knew of one before.
    return data, after if before.version else replace(after, version="")


def _content(url: Url, size: int, **version: str) -> bytes:
    """An object that had this size; one more byte is read to see whether it grew."""
    if not size:
        return b""  # S3 has no empty range
    system = storage.file_system(url.scheme)
    read = functools.partial(system.cat_file, url.location, start=0, end=size + 1, **version)
    data: bytes = storage.patiently(read)
    return data


def current_stamp(url: Url) -> Stamp:
    """The stamp of an object now.

    Raises:
        FileNotFoundError, PermissionError, OSError: as the storage says.
    """
    facts = _facts(url)
    if facts is None:
        raise FileNotFoundError(str(url))
    return _stamp(facts)


def write_object(path: Path, url: Url) -> None:
    """Make an object of a file.

    Raises:
        PermissionError, OSError, StorageError: as the storage says.
    """
    storage.patiently(lambda: storage.file_system(url.scheme).put_file(str(path), url.location))


def _facts(url: Url) -> storage.Facts | None:
    """Facts of the object of this name; None where there is none.

    Raises:
        StorageError: as `storage.patiently`, or the library asks for another object than this one.
    """
    system = storage.file_system(url.scheme)
    system.invalidate_cache()
    try:
        facts: storage.Facts = storage.patiently(lambda: system.info(url.location))
    except FileNotFoundError:
        return None
    if facts.get("type") != "file":
        return None
    if facts["name"] != url.location:  # it takes a part of the key for a version
        raise storage.StorageError("it has another name")
    return facts


def _found(below: Url, facts: storage.Facts) -> FoundFile:
    url = Url(f"{below.scheme}://{facts['name']}")
    if url.text.endswith("/"):  # libraries drop that, and would read another object
        return FoundFile(url, url.text, Reason.IO_ERROR)
    if facts.get("type") == "directory":
        return FoundFile(url, url.text, Reason.UNREADABLE_FOLDER)
    stamp = _stamp(facts)
    return FoundFile(url, url.text, None, stamp, time.time_ns(), None, stamp.size)


def _stamp(facts: storage.Facts) -> Stamp:
    """Size, time, tag (where a file has its inode), and version where there are any."""
    moment = next((facts[key] for key in _KEYS_OF_TIME if facts.get(key)), None)
    changed_ns = _nanoseconds(moment)
    tag = next((str(facts[key]) for key in _KEYS_OF_TAG if facts.get(key)), "").strip('"')
    number = int.from_bytes(hashlib.sha256(tag.encode()).digest()[:7])
    return Stamp(int(facts["size"]), changed_ns, changed_ns, number, _version(facts))


def _version(facts: storage.Facts) -> str:
    """Empty where the bucket keeps none, or kept none when the object was written."""
    version = facts.get("VersionId")
    return "" if version in (None, "null") else str(version)


def _nanoseconds(moment: Any) -> int:
    """Whole seconds: a listing has fractions where a single answer has none."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    seconds = moment.timestamp() if isinstance(moment, datetime) else float(moment or 0)
    return int(seconds) * 10**9


def _check_size(size: int, most: int) -> None:
    if size > MAX_BYTES:
        raise ImageError(Reason.TOO_LARGE, f"{size} bytes")
    if size > most:
        raise NoRoomError(size)
