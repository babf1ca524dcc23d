"""Layouts as other people have them: which mask is whose, and how the look at the files says it."""

import re

import numpy as np
import pytest
from PIL import Image

from erlangen.cli import main
from erlangen.train import find_data
from erlangen.train.held_out import learned_and_held_out
from erlangen.train.look import look
from erlangen.train.pairing import rules_between
from erlangen.train.volumes import Volumes

SIZE = (12, 10)  # width and height


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, labels=np.stack([values] * 3))
    elif path.name.endswith(".nii.gz"):
        nib = pytest.importorskip("nibabel")
        nib.save(nib.Nifti1Image(np.stack([values] * 3), np.eye(4)), path)
    else:
        Image.fromarray(values).save(path)


def put(folder, image, mask, keys="abc", ending=("jpg", "png")):
    """Pairs of files, of key k a mask whose k-th row is the thing."""
    for i, key in enumerate(keys):
        truth = np.zeros(SIZE[::-1], np.uint8)
        truth[i] = 255 if ending[1] == "png" else 1
        write(folder / f"{image.format(k=key)}.{ending[0]}", 7 * truth // 8 + 3)
        write(folder / f"{mask.format(k=key)}.{ending[1]}", truth)
    return folder


def refused(folder, *words, **options):
    """A ValueError that has all of these words, and what was expected."""
    with pytest.raises(ValueError, match=re.escape(words[0])) as error:
        find_data(folder, **options)
    assert all(word in str(error.value) for word in (*words, "expected", "; "))


def rows_of(found):
    learned, held_out = learned_and_held_out((found, found))
    return look(*learned.on_one_scale(held_out), 64)[0]


NAMED = [
    ("{k}", "{k}_mask", "* with *_mask"),
    ("{k}", "{k}_masks", "* with *_masks"),
    ("{k}", "{k}_label", "* with *_label"),
    ("{k}", "{k}_labels", "* with *_labels"),
    ("{k}", "{k}_seg", "* with *_seg"),
    ("{k}", "{k}-segmentation", "* with *-segmentation"),
    ("{k}", "{k}_gt", "* with *_gt"),
    ("{k}", "mask_{k}", "* with mask_*"),
    ("img_{k}", "mask_{k}", "img_* with mask_*"),
    ("{k}_leftImg8bit", "{k}_gtFine_labelIds", "*_leftImg8bit with *_gtFine_labelIds"),
]


@pytest.mark.parametrize("ending", [("jpg", "png"), ("npz", "npz"), ("nii.gz", "nii.gz")])
@pytest.mark.parametrize(("image", "mask", "rule"), NAMED)
def test_stems_differ_by_one_rule(tmp_path, image, mask, rule, ending):
    """In two folders, with folders within, and beside each other: every image has its own mask."""
    if ending[0] != "jpg" and rule not in ("* with *_seg", "img_* with mask_*"):
        return
    keys = ("01", "12", "2")
    put(tmp_path / "two", f"images/{image}", f"masks/{mask}", keys, ending)
    put(tmp_path / "deep", f"images/x/{image}", f"masks/x/{mask}", keys, ending)
    put(tmp_path / "deep", f"images/y/{image}", f"masks/y/{mask}", keys, ending)
    put(tmp_path / "beside", image, mask, keys, ending)
    for place, count in (("two", 3), ("deep", 6), ("beside", 3)):
        found = find_data(tmp_path / place)
        assert len(found) == count
        assert isinstance(found, Volumes) == (ending[0] != "jpg")
        for i in range(count):
            assert found.load_one(i, size=None)[1].nonzero()[:, -2].unique().tolist() == [i % 3]
        said = rows_of(found)["paired by"]
        assert rule in said
        assert ("in folders of the same names" in said) == (place == "deep")
        assert said.startswith("beside each other") == (place == "beside")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("JPEGImages", "SegmentationClass"),
        ("leftImg8bit", "gtFine"),
        ("Images", "Labels"),
        ("photos", "masks"),
    ],
)
def test_folders_of_other_names(tmp_path, image, mask):
    put(tmp_path, f"{image}/{{k}}", f"{mask}/{{k}}")
    assert [path.parent.name for path in find_data(tmp_path).masks] == [mask] * 3
    put(tmp_path, "images/{k}", "masks/{k}", "de")  # the usual names come first
    assert len(find_data(tmp_path)) == 2 if mask != "masks" else True
    put(tmp_path / "more", "photo/{k}", "gt/{k}")
    put(tmp_path / "more", "photo/{k}", "labels/{k}")
    refused(
        tmp_path / "more", "several folders that may be those of the masks (gt, labels)", "rename it masks"
    )


def test_cityscapes_has_colours_and_ids_beside_its_classes(tmp_path):
    for kind in ("color", "instanceIds", "labelIds"):
        put(tmp_path, "leftImg8bit/x/{k}_leftImg8bit", f"gtFine/x/{{k}}_gtFine_{kind}")
    found = find_data(tmp_path)
    assert all(path.stem.endswith("_labelIds") for path in found.masks)
    assert "; *gtFine_color left out; *gtFine_instanceIds left out" in found.paired


def test_parts_within_the_folders_are_refused(tmp_path):
    put(tmp_path, "images/train/{k}", "masks/train/{k}")
    put(tmp_path, "images/val/{k}", "masks/val/{k}")
    refused(tmp_path, "images holds the folder train", "move", str(tmp_path / "train" / "images"))


