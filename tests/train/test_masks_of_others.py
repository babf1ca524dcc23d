"""Masks as other programs write them: right, or refused by name with the mend."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from erlangen.train import find_photographs
from erlangen.train.decoding import turned_upright
from erlangen.train.fit import notes_on
from erlangen.train.held_out import learned_and_held_out
from erlangen.train.masks import IGNORED, how_to_read, read_mask

EMPTY = np.zeros((40, 56), bool)


def discs(seed=0, shape=(64, 72), count=4):
    """Where some discs lie."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[: shape[0], : shape[1]]
    centres, radii = random.uniform(0, shape, (count, 2)), random.uniform(5, 12, count)
    return np.any([np.hypot(y - c[0], x - c[1]) < r for c, r in zip(centres, radii, strict=True)], 0)


def ids(seed=0, count=80, side=240):
    """Objects that lie in a grid, each with a number of its own."""
    out = np.zeros((side, side), np.uint16)
    for k in range(count):
        top, left = (24 * (k // 10), 24 * (k % 10))
        out[top + 3 : top + 19, left + 5 : left + 20] = k + 1
    return out


def grey(mask, top=255):
    return Image.fromarray((mask * top).astype(np.uint8))


def painted(mask, colour, ground=(0, 0, 0)):
    return Image.fromarray(np.where(mask[..., None], colour, ground).astype(np.uint8))


def written(folder, images, ending="png", **options):
    """The images as files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i}.{ending}" for i in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save(path, **options)
    return paths


def read(paths, **options):
    """All masks as one data set, and how they are read."""
    how = how_to_read(paths, **options)
    return [read_mask(path, reading=how, **options) for path in paths], how


def overlap(found, truth):
    """Intersection over union of the thing, pooled."""
    both = sum(((a == 1) & b).sum() for a, b in zip(found, truth, strict=True))
    return both / sum(((a == 1) | b).sum() for a, b in zip(found, truth, strict=True))


def compressed(image, quality):
    """What is left of an image that was a JPEG once."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("L")


SHADED = {
    "JPEG": (lambda m, q: grey(m), "jpg", lambda q: {"quality": q}),
    "JPEG of colours, 4:2:0": (
        lambda m, q: grey(m).convert("RGB"),
        "jpg",
        lambda q: {"quality": q, "subsampling": 2},
    ),
    "JPEG of red on black": (lambda m, q: painted(m, (255, 0, 0)), "jpg", lambda q: {"quality": q}),
    "JPEG of another scale": (lambda m, q: grey(m, 100), "jpg", lambda q: {"quality": q}),
    "a JPEG once": (lambda m, q: compressed(grey(m), q), "png", lambda q: {}),
    "WebP": (lambda m, q: grey(m), "webp", lambda q: {"quality": q}),
}


@pytest.mark.parametrize("kind", SHADED)
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_what_compression_leaves_is_cut_at_half(tmp_path, kind, quality):
    make, ending, options = SHADED[kind]
    truth = [discs(0), discs(1), EMPTY, ~EMPTY]
    found, how = read(written(tmp_path, [make(m, quality) for m in truth], ending, **options(quality)))
    assert overlap(found, truth) >= 0.97
    assert not found[2].any()
    assert found[3].all()
    assert "cut at half" in how.why


@pytest.mark.parametrize("filter", ["BILINEAR", "BICUBIC", "LANCZOS"])
@pytest.mark.parametrize("factor", [0.5, 1.7, 2])
def test_what_resampling_leaves_is_cut_at_half(tmp_path, filter, factor):
    """Discs of bytes, of fractions, and with soft edges, against the same discs drawn at the other size."""
    truth, before, (y, x) = [], [], np.mgrid[:640, :720] / 10
    size = (round(72 * 3 * factor), round(64 * 3 * factor))
    for k in range(2):
        random = np.random.default_rng(k)
        spots = zip(random.uniform(0, (64, 72), (4, 2)), random.uniform(6, 14, 4), strict=True)
        fine = grey(np.any([np.hypot(y - c[0], x - c[1]) < r for c, r in spots], 0))
        truth.append(np.asarray(fine.resize(size, Image.Resampling.BOX)) > 127)
        before.append(fine.resize((72 * 3, 64 * 3), Image.Resampling.BOX))
    hard = [np.asarray(image) > 127 for image in before]
    for number, images in enumerate(
        (before, [grey(m) for m in hard], [Image.fromarray(np.float32(m)) for m in hard])
    ):
        small = [image.resize(size, Image.Resampling[filter]) for image in images]
        found, how = read(written(tmp_path / str(number), small, "tif" if number == 2 else "png"))
        assert overlap(found, truth) >= 0.97
        assert "cut at half" in how.why


def test_an_empty_mask_with_noise_is_empty(tmp_path):
    """In a set whose masks go up to 255, be they exact or compressed; and it says so."""
    random, truth = np.random.default_rng(0), [discs(0), discs(1), EMPTY]
    noise = Image.fromarray(random.integers(0, 6, EMPTY.shape, dtype=np.uint8))
    for ending, options in (("png", {}), ("jpg", {"quality": 75}), ("jpg", {"quality": 30})):
        found, how = read(written(tmp_path, [grey(truth[0]), grey(truth[1]), noise], ending, **options))
        assert overlap(found, truth) >= 0.99
        assert not found[2].any()
        assert "1 of 3 masks hold nothing above" in how.why


@pytest.mark.parametrize("top", [1, 7, 128, 255])
def test_two_values_are_background_and_thing(tmp_path, top):
    truth = [discs(0), EMPTY, ~EMPTY]
    found, how = read(written(tmp_path, [grey(m, top) for m in truth]))
    assert all(np.array_equal(a, b) for a, b in zip(found, truth, strict=True))
    assert how.why == f"0 is the background, {top} the thing"
    assert how.notes == ()


@pytest.mark.parametrize(
    ("dtype", "top", "ending"),
    [
        (bool, 1, "png"),
        (np.uint16, 65535, "png"),
        (np.int32, 1, "tif"),
        (np.float32, 1.0, "tif"),
        (np.float32, 0.5, "tif"),
    ],
)
def test_two_values_of_any_depth(tmp_path, dtype, top, ending):
    truth = discs()
    image = Image.fromarray((truth * top).astype(dtype))
    assert np.array_equal(read_mask(*written(tmp_path, [image], ending)), truth)


def test_scales_may_be_mixed_where_numbers_are_exact(tmp_path):
    truth = [discs(k) for k in range(3)]
    found, how = read(written(tmp_path, [grey(m, top) for m, top in zip(truth, (1, 255, 255), strict=True)]))
    assert overlap(found, truth) == 1
    assert how.why == "what is not 0 is the thing: 255 in 2, 1 in 1 of 3 masks"
    shaded = compressed(grey(truth[1]), 75)
    with pytest.raises(
        ValueError, match=r"0\.png holds areas of values up to 1, where others go up to 255.*one scale"
    ):
        read(written(tmp_path, [grey(truth[0], 1), shaded]))


@pytest.mark.parametrize(("quality", "least"), [(95, 0.93), (75, 0.75)])
def test_compressed_masks_of_0_and_1_are_as_good_as_their_files(tmp_path, quality, least):
    """One level of grey is about what compression changes: edges are lost, areas are kept."""
    truth = [discs(0), discs(1), EMPTY]
    found, _ = read(written(tmp_path, [grey(m, 1) for m in truth], "jpg", quality=quality))
    assert overlap(found, truth) > least
    assert not found[2].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_ids_of_objects_are_one_thing(tmp_path, dtype):
    numbers = ids()
    ending = "tif" if dtype in (np.int32, np.float32) else "png"
    paths = written(tmp_path, [Image.fromarray(n.astype(dtype)) for n in (numbers, numbers[:96])], ending)
    found, how = read(paths)
    assert np.array_equal(found[0], numbers > 0)
    assert "hold the values 1, 2, 3, 4, 5 ... 80, which all count as the thing" in how.notes[0]
    large = Image.fromarray((numbers.astype(np.int32) * 1000).astype(np.int32))
    assert np.array_equal(read_mask(*written(tmp_path, [large], "tif")), numbers > 0)


def test_compressed_ids_are_refused(tmp_path):
    for scale in (1, 3):
        paths = written(tmp_path, [Image.fromarray((ids() * scale).astype(np.uint8))], "jpg")
        with pytest.raises(ValueError, match=r"0\.jpg .*expected .*; export .* as PNG"):
            how_to_read(paths)


def test_a_value_that_does_not_count(tmp_path):
    """As VOC writes: 1 the thing, 255 its rim; with --ignore and without, thick and thin."""
    for truth in (discs(), np.eye(64, dtype=bool)):
        rim = np.zeros(truth.shape, bool)
        rim[:4] = True
        values = np.where(rim, 255, truth).astype(np.uint8)
        paths = written(tmp_path, [Image.fromarray(values)])
        assert np.array_equal(read(paths, ignore=255)[0][0], np.where(rim, IGNORED, truth))
        found, how = read(paths)
        assert np.array_equal(found[0], values > 0)
        assert "if 255 does not count: --ignore 255" in how.notes[0]
    shaded = written(tmp_path, [compressed(grey(discs()), 75)])
    with pytest.raises(
        ValueError, match=r"0\.png holds \d+ shades, so that no pixel surely has the value 255"
    ):
        read(shaded, ignore=255)


@pytest.mark.parametrize("stored", [bool, np.uint8])
def test_a_stored_one_is_the_thing_though_white_is_zero(tmp_path, stored):
    truth = discs()
    path = tmp_path / "0.tif"
    values = truth if stored is bool else truth * np.uint8(255)
    Image.fromarray(~values).save(path, tiffinfo={262: 0})
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0
        declared = np.asarray(image) > 0
    assert np.array_equal(declared, ~truth)  # what a viewer shows is white where the file has 0
    assert np.array_equal(read_mask(path), truth)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_mask_is_turned_as_its_own_exif_says(tmp_path, orientation, kind):
    """The photograph turned by its camera, its mask upright or turned likewise: the same pixels."""
    truth, exif = discs(), Image.Exif()
    exif[274] = orientation
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    held = turned_upright(truth, undo)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    red = Image.fromarray(turned_upright(np.asarray(painted(truth, (250, 0, 0))), undo))
    for name in ("turned", "upright"):
        red.save(tmp_path / "images" / f"{name}.jpg", quality=100, subsampling=0, exif=exif)
    grey(held).save(tmp_path / "masks" / f"turned.{kind}", exif=exif)
    grey(truth).save(tmp_path / "masks" / f"upright.{kind}")
    images, masks = find_photographs(tmp_path).load(None)
    for image, mask in zip(images, masks, strict=True):
        assert np.array_equal(mask.numpy(), truth)
        assert ((image[0] > 125).numpy() == truth).mean() > 0.99


def test_what_is_drawn_in_transparency(tmp_path):
    truth = [discs(0), discs(1), EMPTY]
    opaque = [grey(m) for m in truth]
    black = [
        Image.merge("LA", (grey(EMPTY if m is EMPTY else m, 0), a))
        for m, a in zip(truth, opaque, strict=True)
    ]
    for images in (black, [image.convert("RGBA") for image in black]):
        found, how = read(written(tmp_path, images))
        assert overlap(found, truth) == 1
        assert not found[2].any()
        assert "by their transparency" in how.notes[0]
    white = [
        Image.merge("LA", (grey(~EMPTY if m is EMPTY else m | True), a))
        for m, a in zip(truth, opaque, strict=True)
    ]
    assert overlap(read(written(tmp_path, white))[0], truth) == 1
    with pytest.raises(
        ValueError, match=r"0\.png is black all over and only its transparency varies, 1\.png is no"
    ):
        read(written(tmp_path, [black[0], grey(truth[1])]))


@pytest.mark.parametrize("colours", [((200, 0, 0),), ((200, 0, 0), (0, 0, 90), (90, 90, 90))])
def test_painted_colours_are_one_thing(tmp_path, colours):
    truth = [discs(k) for k in range(len(colours))]
    found, how = read(written(tmp_path, [painted(m, c) for m, c in zip(truth, colours, strict=True)]))
    assert overlap(found, truth) == 1
    assert ("which all count as the thing" in "".join(how.notes)) == (len(colours) > 1)
    indexed = [painted(m, c).quantize(2) for m, c in zip(truth, colours, strict=True)]
    assert overlap(read(written(tmp_path, indexed))[0], truth) == 1


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([painted(discs(), (253, 231, 37), (68, 1, 84))], ("(68, 1, 84), (253, 231, 37)", "black nowhere")),
        ([painted(discs(), (255, 0, 0), (255, 255, 255))], ("(255, 0, 0), (255, 255, 255)", "black nowhere")),
        (
            [painted(discs(), (255, 0, 0), (0, 255, 0)).quantize(2)],
            ("(0, 255, 0), (255, 0, 0)", "black nowhere"),
        ),
        ([Image.fromarray(discs().astype(np.uint8) + np.uint8(1))], ("hold 1, 2", "0 nowhere")),
        ([Image.fromarray(np.float32([[0, 1, np.nan]]))], ("NaN",)),
        ([Image.fromarray(np.float32([[0, 1, np.inf]]))], ("infinity",)),
        ([Image.fromarray(np.int32([[0, 1, -1]]))], ("holds the value -1", "--ignore -1")),
        (
            [Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99), dtype=np.uint8))],
            ("holds 256 values", "near neither end"),
        ),
        (
            [Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(9, 0))],
            ("areas of several values", "no exact numbers"),
        ),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, images, words):
    ending = "tif" if images[0].mode in "IF" else "png"
    with pytest.raises(ValueError, match="expected") as error:
        read(written(tmp_path, images, ending))
    for word in ("0." + ending, *words):
        assert re.search(re.escape(word), str(error.value)), error.value


