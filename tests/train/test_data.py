"""Photographs of every kind, and bad ones."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.train import (
    Photographs,
    Predictor,
    Settings,
    SortedPhotographs,
    Task,
    find_data,
    find_photographs,
    fit,
    generate,
    prepare,
)
from erlangen.train.crops import Crops, _turned
from erlangen.train.folders import find_images
from erlangen.train.held_out import split
from erlangen.train.images import read_image, shrink, turned, turned_and_shrunk
from erlangen.train.masks import read_mask
from erlangen.train.predictor import statistics
from erlangen.train.recipe import build, recipe_of
from erlangen.train.scenes import draw


def write(folder, name, array, mode=None):
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(folder / name)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        write(tmp_path / "images", f"{i}.png", rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
        write(tmp_path / "masks", f"{i}.png", (rng.random((20, 30)) > 0.5).astype(np.uint8) * 255)
    return tmp_path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "LA", "CMYK"])
def test_every_colour_mode_is_read(tmp_path, mode):
    pixels = np.full((6, 8, 3), (200, 100, 50), dtype=np.uint8)
    ending = "tif" if mode == "CMYK" else "png"
    write(tmp_path, f"a.{ending}", pixels, mode)
    image = read_image(tmp_path / f"a.{ending}")
    assert image.mode == "RGB"
    expected = (200, 100, 50) if mode in ("RGB", "RGBA", "CMYK", "P") else (124, 124, 124)
    assert np.abs(np.asarray(image)[0, 0].astype(int) - expected).max() <= 5


def test_sixteen_bits(tmp_path):
    Image.fromarray(np.full((4, 4), 32768, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert abs(int(np.asarray(read_image(tmp_path / "deep.png"))[0, 0, 0]) - 128) <= 1


def test_photographs_stand_upright_as_their_camera_says(tmp_path):
    pixels = np.zeros((8, 4, 3), dtype=np.uint8)
    pixels[:4] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[274] = 6  # turn by 90 degrees clockwise to see it upright
    image.save(tmp_path / "a.jpg", exif=exif, quality=100)
    upright = np.asarray(read_image(tmp_path / "a.jpg"))
    assert upright.shape == (4, 8, 3)
    assert upright[:, 6:].mean() > 200
    assert upright[:, :2].mean() < 50


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (0, 7)])
def test_masks_are_what_is_not_zero(tmp_path, values):
    array = np.array([[values[0], values[1]]], dtype=np.uint8)
    write(tmp_path, "m.png", array)
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 1]]


def test_coloured_and_transparent_masks(tmp_path):
    write(tmp_path, "rgb.png", np.array([[[0, 0, 0], [0, 0, 1]]], dtype=np.uint8))
    assert read_mask(tmp_path / "rgb.png").tolist() == [[0, 1]]
    write(tmp_path, "rgba.png", np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], dtype=np.uint8))
    assert read_mask(tmp_path / "rgba.png").tolist() == [[0, 1]]
    write(tmp_path, "yes.png", np.array([[False, True]]))
    assert read_mask(tmp_path / "yes.png").tolist() == [[0, 1]]


def test_floating_point_images(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "f.tif")
    assert abs(int(np.asarray(read_image(tmp_path / "f.tif"))[0, 0, 0]) - 127) <= 1


def test_two_files_of_one_stem_are_refused(folder):
    write(folder / "images", "1.bmp", np.zeros((20, 30, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="have one stem, expected one file of each"):
        find_photographs(folder)


def test_shrinking_takes_means_over_areas(folder):
    image = Image.fromarray(np.array([[0, 100], [200, 100]], dtype=np.uint8).repeat(4, 0).repeat(4, 1))
    assert np.asarray(shrink(image, 2, "mean")).tolist() == [[0, 100], [200, 100]]
    assert shrink(image, 1, "mean").getpixel((0, 0)) == 100
    assert shrink(image, None) is image


@pytest.mark.parametrize("part", [2, 3, 4.5])
def test_shrinking_leaves_out_what_is_too_fine(part):
    """Stripes of 1.4 new pixels would come back as wider ones; those of 6 stay."""
    x = np.arange(400)

    def seen(by, wavelength):
        stripes = (127.5 + 100 * np.sin(2 * np.pi * x / (wavelength * part))).astype(np.uint8)
        small = np.asarray(shrink(Image.fromarray(stripes[None].repeat(40, 0)), round(400 / part), by), float)
        return small[:, 4:-4].std() / 70.7

    assert seen("cubic", 1.4) < 0.4 * seen("mean", 1.4)
    assert seen("cubic", 6.0) > 0.95


def test_a_network_of_before_shrinks_as_it_learned(tmp_path):
    """A recipe that says nothing of it means the mean over areas; what is saved says it."""
    model = Predictor(er.models.UNet(er.Plane(4), 3, 1, width=1, depth=0), size=8).eval()
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    answers = {}
    for by in ("cubic", "mean"):
        model.shrinking = by
        er.save(model, tmp_path / by)
        again = er.load(tmp_path / by)
        assert again.shrinking == by
        answers[by] = er.predict(again, Image.fromarray(noise))[0]
    assert not torch.equal(answers["cubic"], answers["mean"])
    recipe = recipe_of(model)
    del recipe["shrinking"]
    assert build(recipe).shrinking == "mean"
    assert Settings.of({}).shrinking == "mean"


def test_pairs_are_found_and_split(folder):
    pairs = find_photographs(folder)
    assert [p.name for p in pairs.images] == ["0.png", "1.png", "2.png"]
    images, masks = pairs.load(None)
    assert images[0].shape == (3, 20, 30)
    assert set(masks[0].flatten().tolist()) == {0, 1}
    mean, std = statistics(images)
    stacked = torch.stack(images).float() / 255
    torch.testing.assert_close(mean, stacked.mean((0, 2, 3)))
    torch.testing.assert_close(std, stacked.std((0, 2, 3)), rtol=1e-3, atol=0)
    ten = Photographs(tuple(Path(str(i)) for i in range(10)), tuple(Path(str(i)) for i in range(10)))
    one, other = split(ten, 0.3, seed=5)
    assert sorted(one.images + other.images) == sorted(ten.images)
    assert one.images == one.masks
    assert len(other) == 3
    assert (one, other) == split(ten, 0.3, seed=5)
    assert (one, other) != split(ten, 0.3, seed=6)


def test_classes_are_split_one_by_one():
    labels = (0,) * 90 + (1,) * 10 + (2,)
    rare = SortedPhotographs(tuple(Path(str(i)) for i in range(101)), labels, ("a", "b", "c"))
    for seed in range(5):
        learned, held_out = split(rare, 0.2, seed)
        assert [learned.labels.count(k) for k in range(3)] == [72, 8, 1]
        assert [held_out.labels.count(k) for k in range(3)] == [18, 2, 0]


def test_bad_photographs_are_named(folder):
    (folder / "masks" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 images have no mask: 1\.png; expected a file of the same"):
        find_photographs(folder)
    write(folder / "masks", "1.png", np.zeros((5, 5), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"1\.png has 5 x 5 pixels, expected 30 x 20"):
        find_photographs(folder).load(None)
    whole = (folder / "images" / "0.png").read_bytes()
    (folder / "images" / "0.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"0\.png cannot be read as an image.*export it again"):
        read_image(folder / "images" / "0.png")
    (folder / "masks" / "0.png").write_text("no mask")
    with pytest.raises(ValueError, match=r"0\.png cannot be read as a mask"):
        read_mask(folder / "masks" / "0.png")
    with pytest.raises(ValueError, match="is no folder, expected the photographs there"):
        find_photographs(folder / "nowhere")
    (folder / "empty" / "images").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no images, expected PNG"):
        find_photographs(folder / "empty")


def test_scenes_are_the_same_for_the_same_seed_and_hold_apples(tmp_path):
    one = generate(tmp_path / "a", 3, size=64, seed=5)
    other = generate(tmp_path / "b", 3, size=64, seed=5)
    third = generate(tmp_path / "c", 3, size=64, seed=6)
    for a, b, c in zip(one.images, other.images, third.images, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()
    _, masks = one.load(None)
    assert 0.01 < float(torch.stack(masks).float().mean()) < 0.5


def test_zoomed_crops_show_more_or_less_of_image_and_mask_alike():
    """A disc of radius 12: its area in the crops varies by the zoom, and the mask follows the image."""
    y, x = torch.meshgrid(torch.arange(96) - 47.5, torch.arange(96) - 47.5, indexing="ij")
    disc = (torch.hypot(x, y) < 12).to(torch.uint8)
    settings = Settings(crop=64, batch=40, zoom=0.5, jitter=0.0)
    images, masks = Crops([255 * disc.expand(3, -1, -1)], [disc], settings).batch()
    assert images.shape == (40, 3, 64, 64)
    assert float(((images[:, 0] > 0.5).int() - masks.int()).abs().float().mean()) < 0.01
    radii = (masks.sum((1, 2)) / torch.pi).sqrt()
    assert float(radii.max()) == pytest.approx(12 * 1.5, rel=0.1)
    assert float(radii.max() / radii.min()) > 1.4
    plain = Crops([255 * disc.expand(3, -1, -1)], [disc], Settings(crop=96, batch=4, jitter=0.0)).batch()[1]
    assert plain.sum((1, 2)).tolist() == [int(disc.sum())] * 4


def test_turned_crops_turn_image_and_mask_alike():
    """A bar, 40 by 8: half of the crops show it upright, the others at angles within the limit."""
    bar = torch.zeros(96, 96, dtype=torch.uint8)
    bar[28:68, 44:52] = 1
    settings = Settings(crop=64, batch=80, turns=30.0, jitter=0.0)
    images, masks = Crops([255 * bar.expand(3, -1, -1)], [bar], settings).batch()
    assert float(((images[:, 0] > 0.5).int() - masks.int()).abs().float().mean()) < 0.01
    whole = masks.sum((1, 2)) > 300  # the crops that show all of the bar
    angles = []
    for mask in masks[whole]:
        spread = torch.cov(mask.nonzero().T.double())
        angles.append(float(torch.rad2deg(0.5 * torch.atan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1]))))
    upright = [a for a in angles if abs(a) < 0.1]
    assert len(upright) == pytest.approx(0.5 * len(angles), abs=0.2 * len(angles))
    assert 20 < max(angles) < 31
    assert -31 < min(angles) < -20


def test_crops_turn_as_photographs_do():
    """By another cubic kernel than Pillow's, so not to the last bit."""
    colours = torch.from_numpy(255 * draw(93, np.random.default_rng(3))[0]).permute(2, 0, 1).to(torch.uint8)
    both = torch.cat([colours, (colours[:1] > 100).to(torch.uint8)])
    ours = _turned(both, math.radians(30), (65, 65), True)
    theirs = turned(Image.fromarray(colours.permute(1, 2, 0).numpy()), 30)
    middle = torch.from_numpy(np.asarray(theirs).copy()).permute(2, 0, 1)[:, 14:79, 14:79]
    assert float((ours[:3].float() - middle.float()).abs().mean()) < 2
    assert (
        float((_turned(both, math.radians(-30), (65, 65), True)[:3].float() - middle.float()).abs().mean())
        > 10
    )


