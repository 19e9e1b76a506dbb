"""The closed vocabularies and the frozen values that flow from stage to stage."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line imports this module and must answer before NumPy is loaded
    import numpy as np
    from numpy.typing import NDArray

PROBABILITY_DECIMALS = 6
# Of a film, refused by its header alone: 6,000 x 6,000, above any radiography detector.
MAX_PIXELS = 36_000_000

MAX_TEXT = 64  # characters of a header's text in a row
# Whom a film is of: the columns of `--identify`.
PATIENT_ID, STUDY_UID, ACQUIRED = "patient_id", "study_uid", "acquired"
IDENTITY_FIELDS = (
    *(PATIENT_ID, "accession_number", STUDY_UID, "series_uid", "instance_uid"),
    ACQUIRED,
)

# Whose number a patient ID is. It is no column: two hospitals may count alike.
ISSUER = "IssuerOfPatientID"

OWN_NAME = "cxr-edge"  # Manufacturer of results
# What results repeat of the header of their film, with the longest that the standard allows.
SOURCE_FIELDS = {
    **dict.fromkeys(("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"), 64),
    **{"StudyInstanceUID": 64, "PatientName": 194, "PatientID": 64, "IssuerOfPatientID": 64},
    **{"PatientBirthDate": 8, "PatientSex": 16, "StudyDate": 8, "StudyTime": 16, "StudyID": 16},
    **{"StudyDescription": 64, "AccessionNumber": 16, "ReferringPhysicianName": 194},
    **{"Modality": 16, "InstanceNumber": 12, "BodyPartExamined": 16, "PatientOrientation": 34},
    **{"BurnedInAnnotation": 16, "Rows": 5, "Columns": 5},
    **{"RequestedProcedureID": 16, "RequestedProcedureDescription": 64},
    **{"PlacerOrderNumberImagingServiceRequest": 64},
    **{"FillerOrderNumberImagingServiceRequest": 64},
}

LANGUAGES = ("en", "de", "es", "fr")  # of the page
DEFAULT_LANGUAGE = "en"

_SHA256 = re.compile("[0-9a-f]{64}")
_LONGEST_SIDE = 2**31 - 1


class Status(StrEnum):
    """Outcome for one file."""

    SCORED = "scored"
    NOT_SCORED = "not_scored"
    DEFERRED = "deferred"


class Reason(StrEnum):
    """Reason for a file without a score."""

    EMPTY = "empty"
    UNRECOGNISED = "unrecognised"
    UNSUPPORTED_FORMAT = "unsupported_format"
    ARCHIVE = "archive"
    NO_FILM = "no_film"
    NOT_AN_IMAGE = "not_an_image"
    NO_PIXEL_DATA = "no_pixel_data"
    MODALITY = "modality"
    TRANSFER_SYNTAX = "transfer_syntax"
    VOI_UNSUPPORTED = "voi_unsupported"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    COLOUR_SPACE = "colour_space"
    ALPHA = "alpha"
    PIXEL_TYPE = "pixel_type"
    MULTI_FRAME = "multi_frame"
    TOO_LARGE = "too_large"
    MISSING = "missing"
    PERMISSION = "permission"
    SYMLINK = "symlink"
    NOT_A_FILE = "not_a_file"
    UNREADABLE_FOLDER = "unreadable_folder"
    STILL_CHANGING = "still_changing"
    TEMPORARY_NAME = "temporary_name"
    IMPLAUSIBLE_TIME = "implausible_time"
    IO_ERROR = "io_error"
    DECODER_CRASHED = "decoder_crashed"
    TIMEOUT = "timeout"
    BAD_OUTPUT = "bad_output"
    INTERNAL_ERROR = "internal_error"


# Not damage: the file is on its way, and the next run will score it.
DEFERRED_REASONS = frozenset(
    {Reason.STILL_CHANGING, Reason.TEMPORARY_NAME, Reason.IMPLAUSIBLE_TIME}
)

# What the header alone says, and will say again tomorrow. Everything else is tried again at every
# run: on a machine that is short of memory, a decoder takes a good film for a damaged one.
DETERMINISTIC_REASONS = frozenset(
    {
        Reason.EMPTY,
        Reason.UNRECOGNISED,
        Reason.UNSUPPORTED_FORMAT,
        Reason.ARCHIVE,
        Reason.NO_FILM,
        Reason.NOT_AN_IMAGE,
        Reason.NO_PIXEL_DATA,
        Reason.MODALITY,
        Reason.TRANSFER_SYNTAX,
        Reason.VOI_UNSUPPORTED,
        Reason.COLOUR_SPACE,
        Reason.ALPHA,
        Reason.PIXEL_TYPE,
        Reason.MULTI_FRAME,
    }
)


class InputWarning(StrEnum):
    """Warning about a film that was scored all the same: a note, or else a doubt."""

    EXTENSION_MISMATCH = "extension_mismatch"
    ORIENTATION_APPLIED = "orientation_applied"
    LOW_RESOLUTION = "low_resolution"
    ASPECT = "aspect"
    BLANK = "blank"
    INVERTED = "inverted"
    COLOUR = "colour"
    MODALITY = "modality"
    BODY_PART = "body_part"
    VIEW_POSITION = "view_position"
    PATIENT_AGE = "patient_age"
    NO_WINDOW = "no_window"
    FOR_PROCESSING = "for_processing"
    EXECUTABLE_PREAMBLE = "executable_preamble"
    CLIPPED = "clipped"
    CUT_SHORT = "cut_short"
    ORIENTATION = "orientation"
    SPECIES = "species"
    QUALITY_CONTROL = "quality_control"
    IMAGE_TYPE = "image_type"
    UNREADABLE_AGE = "unreadable_age"
    UNREADABLE_VIEW = "unreadable_view"
    UNREADABLE_ORIENTATION = "unreadable_orientation"
    NONCONFORMING = "nonconforming"
    WINDOW_CHOSEN = "window_chosen"
    OUT_OF_SCOPE = "out_of_scope"
    ADULT_LOOKING = "adult_looking"


# What a reader may like to know of a film that is read and scored as any other. Every other warning
# is a doubt about the score, and moves the film to `attention`.
NOTES = frozenset(
    {
        InputWarning.EXTENSION_MISMATCH,
        InputWarning.ORIENTATION_APPLIED,
        InputWarning.NONCONFORMING,
        InputWarning.WINDOW_CHOSEN,
    }
)


def doubts(warnings: Iterable[str]) -> list[str]:
    """Warnings that are more than notes."""
    return [warning for warning in warnings if warning not in NOTES]


_PLACE = {warning: place for place, warning in enumerate(InputWarning)}


def in_order(warnings: Iterable[InputWarning]) -> tuple[InputWarning, ...]:
    """Each once, in the order of the vocabulary."""
    return tuple(sorted(set(warnings), key=_PLACE.__getitem__))


class Band(StrEnum):
    """Reading order of the report."""

    ATTENTION = "attention"
    FLAGGED = "flagged"
    UNFLAGGED = "unflagged"
    OTHER = "other"


@dataclass(frozen=True)
class Stamp:
    """File system facts about a file: while none of them changes, the bytes do not either.

    Attributes:
        size: bytes.
        mtime_ns: last change of the bytes, as their writer set it.
        ctime_ns: last change of bytes, name or permissions; no program can set it.
        inode: another file under the same name has another one.
        version: of an object, in a bucket that keeps all of them; empty elsewhere.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    version: str = ""

    @classmethod
    def of(cls, facts: os.stat_result) -> Stamp:
        """The stamp of an open or a named file."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


@dataclass(frozen=True)
class Root:
    """A folder that files are opened below, and never outside of it.

    Attributes:
        path: absolute, without a link on the way.
        device: of the folder that was there; another under the same name has other numbers.
        inode: the same.
    """

    path: Path
    device: int
    inode: int


@dataclass(frozen=True)
class Url:
    """A place in object storage, where others have a `Path`; `scheme://bucket/key`.

    A path would not do: it takes `//` and `/./` in a key for `/`.

    Attributes:
        text: all of it.
    """

    text: str

    def __fspath__(self) -> str:
        """Path as the ledger keeps it."""
        return self.text

    def __str__(self) -> str:
        """The same."""
        return self.text

    def __truediv__(self, name: str) -> Url:
        """A place below this one."""
        return Url(f"{self.text.rstrip('/')}/{name}")

    @property
    def scheme(self) -> str:
        """Protocol, such as `s3`."""
        return self.text.partition("://")[0]

    @property
    def location(self) -> str:
        """Bucket and key."""
        return self.text.partition("://")[2]

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.location.partition("/")[0]

    @property
    def key(self) -> str:
        """Key of the object, or prefix of several."""
        return self.location.partition("/")[2]

    @property
    def name(self) -> str:
        """Last part of the key."""
        return self.key.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Extension of the name."""
        return Path(self.name).suffix


