"""What goes wrong at the command line: one line with the file and the mend, an exit code, nothing lost."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.cli import main
from erlangen.train import Predictor, Task

WHOLE = Task(("cat", "dog"), dense=False)
FLAGS = ["--width", "2", "--depth", "1", "--size", "48", "--crop", "32", "--batch", "2", "--steps", "6"]


@pytest.fixture
def photographs(scenes, tmp_path):
    return shutil.copytree(scenes, tmp_path / "photographs")


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.startswith("erlangen: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def no_mask(folder):
    next((folder / "masks").iterdir()).unlink()


def small_mask(folder):
    Image.new("L", (5, 5)).save(next((folder / "masks").iterdir()))


def truncated(folder):
    file = sorted((folder / "images").iterdir())[0]
    file.write_bytes(file.read_bytes()[:300])


def unreadable(folder):
    sorted((folder / "images").iterdir())[0].write_text("no photograph")


def empty(folder):
    for file in (folder / "images").iterdir():
        file.unlink()


def one_only(folder):
    for name in ("images", "masks"):
        for file in sorted((folder / name).iterdir())[1:]:
            file.unlink()


def no_folder(folder):
    shutil.rmtree(folder / "masks")


def other_name(folder):
    (folder / "masks").rename(folder / "labels")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_mask, ("1 of 8 images have no mask", "add it, or take the image away")),
        (small_mask, ("has 5 x 5 pixels, expected 48 x 48", "export it at that size")),
        (truncated, ("scene0000.png cannot be read as an image", "export it again")),
        (unreadable, ("scene0000.png cannot be read as an image", "export it again")),
        (empty, ("images holds no images", "expected PNG")),
        (one_only, ("has 1 photographs", "expected at least 2")),
        (no_folder, ("masks is no folder", "expected the photographs there", "make it")),
        (other_name, ("masks is no folder", "rename", "labels")),
        (shutil.rmtree, ("photographs is no folder", "DIR/CLASS")),
    ],
)
def test_photographs_that_cannot_be_learned_from(photographs, tmp_path, capsys, spoil, words):
    spoil(photographs)
    assert main(["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]) == 1
    error = one_line(capsys)
    for word in words:
        assert word in error


def test_weights_that_are_no_numbers(tmp_path, capsys, monkeypatch):
    model = Predictor(er.models.UNet(er.Plane(rotations=4), 3, 1, 2, 1), size=48)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    monkeypatch.setattr("erlangen.train.checkpoint._expect_numbers", lambda *_: None)
    er.save(model, tmp_path / "nan")
    monkeypatch.undo()
    assert main(["check", str(tmp_path / "nan")]) == 1
    error = one_line(capsys)
    assert "hold NaN or infinity" in error
    assert "train anew" in error


def test_checkpoints_of_others(run, tmp_path, capsys, scenes):
    folder = er.save(run.model, tmp_path / "net")
    recipe = json.loads((folder / "model.json").read_text())
    for change, words in (
        ({"format": 1}, "has format 1, expected 2; read it with the version of erlangen that wrote it"),
        ({"domain": {"name": "Sphere"}}, "expected a UNet or Classifier on a Plane"),
        ({"sha256": "0"}, "is not the file that model.json was written with"),
    ):
        (folder / "model.json").write_text(json.dumps(recipe | change))
        assert main(["predict", str(folder), str(scenes), "--out", str(tmp_path / "masks")]) == 1
        assert words in one_line(capsys)
    assert not (tmp_path / "masks").exists()


def test_a_full_disc_while_training_keeps_what_was_saved(photographs, tmp_path, capsys, monkeypatch):
    """The first save succeeds, the second finds the disc full; the training goes on from the first."""
    monkeypatch.setattr("erlangen.train.loop.SAVE_EVERY", 0.0)
    command = ["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]
    sync, count = os.fsync, [0]

    def full(descriptor):
        count[0] += 1
        if count[0] > 1:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        assert main(command) == 1
    error = one_line(capsys)
    assert "training.safetensors could not be written" in error
    assert "make room" in error
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["training.safetensors"]
    assert main(command) == 1
    assert "holds training.safetensors of an earlier training, expected a folder of its own" in one_line(
        capsys
    )
    assert main([*command, "--resume"]) == 0
    resumed = er.load(tmp_path / "out").state_dict()
    assert main(["train", str(photographs), "--out", str(tmp_path / "whole"), *FLAGS]) == 0
    whole = er.load(tmp_path / "whole").state_dict()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def no_step(*_):
    raise AssertionError("a step was taken")


def test_where_nothing_can_be_written_shows_before_the_work(photographs, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    command = ["train", str(photographs), "--out", str(tmp_path / "file"), *FLAGS]
    monkeypatch.setattr("erlangen.train.loop.measure_cost", lambda _: "little")
    monkeypatch.setattr("erlangen.train.loop.Training.advance", no_step)
    assert main(command) == 1
    assert "file could not be written" in (error := one_line(capsys))
    assert "name another place" in error

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main([*command[:2], "--out", str(tmp_path / "full"), *FLAGS]) == 1
    assert "training.safetensors could not be written" in one_line(capsys)


def test_a_full_disc_under_the_page_keeps_the_network(photographs, tmp_path, capsys, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("erlangen.figures.save", full)
    assert main(["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]) == 1
    error = one_line(capsys)
    assert "out could not be written" in error
    assert "the network is there, whole" in error
    assert er.load(tmp_path / "out").net.domain.rotations == 8


def test_a_full_disc_under_the_table_keeps_its_lines(tmp_path, capsys):
    """A real one: on Linux every write to /dev/full finds the disc full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    (tmp_path / "classes.csv").symlink_to("/dev/full")
    photograph = Image.new("RGB", (16, 16))
    photograph.save(tmp_path / "a.png")
    model = Predictor(er.models.Classifier(er.Plane(rotations=4), 3, 2, 2, 1), size=16, task=WHOLE)
    with pytest.raises(OSError, match=r"classes\.csv could not be written.*the lines before are there"):
        er.predict(model, tmp_path / "a.png", out=tmp_path)
    folder = er.save(model, tmp_path / "net")
    assert main(["check", str(folder), "--html", "/dev/full"]) == 1
    assert "/dev/full could not be written" in one_line(capsys)