def test_turned_crops_of_photographs_hardly_larger_than_they_are():
    """What lies beyond is the mirror image at every edge: no stripes, and no edge is dark."""
    image = torch.full((3, 34, 40), 90, dtype=torch.uint8)
    image[:, :, ::2] = 110
    images, masks = Crops(
        [image], [image[0] > 100], Settings(crop=32, turns=45.0, jitter=0.0, batch=16)
    ).batch()
    assert float(images.min()) * 255 > 70
    assert 0.4 < float(masks.float().mean()) < 0.6


def test_turned_crops_of_photographs_that_have_a_class_each():
    crops = Crops(
        [torch.full((3, 40, 40), 7, dtype=torch.uint8)], [torch.tensor(1)], Settings(turns=45.0, crop=32)
    )
    images, labels = crops.batch()
    assert images.shape == (8, 3, 32, 32)
    assert labels.tolist() == [1] * 8


def disc(side=48):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(x, y) < side / 3


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_jpeg_masks_are_cut_at_half(tmp_path, quality):
    """Compression leaves faint values everywhere, which are not the thing."""
    Image.fromarray(disc().astype(np.uint8) * 255).save(tmp_path / "m.jpg", quality=quality)
    wrong = (read_mask(tmp_path / "m.jpg") != disc()).mean()
    assert wrong < 0.002
    for options in ({"classes": 3}, {"ignore": 9}):
        with pytest.raises(ValueError, match=r"m\.jpg is compressed with loss.*export it as PNG"):
            read_mask(tmp_path / "m.jpg", **options)


