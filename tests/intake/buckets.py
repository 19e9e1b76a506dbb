"""Object storage as a made file system has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

MOMENT = datetime(2026, 11, 30, 22, 0, 0, 250_000, tzinfo=UTC)


class ThrottledError(Exception):
    """What a library raises that is asked too often."""


@dataclass
class FakeS3:
    """A bucket in memory, with two keys a page; `failures` are raised first, one a call."""

    content: dict[str, bytes] = field(default_factory=dict)
    moments: dict[str, datetime] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    protocol: tuple[str, ...] = ("s3", "s3a")
    most: int = 0  # bytes that were asked for
    versions: dict[str, bytes] = field(default_factory=dict)  # by name; a bucket that keeps them
    forbidden: frozenset[str] = frozenset()  # calls

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.forbidden:
            raise PermissionError(name)
        if self.failures:
            raise self.failures.pop(0)

    def invalidate_cache(self) -> None:
        pass

    def keep(self, key: str, data: bytes) -> None:
        """Put an object into a bucket that keeps versions."""
        self.content[key] = data
        self.versions[f"{key}.{len(self.versions)}"] = data

    def _version(self, key: str) -> str | None:
        names = [name for name in self.versions if name.startswith(f"{key}.")]
        return names[-1] if names else None

    def _all_versions(self, prefix: str) -> dict[str, Any]:
        latest = [self._version(key) for key in self.content]
        return {
            "IsTruncated": False,
            "Versions": [
                {
                    **self._facts(name.rpartition(".")[0]),
                    "VersionId": name,
                    "IsLatest": name in latest,
                }
                for name in self.versions
                if name.startswith(prefix)
            ],
        }

    def call_s3(self, name: str, *, Bucket: str, Prefix: str = "", **more: Any) -> dict[str, Any]:
        self._called(name)
        if name == "get_bucket_versioning":
            return {"Status": "Enabled"} if self.versions else {}
        if name == "list_object_versions":
            return self._all_versions(Prefix)
        keys = sorted(key for key in self.content if key.startswith(Prefix))
        start = int(more.get("ContinuationToken", 0))
        page: dict[str, Any] = {"Contents": [self._facts(key) for key in keys[start : start + 2]]}
        if start + 2 < len(keys):
            return {**page, "IsTruncated": True, "NextContinuationToken": str(start + 2)}
        return {**page, "IsTruncated": False}

    def _facts(self, key: str) -> dict[str, Any]:
        data = self.content[key]
        tag = f'"{sha256(data).hexdigest()}"'
        moment = self.moments.get(key, MOMENT)
        return {"Key": key, "Size": len(data), "LastModified": moment, "ETag": tag}

    def info(self, location: str) -> dict[str, Any]:
        self._called("info")
        key = location.partition("/")[2]
        if key not in self.content:
            raise FileNotFoundError(location)
        facts = self._facts(key)
        whole = facts["LastModified"].replace(microsecond=0)  # a header has whole seconds
        return {
            **{**facts, "LastModified": whole, "size": facts["Size"], "type": "file"},
            **{"name": location, "VersionId": self._version(key)},
        }

    def cat_file(self, location: str, *, start: int, end: int, version_id: str = "") -> bytes:
        self._called("get version" if version_id else "get")
        assert end, "S3 has no range of nothing"
        self.most = end - start
        if version_id:
            return self.versions[version_id][start:end]
        return self.content[location.partition("/")[2]][start:end]


@dataclass
class FakeFolders(FakeS3):
    """A storage that lists a folder at a time, as fsspec has those other than S3.

    Attributes:
        refusals: raised when a folder of that name is listed, one a call.
        asked: folders that were listed.
    """

    protocol: tuple[str, ...] = ("gs",)
    refusals: dict[str, list[Exception]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def ls(self, location: str, *, detail: bool) -> list[dict[str, Any]]:
        assert detail
        self.asked.append(location)
        if self.refusals.get(location):
            raise self.refusals[location].pop(0)
        inside = [f"films/{key}" for key in self.content if f"films/{key}".startswith(location)]
        names = dict.fromkeys(name.removeprefix(location)[1:].partition("/")[:2] for name in inside)
        if not names:
            raise FileNotFoundError(location)
        return [
            {"name": f"{location}/{name}", "type": "directory"}
            if slash
            else self.info(f"{location}/{name}")
            for name, slash in names
        ]
