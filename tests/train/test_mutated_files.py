"""Damaged files of every format: a picture, or a ValueError with the file's name, soon, in little memory.

As a script it reads so many damaged files and prints the peak of its memory: the child of the slow test.
"""

import io
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from children import printed_by
from PIL import Image, features

from erlangen.train.decoding import examine
from erlangen.train.folders import find_images, find_photographs
from erlangen.train.images import read_image
from erlangen.train.masks import read_mask

SECONDS = 10  # of processor time
MEMORY = 2 * 1024**3  # bytes
TELLING = (
    b"IHDR",
    b"IDAT",
    b"PLTE",
    b"tRNS",
    b"acTL",
    b"\xff\xc0",
    b"\xff\xc4",
    b"\xff\xda",
    b"VP8 ",
    b"ispe",
)
EXTREMES = (0, 1, 2, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def originals() -> dict[str, bytes]:
    """A small file of each kind, by its ending and what is special about it."""
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(24), np.arange(32))[..., None] * 4 + rng.integers(0, 30, (24, 32, 3))
    colour = Image.fromarray(smooth.astype(np.uint8))
    grey, palette = colour.convert("L"), colour.quantize(16)
    deep = Image.fromarray((smooth[..., 0] * 200).astype(np.uint16))
    real = Image.fromarray(smooth[..., 0].astype(np.float32))
    alpha = colour.convert("RGBA")
    exif = colour.getexif()
    exif[274] = 6
    kinds: dict[str, tuple[Image.Image, str, dict]] = {
        "rgb.png": (colour, "PNG", {"exif": exif}),
        "deep.png": (deep, "PNG", {}),
        "palette.png": (palette, "PNG", {"transparency": 3}),
        "alpha.png": (alpha, "PNG", {}),
        "animated.png": (colour, "PNG", {"save_all": True, "append_images": [colour.rotate(90)]}),
        "rgb.jpg": (colour, "JPEG", {"exif": exif}),
        "progressive.jpg": (colour, "JPEG", {"progressive": True}),
        "cmyk.jpg": (colour.convert("CMYK"), "JPEG", {}),
        "rgb.tif": (colour, "TIFF", {"tiffinfo": {274: 6}}),
        "deep.tif": (deep, "TIFF", {}),
        "real.tif": (real, "TIFF", {}),
        "lzw.tif": (colour, "TIFF", {"compression": "tiff_lzw"}),
        "deflate.tif": (deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "jpeg.tif": (colour, "TIFF", {"compression": "jpeg"}),
        "fax.tif": (grey.convert("1"), "TIFF", {"compression": "group4"}),
        "pages.tif": (grey, "TIFF", {"save_all": True, "append_images": [grey, grey]}),
        "rgb.webp": (colour, "WEBP", {}),
        "lossless.webp": (alpha, "WEBP", {"lossless": True}),
        "palette.gif": (palette, "GIF", {}),
        "animated.gif": (palette, "GIF", {"save_all": True, "append_images": [palette.rotate(90)]}),
        "rgb.bmp": (colour, "BMP", {}),
        "palette.bmp": (palette, "BMP", {}),
        "rgb.ppm": (colour, "PPM", {}),
        "deep.pgm": (deep, "PPM", {}),
        "rgb.jp2": (colour, "JPEG2000", {}),
        "deep.jp2": (deep, "JPEG2000", {}),
        "rgb.tga": (colour, "TGA", {"compression": "tga_rle"}),
        "views.mpo": (colour, "MPO", {"save_all": True, "append_images": [colour.rotate(90)]}),
    }
    if features.check("avif"):
        kinds["rgb.avif"] = (colour, "AVIF", {"speed": 10})
    files = {}
    for name, (image, format_, options) in kinds.items():
        image.save(file := io.BytesIO(), format_, **options)
        files[name] = file.getvalue()
    files["plain.pgm"] = b"P2\n4 3\n1023\n" + b" ".join(b"%d" % v for v in range(0, 1000, 84))
    files["real.pfm"] = b"Pf\n4 3\n-1.0\n" + np.linspace(-1, 2, 12, dtype="<f4").tobytes()
    return files


def bits(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 3, 30))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def head(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 4))):
        content[rng.randrange(min(len(content), 64))] = rng.randrange(256)


