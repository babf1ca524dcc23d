"""Data sets of nnU-Net: channels in files of their own, labels whose names are the classes."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from erlangen.train import find_data
from erlangen.train.held_out import learned_and_held_out
from erlangen.train.look import look
from erlangen.train.reading import how_files_are_read

nib = pytest.importorskip("nibabel")
NEW = {"background": 0, "liver": 1, "tumour": 2}


def put(folder, channels=1, ending=".nii.gz", labels=NEW, **said):
    """Four cases; channel k holds k + 1, labels a slice of each number."""
    for part in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for case in ("liver_001", "liver_002", "liver_010", "liver_0003"):
        for k in range(channels):
            save(folder / f"imagesTr/{case}_{k:04}{ending}", np.full((6, 5, 4), k + 1, np.int16))
        truth = np.arange(6)[:, None, None].repeat(5, 1).repeat(4, 2) % (3 if labels is NEW else 2)
        save(folder / f"labelsTr/{case}{ending}", truth.astype(np.uint8))
    save(folder / f"imagesTs/liver_999_0000{ending}", np.ones((6, 5, 4), np.int16))
    about = {"labels": labels, "file_ending": ending, **said}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def save(path, values):
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    else:
        Image.fromarray(values[..., 0].astype(np.uint8)).save(path)


def refused(folder, *words, **options):
    with pytest.raises(ValueError, match=re.escape(words[0])) as error:
        find_data(folder, **options)
    assert all(word in str(error.value) for word in (*words, "expected", "; "))


def test_channels_and_classes(tmp_path):
    found = find_data(put(tmp_path, 2, channel_names={"0": "CT", "1": "PET"}))
    assert found.classes == ("background", "liver", "tumour")
    assert len(found) == 4
    assert [image.name for image in found.images][:2] == ["liver_0003.nii.gz", "liver_001.nii.gz"]
    assert len(found.files) == 12
    learned, held_out = learned_and_held_out(tmp_path)
    learned, held_out = learned.on_one_scale(held_out)
    images, truths = learned.load(None)
    assert images[0].shape == (2, 6, 5, 4)
    assert float(images[0][1].min() - images[0][0].max()) > 0
    assert truths[0][:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    rows = look(learned, held_out, None)[0]
    assert rows["paired by"] == "nnU-Net, 2 channels; imagesTs is left out"
    assert rows["channels"] == "2"
    reading = how_files_are_read(learned, held_out, images, truths, None)
    assert reading.rows["class names"] == str(tmp_path / "dataset.json")
    assert reading.rows["left out"] == "imagesTs/"


def test_labels_of_the_old_style_and_of_the_decathlon(tmp_path):
    """Numbers with names; images of the names of their labels, and no ending in the JSON."""
    put(tmp_path, labels={"0": "background", "1": "liver"})
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"1": "aorta", "0": "background"}}))
    for file in (tmp_path / "imagesTr").iterdir():
        file.rename(file.with_name(file.name.replace("_0000.", ".")))
    found = find_data(tmp_path)
    assert found.classes == ("background", "aorta")
    assert [image.name for image in found.images] == [mask.name for mask in found.masks]


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_photographs(tmp_path, ending):
    found = find_data(put(tmp_path, ending=ending))
    assert found.dim == 2
    assert found.load(None)[1][0][:, 0].tolist() == [0, 1, 2, 0, 1, 2]
    one = find_data(tmp_path, classes=2)  # all others as one thing
    assert one.load(None)[1][0][:, 0].tolist() == [0, 1, 1, 0, 1, 1]
    put(tmp_path, 2, ending)
    refused(tmp_path, "liver_0003 has 2 channels", "one file for each photograph", "join them")


def test_what_does_not_count_and_no_json(tmp_path):
    put(tmp_path / "a", labels={"background": 0, "liver": 1, "ignore": 2})
    found = find_data(tmp_path / "a")
    assert (found.classes, found.ignore) == (("background", "liver"), 2)
    refused(tmp_path / "a", "ignore=7, but", "as the value 2", "leave --ignore out", ignore=7)
    refused(put(tmp_path / "c"), "classes=2, but", "expected as many; leave", classes=2)
    refused(tmp_path / "a", "classes=5, but", "names 2", "leave --classes out", classes=5)
    put(tmp_path / "b", labels={"0": "background", "1": "liver"})
    (tmp_path / "b" / "dataset.json").unlink()
    assert find_data(tmp_path / "b").classes == ("background", "thing")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"labels": {"background": 0, "whole": [1, 2]}}, ("region whole", "one number for each")),
        ({"labels": {"background": 0, "liver": 2}}, ("the numbers [0, 2]", "without a gap")),
        ({"labels": {"background": 0, "liver": "x"}}, ("label liver: 'x'", "from 0 to 255")),
        ({"labels": {"0": "a", "1": "a"}}, ("names two labels a", "rename one")),
        ({"labels": []}, ("names no labels", '"background": 0')),
        ({"labels": NEW, "file_ending": 3}, ('"file_ending" 3', "a text such as")),
        ({"labels": NEW, "file_ending": ".nrrd"}, ("holds no volumes, .nrrd as", "correct dataset.json")),
        (
            {"labels": NEW, "channel_names": {"0": "CT", "1": "PET"}},
            ("has the channels 0", "0 to 1 as dataset"),
        ),
        ([], ("dataset.json holds a list", 'with "labels"')),
    ],
)
def test_what_a_json_says_wrongly_is_named(tmp_path, said, words):
    (put(tmp_path) / "dataset.json").write_text(json.dumps(said))
    refused(tmp_path, *words)


def test_what_lacks_is_named(tmp_path):
    put(tmp_path, 2)
    (tmp_path / "imagesTr/liver_010_0000.nii.gz").unlink()
    refused(tmp_path, "liver_010 has the channels 1, expected 0 to 1 as the others", "add what lacks")
    (tmp_path / "labelsTr/liver_002.nii.gz").unlink()
    refused(tmp_path, "1 of 4 cases in", "have no labels: liver_002_0000.nii.gz", "take the images away")
    put(tmp_path, 2)
    for k in range(2):
        (tmp_path / f"imagesTr/liver_002_000{k}.nii.gz").unlink()
    refused(tmp_path, "1 of 4 labels in", "have no image: liver_002.nii.gz", "take the labels away")


def test_channels_of_other_sizes_are_named(tmp_path):
    save(put(tmp_path, 2) / "imagesTr/liver_002_0001.nii.gz", np.ones((6, 5, 3), np.int16))
    with pytest.raises(ValueError, match=r"liver_002_0001\.nii\.gz has 6 x 5 x 3 voxels, expected 6 x 5 x 4"):
        find_data(tmp_path).on_one_scale()
