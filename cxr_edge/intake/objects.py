"""Films in object storage: lists a prefix page by page, and reads one object at a time.

fsspec's file systems do the talking. They take credentials from the environment or from their usual
files; none is ever part of a URL here, and no message of theirs is passed on, as it may quote one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from cxr_edge.errors import ImageError, InputError, MissingExtraError
from cxr_edge.intake.read import MAX_BYTES, Held, NoRoomError, hold
from cxr_edge.support.text import display_name
from cxr_edge.types import FoundFile, Reason, Stamp, Url

SCHEMES = ("s3", "gs", "gcs", "az", "abfs")
_BUCKET = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")  # of any of the services
_TRIES = 7
_FIRST_PAUSE_SECONDS = 0.1  # doubled each time: 6 s in all, less than a reader may take
_SILENCE_SECONDS = 5.0  # of a storage that is asked for its first objects; then somebody is told
# Else its library tries five times at each of ours, and a dead server takes minutes.
_OF_S3: dict[str, Any] = {"config_kwargs": {"retries": {"max_attempts": 0}}}
_KEYS_OF_TIME = ("LastModified", "last_modified", "updated", "mtime", "created")
_KEYS_OF_TAG = ("ETag", "etag", "content_md5", "md5Hash")
_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError")

_log = logging.getLogger(__name__)

Facts = dict[str, Any]  # of one object, as fsspec's `info` gives them
Answer = TypeVar("Answer")


class StorageError(Exception):
    """The storage did not answer as it should, however often it was asked."""


def check(url: Url) -> None:
    """Refuse a URL that cannot be read here.

    Raises:
        InputError: no object storage, or it carries more than a place.
        MissingExtraError: the library for it is not installed.
    """
    if url.scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise InputError(f"{url.scheme}:// is no object storage that can be read", tip=known)
    if not _BUCKET.fullmatch(url.bucket):  # a secret may hold a slash: s3://key:sec/ret@bucket
        raise InputError(
            f"no name of a bucket stands after {url.scheme}://",
            tip="a URL names a bucket and a prefix, and nobody; credentials and the server come "
            "from the environment, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL",
        )
    _file_system(url.scheme)


def objects_below(url: Url) -> Iterator[FoundFile]:
    """Objects whose keys begin with a prefix, and the object of that name; a page at a time.

    Yields:
        Each with its stamp; shown by its key from the prefix on.

    Raises:
        InputError: there is nothing, or it cannot be listed.
    """
    found = _named_so(url)
    try:
        with _silence_is_told(url):
            first = next(found, None)
        if first is not None:
            yield from (_found(url, facts) for facts in itertools.chain((first,), found))
    except (OSError, StorageError) as error:
        raise _not_listed(url, error) from None
    if first is None and url.key:
        raise _not_listed(url, FileNotFoundError())


def _named_so(url: Url) -> Iterator[Facts]:
    """What `objects_below` finds: whoever makes an object of a folder's name hides none in it."""
    own = _facts(url) if url.key and not url.key.endswith("/") else None
    may_be_all: tuple[type[Exception], ...] = ()
    if own is not None:
        yield own
        may_be_all = (PermissionError,)  # whoever may read one object need not be allowed to list
    with contextlib.suppress(*may_be_all):
        for page in _pages(_file_system(url.scheme), url):
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
    """Log once that there is no answer: a dead endpoint takes a minute, and nobody shall wonder."""
    line = "note: no answer of %s for %.0f s; it is asked for a minute or so, then that is an error"
    teller = threading.Timer(_SILENCE_SECONDS, _log.warning, (line, url, _SILENCE_SECONDS))
    teller.daemon = True
    teller.start()
    try:
        yield
    finally:
        teller.cancel()


def found_object(url: Url) -> FoundFile:
    """One object that a list names, with the problem that it cannot be had."""
    try:
        facts = _facts(url)
    except PermissionError:
        return FoundFile(url, url.text, Reason.PERMISSION)
    except (OSError, StorageError):
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
    except (OSError, StorageError, MissingExtraError) as error:
        raise ImageError(Reason.IO_ERROR) from error
    if before != after or len(data) != after.size:
        raise ImageError(Reason.STILL_CHANGING)
    held = hold([data])
    return Held(held.descriptor, held.size, held.sha256, after)


def _content_and_stamp(url: Url, before: Stamp) -> tuple[bytes, Stamp]:
    """An object as it was listed, if its bucket has kept that version; else as it is now."""
    if before.version:
        # An account that reads objects need not be allowed to read versions.
        with contextlib.suppress(PermissionError):
            return _content(url, before.size, version_id=before.version), before
    data, after = _content(url, before.size), current_stamp(url)
    # Nor to list them: then nobody knew of one before.
    return data, after if before.version else replace(after, version="")


def _content(url: Url, size: int, **version: str) -> bytes:
    """An object that had this size; one byte more shows that it grew, and the rest is not read."""
    if not size:
        return b""  # S3 has no range of nothing
    system = _file_system(url.scheme)
    read = functools.partial(system.cat_file, url.location, start=0, end=size + 1, **version)
    data: bytes = _patiently(read)
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


def has_bucket(url: Url) -> bool:
    """Whether there is one of this name, as far as this account may know.

    Raises:
        OSError, StorageError: as the storage says.
    """
    with contextlib.suppress(PermissionError):
        try:
            _patiently(lambda: _file_system(url.scheme).info(url.bucket))
        except FileNotFoundError:
            return False
    return True


