"""Mask files by the libraries that write them, with known values: right, or refused by name; all of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from erlangen.train.masks import how_to_read, read_mask

pytestmark = pytest.mark.slow
Y, X = np.mgrid[:60, :80]
TRUTH = (np.hypot(Y - 20, X - 24) < 12) | (np.hypot(Y - 42, X - 58) < 14)
ONES = TRUTH.astype(np.uint8)
BYTES = 255 * ONES
IDS = (ONES * (1 + (X > 40) + 2 * (Y > 30))).astype(np.uint8)
RED = np.stack([BYTES, 0 * BYTES, 0 * BYTES], -1)


def pillow(**options):
    return lambda array, path: Image.fromarray(array).save(path, **options)


def pillow_in(mode, **options):
    return lambda array, path: Image.fromarray(array).convert(mode).save(path, **options)


def tifffile(**options):
    def write(array, path):
        import tifffile as library

        library.imwrite(path, array, **options)

    return write


def imageio(array, path):
    import imageio.v3 as library

    library.imwrite(path, array)


def opencv(*flags):
    def write(array, path):
        import cv2

        assert cv2.imwrite(str(path), array if array.ndim == 2 else array[..., ::-1], list(flags))

    return write


def opencv_quality(quality):
    import cv2

    return opencv(cv2.IMWRITE_JPEG_QUALITY, quality)


def indexed(array, path):
    image = Image.fromarray(array)
    image = image.convert("P") if image.mode == "L" else image.quantize(4)
    image.save(path)


def voc_palette(array, path):
    """Indices with the colours of Pascal VOC, as annotation tools write them."""
    image = Image.new("P", array.shape[::-1])
    image.putdata(array.reshape(-1).tolist())
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128])
    image.save(path)


def alpha_only(array, path):
    Image.merge("RGBA", [Image.new("L", array.shape[::-1], 0)] * 3 + [Image.fromarray(array)]).save(path)


READ = {  # name: (ending, array, how it is written)
    "png, 0/255, Pillow": ("png", BYTES, pillow()),
    "png, 0/1, Pillow": ("png", ONES, pillow()),
    "png, 1 bit, Pillow": ("png", TRUTH, pillow()),
    "png, 2 bits, Pillow": ("png", IDS, indexed),
    "png, palette of VOC": ("png", IDS, voc_palette),
    "png, ids of 16 bits, Pillow": ("png", IDS.astype(np.uint16) * 1000, pillow()),
    "png, RGB of one grey": ("png", BYTES, pillow_in("RGB")),
    "png, RGBA, opaque": ("png", BYTES, pillow_in("RGBA")),
    "png, grey and alpha": ("png", BYTES, pillow_in("LA")),
    "png, alpha only": ("png", BYTES, alpha_only),
    "png, red on black": ("png", RED, pillow()),
    "png, interlaced by OpenCV": ("png", BYTES, opencv()),
    "png, 16 bits, OpenCV": ("png", BYTES.astype(np.uint16) * 257, opencv()),
    "png, imageio": ("png", BYTES, imageio),
    "gif, Pillow": ("gif", BYTES, pillow()),
    "bmp, 1 bit, Pillow": ("bmp", TRUTH, pillow()),
    "bmp, OpenCV": ("bmp", BYTES, opencv()),
    "pbm, Pillow": ("pbm", TRUTH, pillow()),
    "pgm, OpenCV": ("pgm", BYTES, opencv()),
    "tga, Pillow": ("tga", BYTES, pillow()),
    "webp, lossless": ("webp", BYTES, pillow(lossless=True)),
    "jpeg, Pillow": ("jpg", BYTES, pillow(quality=75)),
    "jpeg, RGB, imageio": ("jpg", np.repeat(BYTES[..., None], 3, 2), imageio),
    "jpeg, OpenCV": ("jpg", BYTES, lambda a, p: opencv_quality(30)(a, p)),
    "jpeg 2000, Pillow": ("jp2", BYTES, pillow()),
    "tiff, 1 bit, tifffile": ("tif", TRUTH, tifffile(photometric="minisblack")),
    "tiff, 1 bit, white is zero": ("tif", TRUTH, tifffile(photometric="miniswhite")),
    "tiff, bytes, white is zero": ("tif", BYTES, tifffile(photometric="miniswhite")),
    "tiff, 16 bits, white is zero": ("tif", IDS.astype(np.uint16), tifffile(photometric="miniswhite")),
    "tiff, LZW, Pillow": ("tif", BYTES, pillow(compression="tiff_lzw")),
    "tiff, fax, Pillow": ("tif", TRUTH, pillow(compression="group4")),
    "tiff, big endian, 16 bits": ("tif", IDS.astype(np.uint16), tifffile(byteorder=">")),
    "tiff, ids of 32 bits": ("tif", IDS.astype(np.int32) * 70000, tifffile()),
    "tiff, unsigned ids of 32 bits": ("tif", IDS.astype(np.uint32), tifffile()),
    "tiff, fractions": ("tif", TRUTH.astype(np.float32), tifffile()),
    "tiff, tiled and deflated": ("tif", BYTES, tifffile(tile=(16, 16), compression="zlib")),
    "tiff, ImageJ": ("tif", BYTES, tifffile(imagej=True)),
    "tiff, BigTIFF": ("tif", BYTES, tifffile(bigtiff=True)),
    "tiff, OpenCV": ("tif", BYTES, opencv()),
    "tiff, imageio": ("tif", BYTES, imageio),
}
REFUSED = {
    "tiff, pages": ("tif", np.stack([BYTES, BYTES]), tifffile(photometric="minisblack"), "pages"),
    "tiff, ImageJ's stack": ("tif", np.stack([BYTES] * 3), tifffile(imagej=True), "pages"),
    "tiff, bands": ("tif", np.stack([BYTES] * 5, -1), tifffile(photometric="rgb"), "bands"),
    "tiff, fractions with NaN": ("tif", np.where(TRUTH, 1, np.nan).astype(np.float32), tifffile(), "NaN"),
    "tiff, signs": ("tif", TRUTH.astype(np.int16) - 1, tifffile(), "-1"),
    "png, two colours": (
        "png",
        np.where(TRUTH[..., None], (253, 231, 37), (68, 1, 84)).astype(np.uint8),
        imageio,
        "black",
    ),
    "jpeg, ids": ("jpg", IDS * 60, pillow(quality=90), "loss"),
    "gif, frames": (
        "gif",
        BYTES,
        pillow(save_all=True, append_images=[Image.fromarray(255 - BYTES)]),
        "frames",
    ),
}
NEARLY = {"jpg": 0.97, "jp2": 0.97}  # what compression takes


@pytest.mark.parametrize("name", READ)
def test_known_values_are_read(tmp_path, name):
    ending, array, write = READ[name]
    path = tmp_path / f"mask.{ending}"
    write(array, path)
    mask = read_mask(path)
    found = mask == 1
    overlap = (found & TRUTH).sum() / (found | TRUTH).sum()
    assert mask.max() == 1
    assert overlap >= NEARLY.get(ending, 1.0), how_to_read([path]).why


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, name):
    ending, array, write, word = REFUSED[name]
    path = tmp_path / f"mask.{ending}"
    write(array, path)
    with pytest.raises(ValueError, match=rf"mask\.{ending}(.|\n)*expected") as error:
        read_mask(path)
    assert word in str(error.value)


def test_one_data_set_of_all_formats_that_are_exact(tmp_path):
    """Bytes of 0 and 255 in every format, read together, as they are read alone."""
    paths: list[Path] = []
    for name, (ending, array, write) in READ.items():
        if array is BYTES and ending not in NEARLY and name not in ("png, alpha only",):
            paths.append(tmp_path / f"{len(paths)}.{ending}")
            write(array, paths[-1])
    how = how_to_read(paths)
    assert len({path.suffix for path in paths}) >= 6
    assert how.why == "0 is the background, 255 the thing"
    for path in paths:
        assert np.array_equal(read_mask(path, reading=how), TRUTH)
