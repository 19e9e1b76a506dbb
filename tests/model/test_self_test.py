"""The self-test images are the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.self_test import RULES, golden_image

DIGESTS = {
    ("ramp", 50): "381ed1b32050cce3",
    ("rings", 50): "1fe45e42ae9c072d",
    ("lungs", 50): "6801c13f1f6dc63e",
    ("cloudy", 50): "8c67ade3d8d4902e",
    ("checks", 50): "f998983876089090",
    ("ramp", 128): "02c0fa220cc2a115",
    ("rings", 128): "0f031c53127e89d8",
    ("lungs", 128): "e5e1d91677dbaa8e",
    ("cloudy", 128): "5a6bc3cbd688f945",
    ("checks", 128): "e3d520eb0e03c9ae",
}


def test_every_rule_is_pinned() -> None:
    assert {rule for rule, _ in DIGESTS} == set(RULES)


@pytest.mark.parametrize(
    ("case", "digest"), DIGESTS.items(), ids=[f"{rule}-{size}" for rule, size in DIGESTS]
)
def test_rule_makes_these_bytes(case: tuple[str, int], digest: str) -> None:
    assert hashlib.sha256(golden_image(*case).tobytes()).hexdigest()[:16] == digest


@pytest.mark.parametrize("size", [2, 8, 50, 128])
@pytest.mark.parametrize("rule", RULES)
def test_shape_type_and_range(rule: str, size: int) -> None:
    image = golden_image(rule, size)
    assert (image.shape, image.dtype) == ((size, size, 1), np.uint8)
    levels = RULES[rule](*np.indices((size, size)), size)
    assert (levels.min() >= 0, levels.max() <= 255) == (True, True)


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match="unknown rule 'face'"):
        golden_image("face", 50)