def number(content: bytearray, rng: random.Random) -> None:
    """A length, a size, an offset, a count: in the head, or after a name of a part."""
    marks = [content.find(mark) + len(mark) for mark in TELLING if mark in content]
    place = rng.choice([*marks, rng.randrange(len(content)), rng.randrange(min(64, len(content)))])
    width = rng.choice((1, 2, 4))
    value = rng.choice(EXTREMES) % 256**width
    content[place : place + width] = value.to_bytes(width, rng.choice(("big", "little")))


def cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content)) :]


def drop(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    del content[start : start + rng.randrange(1, 40)]


def repeat(content: bytearray, rng: random.Random) -> None:
    start, place = rng.randrange(len(content)), rng.randrange(len(content))
    content[place:place] = content[start : start + rng.randrange(1, 200)]


def noise(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content))
    length = min(rng.randrange(1, 64), len(content) - start)
    content[start : start + length] = rng.randbytes(length)


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    bits,
    head,
    number,
    cut,
    drop,
    repeat,
    noise,
)


def mutated(files: dict[str, bytes], seed: int) -> tuple[str, bytes]:
    """A damaged file and the name that it bears; in order, with two thirds unharmed but for one place."""
    rng = random.Random(seed)
    names = sorted(files)
    name = names[seed % len(names)]
    content = bytearray(files[name])
    if rng.random() < 0.1:  # the beginning of one file, the end of another
        other = files[rng.choice(names)]
        content = content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        if content:
            rng.choice(MUTATIONS)(content, rng)
    if rng.random() < 0.05:  # an ending that lies
        name = f"lie.{rng.choice(names).rpartition('.')[2]}"
    return name, bytes(content)


def outcome(way: Callable[[], object]) -> str:
    """What a way to read gives: "read", or the refusal, a ValueError; what takes long ends by a signal."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(12 * SECONDS)  # for what waits, on a busy machine
    try:
        way()
    except ValueError as error:
        return str(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    return "read"


def read_in_all_ways(path: Path, seed: int) -> bool:
    """Whether the photograph is read; whatever is refused is named, with what was expected."""
    ways: list[Callable[[], object]] = [
        lambda: read_image(path),
        lambda: examine(path),
        lambda: read_mask(path),
        lambda: read_mask(path, 3, ignore=255),
        lambda: find_images(path.parent),
    ]
    if seed % 10 == 0:
        ways.append(lambda: find_photographs(path.parent.parent).load(16))
    said = [outcome(way) for way in ways]
    unclear = [
        text for text in said if text != "read" and not ("expected" in text and path.parents[1].name in text)
    ]
    assert not unclear, unclear
    return said[0] == "read"


def try_files(seeds: range, folder: Path) -> dict[str, int]:
    """How often photographs were read and refused."""
    files, counts = originals(), {"read": 0, "refused": 0}
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    for seed in seeds:
        name, content = mutated(files, seed)
        paths = [folder / sub / f"a.{name.rpartition('.')[2]}" for sub in ("images", "masks")]
        for path in paths:
            path.write_bytes(content)
        print(f"{seed} {name}", file=sys.stderr, flush=True)
        counts["read" if read_in_all_ways(paths[0], seed) else "refused"] += 1
        for path in paths:
            path.unlink()
    return counts


@pytest.mark.parametrize("name", sorted(originals()))
def test_whole_files_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(originals()[name])
    if "animated" in name or "pages" in name:
        with pytest.raises(ValueError, match="of which only the first would be read"):
            read_image(tmp_path / name)
    else:
        assert max(read_image(tmp_path / name).size) >= 3


def test_some_damaged_files(tmp_path):
    counts = try_files(range(4 * len(originals())), tmp_path)
    assert min(counts.values()) > 20


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_ten_thousand_damaged_files(part):
    read, refused, peak = map(int, printed_by(__file__, part, 2000).split())
    assert read + refused == 2000
    assert min(read, refused) > 200
    assert peak <= MEMORY


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims to be large."""
    import struct
    import zlib

    content = bytearray(originals()["rgb.png"])
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("side", [14_000, 60_000, 2**31 - 1])
def test_bombs_are_refused_before_they_go_off(tmp_path, side):
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=r"a\.png has more pixels than can be read.*cut it into parts"):
            read(tmp_path / "a.png")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # kilobytes


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        tried = try_files(range(int(sys.argv[1]), int(sys.argv[2])), Path(place))
    print(tried["read"], tried["refused"], 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
