"""Meaning of every reason and warning to a reader, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.types import NOTES, InputWarning, Reason, Result


@dataclass(frozen=True)
class Explanation:
    """For somebody who has the film before them, and no manual."""

    meaning: str
    advice: str


_READ_AS_USUAL = "Read the study in the usual way: this version cannot score it."
_WAIT = "Nothing, if it was being sent: the next run scores it. Until then read it as usual."
_COPY = "Copy it again from where it came, and run again. Until then read it as usual."
_EXPORT = "Export it again as grey levels of 8 or 16 bits. Until then read it as usual."
_IT = "Tell IT the name of the file or folder. Until then read the study as usual."
_US = "Read the study as usual, and report this to the makers with the line from stderr."
_OUTSIDE = "Read it first and on its own: its score says little."
_HEADER = "Look at the film and at its header in the viewer; read it without its score in doubt."
_NOTHING = "Nothing: the film is read and ranked as any other."
_LOOK = "Look at the film in the viewer; read it without its score if it looks like this."

REASONS = {
    Reason.EMPTY: Explanation("The file has no content.", _COPY),
    Reason.UNRECOGNISED: Explanation("The file begins like no image format.", _READ_AS_USUAL),
    Reason.UNSUPPORTED_FORMAT: Explanation(
        "A known format, named in the list, but none that is read here: DICOM, PNG, TIFF and JPEG "
        "of 8 bits are.",
        "Export the film again as DICOM, or as PNG or TIFF of 8 or 16 bits. Until then read it as "
        "usual.",
    ),
    Reason.ARCHIVE: Explanation(
        "A packed archive, which may hold films; archives are not opened.",
        "Have it unpacked into the folder that is scored. Until then read its films as usual.",
    ),
    Reason.NOT_AN_IMAGE: Explanation(
        "DICOM of a kind that has no picture, with a picture in it or of a rare kind.",
        "Look at it in the viewer; make sure that the film of this study is in the list.",
    ),
    Reason.NO_FILM: Explanation(
        "No film: a report or directory of DICOM, a program, a text.",
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
        "The file contradicts itself: it is damaged, or was written against its standard.",
        "Read it as usual. Fetch it again from where it came; where that changes nothing, the "
        "file is as it was written, and its maker or IT should know.",
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
        "A link; links are not followed.",
        "Have the job given the real file or folder. Until then read the study as usual.",
    ),
    Reason.NOT_A_FILE: Explanation(
        "A device, a pipe or the like, and no file.",
        "Nothing to read here; ask IT to keep such things out of the folder.",
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
        "Have it copied again or given a new modification time. Until then read it as usual.",
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
    InputWarning.NONCONFORMING: Explanation(
        "The file is not quite as its standard has it; other readers show the same picture.",
        _NOTHING,
    ),
    InputWarning.WINDOW_CHOSEN: Explanation(
        "The file offers several windows for display; the first hides most of the film, and "
        "another one was used.",
        _NOTHING,
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
    InputWarning.UNREADABLE_AGE: Explanation(
        "The DICOM header states an age or a birth date that cannot be read.", _HEADER
    ),
    InputWarning.UNREADABLE_VIEW: Explanation(
        "The DICOM header states a view that cannot be read.", _HEADER
    ),
    InputWarning.UNREADABLE_ORIENTATION: Explanation(
        "The DICOM header states an orientation of the patient that cannot be read.", _HEADER
    ),
    InputWarning.ORIENTATION: Explanation(
        "The film looks upside down, or the DICOM header says that it lies on its side, or two "
        "things about its orientation.",
        _LOOK,
    ),
    InputWarning.SPECIES: Explanation(
        "By the DICOM header the patient is an animal.",
        "Read it on its own: the score means nothing.",
    ),
    InputWarning.QUALITY_CONTROL: Explanation(
        "By the DICOM header the image is one of quality control, of a phantom perhaps.",
        "Make sure that the film of this study is in the list; this score means nothing.",
    ),
    InputWarning.IMAGE_TYPE: Explanation(
        "The DICOM header names a derived picture: bone or soft tissue alone, a screen save, or "
        "the like.",
        "Make sure that the film it comes from is in the list; read it without this score.",
    ),
    InputWarning.CLIPPED: Explanation(
        "Much of the film's middle is plain black or plain white: its window, or an export, hides "
        "what was there.",
        "Look at the film in the viewer with another window; read it without its score.",
    ),
    InputWarning.CUT_SHORT: Explanation(
        "The film ends in black rows: it is collimated, or the end of the file is missing.",
        "Look at its lower edge. If the film is cut off there, have the file copied again.",
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
    InputWarning.OUT_OF_SCOPE: Explanation(
        "The picture does not look like an upright frontal chest film: another part of the body, "
        "a turned film, a screenshot, a photograph.",
        _LOOK,
    ),
    InputWarning.ADULT_LOOKING: Explanation(
        "The film looks like an adult's, and the model was made for children.",
        "Check the age in the viewer; read an adult's film without its score.",
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


def kind_of(warning: InputWarning) -> str:
    """`note` for what changes nothing, else `warning`."""
    return "note" if warning in NOTES else "warning"