def test_a_diverging_training_keeps_what_was_saved(photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("erlangen.train.loop.SAVE_EVERY", 0.0)
    out = tmp_path / "out"
    assert main(["train", str(photographs), "--out", str(out), *FLAGS, "--lr", "1e30"]) == 1
    assert "take a smaller learning rate than lr=1e+30" in one_line(capsys)
    assert (out / "training.safetensors").exists()


def test_photographs_that_cannot_be_predicted(run, tmp_path, capsys):
    folder = er.save(run.model, tmp_path / "net")
    (tmp_path / "new").mkdir()
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "new" / "a.png")
    (tmp_path / "new" / "b.png").write_text("nothing")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "new" / "c.png")
    assert main(["predict", str(folder), str(tmp_path / "new"), "--out", str(tmp_path / "masks")]) == 1
    assert "1 of 3 photographs are left out" in (error := one_line(capsys))
    assert "b.png cannot be read as an image" in error
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.png", "c.png"]
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        er.predict(run.model, tmp_path / "new")
    assert main(["predict", str(folder), str(tmp_path / "nowhere")]) == 1
    assert "nowhere is no folder, expected a photograph, or a folder of them" in one_line(capsys)


def test_masks_never_replace_photographs(run, tmp_path, capsys):
    folder = er.save(run.model, tmp_path / "net")
    (tmp_path / "new").mkdir()
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "new" / "a.png")
    assert main(["predict", str(folder), str(tmp_path / "new"), "--out", str(tmp_path / "new")]) == 1
    assert "the mask of a.png would be written over the photograph" in one_line(capsys)
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.mode == "RGB"


def test_too_little_memory(photographs, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes\nmore")

    monkeypatch.setattr("erlangen.train.loop.measure_cost", full)
    assert main(["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]) == 1
    assert "can't allocate memory" in (error := one_line(capsys))
    assert "take a smaller --batch, --crop" in error


def test_a_network_is_not_lost_to_another(photographs, tmp_path, capsys):
    command = ["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]
    assert main(command) == 0
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert main([*command, "--seed", "5"]) == 1
    assert "holds model.json of an earlier training" in one_line(capsys)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    assert main([*command, "--seed", "5", "--overwrite"]) == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() != before


def test_a_state_with_other_settings(photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("erlangen.train.loop.SAVE_EVERY", 0.0)
    command = ["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]
    assert main(command) == 0
    monkeypatch.setattr("erlangen.train.state.asdict", lambda settings: {"magic": 7})
    assert main([*command, "--overwrite"]) == 0
    assert main([*command, "--resume"]) == 1
    assert "there is no setting magic" in one_line(capsys)


def test_a_device_that_is_not_there(run, tmp_path, capsys, scenes):
    folder = er.save(run.model, tmp_path / "net")
    assert main(["predict", str(folder), str(scenes), "--device", "cuda:77"]) == 1
    assert "erlangen doctor" in one_line(capsys)