def test_what_is_ambiguous_is_refused(tmp_path):
    for mask in ("{k}_mask", "{k}_seg"):
        put(tmp_path / "kinds", "images/{k}", f"masks/{mask}")
        put(tmp_path / "beside", "{k}", mask)
    refused(tmp_path / "kinds", "a.jpg has a_mask.png and a_seg.png in", "take the others away")
    refused(tmp_path / "beside", "a.jpg has a_mask.png and a_seg.png in", "take the others away")
    put(tmp_path / "second", "images/{k}", "masks/{k}_mask")
    put(tmp_path / "second", "images/{k}", "masks/{k}_mask_1", "b")
    refused(tmp_path / "second", "b.jpg has b_mask.png and b_mask_1.png", "join them")


def test_no_rule_cuts_a_number_or_a_word(tmp_path):
    """1 is no part of 11, cat no part of catmask, and a single image tells nothing of numbers."""
    assert rules_between({"img_1": 0, "img_2": 0}, {"mask_11": 0, "mask_12": 0})[0][1] == {}
    assert rules_between({"cat": 0, "dog": 0}, {"catmask": 0, "dogmask": 0})[0][1] == {}
    assert rules_between({"img_01": 0}, {"img_03": 0})[0][1] == {}
    assert rules_between({"img_01": 0}, {"mask_01": 0})[0][1] == {"img_01": "mask_01"}
    put(tmp_path, "images/img_{k}", "masks/mask_{k}", ("1", "11", "111"))
    assert [p.stem for p in find_data(tmp_path).masks] == ["mask_1", "mask_11", "mask_111"]


def test_a_mask_that_lacks_is_named_by_the_rule(tmp_path):
    put(tmp_path, "images/{k}", "masks/{k}_mask")
    (tmp_path / "masks" / "b_mask.png").unlink()
    refused(tmp_path, "1 of 3 images have no mask: b.jpg", "one named as a_mask.png for a.jpg", "add it")
    put(tmp_path / "beside", "{k}", "{k}_mask")
    (tmp_path / "beside" / "b_mask.png").unlink()
    refused(tmp_path / "beside", "1 of 3 images have no mask: b.jpg", "one named as a_mask.png for a.jpg")
    put(tmp_path / "more", "{k}", "{k}_mask")
    (tmp_path / "more" / "b.jpg").unlink()
    refused(tmp_path / "more", "1 of 3 masks in", "have no photograph beside them: b_mask.png", "add it, or")


def test_train_holds_pairs_beside_each_other(tmp_path):
    put(tmp_path, "train/{k}", "train/{k}_mask", "abcde")
    learned, held_out = learned_and_held_out(tmp_path)
    assert (len(learned), len(held_out)) == (4, 1)
    put(tmp_path, "val/{k}", "val/mask_{k}", "fg")
    learned, held_out = learned_and_held_out(tmp_path)
    assert (len(learned), len(held_out)) == (5, 2)
    said = look(*learned.on_one_scale(held_out), 64)[0]["paired by"]
    assert "* with *_mask" in said
    assert "; held out: beside each other: * with mask_*" in said


# a folder for each photograph


def objects(folder, ending="png", keys="abc", count=3):
    """Columns of a photograph, one in each mask, that overlap."""
    for key in keys:
        write(folder / f"{key}/images/{key}.{ending}", np.full(SIZE[::-1], 9, np.uint8))
        for k in range(count):
            truth = np.zeros(SIZE[::-1], np.uint8)
            truth[:, 2 * k : 2 * k + 3] = 255
            write(folder / f"{key}/masks/{k}.{ending}", truth)
    return folder


@pytest.mark.parametrize("ending", ["png", "npz", "nii.gz"])
def test_masks_of_single_objects_are_united(tmp_path, ending):
    found = find_data(objects(tmp_path, ending))
    assert len(found) == 3
    assert len(found.files) == 12
    for _, truth in zip(*found.load(None), strict=True):
        assert truth.reshape(-1, *SIZE[::-1]).sum((0, 1)).bool().tolist() == [True] * 7 + [False] * 5
    assert "united, one for each object" in rows_of(found)["paired by"]
    assert str(found.subset([1]).masks[0]) == str(tmp_path / "b" / "masks")


def test_masks_of_objects_that_do_not_fit_are_named(tmp_path):
    write(objects(tmp_path) / "b/masks/1.png", np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match=r"1\.png has 5 x 5 pixels, expected 12 x 10 as 0\.png; export"):
        find_data(tmp_path).load(None)
    refused(tmp_path, "masks holds a mask for each object, which says no class", "join", classes=3)
    clear = np.zeros((*SIZE[::-1], 4), np.uint8)
    clear[:3, :, 3] = 255
    Image.fromarray(clear).save(tmp_path / "b/masks/1.png")
    with pytest.raises(ValueError, match="black all over and only its transparency varies, expected"):
        find_data(tmp_path).load(None)
    for file in (tmp_path / "b/masks").iterdir():
        file.unlink()
    refused(
        tmp_path, "1 of 3 folders in", "lack a photograph or its masks (b)", "a black one where nothing is"
    )


def test_masks_of_objects_in_volumes_that_do_not_fit_are_named(tmp_path):
    write(objects(tmp_path, "npz") / "b/masks/1.npz", np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match=r"1\.npz has 1 x 3 x 5 x 5 voxels, expected 1 x 3 x 10 x 12 as 0"):
        find_data(tmp_path).on_one_scale()[0].load(None)


def test_a_dry_run_says_the_rule(tmp_path, capsys):
    put(tmp_path / "photos", "img_{k}", "mask_{k}", "abcd")
    flags = ["--size", "16", "--crop", "8", "--width", "1", "--depth", "1", "--steps", "1"]
    assert main(["train", str(tmp_path / "photos"), "--dry-run", "--out", str(tmp_path / "out"), *flags]) == 0
    assert "beside each other: img_* with mask_*: img_a.jpg with mask_a.png" in " ".join(
        capsys.readouterr().out.split()
    )
