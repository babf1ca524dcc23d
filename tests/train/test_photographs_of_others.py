"""Photographs as other programs write them: read right, or refused by name with the mend."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.cli import main
from erlangen.train import Predictor
from erlangen.train.decoding import decode, examine, turned_upright
from erlangen.train.images import read_image
from erlangen.train.scale import BYTES, values_of

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 11, 17
BYTE = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
WORD = RNG.integers(0, 2**16, (HEIGHT, WIDTH, 4), dtype=np.uint16)


def png(path, array, colour_type, *, chunks=(), depth=None):
    """A PNG file, written by hand: Pillow writes no colours of 16 bits."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    depth = depth or 8 * array.dtype.itemsize
    rows = array.astype(">u2") if depth == 16 else array
    packed = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *(chunk(*c) for c in chunks), chunk(b"IDAT", zlib.compress(packed))]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    return path


def tiff(path, array, *, photometric=None, tags=(), order="<", planar=False, pages=1):
    """A TIFF file of one strip, written by hand; `tags` are numbers, or tuples of them."""
    bands = array.shape[2] if array.ndim == 3 else 1
    data = np.moveaxis(array, -1, 0) if planar else array
    data = np.ascontiguousarray(data).astype(array.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    photometric = (2 if bands > 2 else 1) if photometric is None else photometric
    bits = 8 * array.dtype.itemsize
    own = {
        256: array.shape[1],
        257: array.shape[0],
        258: (bits,) * bands,
        259: 1,
        262: photometric,
        277: bands,
    }
    own |= {278: array.shape[0], 284: 1 + planar, 339: (kind,) * bands, **dict(tags)}
    length = len(data) // (bands if planar else 1)
    file = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(data)) + data
    for page in range(pages):
        extra, start, entries = b"", len(file), []
        own |= {
            273: tuple(8 + i * length for i in range(len(data) // length)),
            279: (length,) * (len(data) // length),
        }
        here = start + 2 + 12 * len(own) + 4
        for tag, value in sorted(own.items()):
            text = isinstance(value, str)
            numbers = (value,) if isinstance(value, int) else value
            packed = value.encode() + b"\0" if text else struct.pack(f"{order}{len(numbers)}I", *numbers)
            count = len(packed) if text else len(numbers)
            if len(packed) > 4:
                packed, extra = struct.pack(order + "I", here + len(extra)), extra + packed
            entries.append(struct.pack(order + "HHI", tag, 2 if text else 4, count) + packed.ljust(4, b"\0"))
        following = here + len(extra) if page < pages - 1 else 0
        file += (
            struct.pack(order + "H", len(own))
            + b"".join(entries)
            + struct.pack(order + "I", following)
            + extra
        )
    path.write_bytes(file)
    return path


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (BYTE[..., 0], BYTE[..., 0]),
        (BYTE[..., :3], BYTE[..., :3]),
        (WORD[..., 0], WORD[..., 0]),
        (WORD[..., :3], WORD[..., :3]),
        (BYTE[..., 0].view(np.int8), BYTE[..., 0].view(np.int8)),
        (WORD[..., 0].view(np.int16), WORD[..., 0].view(np.int16)),
        (WORD[..., 0].astype(np.int32) - 40000, WORD[..., 0].astype(np.int32) - 40000),
        (WORD[..., 0].astype(np.float32) / 7, WORD[..., 0].astype(np.float32) / 7),
    ],
    ids=lambda a: f"{a.dtype}x{a.shape[2:]}",
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_are_those_of_the_file(tmp_path, array, expected, order):
    decoded = decode(tiff(tmp_path / "a.tif", array, order=order))
    np.testing.assert_array_equal(decoded.values, expected)
    assert decoded.facts.kind == expected.dtype.kind
    assert decoded.facts.bits == 8 * array.dtype.itemsize
    assert examine(tmp_path / "a.tif") == decoded.facts


def test_colours_of_sixteen_bits_keep_their_low_bytes(tmp_path):
    np.testing.assert_array_equal(decode(png(tmp_path / "a.png", WORD[..., :3], 2)).values, WORD[..., :3])
    decoded = decode(png(tmp_path / "b.png", WORD, 6))
    np.testing.assert_array_equal(decoded.values, WORD[..., :3])
    np.testing.assert_array_equal(decoded.alpha, WORD[..., 3] >> 8)
    alpha = [(338, 2)]
    np.testing.assert_array_equal(decode(tiff(tmp_path / "a.tif", WORD, tags=alpha)).values, WORD[..., :3])
    np.testing.assert_array_equal(
        decode(tiff(tmp_path / "b.tif", WORD, tags=alpha, order=">")).values, WORD[..., :3]
    )


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_keeps_its_numbers_and_is_shown_in_full(tmp_path, bits):
    few = BYTE[:, :16, 0] >> (8 - bits)
    packed = np.packbits(np.unpackbits(few[..., None], axis=2)[..., 8 - bits :].reshape(HEIGHT, -1), axis=1)
    path = png(tmp_path / "a.png", packed, 0, depth=bits)
    content = bytearray(path.read_bytes())
    content[16:20] = struct.pack(">I", 16)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    decoded = decode(path)
    np.testing.assert_array_equal(decoded.values, few)
    np.testing.assert_array_equal(np.asarray(read_image(path))[..., 0], few * (255 // (2**bits - 1)))


def test_portable_maps_say_what_is_white(tmp_path):
    tenth = (WORD[..., 0] >> 6).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 17 11 1023\n" + tenth.tobytes())
    np.testing.assert_array_equal(decode(tmp_path / "a.pgm").values, tenth)
    assert values_of([tmp_path / "a.pgm"]) == (0, 1023)
    percent = (BYTE[..., 0] % 101).astype(np.uint8)
    (tmp_path / "b.pgm").write_bytes(b"P5 17 11 100\n" + percent.tobytes())
    np.testing.assert_array_equal(decode(tmp_path / "b.pgm").values, percent)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "b.pgm"))[..., 0], np.rint(percent * 2.55))


def test_white_is_zero(tmp_path):
    for array in (BYTE[..., 0], WORD[..., 0]):
        decoded = decode(tiff(tmp_path / "a.tif", array, photometric=0))
        np.testing.assert_array_equal(decoded.values, ~array)
        assert decoded.facts.white_is_zero


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_the_turn_of_the_camera_is_undone_once(tmp_path, orientation, ending):
    """Pillow by itself tears turned TIFF files that are not compressed."""
    a = np.arange(48, dtype=np.uint8).reshape(8, 6) * 5
    image, t = Image.fromarray(a), a.T
    expected = [a, a[:, ::-1], a[::-1, ::-1], a[::-1], t, t[:, ::-1], t[::-1, ::-1], t[::-1]][orientation - 1]
    exif = image.getexif()
    exif[274] = orientation
    options = {"quality": 100} if ending == "jpg" else {"lossless": True} if ending == "webp" else {}
    image.save(tmp_path / f"a.{ending}", exif=exif, **options)
    decoded = decode(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(decoded.values if ending != "webp" else decoded.values[..., 0], expected)
    assert decoded.facts.size == expected.shape[1::-1]
    if ending == "png":
        np.testing.assert_array_equal(turned_upright(a, orientation), expected)


REFUSED = {
    "pages": (lambda p: tiff(p, BYTE[..., 0], pages=3), "holds 3 pages"),
    "an ImageJ stack without directories": (
        lambda p: tiff(p, BYTE[..., 0], tags=[(270, "ImageJ=1.54\nimages=30\nslices=30\n")]),
        "holds 30 pages",
    ),
    "a shaped stack": (
        lambda p: tiff(p, BYTE[..., 0], tags=[(270, '{"shape": [5, 11, 17]}')]),
        "holds 5 pages",
    ),
    "infrared": (
        lambda p: tiff(p, BYTE, tags=[(338, 0)]),
        "holds 4 bands, of which 3 are colours and 1 would",
    ),
    "infrared of 16 bits": (lambda p: tiff(p, WORD, tags=[(338, 0)]), "holds 4 bands"),
    "undeclared": (lambda p: tiff(p, BYTE), "a fourth band that is neither declared as alpha"),
    "planar infrared": (lambda p: tiff(p, BYTE, tags=[(338, 0)], planar=True), "holds 4 bands"),
    "two bands": (lambda p: tiff(p, BYTE[..., :2], tags=[(338, 0)]), "holds 2 bands, of which 1 is grey"),
    "five bands": (
        lambda p: tiff(p, np.dstack([BYTE, BYTE])[..., :5], tags=[(338, (2, 0))]),
        "holds 5 bands",
    ),
    "planar 16 bits": (lambda p: tiff(p, WORD[..., :3], planar=True), "of which 8 would be lost"),
    "double": (lambda p: tiff(p, WORD[..., 0].astype(np.float64)), "1 band of 64 bits, floating point"),
    "half": (
        lambda p: tiff(p, (WORD[..., 0] / 2**16).astype(np.float16)),
        "1 band of 16 bits, floating point",
    ),
    "colours in floating point": (lambda p: tiff(p, WORD[..., :3].astype(np.float32)), "3 bands of 32 bits"),
    "thumbnail first": (lambda p: tiff(p, BYTE[..., :3], tags=[(254, 1)], pages=2), "a smaller copy"),
    "grey of 16 bits with alpha": (lambda p: png(p, WORD[..., :2], 4), "of which 8 would be lost"),
    "rows in no strip": (
        lambda p: tiff(p, BYTE[..., 0], tags=[(278, 4)]),
        "it is cut off after 4 of 11 rows",
    ),
    "empty": (lambda p: p.write_bytes(b""), "it is empty"),
    "a web page": (lambda p: p.write_bytes(b"<!DOCTYPE html><p>not found"), "it is a web page"),
    "heic": (lambda p: p.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99)), "pillow-heif"),
    "dicom": (lambda p: p.write_bytes(bytes(128) + b"DICM" + bytes(99)), "a DICOM file"),
    "no pixels": (lambda p: png(p, BYTE[:0, :, 0], 0), "cannot be read as an image"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_be_lost_is_refused_by_name(tmp_path, what):
    write, words = REFUSED[what]
    path = tmp_path / "a.tif"
    write(path)
    for read in (decode, read_image):
        with pytest.raises(ValueError, match=words) as refused:
            read(path)
        assert str(path) in str(refused.value)
        assert "expected" in str(refused.value)


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
def test_animations_are_refused_and_views_of_one_photograph_are_not(tmp_path, ending):
    frames = [Image.fromarray(BYTE[..., :3]), Image.fromarray(255 - BYTE[..., :3])]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="holds 2 frames, of which only the first would be read"):
        read_image(tmp_path / f"a.{ending}")
    frames[0].save(tmp_path / "a.mpo", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.mpo").size == (WIDTH, HEIGHT)
    assert "the first of 2 views" in str(examine(tmp_path / "a.mpo"))


def test_colours_of_printers(tmp_path):
    """Adobe's programs write CMYK inverted in JPEG and say so; Pillow writes them as they do."""
    red = Image.new("RGB", (8, 8), (250, 10, 20))
    for ending in ("jpg", "tif"):
        red.convert("CMYK").save(tmp_path / f"a.{ending}")
        assert np.abs(np.asarray(read_image(tmp_path / f"a.{ending}"), int) - (250, 10, 20)).max() < 6
    lab = np.full((8, 8, 3), (137, 208, 195), np.uint8)  # L* = 53.7, a* = 80, b* = 67: red
    Image.frombytes("LAB", (8, 8), (lab ^ np.array([0, 128, 128], np.uint8)).tobytes())
    tiff(tmp_path / "lab.tif", lab ^ np.array([0, 128, 128], np.uint8), photometric=8)
    assert np.abs(np.asarray(read_image(tmp_path / "lab.tif"), int) - (255, 0, 0)).max() < 12


def grey(path, array):
    return tiff(path, np.asarray(array))


RAMP = np.linspace(0, 1, 40 * 40).reshape(40, 40)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RAMP * 1023, (0, 1023)),
        (RAMP * 900, (0, 1023)),
        (RAMP * 4095, (0, 4095)),
        (RAMP * 16383, (0, 16383)),
        (RAMP * 50000, (0, 65535)),
        (RAMP * 200, (0, 255)),
        (np.full((40, 40), 32768), (0, 65535)),
        (np.zeros((40, 40)), (0, 255)),
        (30000 + RAMP * 500, (30000, 30500)),
    ],
)
def test_the_depth_of_a_sensor(tmp_path, array, expected):
    """One broken pixel in each photograph changes nothing."""
    array = array.astype(np.uint16)
    assert values_of([grey(tmp_path / "a.tif", array)]) == expected
    array[7, 9], array[3, 2] = 65535, 0
    paths = [grey(tmp_path / f"{i}.tif", np.rot90(array, i)) for i in range(4)]
    assert values_of(paths) == expected


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RAMP, (0, 1)),
        (RAMP * 0, (0, 1)),
        (RAMP * 0.2 + 0.4, (0, 1)),
        (np.rint(RAMP * 255), (0, 255)),
        (np.rint(RAMP * 3000), (0, 4095)),
        (RAMP * 2.5 - 1, (-1, 1.5)),
        (RAMP * 40 + 270.25, (270.25, 310.25)),
        (RAMP * 0 - 4, (-4, 0)),
    ],
)
def test_the_range_of_floating_point(tmp_path, array, expected):
    array = array.astype(np.float32)
    assert values_of([grey(tmp_path / "a.tif", array)]) == pytest.approx(expected, abs=1e-5)
    array[5, 5], array[6, 6], array[7, 7] = np.inf, np.nan, -np.inf
    assert values_of([grey(tmp_path / "a.tif", array)]) == pytest.approx(expected, abs=0.01)
    picture = np.asarray(read_image(tmp_path / "a.tif"))[..., 0]
    assert (picture[5, 5], picture[6, 6], picture[7, 7]) == (255, 0, 0)
    with pytest.raises(ValueError, match=r"b\.tif holds no finite number, expected a photograph"):
        values_of([grey(tmp_path / "b.tif", np.full((4, 4), np.nan, np.float32))])


