"""What goes wrong at the command line: one line with the file and the mend, an exit code, nothing lost."""

import os
import shutil
import struct
import zlib

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


@pytest.fixture
def soon(monkeypatch):
    """A page without what takes long: turned photographs, proofs, and where a defect comes from, all of which
    a network may not have; tests/test_cli.py and test_outputs.py look at them."""
    for name, nothing in (("_by_angle", {}), ("report_of", None), ("sources_of", None)):
        monkeypatch.setattr(f"erlangen.train.run_page.{name}", lambda *_, nothing=nothing: nothing)


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


def two_of_masks(folder):
    (folder / "masks").rename(folder / "labels")
    shutil.copytree(folder / "labels", folder / "gt")


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
        (two_of_masks, ("several folders that may be those of the masks (gt, labels)", "rename it masks")),
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
    assert "train again" in error


def test_a_full_disc_while_training_keeps_what_was_saved(photographs, tmp_path, capsys, monkeypatch, soon):
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
    said = {"reading.csv", "reading.html", "reading.png"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"training.safetensors", *said}
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
    monkeypatch.setattr("erlangen.train.loop.Training.cost", lambda _: "little")
    monkeypatch.setattr("erlangen.train.loop.Training.advance", no_step)
    assert main(command) == 1
    assert "file could not be written" in (error := one_line(capsys))
    assert "name another place" in error

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main([*command[:2], "--out", str(tmp_path / "full"), *FLAGS]) == 1
    assert "training.safetensors could not be written" in one_line(capsys)


