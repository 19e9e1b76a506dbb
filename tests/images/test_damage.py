"""Damaged and hostile files: refused, or at worst harmless, and always soon."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.images import decode
from cxr_edge.types import DecodedImage, Reason
from tests.images.damage import MUTATIONS, cuts, outcome
from tests.images.films import (
    in_16_bits,
    jpeg,
    oriented,
    palette_image,
    png,
    png_chunk,
    raw_png,
    raw_tiff,
    scene,
    tiff,
    with_alpha,
)

MARKED = {
    "jpeg baseline": jpeg(),
    "jpeg progressive": jpeg(progressive=True),
    "jpeg optimised": jpeg(optimize=True),
    "jpeg restart markers": jpeg(restart_marker_rows=1),
    "jpeg with EXIF": oriented("JPEG", 6),
    "png 8 bit": png(),
    "png 16 bit": png(in_16_bits()),
    "png palette": png(palette_image()),
}
UNMARKED = {
    "tiff": tiff(),
    "tiff 16 bit": tiff(in_16_bits()),
    "tiff directory last": raw_tiff(scene()),
    "tiff lzw": tiff(compression="tiff_lzw"),
    "tiff deflate": tiff(compression="tiff_adobe_deflate"),
}


@pytest.mark.parametrize("data", MARKED.values(), ids=MARKED)
def test_short_file_is_refused_at_every_cut(data: bytes) -> None:
    outcomes = {outcome(data[:cut]) for cut in cuts(data)[1:]}
    assert outcomes <= {Reason.TRUNCATED, Reason.UNRECOGNISED}


@pytest.mark.parametrize("data", MARKED.values(), ids=MARKED)
def test_zero_filled_tail_is_refused_at_every_cut(data: bytes) -> None:
    """What a copy that reserved its space first leaves behind when it is interrupted."""
    outcomes = {outcome(data[:cut].ljust(len(data), b"\0")) for cut in cuts(data)[1:-2]}
    assert outcomes <= {Reason.TRUNCATED, Reason.CORRUPT, Reason.UNRECOGNISED}


@pytest.mark.parametrize("data", UNMARKED.values(), ids=UNMARKED)
def test_short_tiff_never_gives_other_pixels(data: bytes) -> None:
    for cut in cuts(data):
        made = outcome(data[:cut])
        assert isinstance(made, Reason) or np.array_equal(made.pixels, scene()), cut


@pytest.mark.parametrize("name", ["tiff lzw", "tiff deflate"])
def test_zero_filled_compressed_tiff_never_gives_other_pixels(name: str) -> None:
    data = UNMARKED[name]
    for cut in cuts(data):
        made = outcome(data[:cut].ljust(len(data), b"\0"))
        assert isinstance(made, Reason) or np.array_equal(made.pixels, scene()), cut


@pytest.mark.parametrize("name", ["png 8 bit", "png 16 bit", "png palette"])
def test_flipped_bit_in_a_png_never_gives_other_pixels(name: str) -> None:
    rng = random.Random(1)
    for _ in range(150):
        data = bytearray(MARKED[name])
        data[rng.randrange(8, len(data))] ^= 1 << rng.randrange(8)
        made = outcome(bytes(data))
        assert isinstance(made, Reason) or np.array_equal(made.pixels, scene())


def png_of_zeros(side: int) -> bytes:
    """A square of 8 bits that is small on disk."""
    packer = zlib.compressobj(9)
    row = bytes(1 + side)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    whole = raw_png(side, side, (8, 0), b"")
    empty = zlib.compress(b"")
    old = struct.pack(">I", len(empty)) + b"IDAT" + empty
    new = struct.pack(">I", len(packed)) + b"IDAT" + packed
    crc = struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    start = whole.index(old)
    return whole[:start] + new + crc + whole[start + len(old) + 4 :]


def jpeg_claiming(height: int, width: int) -> bytes:
    data = jpeg()
    frame = data.index(b"\xff\xc0") + 5
    return data[:frame] + struct.pack(">HH", height, width) + data[frame + 4 :]


def tiff_claiming(height: int, width: int) -> bytes:
    data = raw_tiff(scene())
    for tag, old, new in ((256, 64, width), (257, 48, height), (278, 48, height)):
        entry = struct.pack("<HHI", tag, 4, 1)
        data = data.replace(entry + struct.pack("<I", old), entry + struct.pack("<I", new))
    return data


BOMBS = {
    "png 64 megapixels": lambda: png_of_zeros(8000),
    "png 400 megapixels": lambda: raw_png(20000, 20000, (8, 0), b""),
    "png 10^18 pixels": lambda: raw_png(2**30, 2**30, (8, 0), b""),
    "jpeg 4 gigapixels": lambda: jpeg_claiming(65500, 65500),
    "jpeg 49 megapixels": lambda: jpeg_claiming(7000, 7000),
    "tiff 49 megapixels": lambda: tiff_claiming(7000, 7000),
    "tiff 10^18 pixels": lambda: tiff_claiming(2**30, 2**30),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_bomb_is_refused_by_its_header(make: Callable[[], bytes]) -> None:
    data = make()
    began = time.monotonic()
    assert outcome(data) is Reason.TOO_LARGE
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_bomb_is_refused_alike_where_warnings_are_errors(make: Callable[[], bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert outcome(make()) is Reason.TOO_LARGE


END = png()[-12:]
CHAINS = {
    "IEND in a text, cut behind it": png()[:33] + png_chunk(b"tEXt", b"a\0" + END),
    "IEND in a text, cut in the pixels": png()[:33] + png_chunk(b"tEXt", END) + png()[33:-40],
    "IEND without its checksum": png()[:-4],
    "IEND with half its checksum": png()[:-2],
    "IEND zeroed": png()[:-12] + bytes(12),
    "chunk longer than the file": png()[:33] + b"\x7f\xff\xff\xffIDAT",
}


@pytest.mark.parametrize("data", CHAINS.values(), ids=CHAINS)
def test_png_whose_chain_of_chunks_has_no_end(data: bytes) -> None:
    assert outcome(data) is Reason.TRUNCATED


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from pathlib import Path
from cxr_edge.images import decode
for path in sys.argv[1:]:
    print(decode(Path(path).read_bytes(), path).pixels[-1, :5].tolist())
"""


