"""Object storage as a made file system has it: pages, stamps, refusals, and patience."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import threading
from datetime import timedelta

import pytest

from cxr_edge.errors import ImageError, InputError
from cxr_edge.intake import objects, storage
from cxr_edge.intake.discover import LeftOut, discover, listed
from cxr_edge.intake.objects import read_object
from cxr_edge.intake.read import NoRoomError, content
from cxr_edge.types import FoundFile, Reason, Url, place_of
from tests.intake.buckets import MOMENT, FakeS3, ThrottledError


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    made = FakeS3()
    monkeypatch.setattr(storage, "file_system", lambda scheme: made)
    monkeypatch.setattr(storage.time, "sleep", lambda seconds: None)
    return made


def found(*urls: str, left_out: LeftOut | None = None) -> list[FoundFile]:
    return list(discover([place_of(url) for url in urls], left_out))


def data_of(file: FoundFile, **options: int) -> bytes:
    held = read_object(file, **options)
    with contextlib.closing(held):
        return content(held.descriptor)


def test_a_prefix_is_listed_page_by_page(bucket: FakeS3) -> None:
    bucket.content = {f"night/{number}.png": b"x" * number for number in range(7)}
    bucket.content |= {"nightly/no.png": b"", "night/": b""}
    files = found("s3://films/night")
    assert [file.display for file in files] == [f"{number}.png" for number in range(7)]
    assert files[3].path == Url("s3://films/night/3.png")
    assert [file.size for file in files] == [*range(7)]
    assert bucket.calls.count("list_objects_v2") == 4


def test_pages_are_asked_for_as_files_are_taken(bucket: FakeS3) -> None:
    bucket.content = {f"{number:02}.png": b"" for number in range(20)}
    next(iter(discover([Url("s3://films")])))
    assert bucket.calls == ["get_bucket_versioning", "list_objects_v2"]


def test_keys_that_no_path_could_hold(bucket: FakeS3) -> None:
    keys = ["a//b.png", "a/./b.png", "a/b.png", "a/b::c?versionId=1#.png"]
    bucket.content = {key: key.encode() for key in keys}
    files = found("s3://films/a")
    assert sorted(str(file.path) for file in files) == sorted(f"s3://films/{key}" for key in keys)
    assert {data_of(file) for file in files if file.problem is None} <= set(bucket.content.values())


def test_one_object_and_several_prefixes(bucket: FakeS3) -> None:
    bucket.content = {"one/a.png": b"1", "two/a.png": b"2"}
    assert [file.display for file in found("s3://films/one/a.png")] == ["a.png"]
    shown = [file.display for file in found("s3://films/one", "s3://films/two")]
    assert shown == ["one/a.png", "two/a.png"]


def test_what_is_on_its_way_or_left_out(bucket: FakeS3) -> None:
    keys = ["a.png", "b.png.part", ".hidden/c.png", "@eaDir/d.png", "old/e.png"]
    bucket.content = {f"n/{key}": b"x" for key in keys}
    left_out = LeftOut(["old"])
    files = found("s3://films/n", left_out=left_out)
    problems = {file.display: file.problem for file in files}
    temporary = Reason.TEMPORARY_NAME
    assert problems == {".hidden/c.png": temporary, "a.png": None, "b.png.part": temporary}
    assert (left_out.files, left_out.excluded) == (1, 1)


def test_lists_take_urls(bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"x"}
    files = list(listed(["s3://films/a.png", "s3://films/b.png", "s3://films/a.png"]))
    assert [(file.display, file.problem) for file in files] == [
        ("s3://films/a.png", None),
        ("s3://films/b.png", Reason.MISSING),
    ]


def test_a_list_says_which_of_its_urls_will_not_do(bucket: FakeS3) -> None:
    with pytest.raises(InputError, match="path 2 of the list: no name of a bucket") as refusal:
        list(listed(["s3://films/a.png", "s3://key:secret@films/b.png"]))
    assert "secret" not in str(refusal.value) + refusal.value.tip


@pytest.mark.parametrize("url", ["s3://films/none", "s3://films/none/"])
def test_nothing_there_is_said(url: str, bucket: FakeS3) -> None:
    with pytest.raises(InputError, match="does not exist"):
        found(url)
    assert found("s3://films") == []


def test_an_object_of_a_folder_s_name_hides_nothing_in_it(bucket: FakeS3) -> None:
    bucket.content = {"night": b"", "night/a.png": b"film", "nightly/b.png": b"x"}
    assert [file.display for file in found("s3://films/night")] == ["night", "a.png"]
    bucket.forbidden = frozenset({"list_objects_v2"})  # one object may be read all the same
    assert [file.display for file in found("s3://films/night")] == ["night"]
    with pytest.raises(InputError, match="may not be listed"):
        found("s3://films/night/")


def test_what_ends_like_a_folder_and_has_bytes_is_a_row(bucket: FakeS3) -> None:
    """fsspec drops the slash, and would read `a`."""
    bucket.content = {"n/": b"x", "n/a": b"film", "n/a/": b"moon", "n/b/": b""}
    problems = {file.display: file.problem for file in found("s3://films/n")}
    assert problems == {"n/": Reason.IO_ERROR, "a": None, "a/": Reason.IO_ERROR}


def test_no_two_keys_are_shown_alike(bucket: FakeS3) -> None:
    bucket.content = {key: b"x" for key in ("n/a", "n//a", "n///a", "n/A", "n/a\n", "n/a\\n")}
    assert len({file.display for file in found("s3://films/n")}) == len(bucket.content)


def test_what_is_no_listing_is_given_up(bucket: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = {"IsTruncated": True, "NextContinuationToken": "1"}
    for page in ({}, {"IsTruncated": True}, endless):
        monkeypatch.setattr(bucket, "call_s3", lambda name, page=page, **_: page)
        with pytest.raises(InputError, match="cannot be listed"):
            found("s3://films/n/")


def test_why_a_bucket_cannot_be_listed(bucket: FakeS3) -> None:
    bucket.failures = [OSError(errno.EREMCHG, "AKIDSECRET moved")] * 40
    with pytest.raises(InputError, match="cannot be listed") as refusal:
        found("s3://films/\x1b[2J")
    assert "Remote address changed" in refusal.value.tip
    assert "AKIDSECRET" not in refusal.value.tip
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://films/a", "s3://key:secret@films/a", "s3:///a", "s3://key:secret/2@films/a"),
        *("s3://secret@films", "S3://films", "s3://secret.example:9000/films"),
    ],
)
def test_other_urls_are_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(InputError) as refusal:
        found(url)
    assert "secret" not in str(refusal.value) + refusal.value.tip


def test_the_stamp_of_a_listing_is_that_of_a_single_answer(bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"film"}
    (file,) = found("s3://films")
    assert file.stamp == objects.current_stamp(Url("s3://films/a.png"))
    assert data_of(file) == b"film"


@pytest.mark.parametrize("change", ["bytes", "time", "size"])
def test_what_changed_since_it_was_listed_is_still_changing(change: str, bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"film"}
    (file,) = found("s3://films")
    if change == "time":
        bucket.moments["a.png"] = MOMENT + timedelta(seconds=1)
    else:
        bucket.content["a.png"] = b"moon" if change == "bytes" else b"films"
    with pytest.raises(ImageError) as refusal:
        read_object(file)
    assert refusal.value.reason is Reason.STILL_CHANGING


def test_one_that_grew_is_not_read_to_its_end(bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"film", "empty.png": b""}
    file, empty = found("s3://films")
    bucket.content["a.png"] = b"x" * 10**6
    with pytest.raises(ImageError) as refusal:
        read_object(file)
    assert (refusal.value.reason, bucket.most) == (Reason.STILL_CHANGING, 5)
    assert data_of(empty) == b""


def test_a_key_with_a_version_in_it_is_a_key() -> None:
    pytest.importorskip("s3fs")
    system = storage.file_system("s3")
    assert system.split_path("films/a?versionId=3.png") == ("films", "a?versionId=3.png", None)


def test_what_a_library_takes_for_another_object_is_not_read(
    bucket: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.content = {"a": b"another", "a?versionid=3": b"film"}
    (_, file) = found("s3://films")
    plain = bucket.info
    monkeypatch.setattr(bucket, "info", lambda location: plain(location.partition("?")[0]))
    with pytest.raises(ImageError) as refusal:
        read_object(file)
    assert refusal.value.reason is Reason.IO_ERROR
    (listed_one,) = listed(["s3://films/a?versionid=3"])
    assert listed_one.problem is Reason.IO_ERROR


def test_one_that_nobody_watched_may_have_changed_before(bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"film"}
    (file,) = found("s3://films")
    bucket.content["a.png"] = b"other"
    assert data_of(dataclasses.replace(file, stamp=None)) == b"other"


FAILURES = {
    Reason.MISSING: [FileNotFoundError("no")],
    Reason.PERMISSION: [PermissionError("AKIDSECRET")],
    Reason.IO_ERROR: [ThrottledError()] * 20,
}


@pytest.mark.parametrize("reason", FAILURES)
def test_what_cannot_be_had_is_a_reason(reason: Reason, bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"film"}
    (file,) = found("s3://films")
    bucket.failures = [*FAILURES[reason]]
    with pytest.raises(ImageError) as refusal:
        read_object(file)
    assert refusal.value.reason is reason
    assert "AKIDSECRET" not in str(refusal.value)


def test_throttling_and_resets_are_waited_out(bucket: FakeS3) -> None:
    bucket.content = {"a.png": b"film"}
    bucket.failures = [ThrottledError(), ConnectionResetError(), TimeoutError()]
    (file,) = found("s3://films")
    bucket.failures = [ThrottledError(), OSError(16, "busy"), ThrottledError()]
    assert data_of(file) == b"film"


def test_no_credentials_is_no_permission(bucket: FakeS3) -> None:
    bucket.failures = [type("NoCredentialsError", (Exception,), {})() for _ in range(2)]
    with pytest.raises(InputError, match="may not be listed"):
        found("s3://films")


def test_room(bucket: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.content = {"a.png": b"film"}
    (file,) = found("s3://films")
    with pytest.raises(NoRoomError):
        read_object(file, most=3)
    monkeypatch.setattr(objects, "MAX_BYTES", 3)
    with pytest.raises(ImageError) as refusal:
        read_object(file)
    assert refusal.value.reason is Reason.TOO_LARGE
    assert "get" not in bucket.calls


def test_the_version_that_was_listed_is_read(bucket: FakeS3) -> None:
    bucket.keep("a.png", b"old")
    bucket.keep("a.png", b"film")
    (file,) = found("s3://films")
    assert file.stamp and file.stamp.version == "a.png.1"
    bucket.keep("a.png", b"moon")
    assert data_of(file) == b"film"
    assert bucket.calls[-1] == "get version", "whose stamp needs no second look"


@pytest.mark.parametrize(
    "forbidden", ["get_bucket_versioning", "list_object_versions", "get version"]
)
def test_versions_that_may_not_be_had(forbidden: str, bucket: FakeS3) -> None:
    """Objects are read as from any bucket: replaced ones are told."""
    bucket.keep("a.png", b"film")
    bucket.forbidden = frozenset({forbidden})
    (file,) = found("s3://films")
    assert data_of(file) == b"film"
    assert (file.stamp and file.stamp.version) == ("a.png.0" if "get v" in forbidden else "")
    bucket.keep("a.png", b"moon")
    with pytest.raises(ImageError) as refusal:
        read_object(file)
    assert refusal.value.reason is Reason.STILL_CHANGING


def test_a_storage_that_is_silent_is_named_once_before_it_is_an_error(
    bucket: FakeS3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(objects, "_SILENCE_SECONDS", 0.02)
    bucket.keep("night/1.dcm", b"1")
    answer = bucket.call_s3
    monkeypatch.setattr(
        bucket, "call_s3", lambda *a, **k: (threading.Event().wait(0.2), answer(*a, **k))[1]
    )
    assert len(list(objects.objects_below(Url("s3://bucket/night/")))) == 1
    assert [record.getMessage()[:45] for record in caplog.records] == [
        "note: no answer of s3://bucket/night/ for 0 s"
    ]
    caplog.clear()
    monkeypatch.setattr(bucket, "call_s3", answer)
    assert len(list(objects.objects_below(Url("s3://bucket/night/")))) == 1
    threading.Event().wait(0.1)
    assert caplog.records == []
