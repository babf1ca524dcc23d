"""How files are read stands in the folder of a run before its first step: a table, a picture, a page."""

import csv
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from erlangen.cli import main
from erlangen.train import Settings, generate, prepare
from erlangen.train.held_out import learned_and_held_out
from erlangen.train.reading import COLOURS, NAMES, SIDE, _tile, how_files_are_read

SMALL = {"width": 2, "depth": 1, "size": 48, "crop": 32, "batch": 2, "steps": 2}
FLAGS = [f"--{name}={value}" for name, value in SMALL.items()]


def reading_of(folder, size=48, **options):
    learned, held_out = learned_and_held_out(folder, **options)
    learned, held_out = learned.on_one_scale(held_out)
    return how_files_are_read(learned, held_out, *learned.load(size), size)


@pytest.fixture
def photographs(tmp_path):
    generate(tmp_path / "photos", 6, size=48, seed=3)
    return tmp_path / "photos"


def test_a_dry_run_stops_before_the_first_step(photographs, tmp_path, capsys, monkeypatch):
    def no_step(*_):
        raise AssertionError("a step was taken")

    monkeypatch.setattr("erlangen.train.loop.Training.advance", no_step)
    out = tmp_path / "run"
    assert main(["train", str(photographs), "--out", str(out), "--dry-run", *FLAGS]) == 0
    said = capsys.readouterr().out
    for words in ("0 is the background, 255 the thing", "6 PNG RGB, 8 bits", "48 x 48", str(out / NAMES[0])):
        assert words in said
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES)
    prepare(
        photographs, Settings().changed(**SMALL), out=out
    ).lock.release()  # the training itself may begin there
    before = (out / NAMES[0]).read_bytes()
    (out / "model.safetensors").write_bytes(b"")
    assert (
        main(["train", str(photographs), "--out", str(out), "--dry-run", *FLAGS]) == 1
    )  # as it could not here
    assert "model.safetensors of an earlier training" in capsys.readouterr().err
    assert (out / NAMES[0]).read_bytes() == before


def test_a_training_writes_it_before_its_first_step(photographs, tmp_path):
    training = prepare(photographs, Settings().changed(**SMALL), out=tmp_path / "run")
    assert training.step == 0
    page = (tmp_path / "run" / "reading.html").read_text()
    assert "This is how your files are read" in page
    assert "<td>read as</td><td>0 is the background, 255 the thing</td>" in page
    with open(tmp_path / "run" / "reading.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["set"] for row in rows].count("learned") == len(training.crops.images) == 5
    assert len(rows) == 6
    for row, truth in zip(rows, training.crops.truths, strict=False):
        assert float(row["thing"]) == pytest.approx(float((truth == 1).float().mean()), abs=1e-4)
    with Image.open(tmp_path / "run" / "reading.png") as sheet:
        assert sheet.width > 4 * SIDE


def test_masks_that_were_mended_are_told(tmp_path):
    """TIFF whose zero is white, photographs turned by EXIF, what does not count, what is left out."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    exif = Image.Exif()
    exif[274] = 6
    random = np.random.default_rng(0)
    for i in range(4):
        values = (random.random((20, 30)) > 0.5).astype(np.uint8)
        values[0, 0] = 255
        Image.fromarray(random.integers(0, 256, (30, 20, 3), dtype=np.uint8)).save(
            tmp_path / "images" / f"{i}.jpg", exif=exif
        )
        Image.fromarray(255 - values).save(tmp_path / "masks" / f"{i}.tif", tiffinfo={262: 0})
    (tmp_path / "images" / "notes.md").write_text("")
    (tmp_path / "images" / ".DS_Store").write_text("")
    rows = reading_of(tmp_path, ignore=255).rows
    assert rows["photographs turned"] == "4 of 4, upright as their EXIF data say"
    assert rows["white is 0"] == "in 4 masks, where a stored 1 is the thing all the same"
    assert rows["read as"] == "0 is the background, 1 the thing"
    assert rows["not counted"].startswith("the value 255: 0.167 %")
    assert rows["left out"] == "notes.md; 1 hidden"
    assert rows["sizes"] == "30 x 20"


def test_a_mask_held_out_of_another_size_is_refused_before_the_first_step(photographs, tmp_path):
    _, held_out = learned_and_held_out(photographs)
    Image.new("L", (5, 7)).save(held_out.masks[0])
    with pytest.raises(ValueError, match=r"has 5 x 7 pixels, expected 48 x 48 as scene.*export"):
        prepare(photographs, Settings().changed(**SMALL), out=tmp_path / "run")


def test_what_is_tinted_is_the_thing():
    """Its colour along the edge, the photograph inside, nothing outside; what does not count is hatched."""
    image = torch.full((3, 60, 80), 100, dtype=torch.uint8)
    truth = torch.zeros(60, 80, dtype=torch.uint8)
    truth[20:40, 30:60] = 1
    truth[50:] = 255
    tile = np.asarray(_tile(image, truth, 300)).astype(int)
    scale = SIDE / 80
    own = np.array([int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)])
    at = lambda row, column: tile[round(row * scale), round(column * scale)]  # noqa: E731
    assert np.abs(at(30, 45) - (0.82 * 100 + 0.18 * own)).max() < 3
    assert np.abs(tile[round(30 * scale), round(30 * scale) : round(30 * scale) + 3] - own).max(-1).min() < 60
    assert (at(10, 10) == 100).all()
    hatched = tile[round(52 * scale) : round(58 * scale)]
    assert hatched.min() > 100
    assert hatched.std() > 10


@pytest.mark.parametrize("kind", ["classes", "one photograph of each", "thin", "names", "many classes"])
def test_all_kinds_of_data_are_shown(tmp_path, kind):
    data, random = tmp_path / "data", np.random.default_rng(0)

    def put(name, size=(40, 30), top=256, mode="RGB"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shape = size[::-1] + ((3,) if mode == "RGB" else ())
        Image.fromarray(random.integers(0, top, shape, dtype=np.uint8)).save(data / name)

    count = 2 if kind == "one photograph of each" else 5
    for i in range(count):
        stem, size = f"{i}", (40, 30)
        if kind == "thin":
            size = [(1, 40), (200, 2), (1, 1), (7, 500), (3, 3)][i]
        if kind == "names":
            stem = (
                os.fsdecode(b"$\\frac & <b> \xff %d" % i) if sys.platform.startswith("linux") else f"$<b>{i}"
            )
        if kind == "classes":
            put(f"red/{i}.png")
            put(f"<b>blue</b>/{i}.png") if sys.platform.startswith("linux") else put(f"blue/{i}.png")
        else:
            put(f"images/{stem}.png", size)
            put(f"masks/{stem}.png", size, 12 if kind == "many classes" else 2, "L")
    options = {"classes": 12} if kind == "many classes" else {}
    reading = reading_of(data, 32, **options)
    page = reading.write(tmp_path / "out")
    text = page.read_text("utf-8")
    assert "<b>" not in text
    assert all(line.isprintable() for line in reading.rows.values())
    assert reading.sheet.height > 30
    assert len(reading.files) == 1 + (10 if kind == "classes" else count)


def test_a_link_in_the_folder_is_replaced_not_followed(photographs, tmp_path):
    (tmp_path / "out").mkdir()
    for name in NAMES:
        (tmp_path / name).write_text("of another")
        (tmp_path / "out" / name).symlink_to(tmp_path / name)
    reading_of(photographs).write(tmp_path / "out")
    assert all((tmp_path / name).read_text() == "of another" for name in NAMES)
    assert not any((tmp_path / "out" / name).is_symlink() for name in NAMES)
