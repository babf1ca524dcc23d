"""What the directories of a TIFF file declare, and what Pillow passes over: pages, further bands, signs."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

MOST_PAGES = 10_000  # that are counted
SIGNED, FLOAT = 2, 3  # sample formats
REDUCED, MASK = 1, 4  # kinds of page: another resolution of a page, its transparency
LOSSY = {6, 7, 34712, 34892, 50001, 50002}  # compressions
COLOURS = {2: 3, 5: 4, 6: 3, 8: 3}  # bands of each photometric interpretation: RGB, CMYK, YCbCr, LAB; else 1


@dataclass(frozen=True)
class Layout:
    """How a TIFF file lays out its first page.

    Attributes:
        pages: how many there are, but for thumbnails, pyramids and transparency masks of others.
        thumbnail: whether the first page says that it is a smaller copy of another one.
        bits: of the numbers of each band.
        sample: 1 for unsigned, 2 for signed, 3 for floating point.
        photometric: the interpretation, 0 where zero is white.
        colours: bands that are colours.
        extra: what the others are: 1 and 2 alpha, 0 anything, None where the file does not say.
        planar: whether bands lie one after the other.
        lossy: whether compression changed the numbers: JPEG, JPEG 2000 or WebP.
    """

    pages: int
    thumbnail: bool
    bits: tuple[int, ...]
    sample: int
    photometric: int
    colours: int
    extra: tuple[int | None, ...]
    planar: bool
    lossy: bool

    def __str__(self) -> str:
        kind = {1: "unsigned", SIGNED: "signed", FLOAT: "floating point"}.get(self.sample, "unknown")
        bands = "1 band" if len(self.bits) == 1 else f"{len(self.bits)} bands"
        return f"{bands} of {max(self.bits)} bits, {kind}, photometric interpretation {self.photometric}"


def read_layout(path: Path) -> Layout:
    """Only from the directories of the file, whatever its pixels are.

    Raises:
        ValueError: for a file without a directory, or whose strips end before its rows do.
    """
    with open(path, "rb") as file:
        directories = _directories(file)
        first = next(directories, None)
        if first is None:
            raise ValueError("it has no directory of tags")
        _expect_all_rows(first)
        kinds = [_kind(first), *(_kind(directory) for directory in directories)]
    samples = int(first.get(277, 1))
    bits = tuple(int(b) for b in first.get(258, (1,)))
    photometric = int(first.get(262, 0))
    colours = min(COLOURS.get(photometric, 1), samples)
    declared = tuple(int(e) for e in first.get(338, ()))
    extra = (*declared, *[None] * samples)[: min(samples, 64) - colours]
    described = _described_pages(first, samples)
    return Layout(
        pages=max(sum(not kind & (REDUCED | MASK) for kind in kinds), described),
        thumbnail=bool(kinds[0] & REDUCED) and (len(kinds) > 1 or 330 in first),
        bits=bits,
        sample=max(int(s) for s in first.get(339, (1,))),
        photometric=photometric,
        colours=colours,
        extra=extra,
        planar=first.get(284, 1) == 2,
        lossy=first.get(259, 1) in LOSSY,
    )


def _directories(file: BinaryIO) -> Iterator[ImageFileDirectory_v2]:
    """The chain of directories; one that comes round in a circle ends."""
    head = file.read(8)
    head += file.read(8) if b"+" in head[2:4] else b""  # a large one, with offsets of 64 bits
    seen: set[int] = set()
    directory = ImageFileDirectory_v2(head)
    while directory.next and directory.next not in seen and len(seen) < MOST_PAGES:
        seen.add(directory.next)
        file.seek(directory.next)
        directory = ImageFileDirectory_v2(head) if len(seen) > 1 else directory
        directory.load(file)
        yield directory


def _expect_all_rows(first: ImageFileDirectory_v2) -> None:
    """ValueError where rows lie in no strip and no tile: Pillow leaves them black."""
    columns, rows = int(first.get(256, 0)), int(first.get(257, 0))
    if 324 in first:
        across = math.ceil(columns / max(int(first.get(322, columns)), 1))
        there = len(first[324]) // max(across, 1) * int(first.get(323, rows))
    elif 273 in first:
        there = len(first[273]) * int(first.get(278, rows))
    else:
        return
    if there < rows:
        raise ValueError(f"it is cut off after {there} of {rows} rows")


def _kind(directory: ImageFileDirectory_v2) -> int:
    """The bits of tag 254, or those that its old form means."""
    return int(directory.get(254, 0)) or (REDUCED if directory.get(255) == 2 else 0)


def _described_pages(first: ImageFileDirectory_v2, samples: int) -> int:
    """Pages without a directory of their own, as ImageJ and tifffile describe them."""
    depth = int(first.get(32997, 1))
    text = first.get(270, "")
    text = text if isinstance(text, str) else ""
    named = re.search(r"^images=(\d{1,9})\s*$", text, re.MULTILINE) if text.startswith("ImageJ=") else None
    if named:
        return max(depth, int(named[1]))
    try:
        shape = json.loads(text)["shape"] if text.startswith('{"shape"') else []
        whole = math.prod(int(length) for length in shape)
    except (ValueError, TypeError, KeyError, RecursionError):
        return depth
    return max(depth, whole // max(int(first.get(256, 1)) * int(first.get(257, 1)) * samples, 1))
