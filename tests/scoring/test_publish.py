"""What is asked of a bucket before a night's work, so that its report will find a place there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cxr_edge.errors import InputError, ReportError
from cxr_edge.intake import storage as object_storage
from cxr_edge.scoring.publish import check_url
from cxr_edge.types import Url

OUT = Url("s3://films/reports/1\x1b")


def storage(monkeypatch: pytest.MonkeyPatch, info: Callable[[str], dict[str, Any]]) -> None:
    class Storage:
        invalidate_cache = staticmethod(lambda: None)

    Storage.info = staticmethod(info)  # type: ignore[attr-defined]
    monkeypatch.setattr(object_storage, "file_system", lambda scheme: Storage)


def there_is(*locations: str) -> Callable[[str], dict[str, Any]]:
    def info(location: str) -> dict[str, Any]:
        if location not in locations:
            raise FileNotFoundError
        return {"type": "file", "name": location, "size": 1}

    return info


def forbidden(_: str) -> dict[str, Any]:
    raise PermissionError("AKIDSECRET")


REFUSED = {
    "no bucket": (there_is(), InputError, "there is no bucket"),
    "a report": (there_is(f"{OUT.location}/run.json"), InputError, "has a report already"),
    "forbidden": (forbidden, ReportError, "permission"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_place_that_will_not_do(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info, error, words = REFUSED[case]
    storage(monkeypatch, info)
    with pytest.raises(error, match=words) as refusal:
        check_url(OUT, ())
    assert refusal.value.tip
    assert "\x1b" not in str(refusal.value)
    assert "AKIDSECRET" not in str(refusal.value)


def test_an_empty_prefix_of_a_bucket_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    storage(monkeypatch, there_is("films"))
    check_url(OUT, ())