def test_negative_numbers_are_not_cut(tmp_path):
    """Computed tomography: -1024 to 3071."""
    scan = (RAMP * 4095 - 1024).astype(np.int16)
    assert values_of([grey(tmp_path / "a.tif", scan)]) == (-1024, 3071)
    picture = np.asarray(read_image(tmp_path / "a.tif"))[..., 0]
    assert np.abs(picture - RAMP * 255).max() <= 1
    other = grey(tmp_path / "b.tif", np.zeros((40, 40), np.int16))
    assert int(np.asarray(read_image(other, (-1024, 3071)))[0, 0, 0]) == round(1024 / 4095 * 255)


def test_one_scale_for_a_set(tmp_path):
    """A dark photograph stays darker than a bright one."""
    dark, bright = (grey(tmp_path / f"{top}.tif", (RAMP * top).astype(np.uint16)) for top in (500, 4000))
    values = values_of([dark, bright])
    assert values == (0, 4095)
    assert [int(np.asarray(read_image(p, values)).max()) for p in (dark, bright)] == [31, 249]


def test_sets_of_several_depths_are_refused(tmp_path):
    Image.fromarray(BYTE[..., :3]).save(tmp_path / "eight.png")
    deep = grey(tmp_path / "sixteen.tif", WORD[..., 0])
    real = grey(tmp_path / "real.tif", WORD[..., 0].astype(np.float32))
    assert values_of([tmp_path / "eight.png"]) == BYTES
    for paths in ([tmp_path / "eight.png", deep], [deep, real], [real, tmp_path / "eight.png"]):
        with pytest.raises(
            ValueError, match=r"are of several depths.*expected one.*export them again"
        ) as refused:
            values_of(paths)
        assert all(path.name in str(refused.value) for path in paths)