def write_object(path: Path, url: Url) -> None:
    """Make an object of a file.

    Raises:
        PermissionError, OSError, StorageError: as the storage says.
    """
    _patiently(lambda: _file_system(url.scheme).put_file(str(path), url.location))


def _facts(url: Url) -> Facts | None:
    """Of the object of this name; None where there is none.

    Raises:
        StorageError: as `_patiently`, or the library asks for another object than this one.
    """
    system = _file_system(url.scheme)
    system.invalidate_cache()
    try:
        facts: Facts = _patiently(lambda: system.info(url.location))
    except FileNotFoundError:
        return None
    if facts.get("type") != "file":
        return None
    if facts["name"] != url.location:  # it takes a part of the key for a version
        raise StorageError("it has another name")
    return facts


def _pages(system: Any, url: Url) -> Iterator[list[Facts]]:
    """Pages of what lies below a prefix; of S3 a thousand keys at a time, else folder by folder."""
    if "s3" in system.protocol:
        yield from _s3_pages(system, url)
        return
    for _, _, files in _patiently(lambda: system.walk(url.location, detail=True)):
        yield list(files.values())


def _s3_pages(system: Any, url: Url) -> Iterator[list[Facts]]:
    listing = _listing(system, url.bucket)
    prefix = f"{url.key.rstrip('/')}/" if url.key else ""
    more: dict[str, Any] = {}
    while True:
        asked = {"Bucket": url.bucket, "Prefix": prefix, **more}
        page = _patiently(functools.partial(system.call_s3, listing.call, **asked))
        if "IsTruncated" not in page:  # as where a proxy answers: that is no empty bucket
            raise StorageError("no listing")
        yield [
            {**each, "name": f"{url.bucket}/{each['Key']}", "size": each["Size"]}
            for each in page.get(listing.entries, ())
            # What a browser makes for a folder, and what is no longer there as it was.
            if each.get("IsLatest", True) and (each["Size"] or not each["Key"].endswith("/"))
        ]
        if not page["IsTruncated"]:
            return
        former, more = more, {key: page.get(f"Next{key}", "") for key in listing.marks}
        if more == former or not any(more.values()):
            raise StorageError("a listing without an end")


@dataclass(frozen=True)
class _Listing:
    """Way to list a bucket: the call, where it has objects, and what the next page is told."""

    call: str
    entries: str
    marks: tuple[str, ...]


_OBJECTS = _Listing("list_objects_v2", "Contents", ("ContinuationToken",))
_VERSIONS = _Listing("list_object_versions", "Versions", ("KeyMarker", "VersionIdMarker"))


def _listing(system: Any, bucket: str) -> _Listing:
    """Choose that of versions where the bucket keeps them and lets this account list them."""
    ask = functools.partial(system.call_s3, Bucket=bucket)
    try:
        if not _patiently(lambda: ask("get_bucket_versioning")).get("Status"):
            return _OBJECTS
        _patiently(lambda: ask("list_object_versions", MaxKeys=1))
    except (OSError, StorageError):  # not allowed, or a server that has no versions
        return _OBJECTS
    return _VERSIONS


def _found(below: Url, facts: Facts) -> FoundFile:
    url = Url(f"{below.scheme}://{facts['name']}")
    if url.text.endswith("/"):  # libraries drop that, and would read another object
        return FoundFile(url, url.text, Reason.IO_ERROR)
    stamp = _stamp(facts)
    return FoundFile(url, url.text, None, stamp, time.time_ns(), None, stamp.size)


def _stamp(facts: Facts) -> Stamp:
    """Size, time, tag (where a file has its inode), and version where there are any."""
    moment = next((facts[key] for key in _KEYS_OF_TIME if facts.get(key)), None)
    changed_ns = _nanoseconds(moment)
    tag = next((str(facts[key]) for key in _KEYS_OF_TAG if facts.get(key)), "").strip('"')
    number = int.from_bytes(hashlib.sha256(tag.encode()).digest()[:7])
    return Stamp(int(facts["size"]), changed_ns, changed_ns, number, _version(facts))


def _version(facts: Facts) -> str:
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


def _patiently(call: Callable[[], Answer]) -> Answer:
    """Ask again after throttling, resets and the like, with pauses that grow.

    Raises:
        FileNotFoundError, PermissionError: at once.
        StorageError: it is no use.
    """
    for attempt in range(_TRIES):
        try:
            return call()
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # the libraries' exceptions share no public base class
            if type(error).__name__ in _CREDENTIALS:
                raise PermissionError("no credentials") from None
            last = _kind(error)
        time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))
    raise StorageError(last)


def _kind(error: Exception) -> str:
    """What went wrong, in words that quote nothing."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


@functools.cache
def _file_system(scheme: str) -> Any:
    """The file system of a scheme; what it lists is not kept.

    Raises:
        MissingExtraError: its library is not installed.
    """
    try:
        import fsspec

        more = _OF_S3 if scheme == "s3" else {}
        system = fsspec.filesystem(
            scheme, use_listings_cache=False, skip_instance_cache=True, **more
        )
    except ImportError as error:
        raise MissingExtraError(f"the library that reads {scheme}://", "cloud") from error
    if "s3" in system.protocol:
        system.split_path = _split
    return system


def _split(location: str) -> tuple[str, str, None]:
    """Bucket, key and no version: s3fs would take `?versionId=` in a key for one, and drop it."""
    bucket, _, key = location.partition("/")
    return bucket, key, None