@pytest.mark.parametrize("pages", ["tif", "gif"])
def test_further_pages_are_refused(tmp_path, pages):
    path = tmp_path / f"m.{pages}"
    grey(discs(0)).save(path, save_all=True, append_images=[grey(discs(1))])
    with pytest.raises(ValueError, match=r"m\.\w+ holds 2 (pages|frames)"):
        read_mask(path)


def test_classes_stay_exact(tmp_path):
    numbers = np.where(discs(0), 1, 0) + np.where(discs(1), 1, 0).astype(np.uint8)
    image = Image.fromarray(numbers.astype(np.uint8))
    (path,) = written(tmp_path, [image], "webp", lossless=True)
    assert np.array_equal(read_mask(path, 3), numbers)
    for ending in ("jpg", "webp"):
        (path,) = written(tmp_path, [Image.fromarray((numbers * 100).astype(np.uint8))], ending)
        with pytest.raises(ValueError, match=r"compressed with loss, expected exact numbers of classes"):
            read_mask(path, 200)
    small = image.resize((20, 20), Image.Resampling.BILINEAR)
    (path,) = written(tmp_path, [Image.fromarray(np.asarray(small, np.float32) * 0.7)], "tif")
    with pytest.raises(ValueError, match=r"0\.tif holds the value 0\.7, expected 0 to 2 for 3 classes"):
        read_mask(path, 3)