def test_numbers_to_bytes_in_strips(tmp_path, monkeypatch):
    path = tiff(tmp_path / "a.tif", WORD[..., :3])
    whole = np.asarray(read_image(path, (100, 60000)))
    monkeypatch.setattr("erlangen.train.images.STRIP", 1)
    monkeypatch.setattr("erlangen.train.decoding.STRIP", 1)
    np.testing.assert_array_equal(read_image(path, (100, 60000)), whole)
    np.testing.assert_array_equal(whole, np.rint((WORD[..., :3].clip(100, 60000) - 100.0) * (255 / 59900)))


def deep_set(folder, top, dtype=np.uint16):
    rng = np.random.default_rng(1)
    for sub in ("images", "masks"):
        (folder / sub).mkdir(parents=True)
    for i in range(4):
        grey(folder / "images" / f"{i}.tif", (rng.random((32, 32)) * top).astype(dtype))
        mask = np.zeros((32, 32), np.uint8)
        mask[8 : 16 + i, 8:20] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
    return folder


SMALL = {"steps": 1, "width": 2, "depth": 1, "size": 32, "crop": 16, "batch": 2}


def test_the_network_keeps_the_scale_and_predicts_with_it(tmp_path, monkeypatch):
    run = er.fit(deep_set(tmp_path / "data", 4000), **SMALL)
    assert run.model.values == (0, 4095)
    assert any("4095 as white" in note for note in run.notes)
    assert run.held_out.values == (0, 4095)
    model = er.load(er.save(run.model, tmp_path / "net"))
    assert model.values == (0, 4095)
    dim = grey(tmp_path / "dim.tif", (RAMP[:32, :32] * 600).astype(np.uint16))
    seen = np.rint((RAMP[:32, :32] * 600).astype(np.uint16) * (255 / 4095)).astype(np.uint8)
    expected = er.predict(model, (torch.from_numpy(seen).float() / 255).expand(1, 3, -1, -1))[0]
    torch.testing.assert_close(er.predict(model, dim)[0], expected)
    with Image.open(dim) as image:
        torch.testing.assert_close(er.predict(model, image)[0], expected)
    looked_at = []
    monkeypatch.setattr("erlangen.train.angles.prove", lambda _, x, __: looked_at.append(x) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["check", str(tmp_path / "net"), "--image", str(dim)])
    torch.testing.assert_close(looked_at[0][0, 0], torch.from_numpy(seen).float() / 255)
    Image.fromarray(BYTE[..., :3]).save(tmp_path / "eight.png")
    with pytest.raises(ValueError, match=r"eight\.png holds numbers from .* white at 4095, as the network"):
        er.predict(model, tmp_path / "eight.png")
    with pytest.raises(
        ValueError, match=r"wide\.tif holds numbers from .* train on photographs like this one"
    ):
        er.predict(model, grey(tmp_path / "wide.tif", (10000 + RAMP * 50000).astype(np.uint16)))


