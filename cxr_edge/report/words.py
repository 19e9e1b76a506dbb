"""Meaning of every reason and warning to a reader, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.types import InputWarning, Reason, Result


@dataclass(frozen=True)
class Explanation:
    """For somebody who has the film before them, and no manual."""

    meaning: str
    advice: str


_READ_AS_USUAL = "Read the study in the usual way: this version cannot score it."
_WAIT = "Nothing, if it was being sent: the next run scores it. Until then read it as usual."
_COPY = "Copy it again from where it came, and run again. Until then read it as usual."
_EXPORT = "Export it again as grey levels of 8 or 16 bits. Until then read it as usual."
_IT = "Tell IT, with the file's name. Until then read the study as usual."
_US = "Read the study as usual, and report this to the makers with the line from stderr."
_OUTSIDE = "Read it first and on its own: its score says little."
_LOOK = "Look at the film in the viewer; read it without its score if it looks like this."

REASONS = {
    Reason.EMPTY: Explanation("The file has no content.", _COPY),
    Reason.UNRECOGNISED: Explanation("The file begins like no image format.", _READ_AS_USUAL),
    Reason.UNSUPPORTED_FORMAT: Explanation(
        "An image format, but none that is read here: DICOM, JPEG, PNG and TIFF are.",
        _READ_AS_USUAL,
    ),
    Reason.NOT_AN_IMAGE: Explanation(
        "DICOM, but no image: a report, a key object, a display state.",
        "Nothing to read here; make sure that the film of this study is in the list.",
    ),
    Reason.NO_PIXEL_DATA: Explanation(
        "DICOM of an image whose picture is missing.",
        "Fetch it again from the archive. Until then read the study as usual.",
    ),
    Reason.MODALITY: Explanation(
        "DICOM of another kind than a plain radiograph (CR or DX).", _READ_AS_USUAL
    ),
    Reason.TRANSFER_SYNTAX: Explanation(
        "DICOM compressed in a way that is not read here.", _READ_AS_USUAL
    ),
    Reason.VOI_UNSUPPORTED: Explanation(
        "DICOM whose window or look-up table for display is not as the standard has it.",
        _READ_AS_USUAL,
    ),
    Reason.TRUNCATED: Explanation("The end of the file is missing: a copy broke off.", _COPY),
    Reason.CORRUPT: Explanation(
        "The file is damaged.",
        "Fetch it again from where it came, and run again. Until then read it as usual.",
    ),
    Reason.COLOUR_SPACE: Explanation("The picture is stored in colours, not in greys.", _EXPORT),
    Reason.ALPHA: Explanation("The picture is partly transparent.", _EXPORT),
    Reason.PIXEL_TYPE: Explanation("The grey levels are stored as no radiograph's are.", _EXPORT),
    Reason.MULTI_FRAME: Explanation("The file holds several pictures.", _READ_AS_USUAL),
    Reason.TOO_LARGE: Explanation(
        "Over 36 megapixels, 256 MB or 100 scans of a JPEG, or in more than 100,000 parts.", _EXPORT
    ),
    Reason.MISSING: Explanation("The file was found, and gone when it was to be read.", _COPY),
    Reason.PERMISSION: Explanation("The job may not read the file.", _IT),
    Reason.SYMLINK: Explanation(
        "A link; links are not followed.", "Have the real folder given to the job."
    ),
    Reason.NOT_A_FILE: Explanation(
        "A device, a pipe or the like, and no file.", "Have the real folder given to the job."
    ),
    Reason.UNREADABLE_FOLDER: Explanation(
        "A folder that the job could not open: what lies in it is not in this list.", _IT
    ),
    Reason.STILL_CHANGING: Explanation("The file was still being written.", _WAIT),
    Reason.TEMPORARY_NAME: Explanation(
        "The name is that of an unfinished copy, or hidden. What lies in a hidden folder is not in "
        "this list.",
        "Have it renamed when it is complete. Until then read it as usual.",
    ),
    Reason.IMPLAUSIBLE_TIME: Explanation(
        "The file is stamped 1970 or 1980, as unfinished copies are.",
        "Have it copied again or stamped anew. Until then read it as usual.",
    ),
    Reason.IO_ERROR: Explanation("The disk or the share could not deliver the file.", _IT),
    Reason.DECODER_CRASHED: Explanation(
        "Unpacking the picture failed so badly that its process ended.",
        "Read the study as usual; the next run tries again.",
    ),
    Reason.TIMEOUT: Explanation(
        "Unpacking the picture took over a minute.",
        "Read the study as usual; the next run tries again.",
    ),
    Reason.BAD_OUTPUT: Explanation("The model gave no usable number.", _US),
    Reason.INTERNAL_ERROR: Explanation("A fault of this program.", _US),
}

WARNINGS = {
    InputWarning.EXTENSION_MISMATCH: Explanation(
        "The file is of another format than its name says.",
        "Make sure that it is the film it should be.",
    ),
    InputWarning.ORIENTATION_APPLIED: Explanation(
        "The file asked to be turned or mirrored, and was, before it was scored.",
        "Check sides and orientation in the viewer.",
    ),
    InputWarning.LOW_RESOLUTION: Explanation(
        "The film has fewer pixels than the model looks at: a preview, perhaps.",
        "Have the full film scored; read it without its score.",
    ),
    InputWarning.ASPECT: Explanation(
        "The film is much wider or higher than a chest film: a strip, or two films in one.", _LOOK
    ),
    InputWarning.BLANK: Explanation("The middle of the film is nearly of one grey.", _LOOK),
    InputWarning.INVERTED: Explanation(
        "The film looks like a negative: bone dark, air bright.", _LOOK
    ),
    InputWarning.COLOUR: Explanation(
        "The file holds colours: a photograph or a screenshot of a film, perhaps.", _LOOK
    ),
    InputWarning.MODALITY: Explanation(
        "The DICOM header names an unusual kind of image for a chest film.", _OUTSIDE
    ),
    InputWarning.BODY_PART: Explanation(
        "The DICOM header names another part of the body than the chest.", _OUTSIDE
    ),
    InputWarning.VIEW_POSITION: Explanation(
        "The DICOM header names a view that the model was not made for.", _OUTSIDE
    ),
    InputWarning.PATIENT_AGE: Explanation(
        "By the DICOM header the patient is of an age that the model was not made for.", _OUTSIDE
    ),
    InputWarning.NO_WINDOW: Explanation(
        "The DICOM file does not say which greys to show, or says it so that hardly any are used.",
        _LOOK,
    ),
    InputWarning.FOR_PROCESSING: Explanation(
        "Raw data of the detector, not processed for display.",
        "Score the processed image of this study; read it without this score.",
    ),
    InputWarning.EXECUTABLE_PREAMBLE: Explanation(
        "A DICOM file that is a program too.",
        "Do not open it by a double click. Tell IT where it came from.",
    ),
}


def in_words(code: str) -> str:
    """`still_changing` as people say it."""
    return code.replace("_", " ")


def remarks_of(result: Result) -> list[str]:
    """The codes of its reason and its warnings."""
    return [*([result.reason] if result.reason else []), *result.warnings]


def explanations(result: Result) -> list[tuple[str, Explanation]]:
    """Reasons and warnings of a row, each with its words."""
    reasons = [(in_words(result.reason), REASONS[result.reason])] if result.reason else []
    return reasons + [(in_words(warning), WARNINGS[warning]) for warning in result.warnings]
