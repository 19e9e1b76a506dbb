"""JPEGs decoded at a reduced scale: the same film to the network, and the same damage seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.intake.gates import pixel_warnings
from cxr_edge.intake.prepared import IntakeSettings, Scope
from cxr_edge.model.catalog import bundled_specs, choose_model
from cxr_edge.preprocess import VIEW_SIDE, to_network_input, to_view, without_border
from cxr_edge.runtime import Device, load
from cxr_edge.types import DecodedImage, InputWarning
from tests.factories import chest
from tests.images.films import encode, jpeg, png, scene, tiff

INCOMING = Path(__file__).parents[1] / "data" / "incoming"
# The originals are so large: height and width, odd ones among them, for which a reduction pads.
SIZES = ((768, 1024), (971, 1328), (1217, 1631), (1539, 1801), (2713, 2916))
AT_LEAST = VIEW_SIDE  # pixels a side, for all the bundled models but the largest
WORST_FILM, WORST_LEVEL = 0.5, 12  # grey levels; the design allows 2 in the mean


def real_size(path: Path, index: int) -> bytes:
    """A film of the tests, enlarged and with the grain of a detector."""
    height, width = SIZES[index % len(SIZES)]
    small = Image.open(path).convert("L").resize((width, height), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(index).normal(0, 4, (height, width))
    levels = np.clip(np.asarray(small) + noise + 0.5, 0, 255).astype(np.uint8)
    film = Image.fromarray(levels)
    return encode(film if index % 7 else film.convert("RGB"), "JPEG", quality=90)


@pytest.fixture(scope="module")
def films() -> list[tuple[DecodedImage, DecodedImage]]:
    """Each film whole, and as it is decoded to be scored."""
    pairs = [(decode(each, "a.jpg"), decode(each, "a.jpg", at_least=AT_LEAST)) for each in data()]
    assert {reduced.reduction for _, reduced in pairs} == {2, 4}
    return pairs


def data() -> list[bytes]:
    paths = sorted([*INCOMING.glob("*IM-*"), *INCOMING.glob("person*")])
    assert len(paths) == 28
    return [real_size(path, index) for index, path in enumerate(paths[::2])]


def at_least(size: int) -> int:
    return IntakeSettings(size, Scope((1.0, 5.0), ())).at_least


def network_input(image: DecodedImage, size: int) -> NDArray[np.uint8]:
    return to_network_input(without_border(image.pixels, image.extent), size)


def gated(image: DecodedImage) -> tuple[InputWarning, ...]:
    return pixel_warnings(image, without_border(image.pixels, image.extent), 128)


@pytest.mark.parametrize("name", [spec.name for spec in bundled_specs()])
def test_the_network_sees_the_same_and_decides_the_same(
    name: str, films: list[tuple[DecodedImage, DecodedImage]]
) -> None:
    choice = choose_model(name)
    needed = at_least(choice.spec.size)
    if needed > AT_LEAST:
        films = [
            (whole, decode(each, "a.jpg", at_least=needed))
            for each, (whole, _) in zip(data(), films, strict=True)
        ]
    whole, reduced = (
        np.stack([network_input(image, choice.spec.size) for image in images])
        for images in zip(*films, strict=True)
    )
    apart = np.abs(whole.astype(int) - reduced)
    assert apart.mean(axis=(1, 2, 3)).max() < WORST_FILM
    assert apart.max() <= WORST_LEVEL
    runner = load(choice, Device("cpu"))
    probabilities = [runner.predict(images).probability for images in (whole, reduced)]
    for point in choice.spec.operating_points.values():
        decisions = [each >= point.threshold for each in probabilities]
        assert np.array_equal(*decisions)


def test_the_gates_say_the_same(films: list[tuple[DecodedImage, DecodedImage]]) -> None:
    for whole, reduced in films:
        assert gated(reduced) == gated(whole)
        assert (reduced.warnings, reduced.format) == (whole.warnings, whole.format)
        assert (reduced.width, reduced.height) == (whole.width, whole.height)


LARGE_CHEST = Image.fromarray(chest(801, 1101))
ODD = {
    "inverted": (ImageOps.invert(LARGE_CHEST), (InputWarning.INVERTED,)),
    "coloured": (
        ImageOps.colorize(LARGE_CHEST, "black", "orange"),
        (InputWarning.COLOUR,),
    ),
}


@pytest.mark.parametrize(("film", "said"), ODD.values(), ids=ODD)
def test_odd_films_are_noticed(film: Image.Image, said: tuple[InputWarning, ...]) -> None:
    reduced = decode(jpeg(film), "a.jpg", at_least=AT_LEAST)
    assert reduced.reduction == 2
    assert (*reduced.warnings, *gated(reduced)) == said


REDUCTIONS = {
    "no need": (0, 1),
    "just too small": (301, 1),
    "half": (300, 2),
    "quarter": (150, 4),
    "not less than an eighth": (1, 8),
}


@pytest.mark.parametrize(("at_least", "reduction"), REDUCTIONS.values(), ids=REDUCTIONS)
def test_scale(at_least: int, reduction: int) -> None:
    image = decode(jpeg(scene(601, 801)), "a.jpg", at_least=at_least)
    assert image.reduction == reduction
    assert image.pixels.shape == (-(-601 // reduction), -(-801 // reduction))
    assert (image.height, image.width) == (601, 801)
    assert image.extent == (801 / reduction, 601 / reduction)


def test_what_is_padded_does_not_shift_the_film() -> None:
    """Reduced to an eighth, 577 rows are 73: three rows of the last one and five of padding."""
    film = jpeg(scene(577, 601))
    image = decode(film, "a.jpg", at_least=1)
    whole = network_input(decode(film, "a.jpg"), 32).astype(int)
    assert np.abs(network_input(image, 32) - whole).mean() < 1
    assert np.abs(to_network_input(without_border(image.pixels), 32) - whole).mean() > 1


@pytest.mark.parametrize("data", [png(scene(601, 801)), tiff(scene(601, 801))], ids=["PNG", "TIFF"])
def test_other_formats_have_no_short_cut(data: bytes) -> None:
    image = decode(data, "", at_least=50)
    assert (image.reduction, image.pixels.shape) == (1, (601, 801))


def test_an_oriented_film_is_decoded_whole() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode(jpeg(scene(601, 801), exif=exif), "a.jpg", at_least=50)
    assert (image.reduction, image.pixels.shape) == (1, (801, 601))


VIEWS = {
    "of a half": ((971, 1328), 2, (281, 384)),
    "of a quarter": ((1536, 1536), 4, (384, 384)),
    "of the whole": ((500, 600), 1, (320, 384)),
}


@pytest.mark.parametrize(("shape", "reduction", "shown"), VIEWS.values(), ids=VIEWS)
def test_a_view_needs_no_more_pixels(
    shape: tuple[int, int], reduction: int, shown: tuple[int, int]
) -> None:
    reduced = decode(jpeg(scene(*shape)), "a.jpg", at_least=AT_LEAST)
    assert (reduced.reduction, to_view(without_border(reduced.pixels)).shape) == (reduction, shown)


@pytest.mark.parametrize(("size", "expected"), [(50, 384), (128, 384), (224, 672)])
def test_a_larger_network_asks_for_more(size: int, expected: int) -> None:
    assert at_least(size) == expected


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_damage_is_seen_as_in_the_whole_film(progressive: bool) -> None:
    """Cut anywhere with an end put behind, and with bytes gone in the middle."""
    whole = jpeg(scene(300, 400), progressive=progressive)
    for cut in range(len(whole) // 40, len(whole) - 2, len(whole) // 40):
        for data in (whole[:cut], whole[:cut] + b"\xff\xd9", whole[:cut] + whole[cut + 30 :]):
            assert outcome(data, 40) == outcome(data, 0), (cut, len(data))


def outcome(data: bytes, at_least: int) -> str:
    try:
        decode(data, "a.jpg", at_least=at_least)
    except ImageError as error:
        return error.reason
    return "decoded"
