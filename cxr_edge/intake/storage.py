"""Talks to object storage through fsspec: patiently, and a page of a listing at a time.

Its file systems take credentials from the environment or from their usual files; none is ever part
of a URL here, and no message of theirs is passed on, as it may quote one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from cxr_edge.errors import InputError, MissingExtraError
from cxr_edge.types import Url

SCHEMES = ("s3", "gs", "gcs", "az", "abfs")
_BUCKET = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*")  # of any of the services
_TRIES = 7
_FIRST_PAUSE_SECONDS = 0.1  # doubled each time: 6 s in all, less than a reader may take
# Else its library tries five times at each of ours, and a dead server takes minutes.
_OF_S3: dict[str, Any] = {"config_kwargs": {"retries": {"max_attempts": 0}}}
_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError")

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
    file_system(url.scheme)


def has_bucket(url: Url) -> bool:
    """Whether there is one of this name, as far as this account may know.

    Raises:
        OSError, StorageError: as the storage says.
    """
    with contextlib.suppress(PermissionError):
        try:
            patiently(lambda: file_system(url.scheme).info(url.bucket))
        except FileNotFoundError:
            return False
    return True


def pages(url: Url) -> Iterator[list[Facts]]:
    """Pages of what lies below a prefix; of S3 a thousand keys at a time, else folder by folder.

    A folder that may not be listed is itself in a page, with the type `directory`.

    Raises:
        PermissionError, OSError, StorageError: as the storage says.
    """
    system = file_system(url.scheme)
    if "s3" in system.protocol:
        yield from _s3_pages(system, url)
        return
    yield from _folders(system, url.location.rstrip("/"))


def _folders(system: Any, root: str) -> Iterator[list[Facts]]:
    """Pages of what lies below a folder; fsspec's own walk passes over what it cannot list."""
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            listed: list[Facts] = patiently(functools.partial(system.ls, folder, detail=True))
        except (FileNotFoundError, PermissionError) as error:
            if folder == root:
                raise
            if isinstance(error, PermissionError):
                yield [{"name": folder, "type": "directory"}]
            continue  # a folder ends with its last object
        yield [*{each["name"]: each for each in listed if not _is_folder(each)}.values()]
        inner = dict.fromkeys(each["name"].rstrip("/") for each in listed if _is_folder(each))
        inner.pop(folder, None)  # some services list it in itself
        pending += reversed(inner)


def _is_folder(facts: Facts) -> bool:
    return bool(facts["type"] == "directory")


def _s3_pages(system: Any, url: Url) -> Iterator[list[Facts]]:
    listing = _listing(system, url.bucket)
    prefix = f"{url.key.rstrip('/')}/" if url.key else ""
    more: dict[str, Any] = {}
    while True:
        arguments = {"Bucket": url.bucket, "Prefix": prefix, **more}
        page = patiently(functools.partial(system.call_s3, listing.call, **arguments))
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
    """A way to list a bucket: call, key of its objects, and arguments for the next page."""

    call: str
    entries: str
    marks: tuple[str, ...]


_OBJECTS = _Listing("list_objects_v2", "Contents", ("ContinuationToken",))
_VERSIONS = _Listing("list_object_versions", "Versions", ("KeyMarker", "VersionIdMarker"))


def _listing(system: Any, bucket: str) -> _Listing:
    """Choose that of versions where the bucket keeps them and lets this account list them."""
    ask = functools.partial(system.call_s3, Bucket=bucket)
    try:
        if not patiently(lambda: ask("get_bucket_versioning")).get("Status"):
            return _OBJECTS
        patiently(lambda: ask("list_object_versions", MaxKeys=1))
    except (OSError, StorageError):  # not allowed, or a server that has no versions
        return _OBJECTS
    return _VERSIONS


def patiently(call: Callable[[], Answer]) -> Answer:
    """Ask again after throttling, resets and the like, with pauses that grow.

    Raises:
        FileNotFoundError, PermissionError: at once.
        StorageError: it is no use.
    """
    for attempt in range(_TRIES):
        if attempt:
            pause = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            time.sleep(pause * random.uniform(0.5, 1))
        try:
            return call()
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # the libraries' exceptions share no public base class
            if type(error).__name__ in _CREDENTIALS:
                raise PermissionError("no credentials") from None
            last = _kind(error)
    raise StorageError(last)


def _kind(error: Exception) -> str:
    """An error in words that do not quote keys or secrets."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


@functools.cache
def file_system(scheme: str) -> Any:
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