def test_what_is_learned_from_and_what_is_held_out_are_read_alike(tmp_path):
    """An empty compressed mask, held out by itself, would have no scale of its own."""
    random = np.random.default_rng(0)
    for part, masks in (("train", [discs(0), discs(1)]), ("val", [EMPTY, EMPTY])):
        noisy = [
            random.integers(0, 6, m.shape, dtype=np.uint8) if m is EMPTY else m * np.uint8(255) for m in masks
        ]
        written(tmp_path / part / "masks", [Image.fromarray(m) for m in noisy], "jpg")
        written(tmp_path / part / "images", [painted(m, (200, 0, 0)) for m in masks])
    learned, held_out = learned_and_held_out(tmp_path)
    assert learned.reading == held_out.reading
    assert not any(mask.any() for mask in held_out.load(None)[1])
    assert held_out.subset([1]).reading == learned.reading
    with pytest.raises(ValueError, match="near neither end"):
        replace(held_out, reading=None).load(None)
    loaded = learned.load(32)
    assert any("the masks are cut at half" in note for note in notes_on(learned, *loaded, turns=False))
    other = replace(held_out, ignore=9)
    with pytest.raises(ValueError, match="held out ignore the value 9, expected that of"):
        learned_and_held_out((learned, other))


def with_alpha(values, alpha):
    return Image.merge("LA", (Image.fromarray(values), Image.fromarray(alpha)))


