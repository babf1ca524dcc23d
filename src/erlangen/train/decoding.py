"""Files of pixels, decoded: the exact numbers that a photograph or a mask holds, and how it holds them."""

import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from erlangen.train.parts import Parts
from erlangen.train.quiet import QUIET
from erlangen.train.tiff import FLOAT, SIGNED, Layout, read_layout

Array = np.ndarray
FORMATS = (
    "PNG",
    "JPEG",
    "MPO",
    "TIFF",
    "WEBP",
    "GIF",
    "BMP",
    "DIB",
    "PPM",
    "JPEG2000",
    "TGA",
    "AVIF",
    "HEIF",
)
COLOURED = {"RGB", "RGBA", "LA", "CMYK"}
LOSSY = {"JPEG", "MPO", "AVIF", "HEIF"}
FIRST_IS_WHOLE = {"MPO", "HEIF"}  # what follows are previews and other views of one photograph
# as decoders of 11 to 20 bytes a pixel hold in 2 GiB; of others Pillow takes 178,956,970 pixels at most
MOST_PIXELS = {"JPEG2000": 90_000_000, "WEBP": 100_000_000, "AVIF": 140_000_000, "HEIF": 140_000_000}
STRIP = 2**22  # pixels that are copied at once: an array of the whole is never held twice
ORDER = "L" if sys.byteorder == "little" else "B"
NATIVE = {f"{mode};16N": f"{mode};16{ORDER}" for mode in ("RGB", "RGBA")} | {
    "I;16BS": "I;16NS",
    "I;32BS": "I;32NS",
    "F;32BF": "F;32NF",
}
LOW_BYTES = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B"}
BITS = {"1": 1, "I": 32, "F": 32} | {f"I;16{order}": 16 for order in ("", "L", "B", "N")}
SIGNATURES = {  # what is often given in place of an image, by its first bytes
    b"8BPS": "a Photoshop document",
    b"%!PS": "a PostScript file",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"PK\x03\x04": "a ZIP archive",
    b"SIMPLE  =": "a FITS file",
    b"<?xml": "a text in XML",
    b"<svg": "a drawing in SVG",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS, which `git lfs pull` replaces by the file",
}


