"""Files of other makers: the small ones that pydicom installs."""

from __future__ import annotations

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from tests.images import dicoms

# One scene in six syntaxes.
SAME = {
    dicoms.IMPLICIT: "MR_small_implicit.dcm",
    dicoms.EXPLICIT: "MR_small.dcm",
    dicoms.BIG_ENDIAN: "MR_small_bigendian.dcm",
    dicoms.RLE: "MR_small_RLE.dcm",
    dicoms.JPEG_LS: "MR_small_jpeg_ls_lossless.dcm",
    dicoms.J2K_LOSSLESS: "MR_small_jp2klossless.dcm",
}
OTHERS = {
    dicoms.JPEG_LS_NEAR: "JPEGLSNearLossless_16.dcm",
    dicoms.J2K: "JPEG2000.dcm",
}
EXTENDED = "JPGExtended.dcm"
FOREIGN = {**SAME, **OTHERS, dicoms.JPEG_EXTENDED: EXTENDED}


def local(name: str) -> Dataset:
    return dcmread(str(get_testdata_file(name, download=False)))


def relabelled(dataset: Dataset) -> bytes:
    """The same pixels in a digital x-ray without a window."""
    dataset.SOPClassUID, dataset.Modality = dicoms.DX, "DX"
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        if keyword in dataset:
            del dataset[keyword]
    return dicoms.written(dataset, dataset.file_meta.TransferSyntaxUID)
