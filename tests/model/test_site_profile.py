"""A site's threshold: what was written comes back, and nothing else is accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.errors import InputError, ModelRefusedError
from cxr_edge.images import DECODING_VERSION
from cxr_edge.model.site_profile import Limits, SiteProfile, load_profile
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from tests.factories import Change, changed, drop, set_value

SHA256 = "ab" * 32


def profile(**facts: Any) -> SiteProfile:
    plain: dict[str, Any] = {
        "model": "tiny",
        "model_version": "1.0.0",
        "model_sha256": SHA256,
        "preprocessing_version": PREPROCESSING_VERSION,
        "decoding_version": DECODING_VERSION,
        "point": OperatingPoint(
            0.25, "by hand", Proportion.of(49, 50), Proportion.of(60, 90), "films"
        ),
        "data_sha256": "cd" * 32,
        "created_utc": "2026-11-22T20:00:00Z",
    }
    return SiteProfile.of(**{**plain, **facts})


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[str | bytes], str]:
    """What `load_profile` says about a file with this content."""

    def load(content: str | bytes) -> str:
        path = tmp_path / "site-profile.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=r"site profile .* cannot be used: ") as caught:
            load_profile(path)
        assert "--propose-threshold" in caught.value.tip
        return str(caught.value)

    return load


def leaves(values: dict[str, Any], way: str = "") -> list[str]:
    """The dotted names of all fields that hold no others."""
    found: list[str] = []
    for key, value in values.items():
        found += leaves(value, f"{way}{key}.") if isinstance(value, dict) else [f"{way}{key}"]
    return found


FIELDS = leaves(json.loads(profile().to_json()))


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "site-profile.json"
    path.write_text(profile().to_json())
    assert load_profile(path) == profile()
    load_profile(path).check(SHA256)


def test_a_profile_says_nothing_of_copies() -> None:
    """So that the digest of profiles of before is still theirs."""
    assert "copies" not in profile().to_json()


shares = st.integers(1, 10**6).flatmap(
    lambda n: st.integers(0, n).map(lambda k: Proportion.of(k, n))
)
points = st.builds(
    OperatingPoint,
    threshold=st.floats(0, 1, exclude_min=True, exclude_max=True),
    chosen_by=st.text(),
    sensitivity=shares,
    specificity=shares,
    data=st.text(),
)


@given(points, st.text(), st.integers())
def test_any_profile_comes_back(
    tmp_path_factory: pytest.TempPathFactory, point: OperatingPoint, text: str, number: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-profile.json"
    written = profile(point=point, model=text, preprocessing_version=number)
    path.write_text(written.to_json(), encoding="utf-8")
    assert load_profile(path) == written


@pytest.mark.parametrize("field", FIELDS)
def test_an_edited_field_is_refused(refused: Callable[[str | bytes], str], field: str) -> None:
    values = asdict(profile())
    value: Any = values
    for key in field.split("."):
        value = value[key]
    other = f"{value}x" if isinstance(value, str) else value + (isinstance(value, int) or 1e-9)
    message = refused(json.dumps(changed(values, set_value(field, other))))
    expected = (
        "schema 2, this is 1" if field == "schema_version" else "changed after it was written"
    )
    assert expected in message


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_refused(refused: Callable[[str | bytes], str], field: str) -> None:
    message = refused(json.dumps(changed(asdict(profile()), drop(field))))
    assert f"missing required field `{field.rpartition('.')[2]}`" in message


@pytest.mark.parametrize(
    "change",
    [
        set_value("model", None),
        set_value("model_sha256", 1),
        set_value("point.threshold", "0.25"),
        set_value("point.threshold", True),
        set_value("point.threshold", 1.0),
        set_value("point.threshold", float("nan")),
        set_value("point.threshold", float("inf")),
        set_value("point.threshold", 10**400),
        set_value("point.sensitivity.n", 10**400),
        set_value("point.sensitivity.n", 50.0),
        set_value("point.sensitivity.low", 0.99),
        set_value("point", []),
        set_value("extra", 1),
        set_value("preprocessing_version", 1e308),
        set_value("model", "\ud800"),
        set_value("created_utc", "\udcff"),
    ],
)
def test_odd_values_are_refused(refused: Callable[[str | bytes], str], change: Change) -> None:
    assert refused(json.dumps(changed(asdict(profile()), change))).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b"{",
        b"\xff\xfe",
        b"\x00" * 100,
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"digest": 1e999}',
        b"9" * 10_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"model": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"\\u001b[31m": 1}',
    ],
    ids=lambda content: content[:12].decode("latin-1"),
)
def test_no_profile(refused: Callable[[str | bytes], str], content: bytes) -> None:
    assert refused(content).isprintable()


@pytest.mark.parametrize("name", ["missing.json", ".", "\x1b[31m\udcff.json", "\x00"])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be used") as caught:
        load_profile(tmp_path / name)
    assert str(caught.value).isprintable()


def test_another_model_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match=r"for tiny 1\.0\.0, sha256 abab.*this model is ef"):
        profile().check("ef" * 32)


@pytest.mark.parametrize("what", ["preprocessing", "decoding"])
def test_films_seen_otherwise_are_refused(what: str) -> None:
    other = profile(**{f"{what}_version": 99})
    with pytest.raises(ModelRefusedError, match=f"for {what} 99, this is "):
        other.check(SHA256)


def test_a_profile_cannot_be_made_with_another_digest() -> None:
    with pytest.raises(ValueError, match="changed after it was written"):
        replace(profile(), model="other")


def test_limits_come_back_and_change_no_older_profile(tmp_path: Path) -> None:
    assert "limits" not in json.loads(profile().to_json())
    limited = profile(limits=Limits(psi=0.3, ppv=0.2))
    path = tmp_path / "site-profile.json"
    path.write_text(limited.to_json())
    assert load_profile(path) == limited
    assert limited.digest != profile().digest


@pytest.mark.parametrize(
    "limits", [{"psi": 0.0}, {"ppv": 1.0}, {"sensitivity": -1.0}, {"cusum": float("nan")}], ids=str
)
def test_a_limit_that_means_nothing_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a limit must"):
        Limits(**limits)