@pytest.mark.parametrize("classes", [2, 3])
def test_what_does_not_count_may_be_transparent(tmp_path, classes):
    """It is left out, whether a viewer shows it or not."""
    values = np.where(discs(0), 255, discs(1)).astype(np.uint8)
    shown = np.where(values == 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(values)
    indexed = image.copy()
    indexed.putpalette([k for index in range(256) for k in (index, 0, 0)])
    files = [
        *written(tmp_path / "palette", [indexed], transparency=255),
        *written(tmp_path / "grey", [with_alpha(values, shown)]),
        *written(tmp_path / "colours", [with_alpha(values, shown).convert("RGBA")]),
    ]
    for path in files:
        assert np.array_equal(read([path], classes=classes, ignore=255)[0][0], values)


@pytest.mark.parametrize("ending", ["png", "tga"])
def test_transparency_all_over_says_nothing(tmp_path, ending):
    """Where no other mask is drawn by it: programs leave a fourth band at 0."""
    truth, clear, full = [discs(0), discs(1), ~EMPTY], 0, 255
    for alphas in ([clear] * 3, [full, clear, clear]):
        images = [grey(m).convert("RGB") for m in truth]
        for image, alpha in zip(images, alphas, strict=True):
            image.putalpha(alpha)
        assert overlap(read(written(tmp_path, images, ending))[0], truth) == 1
    images[0].putalpha(grey(truth[0]))
    with pytest.raises(ValueError, match=r"1\.\w+ is transparent all over, and something is drawn"):
        read(written(tmp_path, images, ending))


def test_indices_without_colours_of_their_own_count_themselves(tmp_path):
    truth = [discs(0), discs(1), EMPTY, ~EMPTY]
    for number, colours in enumerate(([], [0, 0, 0], [0] * 768)):
        images = [grey(m, 1) for m in truth]
        for image in images:
            image.putpalette(colours)
        found, how = read(written(tmp_path / str(number), images))
        assert all(np.array_equal(a, b) for a, b in zip(found, truth, strict=True))
        assert how.notes == ()


def test_an_index_darker_than_0_is_noted(tmp_path):
    images = [grey(discs(0), 1), grey(discs(1), 1)]
    images[0].putpalette([255, 255, 255, 0, 0, 0])
    images[1].putpalette([0, 0, 0, 255, 255, 255])
    found, how = read(written(tmp_path, images))
    assert np.array_equal(found[0], ~discs(0))
    assert np.array_equal(found[1], discs(1))
    assert "in 1 of 2 masks (0.png first) an index of the palette is darker than the index 0" in how.notes[0]


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("webp", {"quality": 40}),
        ("webp", {"quality": 100}),
        ("webp", {"exif": b"Exif\0\0"}),  # an extended file
        ("jp2", {"irreversible": True}),
        ("jp2", {"irreversible": True, "quality_mode": "rates", "quality_layers": [40]}),
    ],
)
def test_classes_under_loss_are_refused_though_they_are_in_range(tmp_path, ending, options):
    numbers = Image.fromarray(discs(0).astype(np.uint8) + discs(1))
    (path,) = written(tmp_path, [numbers], ending, **options)
    with pytest.raises(ValueError, match=rf"0\.{ending} is compressed with loss, expected exact numbers"):
        read_mask(path, 3)
    exact = {"lossless": True, "exif": b"Exif\0\0"} if ending == "webp" else {}
    (path,) = written(tmp_path, [numbers], ending, **exact)
    assert np.array_equal(read_mask(path, 3), numbers)


