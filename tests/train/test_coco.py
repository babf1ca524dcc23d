"""COCO's JSON: drawn by pixels' centres, and refused by name where it is wrong."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from erlangen.train import find_data, json_files
from erlangen.train.held_out import learned_and_held_out
from erlangen.train.masks import IGNORED
from erlangen.train.outlines import filled, of_runs, runs_of
from erlangen.train.reading import how_files_are_read

WIDTH, HEIGHT = 12, 10
BOX = [2, 3, 7, 3, 7, 6, 2, 6]  # columns 2 to 6, rows 3 to 5


def box(top, bottom, left, right):
    inside = np.zeros((HEIGHT, WIDTH), int)
    inside[top:bottom, left:right] = 1
    return inside


def said(categories=("cell",), **changed):
    """Three photographs, the first with a box of each category, one upon the other."""
    whole = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(3)],
        "annotations": [
            {"id": k, "image_id": 0, "category_id": k + 1, "segmentation": [[v + k for v in BOX]]}
            for k in range(len(categories))
        ],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(categories)],
    }
    return whole | changed


def put(folder, whole=None, place="annotations/instances.json", images="images", count=3):
    for i in range(count):
        (folder / images).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (i, 90, 200)).save(folder / images / f"{i}.png")
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(json.dumps(said() if whole is None else whole))
    return folder


def one(folder, i=0, **options):
    return find_data(folder, **options).load_one(i, None)[1].numpy()


def refused(folder, *words, **options):
    with pytest.raises(ValueError, match=re.escape(words[0])) as error:
        find_data(folder, **options).load(None)
    assert all(word in str(error.value) for word in (*words, "expected", "; "))


@pytest.mark.parametrize(
    ("place", "images"),
    [
        ("annotations/a.json", "images"),
        ("Annotations/a.json", "photos"),
        ("_annotations.coco.json", "images"),
        ("images/a.json", "images"),
        ("_annotations.coco.json", "."),
    ],
)
def test_one_category_is_a_thing(tmp_path, place, images):
    found = find_data(put(tmp_path, place=place, images=images))
    assert found.classes == ("background", "cell")
    assert np.array_equal(found.load_one(0, None)[1].numpy(), box(3, 6, 2, 7))
    assert not found.load_one(1, None)[1].any()
    assert "COCO" in found.paired


def test_several_categories_are_classes_and_the_later_counts(tmp_path):
    put(tmp_path, said(("cell", "nucleus", "background")))
    truth = one(tmp_path)
    expected = box(3, 6, 2, 7)
    expected[box(4, 7, 3, 8) == 1] = 2
    expected[box(5, 8, 4, 9) == 1] = 0
    assert np.array_equal(truth, expected)
    assert find_data(tmp_path).classes == ("background", "cell", "nucleus")
    assert set(np.unique(one(tmp_path, classes=2))) == {0, 1}
    assert find_data(tmp_path, classes=2).how.why == "0 is the background, what is not 0 the thing"
    refused(tmp_path, "classes=7, but", "names 3", "leave --classes out", classes=7)


def runs(inside):
    """The run lengths of what is inside, column by column."""
    flat = inside.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    ends = np.concatenate([[0], edges, [flat.size]])
    return np.diff(ends).tolist()


def compressed(lengths):
    """As COCO writes them: differences in chunks of five bits."""
    text = ""
    for i, length in enumerate(lengths):
        number = length - (lengths[i - 2] if i > 2 else 0)
        more = True
        while more:
            bits, number = number & 31, number >> 5
            more = not (number == 0 and not bits & 16) and not (number == -1 and bits & 16)
            text += chr((bits | 32 if more else bits) + 48)
    return text


@pytest.mark.parametrize("how", ["runs", "text"])
def test_run_lengths(tmp_path, how):
    inside = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH))
    inside[:, 4:8] = 1
    counts = runs(inside) if how == "runs" else compressed(runs(inside))
    drawn = {"size": [HEIGHT, WIDTH], "counts": counts}
    put(tmp_path, said(annotations=[{"id": 1, "image_id": 2, "category_id": 1, "segmentation": drawn}]))
    assert np.array_equal(one(tmp_path, 2), inside)


def test_compressed_run_lengths():
    """Differences below 0, numbers of several letters; a text by hand."""
    for lengths in ([6, 1, 40, 4, 9], [0, 100_000, 3, 1, 70_000], [5]):
        assert runs_of(compressed(lengths)) == lengths
    assert runs_of("61X13QO") == [6, 1, 40, 4, 9]
    assert of_runs([1, 2, 1], 2, 2).tolist() == [[False, True], [True, False]]
    for text in ("~", "o", "oooooooo0"):
        with pytest.raises(ValueError, match="compressed run lengths"):
            runs_of(text)
    for wrong in ([1, 2], [-1, 5], [True, 3], [1.5, 2.5], [None, 4]):
        with pytest.raises(ValueError, match="expected"):
            of_runs(wrong, 2, 2)


def test_polygons_have_the_pixels_whose_centres_lie_inside():
    """As matplotlib says of each centre, also beyond the edges and of stars that meet themselves."""
    from matplotlib.path import Path

    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], 1)
    random = np.random.default_rng(0)
    for _ in range(50):
        middle, angles = random.uniform(0, 12, 2), np.sort(random.uniform(0, 2 * np.pi, 7))
        corners = middle + random.uniform(1, 9, (7, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        expected = Path(np.concatenate([corners, corners[:1]])).contains_points(centres)
        assert np.array_equal(filled(corners, HEIGHT, WIDTH).ravel(), expected)
    square = np.array([[0.0, 0.0], [2, 0], [2, 2], [0, 2]])
    assert filled(square, 3, 3).tolist() == [[True, True, False]] * 2 + [[False] * 3]


def test_several_polygons_are_one_thing(tmp_path):
    both = [BOX, [v + 1 for v in BOX]]
    put(tmp_path, said(annotations=[{"id": 1, "image_id": 0, "category_id": 1, "segmentation": both}]))
    assert np.array_equal(one(tmp_path), box(3, 6, 2, 7) | box(4, 7, 3, 8))


def test_crowds_do_not_count_but_things_in_them_do(tmp_path):
    crowd = {"size": [HEIGHT, WIDTH], "counts": runs(box(0, 6, 0, 12))}
    whole = said()
    whole["annotations"].append(
        {"id": 9, "image_id": 0, "category_id": 1, "segmentation": crowd, "iscrowd": 1}
    )
    expected = np.where(box(0, 6, 0, 12), IGNORED, 0)
    expected[box(3, 6, 2, 7) == 1] = 1
    assert np.array_equal(one(put(tmp_path, whole)), expected)
    refused(tmp_path, "ignore=7, but", "as the value 255", "leave --ignore out", ignore=7)


def test_several_files_and_photographs_that_none_names(tmp_path):
    whole = said()
    for i, name in enumerate("ab"):
        put(tmp_path, whole | {"images": [whole["images"][i]]}, f"annotations/{name}.json")
        whole["annotations"] = []
    found = find_data(tmp_path)
    assert [path.name for path in found.images] == ["0.png", "1.png"]
    assert "1 photographs that it does not name are left out" in found.paired
    put(tmp_path, whole, "annotations/c.json")
    refused(tmp_path, "names the image 0.png twice (a.json, b.json, c.json)", "take one file away")
    put(tmp_path, whole | {"categories": [{"id": 1, "name": "x"}]}, "annotations/c.json")
    refused(tmp_path, "name other categories", "take one away")
    put(tmp_path, whole, "annotations/instances_val2017.json")
    refused(tmp_path, "annotations holds instances_val2017.json", "move them, each with its JSON")


def test_it_is_said(tmp_path):
    for part in ("train", "val"):
        put(tmp_path / part, said(("cell", "nucleus")), "_annotations.coco.json", ".")
        assert sum(map(len, learned_and_held_out(tmp_path))) == (3 if part == "train" else 6)
    learned, held_out = learned_and_held_out(tmp_path)
    rows = how_files_are_read(learned, held_out, *learned.load(None), None).rows
    assert "its centre lies inside; where things overlap the later one counts" in rows["paired by"]
    assert rows["class names"] == str(tmp_path / "train" / "_annotations.coco.json")
    assert "left out" not in rows
    assert rows["masks"] == "6 COCO L, 8 bits"
    assert learned.task.classes == ("background", "cell", "nucleus")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "x/../0.png", "link.png"])
def test_no_path_leaves_the_folder(tmp_path, name):
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "secret.png")
    put(tmp_path / "data", said(images=[{"id": 0, "file_name": name, "width": WIDTH, "height": HEIGHT}]))
    (tmp_path / "data" / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    refused(tmp_path / "data", f"names the image {name!r}, which leads out of", "put the photographs there")


def annotation(**changed):
    return {"annotations": [said()["annotations"][0] | changed]}


def image(**changed):
    return {"images": [said()["images"][0] | changed]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"categories": {}}, ('its "categories" is no list', "take it away")),
        ({"annotations": [1]}, ('its "annotations" is no list of objects',)),
        ({"categories": []}, ("names 0 categories",)),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, ("names 2 categories ('a'",)),
        ({"images": [said()["images"][0]] * 2}, ('has the id 0 in "images" twice',)),
        (image(id=None), ('has the id None in "images" which is none',)),
        (image(width=0), ("0 x 10 pixels", "whole numbers from 1 to 65536")),
        (image(width=10**9), ("1000000000 x 10 pixels", "from 1 to 65536")),
        (image(width=WIDTH + 1), ("says that 0.png has 13 x 10 pixels, expected 12 x 10", "export both")),
        (image(file_name=3), ('"file_name" 3',)),
        (image(file_name="\ud800"), ("\"file_name\" '\\ud800'",)),
        (image(file_name="z.png"), ("names 1 of 1 images that are not in", "add them")),
        (annotation(image_id=77), ('"image_id" 77', "one of the 3 that are listed")),
        (annotation(category_id=[1]), ('"category_id" [1]',)),
        (annotation(segmentation=[]), ("no more than a box", "polygons or run lengths")),
        (annotation(segmentation=[[1, 2, 3, 4]]), ("the polygon [1, 2, 3, 4]", "three corners")),
        (annotation(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), ("the polygon", "three corners")),
        (annotation(segmentation=[["x"] * 6]), ("the polygon", "three corners")),
        (annotation(segmentation=[[float("nan")] * 6]), ("far from its image of 12 x 10",)),
        (annotation(segmentation=[[10**400] * 6]), ("far from its image of 12 x 10",)),
        (annotation(segmentation={"size": [9, 9], "counts": [81]}), ("run lengths of [9, 9]", "[10, 12]")),
        (annotation(segmentation={"size": [10, 12], "counts": 7}), ("in int", "a list or a text")),
        (
            annotation(segmentation={"size": [10, 12], "counts": [10**30]}),
            ("runs of 1,000", "expected 120 (12 x"),
        ),
        (
            annotation(segmentation={"size": [10, 12], "counts": "~"}),
            ("annotation 0 (id 0), has the letter",),
        ),
    ],
)
def test_what_a_json_says_wrongly_is_named(tmp_path, changed, words):
    refused(put(tmp_path, said() | changed), "instances.json", *words)


def test_files_that_are_no_json_are_named(tmp_path, monkeypatch):
    path = put(tmp_path) / "annotations/instances.json"
    for content, words in (
        ("[1]", "holds a list, expected COCO: an object"),
        ('{"a": 1}', "is not COCO's (it has a), expected COCO"),
        ('{"images": [', "is no JSON (Expecting value"),
        ("[" * 100_000, "is no JSON ("),
    ):
        path.write_text(content)
        refused(tmp_path, "instances.json", words, "export it again")
    path.write_bytes(b"\xff\xfe\x00")
    refused(tmp_path, "cannot be read ('utf-8' codec", "export it again")
    monkeypatch.setattr(json_files, "MOST_BYTES", 2)
    refused(tmp_path, "has 3 bytes, expected at most 2", "split it")


def test_json_of_each_photograph_is_another_programs(tmp_path):
    put(tmp_path, {"shapes": []}, "images/0.json")
    put(tmp_path, {"shapes": []}, "images/1.json")
    refused(tmp_path, "2 files *.json", "labelme", "draw them as PNG")
