"""Made DICOM objects: one scene in every transfer syntax, depth, sign and polarity."""

from __future__ import annotations

import functools
import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import UID

from tests.images.films import Levels, scene
from tests.images.htj2k import HTJ2K_8_LOSSLESS, HTJ2K_8_LOSSY, HTJ2K_16_LOSSLESS

IMPLICIT = "1.2.840.10008.1.2"
_KIND = gdcm.TransferSyntax
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
J2K = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

DX = "1.2.840.10008.5.1.4.1.1.1.1"
NAME, PATIENT_ID, BORN = "Planted^Name", "PLANTED-ID-77", "20200229"


def levels_of(bits: int, *, signed: bool = False, inverted: bool = False) -> Levels:
    """The scene as stored values that span the depth: 8 bits in a byte, else two bytes."""
    full = 2**bits - 1
    values = (scene().astype(np.int64) * full + 127) // 255
    values = full - values if inverted else values
    values -= 2 ** (bits - 1) if signed else 0
    return values.astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


def film(
    levels: Levels | None = None, *, bits: int = 12, syntax: str = EXPLICIT, **elements: Any
) -> bytes:
    """A digital x-ray of made-up patient data.

    Args:
        levels: stored values; the scene by default.
        bits: stored.
        syntax: UID of the transfer syntax.
        elements: values by DICOM keyword on top of the usual ones; None takes one away.
    """
    levels = levels_of(bits) if levels is None else levels
    dataset = header(levels, bits)
    encoder = ENCODERS.get(syntax)
    if encoder is None:
        order = ">" if syntax == BIG_ENDIAN else "<"
        stored = levels.astype(levels.dtype.newbyteorder(order))  # type: ignore[arg-type]
        dataset.PixelData = stored.tobytes()
    else:
        dataset.PixelData = encapsulate([encoder(levels, bits)])
    dataset["PixelData"].VR = "OW" if levels.itemsize == 2 else "OB"
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return written(dataset, syntax)


def header(levels: Levels, bits: int) -> Dataset:
    """Everything but the pixels."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = DX, "1.2.3", "DX"
    dataset.PatientName, dataset.PatientID = NAME, PATIENT_ID
    dataset.PatientBirthDate, dataset.StudyDate = BORN, "20230301"
    dataset.Rows, dataset.Columns = levels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = levels.itemsize * 8, bits, bits - 1
    dataset.PixelRepresentation = int(np.issubdtype(levels.dtype, np.signedinteger))
    if bits > 8:
        middle = 0 if dataset.PixelRepresentation else 2 ** (bits - 1)
        dataset.WindowCenter, dataset.WindowWidth = middle, 2**bits
    return dataset


def written(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    """A file around a data set."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", DX)
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    if "PixelData" in dataset:
        dataset["PixelData"].is_undefined_length = UID(syntax).is_encapsulated
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def lut(entries: list[int] | NDArray[Any], first: int, bits: int, *, vr: str = "OW") -> Dataset:
    """An item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    count = len(entries) % 2**16
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    if bits == 8 and vr == "OB":  # two entries in a word
        item.add_new("LUTData", "OW", np.asarray(entries, np.uint8).tobytes())
    else:
        words = np.asarray(entries, "<u2")
        item.add_new("LUTData", vr, words.tobytes() if vr == "OW" else words.tolist())
    return item


def with_code_stream(stream: bytes, levels: Levels, bits: int, syntax: str, **more: Any) -> bytes:
    """A film around a code stream of one's own."""
    return with_fragments([stream], levels, bits, syntax, **more)


def with_fragments(
    parts: list[bytes], levels: Levels, bits: int, syntax: str, **more: Any
) -> bytes:
    """The same in several fragments, with an empty offset table."""
    dataset = header(levels, bits)
    dataset.PixelData = encapsulate(parts, has_bot=False)
    dataset["PixelData"].VR = "OB"
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return written(dataset, syntax)


def jpeg_extended_stream(levels: Levels, bits: int) -> bytes:
    """GDCM writes 16 bits of precision, which no standard knows, where 12 belong.

    Its level shift is undone beforehand: 2^15 - 2^11.
    """
    if bits == 8:
        return gdcm_stream(_KIND.JPEGExtendedProcess2_4, levels, 8)
    shifted = levels.astype("u2") + np.uint16(2**15 - 2**11)
    stream = bytearray(gdcm_stream(_KIND.JPEGExtendedProcess2_4, shifted, 16))
    stream[stream.index(b"\xff\xc1") + 4] = 12
    return bytes(stream)


def gdcm_stream(kind: int, levels: Levels, bits: int) -> bytes:
    """A JPEG code stream, lossy or lossless. GDCM reads and writes files only."""
    with tempfile.TemporaryDirectory() as folder:
        raw, packed = str(Path(folder, "raw.dcm")), str(Path(folder, "packed.dcm"))
        Path(raw).write_bytes(film(levels, bits=bits))
        reader = gdcm.ImageReader()
        reader.SetFileName(raw)
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(kind))
        reader.Read()
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise ValueError(f"GDCM cannot encode {levels.dtype} of {bits} bits as {kind}")
        writer = gdcm.ImageWriter()
        writer.SetFileName(packed)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        return next(generate_frames(dcmread(packed).PixelData, number_of_frames=1))


