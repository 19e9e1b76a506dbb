"""A recipe's sections: how steps are taken and how films are changed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal


def later(default: Any) -> Any:
    """A field younger than published runs: left at its default it stays out of the hash."""
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True)
class Optimizer:
    """`adam` or `adamw`; the rate is constant or falls along a cosine after a linear warm-up.

    Attributes:
        weight_average: 0, or the momentum of an exponential average of the weights over the
            steps; the average is what a finished run keeps.
    """

    name: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: int = 0
    weight_average: float = later(0.0)

    def __post_init__(self) -> None:
        """Refuse names that are not implemented and rates that cannot learn."""
        if self.name not in ("adam", "adamw") or self.schedule not in ("constant", "cosine"):
            raise ValueError(f"unknown optimizer or schedule: {self.name}, {self.schedule}")
        if not self.learning_rate > 0 or self.weight_decay < 0 or self.warmup_epochs < 0:
            raise ValueError("learning_rate must be positive, decay and warm-up not negative")
        if not 0 <= self.weight_average < 1:
            raise ValueError(f"weight_average must be in [0, 1): {self.weight_average}")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training image; each value is the largest change.

    Attributes:
        zoom: each axis is scaled by 1 +- zoom (Keras `zoom_range`).
        shift: each axis is moved by +- shift of the size (Keras `*_shift_range`).
        rotation: degrees either way.
        black_outside: share of the images where what zoom, shift and rotation bring in from
            outside is black; else the edge is repeated.
        flip: left and right swapped in half of the images.
        gamma: exponent exp(+-gamma) on grey levels scaled to 0..1.
        contrast: factor exp(+-contrast) around the image's mean.
        brightness: offset, as a share of 255.
        blur: standard deviation of a Gaussian, as a share of the size; half as often a sharpening.
        noise: standard deviation of Gaussian noise, as a share of 255.
        histogram: share of the images drawn towards the histogram of another training film.
        fourier: share of the images whose broad light and dark (amplitudes of the lowest
            frequencies) are drawn towards those of another training film.
        shade: standard deviation of a smooth factor on the grey levels, times two.
        crop: share cut off at each side, or a third of it added there; changes the aspect.
        frame: width of a border around half of the images, or of strips over their sides, as a
            share of the size.
    """

    zoom: float = 0.0
    shift: float = 0.0
    rotation: float = 0.0
    flip: bool = False
    gamma: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    black_outside: float = later(0.0)
    histogram: float = later(0.0)
    fourier: float = later(0.0)
    shade: float = later(0.0)
    crop: float = later(0.0)
    frame: float = later(0.0)

    def __post_init__(self) -> None:
        """A range is a magnitude."""
        for item in fields(self):
            if getattr(self, item.name) < 0:
                raise ValueError(f"{item.name} must not be negative")
        if self.zoom >= 1:
            raise ValueError(f"zoom must be below 1: {self.zoom}")
        for name in ("black_outside", "histogram", "fourier"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} is a share, at most 1: {getattr(self, name)}")
        for name in ("crop", "frame"):
            if getattr(self, name) >= 0.5:
                raise ValueError(f"{name} would leave nothing, must be below 0.5")