def test_photographs_of_eight_bits_and_deeper_ones(tmp_path, run):
    """Of a network that learned from 8 bits, and of one that does not say."""
    assert run.model.values == BYTES
    deep = grey(tmp_path / "deep.tif", (RAMP * 4095).astype(np.uint16))
    with pytest.raises(ValueError, match=r"deep\.tif holds numbers from 0 to 4095 in 16 bits, expected"):
        er.predict(run.model, deep)
    with pytest.raises(ValueError, match=r"unit\.tif holds numbers from 0 to 1 in 32 bits, expected"):
        er.predict(run.model, grey(tmp_path / "unit.tif", RAMP.astype(np.float32)))
    bytes_ = (RAMP * 255).astype(np.uint8)
    Image.fromarray(bytes_).save(tmp_path / "eight.png")
    wide = grey(tmp_path / "wide.tif", bytes_.astype(np.uint16))
    expected = er.predict(run.model, tmp_path / "eight.png")[0]
    torch.testing.assert_close(er.predict(run.model, wide)[0], expected)
    unknown = Predictor(run.model.net, run.model.mean, run.model.std, run.model.size, run.model.task)
    torch.testing.assert_close(er.predict(unknown, tmp_path / "eight.png")[0], expected)
    with pytest.warns(UserWarning, match="does not say which numbers are black and white"):
        er.predict(unknown, deep)


