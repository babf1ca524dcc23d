"""Folders as other programs, systems and people lay them out: right, or refused by name."""

import re
import shutil
import unicodedata

import pytest
from PIL import Image

from erlangen.train import Task, find_data, find_photographs, generate
from erlangen.train.folders import find_images
from erlangen.train.held_out import learned_and_held_out


def put(folder, *names):
    """A small picture at each of these paths; of other endings an empty text."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg", ".tif", ".gif"):
            Image.new("L", (4, 3)).save(path)
        else:
            path.write_text("[]")
    return folder


def refused(folder, *words):
    """The folder cannot be learned from, and every one of the words says why."""
    with pytest.raises(ValueError, match=re.escape(words[0])) as error:
        learned_and_held_out(folder)
    assert "expected" in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_folder_for_each_photograph_is_no_class(tmp_path):
    """Without masks, or with several photographs in each."""
    for i in "abc":
        put(tmp_path / "one", f"{i}0/images/{i}0.png")
        put(tmp_path / "two", *(f"{i}0/{part}/{k}.png" for part in ("images", "masks") for k in range(2)))
    for name in ("one", "two"):
        words = (
            "holds 3 folders with images or masks of their own (a0, b0, c0)",
            "one photograph in",
            "or all",
        )
        refused(tmp_path / name, *words)


def test_classes_may_hold_folders(tmp_path):
    put(
        tmp_path,
        *(f"{name}/{day}/{i}.png" for name in "ab" for day in ("monday", "photos") for i in range(2)),
    )
    assert len(find_data(tmp_path)) == 8
    put(tmp_path, "a/val/1.png")
    refused(tmp_path, "a holds the folder val", "photographs of the class a", "move what")


def test_what_lies_one_folder_further_in(tmp_path):
    put(tmp_path, *(f"data/{part}/{i}.png" for part in ("images", "masks") for i in range(3)))
    refused(tmp_path, "holds no photographs, but", f"give {tmp_path / 'data'}")


@pytest.mark.parametrize(
    ("names", "mask"),
    [
        (("{i}{c}/image.png", "{i}{c}/mask.png"), "0a/mask.png"),
    ],
)
def test_masks_beside_photographs_are_no_classes(tmp_path, names, mask):
    put(tmp_path, *(name.format(c=c, i=i) for name in names for c in "ab" for i in range(3)))
    refused(tmp_path, f"{tmp_path / mask} seems to be the mask of", "take the masks away to learn classes")


def test_masks_in_a_folder_of_their_own_are_no_class(tmp_path):
    """Told by the name of one folder, or by pictures of a few values in one of them."""
    for name in ("annotated", "TrainMasks", "ground truth", "x_seg"):
        put(tmp_path / name, *(f"{part}/{i}.png" for part in ("original", name) for i in range(3)))
        refused(tmp_path / name, f"{name} seems to hold masks", "rename original to images")
    generate(tmp_path / "drawn", 3, size=32, seed=3)
    (tmp_path / "drawn" / "images").rename(tmp_path / "drawn" / "x")
    (tmp_path / "drawn" / "masks").rename(tmp_path / "drawn" / "y")
    refused(tmp_path / "drawn", "y seems to hold masks", "rename x to images and y to masks", "two classes")


def test_classes_may_share_names(tmp_path):
    """Photographs and drawings; words that stand for masks in both folders, or in a few of the files."""
    for k, names in enumerate([("cat", "dog"), ("with_mask", "without_mask"), ("a", "b", "gt")]):
        put(tmp_path / f"{k}", *(f"{name}/{i}.jpg" for name in names for i in range(3)))
        assert len(find_data(tmp_path / f"{k}").classes) == len(names)
    put(tmp_path / "0", "cat/2 mask.jpg")
    assert len(find_data(tmp_path / "0")) == 7
    (tmp_path / "photographs").mkdir()
    for name in ("cat", "dog"):
        generate(tmp_path / "scenes", 3, size=32, seed=3)
        shutil.move(tmp_path / "scenes" / "images", tmp_path / "photographs" / name)
    assert find_data(tmp_path / "photographs").classes == ("cat", "dog")


@pytest.mark.parametrize(("link", "to"), [("c", "a"), ("b/more", "../a"), ("b/9.png", "../a/1.png")])
def test_a_link_gives_no_photograph_two_classes(tmp_path, link, to):
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    (tmp_path / "a" / "again.png").symlink_to("1.png")
    assert find_data(tmp_path).classes == ("a", "b")
    (tmp_path / link).symlink_to(to)
    refused(tmp_path, "are one file, by a link, in the classes a and " + link[0], "take the link away")


@pytest.mark.parametrize("part", ["images", "masks"])
def test_folders_beside_files_hold_pairs_too(tmp_path, part):
    put(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    put(tmp_path / part, ".cache/x.png", "__MACOSX/x.png", "empty/notes.txt")
    assert len(find_photographs(tmp_path)) == 2
    put(tmp_path / part, "more/deeper/c.png")
    if part == "images":
        refused(tmp_path, "1 of 3 images have no mask: more/deeper/c.png", "add it")
    else:
        with pytest.warns(
            UserWarning, match=r"1 of 3 masks have no image and are left out: c\.png; expected"
        ):
            assert len(find_photographs(tmp_path)) == 2


def test_photographs_beside_classes_are_refused(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png", "c.jpg", "._d.jpg")
    refused(tmp_path, "holds 1 photographs beside folders of classes (c.jpg)", "take them away")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_one_name_in_two_spellings_is_one_name(tmp_path, forms):
    """A letter with its accent as one character, or as two, as some systems write."""
    stems = ("pomme-verté", "Å 1", "한국")
    for folder, form in zip(("images", "masks"), forms, strict=True):
        put(tmp_path / folder, *(f"{unicodedata.normalize(form, stem)}.png" for stem in stems))
    found = find_photographs(tmp_path)
    assert len(found) == 3
    for image, mask in zip(found.images, found.masks, strict=True):
        assert unicodedata.normalize("NFC", image.stem) == unicodedata.normalize("NFC", mask.stem)
        assert image.exists()
        assert mask.exists()
    put(tmp_path / "both", *(f"images/{unicodedata.normalize(form, 'é')}.png" for form in ("NFC", "NFD")))
    if len(list((tmp_path / "both" / "images").iterdir())) == 2:  # some systems keep one
        refused(tmp_path / "both", "have one stem", "rename one")


def test_classes_in_two_spellings_are_one_class(tmp_path):
    for part, form in (("train", "NFC"), ("val", "NFD")):
        put(tmp_path / part, *(unicodedata.normalize(form, f"{n}/1.png") for n in ("pêche", "figue")))
    learned, held_out = learned_and_held_out(tmp_path)
    assert learned.task == held_out.task == Task(("figue", "pêche"), dense=False)


def test_endings_may_differ_in_case_and_stems_may_not(tmp_path):
    put(tmp_path, "images/A.JPG", "images/b.png", "masks/A.PNG", "masks/b.Tif")
    assert len(find_photographs(tmp_path)) == 2
    (tmp_path / "masks" / "A.PNG").rename(tmp_path / "masks" / "a.PNG")
    refused(tmp_path, "1 of 2 images have no mask: A.JPG", "a.PNG seems to be that of A.JPG: rename it A.PNG")


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}", "{}_mask"),
        ("{}", "{}_seg"),
        ("{}", "mask_{}"),
        ("{}", "gt-{}-1stHO"),
        ("{}.jpg", "{}_L"),
        ("{}_training", "{}_manual1"),
        ("img_{}", "lab_{}"),
        ("{}", "{}.jpg"),
    ],
)
def test_masks_of_other_stems_are_read(tmp_path, image, mask):
    keys = ("01", "02", "12")
    put(
        tmp_path,
        *(f"images/{image.format(k)}.jpg" for k in keys),
        *(f"masks/{mask.format(k)}.png" for k in keys),
    )
    found = find_data(tmp_path)
    assert [p.stem for p in found.images] == [image.format(k) for k in keys]
    assert [p.stem for p in found.masks] == [mask.format(k) for k in keys]


def test_masks_whose_names_cut_a_word_are_told_how_to_be_named(tmp_path):
    put(tmp_path, "images/cat.jpg", "images/dog.jpg", "masks/catmask.png", "masks/dogmask.png")
    refused(
        tmp_path, "2 of 2 images have no mask", "catmask.png seems to be that of cat.jpg: rename it cat.png"
    )


def test_a_missing_mask_is_no_other_name(tmp_path):
    put(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/z.png")
    refused(tmp_path, "1 of 2 images have no mask: b.png", "add it, or take the image away")


@pytest.mark.parametrize(
    "names", [("Train", "Val"), ("TRAIN", "VAL"), ("train", "validation"), ("training",), ("val",)]
)
def test_parts_of_other_names_are_no_classes(tmp_path, names):
    for name in names:
        put(tmp_path / name, *(f"{kind}/{i}.png" for kind in ("images", "masks") for i in range(2)))
        put(tmp_path / "sorted" / name, "a/1.png", "b/1.png", "a/2.png", "b/2.png")
    for folder in (tmp_path, tmp_path / "sorted"):
        refused(folder, "holds the folder", "expected the")


def test_a_class_may_be_called_train(tmp_path):
    put(tmp_path, *(f"{name}/{i}.png" for name in ("car", "plane", "train") for i in range(5)))
    assert learned_and_held_out(tmp_path)[0].task.classes == ("car", "plane", "train")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("labels/a.txt", "labels/b.txt"), ("2 files *.txt", "YOLO")),
        (("images/a.json", "images/b.json"), ("2 files *.json", "labelme")),
        (("Annotations/a.xml", "Annotations/b.xml"), ("2 files *.xml", "Pascal VOC")),
        (("masks/a.npy", "masks/b.npy"), ("2 files *.npy", "NumPy")),
    ],
)
def test_labels_that_are_no_pictures_are_named_for_what_they_are(tmp_path, files, words):
    put(tmp_path, "images/a.png", "images/b.png", *files)
    refused(tmp_path, *words, "which are no masks", "draw them as PNG")


def test_photographs_without_a_folder_of_their_own(tmp_path):
    put(tmp_path, "a.png", "b.png")
    refused(tmp_path, "holds 2 photographs itself (a.png first)", "move them to")


def test_what_systems_leave_behind_is_left_out(tmp_path):
    names = (
        "Thumbs.db",
        ".DS_Store",
        "._a.png",
        "desktop.ini",
        ".hidden.jpg",
        "notes.txt",
        "@eaDir/a.jpg/x.jpg",
    )
    for part in ("images", "masks"):
        put(tmp_path / part, "a.png", "b.png", *names)
    assert [p.name for p in find_photographs(tmp_path).images] == ["a.png", "b.png"]
    put(
        tmp_path / "sorted",
        *(f"{c}/{n}" for c in "ab" for n in ("1.png", "2.png", *names[:-1])),
        "__MACOSX/._a.png",
    )
    assert len(find_data(tmp_path / "sorted")) == 4


@pytest.mark.parametrize("name", ["model.safetensors", "training.safetensors", "model.json", "reading.html"])
def test_what_a_training_wrote_is_no_photograph_and_no_class(tmp_path, name):
    put(
        tmp_path,
        "a/1.png",
        "b/1.png",
        "runs/net/predictions.png",
        f"runs/net/{name.replace('json', 'safetensors')}",
    )
    put(tmp_path, f"runs/net/{name}", f"run/{name}", "run/reading.png")
    assert find_data(tmp_path).task.classes == ("a", "b")
    assert [p.name for p in find_images(tmp_path)] == ["1.png", "1.png"]
    put(tmp_path, f"a/net/{name}", "a/net/reading.png")  # a class that a network was kept in stays a class
    assert find_data(tmp_path).task.classes == ("a", "b")
    assert len(find_data(tmp_path)) == 2


def test_drawn_scenes_are_found_as_before(tmp_path):
    drawn = generate(tmp_path, 3, size=32)
    assert find_data(tmp_path) == drawn
