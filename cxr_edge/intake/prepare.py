"""One file from bytes to network input; whatever happens becomes its result."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.intake.gates import pixel_warnings, scope_warnings
from cxr_edge.intake.prepared import IntakeSettings, Prepared
from cxr_edge.intake.read import read_file
from cxr_edge.preprocess import InnerFilm, to_network_input, to_view, without_border
from cxr_edge.support.utc import file_time_text
from cxr_edge.types import (
    DecodedImage,
    FileContent,
    FoundFile,
    InputWarning,
    Reason,
    Result,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


def prepare(file: FoundFile, settings: IntakeSettings) -> Prepared:
    """Read, decode, check and resize one file."""
    waiting = Result.without_score(file.display, file.problem or Reason.INTERNAL_ERROR)
    if file.problem is not None:
        return Prepared(waiting)
    read = Prepared(waiting)
    try:
        content = read_file(file.path, file.stamp)
        read = _read(waiting, content)
        return _decoded(read, content, file, settings)
    except ImageError as error:
        return replace(read, result=_refused(read.result, error))
    except Exception as error:
        # A defect of ours must cost one row and say so, not the night. Its message may quote the
        # file, whose name may be a patient's: neither goes into a log.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("unexpected %s in a film marked internal_error\n%s", type(error).__name__, where)
        return read


def _read(waiting: Result, content: FileContent) -> Prepared:
    """Facts that need no decoding."""
    modified = file_time_text(content.stamp.mtime_ns)
    facts = replace(waiting, sha256=content.sha256, modified_utc=modified)
    return Prepared(facts, stamp=content.stamp)


def _decoded(
    read: Prepared, content: FileContent, file: FoundFile, settings: IntakeSettings
) -> Prepared:
    """Decode and judge a film, and resize it for the network."""
    image, film = film_of(content.data, file.path.name, settings)
    return _with_pixels(read, image, film, settings)


def prepare_pixels(pixels: NDArray[np.uint8], settings: IntakeSettings) -> Prepared:
    """Check and resize grey levels that somebody else has decoded; they have no header.

    Args:
        pixels: uint8 [H, W], 0 black and bone bright.
        settings: what the model asks of a film.
    """
    read = Prepared(Result.without_score("array", Reason.INTERNAL_ERROR))
    return _with_pixels(read, DecodedImage(pixels, "array"), without_border(pixels), settings)


def _with_pixels(
    read: Prepared, image: DecodedImage, film: InnerFilm, settings: IntakeSettings
) -> Prepared:
    pixels = to_network_input(film, settings.size)
    facts = replace(
        read.result,
        width=image.width,
        height=image.height,
        format=image.format,
        warnings=_warnings(image, film, settings),
        identifier=image.study.identifier if image.study else "",
    )
    view = to_view(film) if settings.view else None
    return Prepared(facts, pixels, read.stamp, view)


def film_of(data: bytes, name: str, settings: IntakeSettings) -> tuple[DecodedImage, InnerFilm]:
    """Decode a film with as many pixels as scoring takes, and look inside its border.

    Raises:
        ImageError: as `decode`.
    """
    image = decode(data, name, settings.id_tag, settings.at_least)
    film = without_border(image.pixels, image.extent)
    if image.reduction > 1 and min(film.pixels.shape) < settings.at_least:
        image = decode(data, name, settings.id_tag)
        film = without_border(image.pixels, image.extent)
    return image, film


def _warnings(
    image: DecodedImage, film: InnerFilm, settings: IntakeSettings
) -> tuple[InputWarning, ...]:
    """Everything a reader should know, in the order of the vocabulary."""
    warnings = {*image.warnings, *pixel_warnings(image, film, settings.size)}
    if image.study is not None:
        warnings.update(scope_warnings(image.study, settings.scope))
    return tuple(warning for warning in InputWarning if warning in warnings)


def _refused(read: Result, error: ImageError) -> Result:
    return replace(
        Result.without_score(read.path, error.reason),
        format=error.format,
        sha256=read.sha256,
        modified_utc=read.modified_utc,
    )