Place = Path | Url
_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")  # S3:// is refused, and no folder made of it


def place_of(text: str) -> Place:
    """The place that a text names; no absolute path looks like a URL."""
    return Url(text) if _URL.match(text) else Path(text)


@dataclass(frozen=True)
class FoundFile:
    """One thing that discovery met under an INPUT.

    Attributes:
        path: where it is.
        display: how reports name it: relative to its INPUT, clean UTF-8.
        problem: set when discovery already knows that it cannot be read.
        stamp: what it must still look like when it is read; None where it may change until then.
        seen_ns: when that was; 0 for long ago.
        root: the folder that it was found below; None where only its last name must be no link.
        size: bytes that it had when it was found, where somebody looked.
    """

    path: Place
    display: str
    problem: Reason | None = None
    stamp: Stamp | None = None
    seen_ns: int = 0
    root: Root | None = None
    size: int | None = None

    @property
    def on_disk(self) -> Path:
        """Its path; TypeError for an object."""
        if isinstance(self.path, Url):
            raise TypeError(f"{self.path.scheme}:// is no path")
        return self.path


@dataclass(frozen=True)
class Study:
    """Facts from a DICOM header; empty where it has none. `?` stands for what cannot be read.

    Attributes:
        modality: (0008,0060), upper case.
        body_part: (0018,0015), upper case.
        view_position: (0018,5101), upper case.
        age_years: (0010,1010), or birth date to study date; None where neither can be read.
        body_parts: what code sequences name, in words.
        views: what code sequences, Patient Orientation and the like say of the view, in words.
        descriptions: free texts of the series; only what contradicts the above counts.
        age_by_dates: birth date to study date, where the age is stated as well.
    """

    modality: str = ""
    body_part: str = ""
    view_position: str = ""
    age_years: float | None = None
    body_parts: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    age_by_dates: float | None = None