def test_palettes_and_transparency(tmp_path):
    """Of two classes the colours count, of more the indices; what is transparent is background."""
    grey = Image.fromarray(disc().astype(np.uint8) * 255)
    grey.quantize(2).save(tmp_path / "q.png")
    assert np.array_equal(read_mask(tmp_path / "q.png"), disc())
    index = Image.new("P", (3, 1))
    index.putdata([0, 1, 2])
    index.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    index.save(tmp_path / "p.png")
    assert read_mask(tmp_path / "p.png").tolist() == [[0, 1, 1]]
    assert read_mask(tmp_path / "p.png", 3).tolist() == [[0, 1, 2]]
    index.save(tmp_path / "t.png", transparency=2)
    assert read_mask(tmp_path / "t.png").tolist() == [[0, 1, 0]]
    assert read_mask(tmp_path / "t.png", 3).tolist() == [[0, 1, 0]]


def test_twelve_bits_keep_their_shades(tmp_path):
    Image.fromarray(np.linspace(0, 4095, 64).astype(np.uint16)[None]).save(tmp_path / "deep.png")
    assert len(np.unique(np.asarray(read_image(tmp_path / "deep.png")))) == 64


@pytest.mark.parametrize("names", [("Images", "Masks"), ("imgs", "labels")])
def test_folders_of_nearly_the_right_name_are_no_classes(tmp_path, names):
    for name in names:
        write(tmp_path / name, "a.png", np.zeros((4, 4), np.uint8))
    assert find_data(tmp_path).masks == (tmp_path / names[1] / "a.png",)