def large_png(bits: int, colour: int, sample: bytes) -> bytes:
    """36 megapixels, all alike."""
    packer = zlib.compressobj(1)
    rows = (b"\0" + sample * 6000) * 100
    body = b"".join(packer.compress(rows) for _ in range(60)) + packer.flush()
    header = struct.pack(">IIBBBBB", 6000, 6000, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.slow
def test_largest_films_fit_into_a_gigabyte(tmp_path: Path) -> None:
    """The address space that a decoder gets."""
    exif = Image.Exif()
    exif[0x0112] = 6
    films = {
        "grey16.png": large_png(16, 0, b"\x40\x00"),
        "rgb.png": large_png(8, 2, b"\x40\x40\x40"),
        "turned.tif": tiff(np.full((6000, 6000), 0x4000, np.int32), exif=exif),
    }
    for name, data in films.items():
        (tmp_path / name).write_bytes(data)
    made = subprocess.run(
        [sys.executable, "-c", LIMITED, *(str(tmp_path / name) for name in films)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines() == [str([64] * 5)] * 3


def test_tiff_of_many_pages_is_not_walked() -> None:
    """Each page costs Pillow a third of a millisecond: half a minute for this file of 6 MB."""
    first = raw_tiff(scene())
    (start,) = struct.unpack("<I", first[4:8])
    directory = first[start:-4]
    data = bytearray(first[:start])
    for page in range(50_000):
        position = len(data) + len(directory) + 4
        data += directory + struct.pack("<I", position if page < 49_999 else 0)
    began = time.monotonic()
    assert outcome(bytes(data)) is Reason.MULTI_FRAME
    assert time.monotonic() - began < 5


def test_decoding_side_by_side_leaves_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    film = jpeg(np.kron(scene(), np.ones((10, 10), np.uint8)))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: decode(film, "film.jpg"), range(40)))
    assert warnings.filters == before


FUZZ_SEED = int(os.environ.get("CXR_FUZZ_SEED", "20261122"))
FUZZ_FILMS = {
    **MARKED,
    **UNMARKED,
    "png alpha": png(with_alpha("LA", 255)),
    "tiff turned": oriented("TIFF", 6),
    "tiff big": tiff(big_tiff=True),
}


@pytest.mark.parametrize("seed", [FUZZ_SEED])
@pytest.mark.parametrize("name", FUZZ_FILMS)
def test_mutants_are_refused_or_decoded(name: str, seed: int) -> None:
    rng = random.Random(f"{seed} {name}")
    for number in range(40):
        data = bytearray(FUZZ_FILMS[name])
        for mutate in rng.choices(MUTATIONS, k=rng.randint(1, 3)):
            mutate(data, rng)
        began = time.monotonic()
        made = outcome(bytes(data))
        assert time.monotonic() - began < 5, number
        if isinstance(made, DecodedImage):
            assert made.format in ("JPEG", "PNG", "TIFF")
