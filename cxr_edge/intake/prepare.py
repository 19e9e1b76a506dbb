"""One film from bytes to network input; whatever happens becomes its result."""

from __future__ import annotations

import contextlib
import logging
import traceback
from typing import TYPE_CHECKING

from cxr_edge.errors import ImageError
from cxr_edge.features import border_share, image_features
from cxr_edge.images import decode, identity_of, source_of
from cxr_edge.intake.gates import pixel_warnings, scope_warnings
from cxr_edge.intake.prepared import Decoded, IntakeSettings, Prepared
from cxr_edge.intake.read import content, read_film
from cxr_edge.preprocess import (
    InnerFilm,
    to_network_input,
    to_scope_input,
    to_view,
    without_border,
)
from cxr_edge.types import (
    DecodedImage,
    FoundFile,
    InputWarning,
    Reason,
    Result,
    in_order,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


def prepare(file: FoundFile, settings: IntakeSettings) -> Prepared:
    """Read, decode, check and resize one file in this process; the pool has others do it."""
    if file.problem is not None:
        return refused(file, file.problem)
    try:
        held = read_film(file)
    except ImageError as error:
        return refused(file, error.reason)
    except Exception as error:
        log_defect(error)
        return refused(file, Reason.INTERNAL_ERROR)
    with contextlib.closing(held):
        decoded = decode_film(content(held.descriptor), file.path.name, settings)
    return Prepared.of(file.display, held, decoded)


def refused(file: FoundFile, reason: Reason) -> Prepared:
    """A file that could not be read."""
    return Prepared(Result.without_score(file.display, reason))


def decode_film(data: bytes, name: str, settings: IntakeSettings) -> Decoded:
    """Decode, check and resize a film; what goes wrong is its reason.

    Args:
        data: the whole file.
        name: its name, of which the extension counts.
        settings: what the model asks of a film.
    """
    try:
        image, film = film_of(data, name, settings)
        return _decoded(image, film, settings)
    except ImageError as error:
        whose = identity_of(data, settings.identity_fields)
        return Decoded(error.reason, format=error.format, identity=whose)
    except Exception as error:
        log_defect(error)
        return Decoded()


def decode_header(data: bytes, settings: IntakeSettings) -> Decoded:
    """Read whose film it is, and nothing else; for one that has its score already.

    Args:
        data: the whole file.
        settings: which fields are asked for.
    """
    if settings.source:
        return Decoded(identity=source_of(data))
    return Decoded(identity=identity_of(data, settings.identity_fields))


def log_defect(error: Exception) -> None:
    """Turn a defect of ours into one row with a reason, so that the night goes on.

    Its message may quote the file, whose name may be a patient's: neither goes into a log.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected %s in a film marked internal_error\n%s", type(error).__name__, where)


def prepare_pixels(pixels: NDArray[np.uint8], settings: IntakeSettings) -> Prepared:
    """Check and resize grey levels that somebody else has decoded; they have no header.

    Args:
        pixels: uint8 [H, W], 0 black and bone bright.
        settings: what the model asks of a film.
    """
    decoded = _decoded(DecodedImage(pixels, "array"), without_border(pixels), settings)
    return Prepared(
        decoded.result("array"),
        decoded.pixels,
        scope_pixels=decoded.scope_pixels,
        image_features=decoded.image_features,
    )


def _decoded(image: DecodedImage, film: InnerFilm, settings: IntakeSettings) -> Decoded:
    pixels = to_network_input(film, settings.size)
    border = border_share(image.extent, film.extent)
    return Decoded(
        width=image.width,
        height=image.height,
        format=image.format,
        warnings=_warnings(image, film, settings),
        identity={**dict.fromkeys(settings.identity_fields, ""), **image.identity},
        pixels=pixels,
        scope_pixels=to_scope_input(film, settings.scope_size) if settings.scope_size else None,
        view=to_view(film) if settings.view else None,
        image_features=image_features(pixels, (image.width, image.height), border),
    )


def film_of(data: bytes, name: str, settings: IntakeSettings) -> tuple[DecodedImage, InnerFilm]:
    """Decode a film with as many pixels as scoring takes, and look inside its border.

    Raises:
        ImageError: as `decode`.
    """
    image = decode(data, name, settings.identity_fields, settings.at_least)
    film = without_border(image.pixels, image.extent)
    if image.reduction > 1 and min(film.pixels.shape) < settings.at_least:
        image = decode(data, name, settings.identity_fields)
        film = without_border(image.pixels, image.extent)
    return image, film


def _warnings(
    image: DecodedImage, film: InnerFilm, settings: IntakeSettings
) -> tuple[InputWarning, ...]:
    """Warnings for a reader, as far as a decoder can see their causes."""
    warnings = [*image.warnings, *pixel_warnings(image, film, settings.size)]
    if image.study is not None:
        warnings += scope_warnings(image.study, settings.scope)
    return in_order(warnings)