def test_classes_that_sound_like_masks_are_classes(tmp_path):
    for name in ("mask", "no_mask"):
        write(tmp_path / name, "a.png", np.zeros((4, 4), np.uint8))
    assert find_data(tmp_path).task.classes == ("mask", "no_mask")


def test_training_is_no_class(tmp_path):
    for name in ("training/a", "training/b"):
        write(tmp_path / name, "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="holds the folder training, expected the names train and val"):
        fit(tmp_path, steps=1)


def test_names_of_classes_are_utf8(folder):
    (folder / "classes.txt").write_bytes("\ufeffApfel\nKürbis\n".encode())
    assert find_photographs(folder).classes == ("Apfel", "Kürbis")
    (folder / "classes.txt").write_bytes("Äpfel\nBirnen\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"classes\.txt cannot be read .*, expected UTF-8"):
        find_photographs(folder)


def test_crops_of_what_is_no_mirror_image_are_not_flipped():
    ramp = torch.arange(32, dtype=torch.uint8).expand(3, 32, 32)
    settings = Settings(crop=32, batch=20, jitter=0.0, flips=False)
    images, _ = Crops([ramp], [ramp[0]], settings).batch()
    torch.testing.assert_close(images, (ramp.float() / 255).expand(20, -1, -1, -1))


def test_hidden_files_and_what_a_training_wrote_are_no_photographs(folder):
    (folder / "images" / "._0.png").write_bytes(b"what a Mac leaves behind")
    (folder / "masks" / "._0.png").write_bytes(b"what a Mac leaves behind")
    assert len(find_photographs(folder)) == 3
    assert len(find_images(folder)) == 3
    for name in ("a", "b"):
        write(folder / "classes" / name, "x.png", np.zeros((4, 4), np.uint8))
    write(folder / "classes" / "runs" / "network", "curves.png", np.zeros((4, 4), np.uint8))
    (folder / "classes" / "runs" / "network" / "model.safetensors").write_bytes(b"")
    assert find_data(folder / "classes").classes == ("a", "b")


def test_the_number_of_classes_comes_from_their_names(folder):
    (folder / "classes.txt").write_text("apple\n")
    assert find_photographs(folder).classes == ("background", "apple")
    (folder / "classes.txt").write_text("leaf\napple\nlemon\n")
    assert len(find_photographs(folder).classes) == 3
    with pytest.raises(ValueError, match=r"names 3 classes .* expected a name of its own for each of 2"):
        find_photographs(folder, classes=2)


def test_classes_and_ignore_belong_to_masks(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, "x.png", np.zeros((4, 4), np.uint8))
    assert find_data(tmp_path, classes=2).classes == ("a", "b")
    for options in ({"classes": 3}, {"ignore": 255}):
        with pytest.raises(ValueError, match=r"holds folders of classes .*; leave both out"):
            find_data(tmp_path, **options)


def test_small_photographs_are_seen_whole(folder):
    """Those of the folder are 30 x 20: a crop of 128 would show their mirror images six times over."""
    assert prepare(folder, Settings().changed(steps=1, depth=1)).settings.crop == 20
    assert prepare(folder, Settings().changed(steps=1, depth=1, crop=64)).settings.crop == 64
    assert prepare(folder, Settings().changed(steps=1, depth=1, size=24)).settings.crop == 12


def test_a_step_costs_the_same_however_large_photographs_are():
    large = [torch.zeros(3, 1024, 700, dtype=torch.uint8)]
    assert Settings(size=1024).for_images(Task(), large).crop == 128
    assert Settings(size=200).for_images(Task(), large).crop == 100
    assert Settings(size=1024, crop=300).for_images(Task(), large).crop == 300
    classes = Task(("a", "b", "c"), dense=False)
    assert Settings(size=1024).for_images(classes, large).crop == 1024


def test_masks_without_a_pixel_that_counts_are_refused(folder):
    for file in (folder / "masks").iterdir():
        Image.fromarray(np.full((20, 30), 9, np.uint8)).save(file)
    with pytest.raises(ValueError, match="no pixel of the 2 masks counts"):
        prepare(folder, Settings().changed(steps=1, depth=1, ignore=9, balance=True))


def test_sets_of_ones_own_must_fit(folder):
    pairs = find_photographs(folder)
    for wrong in ((pairs,), (pairs, pairs.subset([])), ("a", "b")):
        with pytest.raises(ValueError, match=r"expected \(Photographs to learn from, Photographs held out\)"):
            fit(wrong, steps=1)
    other = find_photographs(folder, classes=256 - 1)
    with pytest.raises(ValueError, match="held out have the classes 0, 1"):
        fit((pairs, other), steps=1)


def test_large_photographs_are_turned_at_four_times_the_size(monkeypatch):
    """Nothing that shows, for a tenth of the time."""
    y, x = np.mgrid[:640, :480]
    wave = Image.fromarray((127 + 100 * np.sin(x / 40) * np.cos(y / 55)).astype(np.uint8))
    whole = np.asarray(shrink(turned(wave, 30), 32), int)
    inside = np.hypot(*(np.mgrid[:32, :24] - np.array([15.5, 11.5])[:, None, None])) < 10
    seen, rotate = [], Image.Image.rotate
    monkeypatch.setattr(Image.Image, "rotate", lambda self, *a: seen.append(self.size) or rotate(self, *a))
    assert np.abs(np.asarray(turned_and_shrunk(wave, 30, 32), int) - whole)[inside].max() <= 3
    assert seen == [(96, 128)]
    assert np.array_equal(turned_and_shrunk(wave, 90, 32), shrink(turned(wave, 90), 32))


def test_scenes_drawn_before_are_not_learned_from(tmp_path):
    generate(tmp_path, 3, size=32)
    assert len(generate(tmp_path, 2, size=32)) == 2


def test_masks_without_an_image_are_told(folder):
    (folder / "images" / "1.png").unlink()
    with pytest.warns(UserWarning, match=r"1 of 3 masks have no image and are left out: 1\.png; expected"):
        found = find_photographs(folder)
    assert [path.name for path in found.images] == ["0.png", "2.png"]