@dataclass(frozen=True)
class Facts:
    """How a file holds its pixels.

    Attributes:
        name: of the file.
        format: Pillow's name of it, such as ``"PNG"``; empty for pixels that come from no file.
        mode: Pillow's name for the kind of its pixels, such as ``"RGB"``.
        size: width and height, upright.
        bits: of one number in the file.
        top: the largest number of a file of 8 bits or fewer, which is white; 255 for most.
        pages: of MPO and HEIF more than one, of others one.
        orientation: the EXIF turn, 1 to 8, that the decoded array is already free of.
        kind: of numbers, as NumPy has it: "u" unsigned, "i" signed, "f" floating point.
        lossy: whether compression changed the numbers.
        white_is_zero: whether the file declares zero to be white; in the array it is black, as elsewhere.
        profile: whether there is a colour profile, which nothing here looks at.
    """

    name: str
    format: str
    mode: str
    size: tuple[int, int]
    bits: int = 8
    top: int = 255
    pages: int = 1
    orientation: int = 1
    kind: str = "u"
    lossy: bool = False
    white_is_zero: bool = False
    profile: bool = False

    @property
    def is_deep(self) -> bool:
        """Whether numbers are other than 0 to 255, so that their scale is a matter of the data set."""
        return self.bits > 8 or self.kind != "u"

    def __str__(self) -> str:
        parts = [
            f"{self.format or 'pixels'} {self.mode}, {self.bits} bits",
            f"{self.size[0]} x {self.size[1]}",
        ]
        parts += [f"the first of {self.pages} views"] if self.pages > 1 else []
        parts += ["turned upright as its EXIF data say"] if self.orientation != 1 else []
        parts += ["its colour profile is ignored"] if self.profile else []
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds.

    Attributes:
        facts: how.
        values: the exact numbers, in the depth of the file; indices where there is a palette. Colours in
            another space than RGB are converted to it.
        alpha: how opaque each pixel is, on the scale of 0 to 255; None for all.
        palette: the colours of the indices.

    Shapes: values ``(height, width)`` or ``(height, width, 3)``, alpha ``(height, width)``, palette
    ``(256, 3)``.
    """

    facts: Facts
    values: Num[Array, "height width *bands"]
    alpha: Num[Array, "height width"] | None = None
    palette: Num[Array, "256 3"] | None = None

    def painted(self, palette: Num[Array, "256 3"]) -> Image.Image:
        """The indices in the colours of a palette."""
        image = Image.fromarray(self.values)
        image.putpalette(palette.tobytes())
        return image.convert("RGB")


Source = Path | Parts[Facts, Decoded]  # of pixels: a file, or what is put together of some


class Refused(ValueError):
    """A file that is whole, but holds what would be lost silently."""


def examine(path: Source) -> Facts:
    """How the file holds its pixels, from its head.

    Raises:
        ValueError: as `decode`.
    """
    if isinstance(path, Parts):
        return path.examine()
    with _named(path, "an image"), _opened(path) as (image, layout):
        return _facts(image, layout, path)


def decode(path: Source, kind: str = "an image") -> Decoded:
    """All that the file holds, upright.

    Args:
        path: the file.
        kind: the word for it in what is raised.

    Raises:
        ValueError: naming the file, for what cannot be decoded, and for what would be decoded in part:
            further pages, bands that are neither colours nor alpha, 16 bits of which 8 would be lost.
    """
    if isinstance(path, Parts):
        return path.read()
    with _named(path, kind), _opened(path) as (image, layout):
        facts = _facts(image, layout, path)
        return _decoded(image, facts, layout, path)


def decode_open(image: Image.Image) -> Decoded:
    """The same of an image that is open in Pillow, at the frame where it stands.

    Raises:
        ValueError: for one whose file is broken.
    """
    name = Path(str(getattr(image, "filename", "") or "the image"))
    with _named(name, "an image"), QUIET:
        kind, orientation = {"F": "f", "I": "i"}.get(image.mode, "u"), _orientation(image)
        bits = BITS.get(image.mode, 8)
        facts = Facts(str(name), "", image.mode, image.size, bits, orientation=orientation, kind=kind)
        return _decoded(image.copy(), facts, None, name)


def turned_upright(values: Array, orientation: int) -> Array:
    """Undo the turn or flip that EXIF calls by 1 to 8; the first two axes are rows and columns."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    values = values[::-1] if orientation in (3, 4, 7, 8) else values
    values = values[:, ::-1] if orientation in (2, 3, 6, 7) else values
    return np.ascontiguousarray(values)