def test_a_full_disc_under_the_page_keeps_the_network(photographs, tmp_path, capsys, monkeypatch, soon):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("erlangen.figures.save", full)
    assert main(["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]) == 1
    error = one_line(capsys)
    assert "out could not be written" in error
    assert "the network is there, whole" in error
    assert er.load(tmp_path / "out").net.domain.rotations == 8


def test_a_full_disc_under_the_table_keeps_the_one_before(tmp_path, monkeypatch):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    model = Predictor(er.models.Classifier(er.Plane(rotations=4), 3, 2, 2, 1), size=16, task=WHOLE)
    er.predict(model, tmp_path / "a.png", out=tmp_path)
    before = (tmp_path / "classes.csv").read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match=r"classes\.csv could not be written.*is unharmed"):
            er.predict(model, tmp_path / "a.png", out=tmp_path)
    assert (tmp_path / "classes.csv").read_bytes() == before
    er.predict(model, tmp_path / "a.png", out=tmp_path)


def test_a_full_disc_under_a_page(tmp_path, capsys):
    """A real one: on Linux every write to /dev/full finds the disc full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    model = Predictor(er.models.Classifier(er.Plane(rotations=4), 3, 2, 2, 1), size=16, task=WHOLE)
    folder = er.save(model, tmp_path / "net")
    assert main(["check", str(folder), "--html", "/dev/full"]) == 1
    assert "/dev/full could not be written" in one_line(capsys)


def test_a_diverging_training_keeps_what_was_saved(photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("erlangen.train.loop.SAVE_EVERY", 0.0)
    out = tmp_path / "out"
    assert main(["train", str(photographs), "--out", str(out), *FLAGS, "--lr", "1e30"]) == 1
    assert "take a smaller learning rate than lr=1e+30" in one_line(capsys)
    assert (out / "training.safetensors").exists()


def test_a_network_that_answers_the_same_everywhere_is_shown_as_that(photographs, tmp_path, capsys):
    """Black photographs of nothing: the page is written, and says what to look at."""
    for file in photographs.rglob("*.png"):
        with Image.open(file) as image:
            Image.new(image.mode, image.size).save(file)
    out, flags = tmp_path / "out", [*FLAGS, "--lr", "1e4", "--consistency", "0"]
    assert main(["train", str(photographs), "--out", str(out), *flags]) == 0
    assert "the network answers the same everywhere" in capsys.readouterr().out
    assert "answers the same everywhere" in (out / "index.html").read_text()
    assert (out / "curves.csv").exists()


def test_ctrl_c_before_the_first_step_can_be_resumed(photographs, tmp_path, capsys, monkeypatch, soon):
    command = ["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("erlangen.train.loop.Training.cost", lambda _: "little")
        patch.setattr("erlangen.train.loop.class_counts", interrupt)
        patch.setattr("erlangen.train.loop.Training.facts", lambda _: {})
        assert main(command) == 130
    assert "--resume goes on from" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0


def test_a_stopped_training_is_not_lost_to_another(scenes, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    options = {"steps": 2, "width": 2, "depth": 1, "size": 48, "crop": 32, "batch": 2, "out": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        er.fit(scenes, progress=interrupt, **options)
    before = (tmp_path / "training.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"holds training\.safetensors of an earlier training"):
        er.fit(scenes, **options)
    assert (tmp_path / "training.safetensors").read_bytes() == before
    with pytest.raises(ValueError, match="both resume and overwrite"):
        er.fit(scenes, resume=True, overwrite=True, **options)
    assert er.fit(scenes, overwrite=True, **options).history[-1]["step"] == 2


def test_what_a_network_wrote_is_not_taken_for_photographs(run, tmp_path, capsys, monkeypatch):
    """Neither its masks of the last time nor the pictures of a training; what it cannot read is named."""
    monkeypatch.chdir(tmp_path)
    er.save(run.model, "net")
    Image.new("RGB", (30, 20)).save("a.jpg")
    Image.new("RGB", (30, 20)).save("net/predictions.png")
    Image.new("RGB", (30, 20)).save("b.jp2")
    for _ in range(2):
        assert main(["predict", "net", "."]) == 0
        assert "2 masks in predictions" in capsys.readouterr().out
    (tmp_path / "c.HEIC").write_bytes(b"of a telephone")
    assert main(["predict", "net", "."]) == 1
    assert "c.HEIC cannot be read" in one_line(capsys)


def test_masks_never_replace_masks(run, tmp_path):
    for name in ("a.jpg", "a.png", "a.jpg.png"):
        Image.new("RGB", (30, 20)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"1 masks would be written twice.*rename"):
        er.predict(run.model, tmp_path, out=tmp_path / "masks")


def test_a_photograph_too_thin_to_turn(run, tmp_path, capsys):
    folder = er.save(run.model, tmp_path / "net")
    Image.new("RGB", (1, 40)).save(tmp_path / "thin.png")
    assert main(["check", str(folder), "--image", str(tmp_path / "thin.png")]) == 1
    assert "too few samples to turn; expected a larger x" in one_line(capsys)


def test_arguments_of_other_kinds(run, scenes, tmp_path):
    x = torch.rand(1, 3, 32, 32)
    for images, out, words in (
        (x, tmp_path, "a Tensor has no name there, expected files"),
        ([scenes], None, "the images are a list, expected a file or folder"),
        (torch.rand(1, 3, 0, 4), None, "expected .batch, 3, height, width."),
    ):
        with pytest.raises(ValueError, match=words):
            er.predict(run.model, images, out=out)
    with pytest.raises(ValueError, match=r"expected er\.train\.Settings"):
        er.fit(scenes, {"minutes": 1})
    for name, value in (("class_weights", (1.0, float("nan"))), ("seed", 10**20)):
        with pytest.raises(ValueError, match=f"{name} is"):
            er.fit(scenes, **{name: value})
    with pytest.raises(ValueError, match="device is 'meta'"):
        er.fit(scenes, device="meta")


def test_photographs_that_cannot_be_predicted(run, tmp_path, capsys):
    folder = er.save(run.model, tmp_path / "net")
    (tmp_path / "new").mkdir()
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "new" / "a.png")
    (tmp_path / "new" / "b.png").write_text("nothing")
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "new" / "c.png")
    assert main(["predict", str(folder), str(tmp_path / "new"), "--out", str(tmp_path / "masks")]) == 1
    assert "1 of 3 photographs are left out" in (error := one_line(capsys))
    assert "b.png cannot be read as an image" in error
    assert sorted(path.name for path in (tmp_path / "masks").glob("[!.]*")) == ["a.png", "c.png"]
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


def test_a_network_is_not_lost_to_another(photographs, tmp_path, capsys, soon):
    command = ["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]
    assert main(command) == 0
    before = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert main([*command, "--seed", "5"]) == 1
    assert "holds model.safetensors of an earlier training" in one_line(capsys)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before
    assert main([*command, "--seed", "5", "--overwrite"]) == 0
    assert (tmp_path / "out" / "model.safetensors").read_bytes() != before


def test_a_state_with_other_settings(photographs, tmp_path, capsys, monkeypatch, soon):
    monkeypatch.setattr("erlangen.train.loop.SAVE_EVERY", 0.0)
    command = ["train", str(photographs), "--out", str(tmp_path / "out"), *FLAGS]
    assert main(command) == 0
    monkeypatch.setattr("erlangen.train.Settings.facts", lambda settings: {"magic": 7})
    assert main([*command, "--overwrite"]) == 0
    assert main([*command, "--resume"]) == 1
    assert "there is no setting magic" in one_line(capsys)


def test_a_device_that_is_not_there(run, tmp_path, capsys, scenes):
    folder = er.save(run.model, tmp_path / "net")
    assert main(["predict", str(folder), str(scenes), "--device", "cuda:77"]) == 1
    assert "erlangen doctor" in one_line(capsys)


def test_one_damaged_photograph_never_stops_the_others(run, tmp_path, monkeypatch):
    """Whatever a decoder raises, and a photograph that is too large for the memory; but Ctrl-C stops."""
    for i in range(9):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{i}.png")
    errors = [
        TypeError,
        KeyError,
        MemoryError,
        RuntimeError,
        EOFError,
        struct.error,
        zlib.error,
        RecursionError,
    ]
    opened, asked = Image.open, []

    def open_(file, *args, **kwargs):
        asked.append(file)
        if len(asked) <= len(errors):
            raise errors[len(asked) - 1]
        return opened(file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", open_)
        with pytest.raises(ValueError, match="8 of 9 photographs are left out") as refused:
            er.predict(run.model, tmp_path, out=tmp_path / "out")
    assert [name in str(refused.value) for name in ("0.png", "7.png", "8.png")] == [True, True, False]
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["8.png"]

    def forward(self, image):
        raise RuntimeError("not enough memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "forward", forward)
        with pytest.raises(
            ValueError, match=r"0\.png takes more memory than there is, expected less; take a"
        ):
            er.predict(run.model, tmp_path, out=tmp_path / "none")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Image, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        er.predict(run.model, tmp_path, out=tmp_path / "stopped")