@dataclass(frozen=True)
class DecodedImage:
    """A film as grey levels.

    Attributes:
        pixels: uint8 [rows, columns]; 0 is black, bone is bright.
        format: `JPEG`, `PNG`, `TIFF` or `DICOM`.
        warnings: what decoding noticed.
        study: the header's facts, where the format has any.
        identity: whom the film is of, by field, as far as that was asked for.
        reduction: how many pixels of the film, each way, became one of these.
        stored: rows and columns of the film, where it was reduced.
    """

    pixels: NDArray[np.uint8]
    format: str
    warnings: tuple[InputWarning, ...] = ()
    study: Study | None = None
    reduction: int = 1
    stored: tuple[int, int] | None = None
    identity: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse anything but a non-empty uint8 plane, of the size that the reduction gives."""
        if self.pixels.dtype != "uint8" or self.pixels.ndim != 2 or self.pixels.size == 0:
            raise ValueError(f"pixels: {self.pixels.dtype} {self.pixels.shape}, not uint8 [H, W]")
        reduced = (-(-self.height // self.reduction), -(-self.width // self.reduction))
        if self.pixels.shape != reduced:
            raise ValueError(f"{self.stored} reduced by {self.reduction}: {self.pixels.shape}")

    @property
    def width(self) -> int:
        """Columns of the film."""
        return int((self.stored or self.pixels.shape)[1])

    @property
    def height(self) -> int:
        """Rows of the film."""
        return int((self.stored or self.pixels.shape)[0])

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height of the film in `pixels`; its edge may lie inside the last ones."""
        return self.width / self.reduction, self.height / self.reduction