@contextmanager
def _named(path: Path, kind: str) -> Iterator[None]:
    """Whatever a decoder raises becomes one ValueError with the name of the file; Ctrl-C stays what it is."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        mend = "export it again" if kind == "a mask" else "export it again, or take it away"
        expected = (
            "a whole PNG of the image's size" if kind == "a mask" else "a whole PNG, JPEG, TIFF or the like"
        )
        raise ValueError(
            f"{path} cannot be read as {kind} ({_reason(path, error)}); expected {expected}; {mend}"
        ) from error


def _reason(path: Path, error: Exception) -> str:
    """What the decoder said, or what the file is, if that shows."""
    if isinstance(error, OSError) and path.is_file():
        with open(path, "rb") as file:
            head = file.read(132)
        if not head:
            return "it is empty"
        if head[128:] == b"DICM":
            return "it is a DICOM file"
        if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
            return "it is a HEIC file, which Pillow reads once pillow-heif is installed and registered"
        known = [what for first, what in SIGNATURES.items() if head.lstrip().startswith(first)]
        if known:
            return f"it is {known[0]}"
    return str(error) or type(error).__name__


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ImageFile.ImageFile, Layout | None]]:
    """The file open in Pillow, nothing decoded, and the layout of a TIFF."""
    if not path.is_file():
        raise OSError("it is no file")
    with open(path, "rb") as file:
        is_tiff = file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    with QUIET:
        layout = read_layout(path) if is_tiff else None
        if layout:
            _expect_whole(layout, path)
        with _in_pillow(path, layout) as image:
            yield image, layout


@contextmanager
def _in_pillow(path: Path, layout: Layout | None) -> Iterator[ImageFile.ImageFile]:
    """The file open in Pillow, which is not told its name: mapped into memory, some come out torn."""
    Image.init()
    with open(path, "rb") as file:
        try:
            image = Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
        except Image.DecompressionBombError as error:
            raise _too_large(path, 2 * (Image.MAX_IMAGE_PIXELS or 0)) from error
        except UnidentifiedImageError as error:
            if layout is None:
                raise OSError("it begins as no image does") from error
            raise Refused(
                f"{path} holds {layout}, which cannot be read; expected grey of 1 to 16 bits, of 32 bits or "
                "floating point, or colours of 8 or 16 bits; save it as one of these"
            ) from error
        if not isinstance(image, ImageFile.ImageFile):
            raise OSError("it holds no pixels")
        most = MOST_PIXELS.get(image.format or "")
        if most is not None and Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > most:
            raise _too_large(path, most)
        raw = _raw_mode(image)
        if raw in NATIVE and image.tile[0][0] == "libtiff":  # whose numbers are in the machine's order
            _set_raw_mode(image, NATIVE[raw])
        with image:
            yield image


def _too_large(path: Path, most: int) -> Refused:
    return Refused(
        f"{path} has more pixels than can be read, expected at most {most:,} in a file of its format; cut it "
        "into parts, or shrink it (in Python, PIL.Image.MAX_IMAGE_PIXELS = None lifts the bound)"
    )


def _facts(image: ImageFile.ImageFile, layout: Layout | None, path: Path) -> Facts:
    """From the head; what would be lost silently is refused."""
    name, bits, top = image.format or "", BITS.get(image.mode, 8), 255
    lossy = name in LOSSY or (layout is not None and layout.lossy)
    pages = layout.pages if layout else int(getattr(image, "n_frames", 1))
    if pages > 1 and name not in FIRST_IS_WHOLE:
        raise Refused(
            f"{path} holds {pages} {'pages' if layout else 'frames'}, of which only the first would be read, "
            "expected one; save each as a file of its own"
        )
    if layout:
        bits = max(layout.bits)
    elif name == "PNG":
        with open(path, "rb") as file:
            bits = file.read(25)[24]
        bits = 8 if image.mode in ("P", "PA") else bits
    elif name == "JPEG2000":
        bits, lossy = _code_of_jpeg2000(path)
    elif name == "WEBP":
        lossy = _is_lossy_webp(path)
    elif name == "PPM" and image.mode != "F":
        arguments = image.tile[0][3]
        top = arguments[1] if isinstance(arguments, tuple) and len(arguments) == 2 else 2**bits - 1
        top = 65535 if arguments == "I;16B" else top
        bits = int(top).bit_length()
    if bits <= 8 and image.mode in ("1", "L") and name in ("PNG", "TIFF"):
        top = 2**bits - 1
    orientation = _orientation(image)
    width, height = image.size
    swapped = orientation in (5, 6, 7, 8) and layout is None  # Pillow names the size of a TIFF upright
    return Facts(
        name=str(path),
        format=name,
        mode=image.mode,
        size=(height, width) if swapped else (width, height),
        bits=bits,
        top=top,
        pages=pages,
        orientation=orientation,
        kind=_kind(image, layout),
        lossy=lossy,
        white_is_zero=layout is not None and layout.photometric == 0,
        profile="icc_profile" in image.info,
    )


def _kind(image: Image.Image, layout: Layout | None) -> str:
    """Of numbers, as NumPy has it."""
    sample = layout.sample if layout else 0
    return "f" if image.mode == "F" or sample == FLOAT else "i" if sample == SIGNED else "u"


def _expect_whole(layout: Layout, path: Path) -> None:
    """Refuse a TIFF file of which only a part would be read."""
    if layout.thumbnail:
        raise Refused(
            f"{path} begins with a smaller copy of its photograph, expected the photograph itself as the "
            "first page; develop the raw file, or save it as a plain TIFF"
        )
    beyond = len(layout.extra) - (layout.extra[:1] in ((1,), (2,), (None,)))
    if beyond > 0:
        raise Refused(
            f"{path} holds {len(layout.extra) + layout.colours} bands, of which {layout.colours} "
            f"{'is grey' if layout.colours == 1 else 'are colours'} and {beyond} would be lost; expected "
            "grey or colours, and alpha that is declared as such; save those that count by themselves"
        )


def _code_of_jpeg2000(path: Path) -> tuple[int, bool]:
    """From the head of its code stream: the bits of the first band, and whether its wavelet rounds."""
    with open(path, "rb") as file:
        head = file.read(2**16)
    start = head.find(b"\xff\x4f\xff\x51")
    (depth,) = struct.unpack_from(">B", head, start + 42)
    place = start + 2
    while place + 13 < len(head):
        marker, length = struct.unpack_from(">HH", head, place)
        if marker == 0xFF52:  # how coefficients are coded: the wavelet 0 is of fractions, 1 of integers
            return (depth & 0x7F) + 1, head[place + 13] == 0
        place += 2 + length
    return (depth & 0x7F) + 1, False


def _is_lossy_webp(path: Path) -> bool:
    """Whether a chunk of it, or of its one frame, is compressed with loss."""
    with open(path, "rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8 "
            file.seek(16 if name == b"ANMF" else length + length % 2, 1)
    return True


def _orientation(image: Image.Image) -> int:
    """1 to 8, and 1 for data that cannot be read: the picture does not depend on them otherwise."""
    try:
        orientation = image.getexif().get(274, 1)
    except Exception:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _decoded(image: Image.Image, facts: Facts, layout: Layout | None, path: Path) -> Decoded:
    """Pixels to numbers."""
    whole = not facts.lossy or facts.format == "JPEG2000"  # other decoders of what is lossy have but 8 bits
    if facts.bits > 8 and whole and facts.format and image.mode in COLOURED:
        values, alpha = _deep_colours(facts, layout, path)
    else:
        values, alpha = _values(image, facts, layout)
    palette = _palette(image) if image.mode in ("P", "PA") else None
    if layout and layout.extra == (None,) and alpha is not None and not np.isin(alpha, (0, 255)).all():
        raise Refused(
            f"{path} holds a fourth band that is neither declared as alpha nor only 0 and the largest "
            "number, expected colours and alpha; declare it (extra samples), or save only the colours"
        )
    image.close()
    if layout is None and facts.orientation != 1:  # Pillow turns a TIFF itself
        values = turned_upright(values, facts.orientation)
        alpha = None if alpha is None else turned_upright(alpha, facts.orientation)
    return Decoded(facts, values, alpha, palette)


def _values(image: Image.Image, facts: Facts, layout: Layout | None) -> tuple[Array, Array | None]:
    """Numbers as Pillow holds them, brought back to what the file holds, and alpha."""
    alpha = None
    if "transparency" in image.info and image.mode.startswith("I"):
        alpha = np.where(pixels(image) == image.info["transparency"], 0, 255).astype(np.uint8)
    elif "transparency" in image.info or image.mode in ("PA", "LA", "La", "RGBA", "RGBa"):
        alpha = pixels(image.convert("RGBA").getchannel("A"))
    if image.mode in ("RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "RGBX"):
        image = image.convert("RGB")
    elif image.mode == "LAB":
        spaces = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.buildTransform(*spaces, "LAB", "RGB").apply(image)
    elif image.mode == "La":
        image = image.convert("LA")
    values = pixels(image)
    if image.mode in ("LA", "PA"):
        values = np.ascontiguousarray(values[..., 0])
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return _restored(values, facts, layout), alpha


def _restored(values: Array, facts: Facts, layout: Layout | None) -> Array:
    """Undo what Pillow does to numbers: stretched to 8 or 16 bits, signs mistaken, white left at zero."""
    if layout and values.dtype == np.uint8 and layout.sample == SIGNED:
        values = values.view(np.int8)
    elif layout and values.dtype == np.int32 and layout.sample not in (SIGNED, FLOAT) and facts.bits == 32:
        values = values.view(np.uint32)
    elif layout and values.dtype == np.uint16 and facts.white_is_zero:
        values = ~values
    elif facts.format == "JPEG2000":
        values >>= values.dtype.itemsize * 8 - facts.bits
    elif facts.format == "PPM" and facts.top not in (1, 255, 65535):
        full = 65535 if values.dtype == np.int32 else 255
        values = np.rint(values * (facts.top / full)).astype(np.uint16 if full == 65535 else np.uint8)
    elif facts.top in (3, 15):
        values = values // (255 // facts.top)
    if facts.format == "PPM" and values.dtype == np.int32:
        values = values.astype(np.uint16)
    return values


def _deep_colours(facts: Facts, layout: Layout | None, path: Path) -> tuple[Array, Array | None]:
    """Colours of 16 bits, of which Pillow gives the high 8: the low ones are read a second time."""
    values = alpha = None
    for is_low in (False, True):
        with _in_pillow(path, layout) as image:
            raw = _raw_mode(image)
            if raw not in LOW_BYTES or (layout is not None and layout.planar):
                raise Refused(
                    f"{path} holds numbers of {facts.bits} bits as {facts.mode}, of which 8 would be lost, "
                    "expected RGB of 16 bits in PNG or TIFF, with the colours of a pixel together, grey of "
                    "16 bits without alpha, or 8 bits; save it as one of these"
                )
            if is_low:
                _set_raw_mode(image, LOW_BYTES[raw])
            image.load()
            if values is None:
                values = np.zeros((image.height, image.width, 3), np.uint16)
                alpha = np.zeros(values.shape[:2], np.uint8) if image.mode == "RGBA" else None
            for rows in _rows(image):
                part = np.asarray(_part(image, rows))
                values[rows] |= part[..., :3] if is_low else part[..., :3].astype(np.uint16) << 8
                if alpha is not None and not is_low:
                    alpha[rows] = part[..., 3]
            clear = image.info.get("transparency")
    if isinstance(clear, tuple) and len(clear) == 3:
        alpha = np.where((values == np.array(clear)).all(-1), 0, 255).astype(np.uint8)
    return values, alpha


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How Pillow's decoder will unpack the pixels."""
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments if isinstance(arguments, str) else (arguments or [""])[0])