def test_photographs_held_out_have_the_scale_of_those_learned_from(tmp_path):
    deep_set(tmp_path / "train", 4000)
    deep_set(tmp_path / "val", 250, np.uint8)
    with pytest.raises(ValueError, match=r"val.images.0\.tif holds numbers from .* white at 4095"):
        er.fit(tmp_path, **SMALL)


def by_writers(folder):
    """Photographs by tifffile, OpenCV, imageio and Pillow, and what they hold; None: to be refused."""
    import cv2
    import imageio.v3
    import tifffile

    grey8, rgb8, grey16, rgb16 = BYTE[..., 0], BYTE[..., :3], WORD[..., 0], WORD[..., :3]
    real, bgr8, bgr16 = grey16.astype(np.float32) / 3, rgb8[..., ::-1], rgb16[..., ::-1]
    stack = np.stack([grey16] * 4)
    tiffs = {
        "grey8": (grey8, {}, grey8),
        "rgb8 deflate": (rgb8, {"compression": "zlib", "predictor": True, "photometric": "rgb"}, rgb8),
        "rgba8": (BYTE, {"photometric": "rgb"}, rgb8),
        "grey16 big-endian": (grey16, {"byteorder": ">"}, grey16),
        "grey16 tiles": (grey16, {"tile": (16, 16), "compression": "zlib"}, grey16),
        "rgb16": (rgb16, {"photometric": "rgb"}, rgb16),
        "rgb16 big-endian deflate": (
            rgb16,
            {"byteorder": ">", "compression": "zlib", "photometric": "rgb"},
            rgb16,
        ),
        "rgb8 planes": (np.moveaxis(rgb8, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}, rgb8),
        "rgb16 planes": (np.moveaxis(rgb16, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}, None),
        "signed": (grey16.view(np.int16), {}, grey16.view(np.int16)),
        "signed big-endian deflate": (
            grey16.view(np.int16),
            {"byteorder": ">", "compression": "zlib"},
            grey16.view(np.int16),
        ),
        "signed 32 big-endian deflate": (
            grey16.astype(np.int32) - 9999,
            {"byteorder": ">", "compression": "zlib"},
            grey16.astype(np.int32) - 9999,
        ),
        "float": (real, {}, real),
        "float big-endian deflate": (real, {"byteorder": ">", "compression": "zlib"}, real),
        "double": (real.astype(np.float64), {}, None),
        "white is zero": (grey8, {"photometric": "miniswhite"}, 255 - grey8),
        "large": (grey16, {"bigtiff": True}, grey16),
        "pages": (stack, {}, None),
        "imagej": (stack, {"imagej": True}, None),
        "ome": (stack, {"metadata": {"axes": "ZYX"}, "ome": True}, None),
        "infrared": (BYTE, {"photometric": "rgb", "extrasamples": ["unspecified"]}, None),
        "eight bands": (np.concatenate([BYTE, BYTE], -1), {"photometric": "minisblack"}, None),
        "two bands": (BYTE[..., :2], {"photometric": "minisblack", "planarconfig": "contig"}, None),
    }
    for name, (array, options, expected) in tiffs.items():
        tifffile.imwrite(folder / f"{name}.tif", array, **options)
        yield folder / f"{name}.tif", expected
    written = {
        "cv rgb.png": (bgr8, rgb8),
        "cv rgba.png": (BYTE[..., [2, 1, 0, 3]], rgb8),
        "cv grey16.png": (grey16, grey16),
        "cv rgb16.png": (bgr16, rgb16),
        "cv rgba16.png": (WORD[..., [2, 1, 0, 3]], rgb16),
        "cv rgb16.tif": (bgr16, rgb16),
        "cv float.tif": (real, real),
        "cv colours in float.tif": (np.dstack([real] * 3), None),
        "cv rgb.bmp": (bgr8, rgb8),
        "cv rgb.ppm": (bgr8, rgb8),
        "cv rgb16.ppm": (bgr16, None),
        "cv grey16.pgm": (grey16, grey16),
        "cv real.pfm": (real, real),
        "cv rgb16.jp2": (np.tile(bgr16, (6, 4, 1)), None),
    }
    for name, (array, expected) in written.items():
        assert cv2.imwrite(str(folder / name), array)
        yield folder / name, expected
    for name, array in {"io rgb.png": rgb8, "io grey16.tif": grey16, "io rgb.webp": rgb8}.items():
        imageio.v3.imwrite(folder / name, array, **({"lossless": True} if "webp" in name else {}))
        yield folder / name, array
    image = Image.fromarray(rgb8)
    for ending, options in {"tga": {}, "gif": {}, "tif": {"compression": "tiff_lzw"}}.items():
        shown = image.quantize(256).convert("RGB") if ending == "gif" else image
        shown.save(folder / f"pil.{ending}", **options)
        yield folder / f"pil.{ending}", np.asarray(shown)
    image.save(folder / "a photograph.png", "JPEG", quality=100)
    with Image.open(folder / "a photograph.png") as jpeg:
        yield folder / "a photograph.png", np.asarray(jpeg)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_by_the_libraries_of_others(tmp_path):
    right = refused = 0
    for path, expected in by_writers(tmp_path):
        if expected is None:
            with pytest.raises(ValueError, match="expected") as refusal:
                read_image(path)
            assert path.name in str(refusal.value)
            refused += 1
            continue
        decoded = decode(path)
        palette = decoded.palette
        values = decoded.values if palette is None else np.asarray(decoded.painted(palette))
        np.testing.assert_array_equal(values, expected, err_msg=path.name)
        if not decoded.facts.is_deep:
            shown = np.asarray(read_image(path))
            np.testing.assert_array_equal(
                shown, expected if expected.ndim == 3 else np.dstack([expected] * 3)
            )
        right += 1
    assert (right, refused) == (33, 11)