@pytest.mark.parametrize(("ending", "options"), [("jpg", {"quality": 90}), ("webp", {"quality": 90})])
def test_colours_under_loss_do_not_vanish(tmp_path, ending, options):
    """Blue is all but black in brightness: a file of it beside white ones, and a part of one."""
    truth = [discs(0), discs(1), EMPTY]
    white, blue = painted(truth[0], (255, 255, 255)), painted(truth[1], (0, 0, 255))
    both = np.maximum(painted(discs(0), (255, 255, 255)), painted(discs(1), (0, 0, 255)))
    files = [white, blue, painted(EMPTY, (0, 0, 0)), Image.fromarray(both)]
    found, _ = read(written(tmp_path, files, ending, **options))
    assert overlap(found, [*truth, discs(0) | discs(1)]) > 0.97
    assert not found[2].any()


@pytest.mark.parametrize("top", [1, 8])
@pytest.mark.parametrize("quality", [75, 95])
def test_dark_compressed_masks_beside_bright_ones_are_refused(tmp_path, top, quality):
    (bright,) = written(tmp_path / "a", [grey(discs(0))])
    (dark,) = written(tmp_path / "b", [grey(discs(1), top)], "jpg", quality=quality)
    with pytest.raises(
        ValueError, match=r"0\.jpg holds areas of values up to \d+, where others go up to 255"
    ):
        how_to_read([bright, dark])


@pytest.mark.parametrize("top", [15, 63])
def test_few_shades_at_edges_are_shades(tmp_path, top):
    fine = [grey(discs(k, (256, 288), 3)).resize((72, 64), Image.Resampling.BOX) for k in range(3)]
    few = [np.round(np.asarray(image) * (top / 255)).astype(np.uint8) for image in fine]
    found, how = read(written(tmp_path, [Image.fromarray(values) for values in few]))
    assert overlap(found, [np.asarray(image) > 127 for image in fine]) > 0.97
    assert "cut at half" in how.why
    thin = np.zeros((64, 64), np.uint8)
    for k in range(1, 16):
        thin[4 * k, 3:60] = k
        thin[4 * k : 4 * k + 1 + k // 5, 3:60] = k
    assert np.array_equal(read(written(tmp_path / "ids", [Image.fromarray(thin)]))[0][0], thin > 0)