@dataclass(frozen=True)
class Predictions:
    """A network's output for a batch of N images.

    Attributes:
        probability: float32 [N] of pneumonia.
        evidence: float32 [N, h, w]: each cell's exact share of the logit.
        bias: float32 [N]: the rest of the logit.
        device: where they were computed, if not where the run began.
    """

    probability: NDArray[np.float32]
    evidence: NDArray[np.float32]
    bias: NDArray[np.float32]
    device: str = ""

    def __post_init__(self) -> None:
        """One number, one map and one number per image."""
        shapes = self.probability.shape, self.evidence.shape[:1], self.bias.shape
        if self.evidence.ndim != 3 or set(shapes) != {(len(self.evidence),)}:
            raise ValueError(f"predictions of shapes {shapes}")

    def logit(self) -> NDArray[np.float64]:
        """Float64 [N]: evidence summed over cells plus bias."""
        shares: NDArray[np.float64] = self.evidence.astype("float64").sum(axis=(1, 2))
        return shares + self.bias


@dataclass(frozen=True)
class Picture:
    """A film as a page shows it, and what its cells contributed to its score.

    Attributes:
        film: uint8 [h, w], aspect kept, longest side at most `preprocess.VIEW_SIDE`.
        evidence: float32 [rows, columns]: each cell's exact share of the logit.
        bias: the rest of the logit.
    """

    film: NDArray[np.uint8]
    evidence: NDArray[np.float32]
    bias: float


@dataclass(frozen=True)
class Result:
    """The facts about one file, before any decision.

    Attributes:
        device: of a film that was scored elsewhere than where the run began.
        features: of `features.FEATURES`, for comparing nights; empty where none was
            measured, None for one that was not.
        new: whether the last reported night of the state had neither its bytes nor, unread, its
            path.
        identity: whom it is of, by field, where that was asked for.
    """

    path: str
    status: Status
    reason: Reason | None = None
    probability: float | None = None
    warnings: tuple[InputWarning, ...] = ()
    width: int | None = None
    height: int | None = None
    format: str = ""
    sha256: str = ""
    modified_utc: str = ""
    duplicate_of: str = ""
    device: str = ""
    features: tuple[float | None, ...] = ()
    new: bool = True
    identity: dict[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """A printable name; a score exactly when the status says so, a reason when it does not."""
        if not self.path.isprintable():
            raise ValueError(f"a path that was not made fit to print: {self.path!r}")
        scored = self.status is Status.SCORED
        if scored != (self.probability is not None) or scored != (self.reason is None):
            raise ValueError(f"{self.path}: {self.status} with {self.probability} {self.reason}")
        if (self.status is Status.DEFERRED) != (self.reason in DEFERRED_REASONS):
            raise ValueError(f"{self.path}: {self.status} because of {self.reason}")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"{self.path}: probability {self.probability} outside [0, 1]")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.path}: no sha256")
        for side in (self.width, self.height):
            if side is not None and not 1 <= side <= _LONGEST_SIDE:
                raise ValueError(f"{self.path}: {self.width} x {self.height} pixels")
        if self.device and not scored:
            raise ValueError(f"{self.path}: {self.status} on {self.device}")

    @classmethod
    def without_score(cls, path: str, reason: Reason, **facts: Any) -> Result:
        """Deferred or not scored, as the reason says."""
        status = Status.DEFERRED if reason in DEFERRED_REASONS else Status.NOT_SCORED
        return cls(path, status, reason, **facts)
