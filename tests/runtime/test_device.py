"""`--device` as text and as a value."""

from __future__ import annotations

import pytest

from cxr_edge.errors import InputError
from cxr_edge.runtime.device import Device

PARSED = {
    "auto": (Device("auto"), "auto"),
    "cpu": (Device("cpu"), "cpu"),
    "cuda": (Device("cuda", 0), "cuda:0"),
    "cuda:7": (Device("cuda", 7), "cuda:7"),
}


@pytest.mark.parametrize(("text", "expected"), PARSED.items(), ids=PARSED)
def test_parse(text: str, expected: tuple[Device, str]) -> None:
    parsed = Device.parse(text)
    assert (parsed, str(parsed)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "gpu", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:1000", " cpu", "cuda:٣"],
)
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(InputError, match="unknown device") as caught:
        Device.parse(text)
    assert caught.value.tip == "use auto, cpu, cuda or cuda:N"