def lossless_jpeg_by_hand(levels: Levels, bits: int) -> bytes:
    """Process 14, selection value 1 (ITU-T T.81 annex H), with codes of five bits for all.

    Unlike `gdcm_stream` this shares no line with the decoder under test.
    """
    rows, columns = levels.shape
    values = levels.astype(np.int64)
    predicted = np.roll(values, 1, axis=1)
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 2 ** (bits - 1)
    text = ""
    for difference in (values - predicted).ravel().tolist():
        category = abs(difference).bit_length()
        text += f"{category:05b}"
        if category:
            low = difference if difference > 0 else difference + 2**category - 1
            text += f"{low:0{category}b}"
    text += "1" * (-len(text) % 8)
    packed = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    return (
        b"\xff\xd8\xff\xc3"
        + struct.pack(">HBHHB3B", 11, bits, rows, columns, 1, 1, 0x11, 0)
        + b"\xff\xc4"
        + struct.pack(">H", 2 + len(table))
        + table
        + b"\xff\xda"
        + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0)
        + packed
        + b"\xff\xd9"
    )


def jpeg_ls_stream(lossy_error: int, levels: Levels, bits: int) -> bytes:
    unsigned = levels.astype(np.int64) % 2**bits
    stored = unsigned.astype("u1" if bits == 8 else "<u2")
    return bytes(
        jpeg_ls.encode_pixel_data(
            stored.tobytes(),
            rows=levels.shape[0],
            columns=levels.shape[1],
            samples_per_pixel=1,
            bits_allocated=levels.itemsize * 8,
            bits_stored=bits,
            pixel_representation=0,
            lossy_error=lossy_error,
        )
    )


def jpeg_2000_stream(options: dict[str, Any], levels: Levels, bits: int) -> bytes:
    return bytes(encode_array(levels, bits_stored=bits, photometric_interpretation=2, **options))


def rle_stream(levels: Levels, bits: int) -> bytes:
    return RLELosslessEncoder.encode(
        levels.astype(levels.dtype.newbyteorder("<")).tobytes(),
        encoding_plugin="pydicom",
        rows=levels.shape[0],
        columns=levels.shape[1],
        samples_per_pixel=1,
        number_of_frames=1,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=levels.itemsize * 8,
        bits_stored=bits,
        pixel_representation=0,
    )


def htj2k_stream(streams: dict[int, bytes], levels: Levels, bits: int) -> bytes:
    """No encoder at hand: streams made once from the scene."""
    if not np.array_equal(levels, levels_of(bits)):
        raise ValueError("only the scene was encoded")
    return streams[bits]


_HT_LOSSLESS = {8: HTJ2K_8_LOSSLESS, 16: HTJ2K_16_LOSSLESS}
LOSSY_16 = _KIND.JPEGExtendedProcess2_4
ENCODERS: dict[str, Callable[[Levels, int], bytes]] = {
    RLE: rle_stream,
    JPEG_BASELINE: functools.partial(gdcm_stream, _KIND.JPEGBaselineProcess1),
    JPEG_EXTENDED: jpeg_extended_stream,
    JPEG_LOSSLESS: functools.partial(gdcm_stream, _KIND.JPEGLosslessProcess14),
    JPEG_LOSSLESS_SV1: functools.partial(gdcm_stream, _KIND.JPEGLosslessProcess14_1),
    JPEG_LS: functools.partial(jpeg_ls_stream, 0),
    JPEG_LS_NEAR: functools.partial(jpeg_ls_stream, 2),
    J2K_LOSSLESS: functools.partial(jpeg_2000_stream, {}),
    J2K: functools.partial(jpeg_2000_stream, {"signal_noise_ratios": [50]}),
    HTJ2K_LOSSLESS: functools.partial(htj2k_stream, _HT_LOSSLESS),
    HTJ2K_RPCL: functools.partial(htj2k_stream, _HT_LOSSLESS),
    HTJ2K: functools.partial(htj2k_stream, {8: HTJ2K_8_LOSSY}),
}


def patched(elements: dict[str, str]) -> bytes:
    """Values that pydicom refuses to write are put in afterwards."""
    dataset = header(levels_of(12), 12)
    dataset.PixelData = levels_of(12).tobytes()
    dataset["PixelData"].VR = "OW"
    del dataset.PatientBirthDate, dataset.StudyDate
    marks = {}
    for number, (keyword, value) in enumerate(elements.items()):
        marks[f"@{number}".ljust(len(value), "@").encode()] = value.encode()
        dataset.add_new(keyword, "LO", f"@{number}".ljust(len(value), "@"))
    data = written(dataset)
    for mark, value in marks.items():
        data = data.replace(mark, value)
    return data
