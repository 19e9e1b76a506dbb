"""Settings of the intake, and a prepared file; importing this takes no image library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cxr_edge.intake.read import Held
from cxr_edge.preprocess import VIEW_SIDE
from cxr_edge.support.utc import file_time_text
from cxr_edge.types import MAX_TEXT, SOURCE_FIELDS, InputWarning, Reason, Result, Stamp

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cxr_edge.model.spec import ModelSpec

# A reduced JPEG keeps so many pixels for one of the network's, and enough for a view. Measured
# on enlarged films: the network's input differs from that of the whole film by 0.12 grey levels in
# the mean and by 0.18 for the worst film; with two pixels for one, decisions began to change.
_PIXELS_PER_INPUT = 3


@dataclass(frozen=True)
class Scope:
    """Patients and views that a model was made for.

    Attributes:
        age_years: youngest and oldest age in completed years, both inside.
        views: as the spec names them; `not stated` means that any view may come.
    """

    age_years: tuple[float, float]
    views: tuple[str, ...]


@dataclass(frozen=True)
class IntakeSettings:
    """Settings of the intake that model and report require.

    Attributes:
        size: S, pixels a side of the network input.
        scope: patients and views that the model knows.
        identity_fields: of a header, which say whose film it is; empty unless asked for.
        view: whether a page shows the film.
        scope_size: pixels a side of the scope gate's input; 0 where there is no gate.
        source: whether a header-only request reads `types.SOURCE_FIELDS`, which results repeat,
            instead of `identity_fields`.
    """

    size: int
    scope: Scope
    identity_fields: tuple[str, ...] = ()
    view: bool = False
    scope_size: int = 0
    source: bool = False

    def __post_init__(self) -> None:
        """Refuse a network input without pixels."""
        if self.size < 1:
            raise ValueError(f"size must be at least 1: {self.size}")

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        identity_fields: tuple[str, ...] = (),
        *,
        view: bool = False,
        scope_size: int = 0,
    ) -> IntakeSettings:
        """Read what a model's spec asks for."""
        scope = Scope(spec.use.age_years, spec.use.views)
        return cls(spec.size, scope, identity_fields, view, scope_size)

    @property
    def header_texts(self) -> dict[str, int]:
        """Fields of a header that may leave a decoder, and how long each may be."""
        return SOURCE_FIELDS if self.source else dict.fromkeys(self.identity_fields, MAX_TEXT)

    @property
    def at_least(self) -> int:
        """Pixels a side that suffice; the same with and without a view: it changes no score."""
        return max(_PIXELS_PER_INPUT * self.size, VIEW_SIDE)


@dataclass(frozen=True)
class Decoded:
    """Outcome of decoding a film; it knows neither name nor hash.

    Attributes:
        reason: why there is nothing to score. A film that is still to be scored has
            `internal_error`, its reason if no score follows.
        pixels: uint8 [S, S, 1], or None where there is nothing to score.
        scope_pixels: uint8 [G, G, 1] for the scope gate, where there is one.
        view: uint8 [h, w] for a page, where one was asked for.
        image_features: see `features.ImageFeatures`; None where there is nothing to score.
    """

    reason: Reason = Reason.INTERNAL_ERROR
    warnings: tuple[InputWarning, ...] = ()
    width: int | None = None
    height: int | None = None
    format: str = ""
    identity: dict[str, str] = field(default_factory=dict)
    pixels: NDArray[np.uint8] | None = None
    scope_pixels: NDArray[np.uint8] | None = None
    view: NDArray[np.uint8] | None = None
    image_features: tuple[float, ...] | None = None

    def result(self, display: str, **facts: str) -> Result:
        """The row of a film, which is not scored yet.

        Args:
            display: its name.
            facts: those of its file.
        """
        return Result.without_score(
            display,
            self.reason,
            warnings=self.warnings,
            width=self.width,
            height=self.height,
            format=self.format,
            identity=self.identity,
            **facts,
        )


@dataclass(frozen=True)
class Prepared:
    """A file on its way to the network.

    Attributes:
        result: what is known so far, see `Decoded.reason`.
        pixels: uint8 [S, S, 1], or None where there is nothing to score.
        stamp: what the file looked like when its bytes were read.
        view: uint8 [h, w] for a page, where one was asked for.
        scope_pixels: uint8 [G, G, 1] for the scope gate, where there is one.
        image_features: see `features.ImageFeatures`; None where there is nothing to score.
    """

    result: Result
    pixels: NDArray[np.uint8] | None = None
    stamp: Stamp | None = None
    view: NDArray[np.uint8] | None = None
    scope_pixels: NDArray[np.uint8] | None = None
    image_features: tuple[float, ...] | None = None

    @classmethod
    def of(cls, display: str, held: Held, decoded: Decoded) -> Prepared:
        """Join what was read and what was decoded."""
        modified = "" if held.stamp is None else file_time_text(held.stamp.mtime_ns)
        result = decoded.result(display, sha256=held.sha256, modified_utc=modified)
        planes = decoded.pixels, held.stamp, decoded.view, decoded.scope_pixels
        return cls(result, *planes, decoded.image_features)
