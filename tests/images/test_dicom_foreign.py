"""Files of other makers: the small ones that pydicom installs, relabelled as radiographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.images.dicom_syntax import SYNTAXES
from cxr_edge.types import Reason
from tests.images import dicoms
from tests.images.foreign import EXTENDED, FOREIGN, OTHERS, SAME, local, relabelled

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.", r"ignore:.*:UserWarning")


def grey_by_pydicom(dataset: Dataset) -> NDArray[np.float64]:
    """Full range of the stored bits."""
    lowest = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
    fractions = (dataset.pixel_array.astype(float) - lowest) / (2**dataset.BitsStored - 1)
    return np.floor(fractions * 255 + 0.5)


@pytest.mark.parametrize("name", [*SAME.values(), *OTHERS.values()])
def test_grey_levels_are_those_of_pydicom(name: str) -> None:
    """Which decodes JPEG 2000 with another library, GDCM."""
    made = decode(relabelled(local(name)), "film.dcm").pixels
    assert np.abs(made - grey_by_pydicom(local(name))).max() <= 1


def test_one_scene_in_six_syntaxes() -> None:
    made = [decode(relabelled(local(name)), "film.dcm").pixels for name in SAME.values()]
    assert all(np.array_equal(made[0], other) for other in made[1:])


def test_twelve_bit_jpeg() -> None:
    """The two samples that pydicom's own tests expect."""
    dataset = local(EXTENDED)
    dataset.SOPClassUID, dataset.Modality = dicoms.DX, "DX"
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    pixels = decode(dicoms.written(dataset, dicoms.JPEG_EXTENDED), "film.dcm").pixels
    assert (pixels[420, 140], pixels[230, 120]) == (244, 95)


def test_files_are_in_the_syntax_they_stand_for() -> None:
    found = {str(local(name).file_meta.TransferSyntaxUID) for name in FOREIGN.values()}
    assert found == set(FOREIGN) <= set(SYNTAXES)


AS_THEY_ARE = {
    "CT_small.dcm": Reason.MODALITY,
    "SC_rgb_jpeg_dcmtk.dcm": Reason.COLOUR_SPACE,
    "no_meta.dcm": Reason.UNRECOGNISED,
    "rtdose.dcm": Reason.NOT_AN_IMAGE,
    "rtstruct.dcm": Reason.UNRECOGNISED,
    "test-SR.dcm": Reason.NO_FILM,
}


@pytest.mark.parametrize(("name", "reason"), AS_THEY_ARE.items(), ids=AS_THEY_ARE)
def test_what_is_no_radiograph(name: str, reason: Reason) -> None:
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    with pytest.raises(ImageError) as caught:
        decode(data, name)
    assert caught.value.reason is reason