def _set_raw_mode(image: ImageFile.ImageFile, raw: str) -> None:
    """Let it unpack them so."""
    tiles: list[Any] = image.tile  # of tuples, named ones since Pillow 11
    for i, (name, box, offset, arguments) in enumerate(tiles):
        changed = raw if isinstance(arguments, str) else (raw, *arguments[1:])
        kind = getattr(type(tiles[i]), "_make", tuple)
        tiles[i] = kind((name, box, offset, changed))


def _rows(image: Image.Image) -> Iterator[slice]:
    """Some rows at a time."""
    step = max(STRIP // max(image.width, 1), 1)
    return (slice(top, min(top + step, image.height)) for top in range(0, image.height, step))


def _part(image: Image.Image, rows: slice) -> Image.Image:
    return image.crop((0, rows.start, image.width, rows.stop))


def pixels(image: Image.Image) -> Array:
    """The image as an array, without a third copy on the way."""
    image.load()
    first = np.asarray(image.crop((0, 0, 1, 1)))
    whole = np.empty((image.height, image.width, *first.shape[2:]), first.dtype)
    for rows in _rows(image):
        whole[rows] = np.asarray(_part(image, rows))
    return whole


def _palette(image: Image.Image) -> Array:
    """The colours of the indices 0 to 255."""
    colours = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    return np.concatenate([colours, np.zeros((256 - len(colours), 3), np.uint8)])
