"""What `predict --out` replaces: what it wrote itself and nobody changed since. It never reads it."""

import json
import os
import shutil
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.cli import main
from erlangen.train import Predictor, Task
from erlangen.train.lock import FolderLock, name_of
from erlangen.train.outputs import NOTES, Outputs
from erlangen.train.predict import predict_files

PREDICT = sys.modules["erlangen.train.predict"]  # its function has the same name
RNG = np.random.default_rng(0)
FOREIGN = r"holds .* files that predict did not write, or that were changed since.*--overwrite"


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    plane = er.Plane(rotations=4)
    first, second = (Predictor(er.models.UNet(plane, 3, 1, 1, 0, kernel_size=3)) for _ in range(2))
    return first, second


@pytest.fixture(scope="module")
def classifier():
    net = er.models.Classifier(er.Plane(rotations=4), 3, 2, 1, 0, kernel_size=3)
    return Predictor(net, task=Task(("cat", "dog"), dense=False))


def photograph(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path)
    return path


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("[!.]*") if p.is_file()}


def no_answer(*_):
    raise AssertionError("a photograph was predicted")


def test_what_others_drew_is_refused_by_name_before_anything_is_computed(models, tmp_path, monkeypatch):
    for name in ("a.jpg", "b.png", "c.tif", "d.png", "e.png"):
        photograph(tmp_path / "data" / "images" / name)
    masks = tmp_path / "data" / "masks"
    masks.mkdir()
    for name in "abcd":
        (masks / f"{name}.png").write_bytes(b"hand-drawn " + name.encode())
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(PREDICT, "answer", no_answer)
        with pytest.raises(ValueError, match=FOREIGN) as caught:
            er.predict(models[0], tmp_path / "data", out=masks)
        assert "4 files" in str(caught.value)
        assert "(a.png, b.png, c.png, ...)" in str(caught.value)
    assert contents(tmp_path) == before
    with pytest.warns(UserWarning, match=r"4 files .* are replaced: a.png, b.png, c.png, d.png"):
        er.predict(models[0], tmp_path / "data", out=masks, overwrite=True)
    assert sorted(contents(masks)) == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    er.predict(models[1], tmp_path / "data", out=masks)


def test_the_command_line_says_what_it_overwrites(models, tmp_path, capsys):
    photograph(tmp_path / "new" / "a.png")
    er.save(models[0], tmp_path / "net")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"hand-drawn")
    command = ["predict", str(tmp_path / "net"), str(tmp_path / "new"), "--out", str(tmp_path / "out")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "1 files that predict did not write" in error
    assert error.count("\n") == 1
    assert (tmp_path / "out" / "a.png").read_bytes() == b"hand-drawn"
    assert main([*command, "--overwrite"]) == 0
    assert "erlangen: 1 files in" in (said := capsys.readouterr()).err
    assert "are replaced: a.png" in said.err
    assert main(command) == 0
    assert capsys.readouterr().err == ""


def test_names_too_long_for_masks_are_refused_before_anything_is_computed(models, tmp_path, monkeypatch):
    """Two endings make a name longer than that of its photograph."""
    for ending in ("jpg", "bmp"):
        photograph(tmp_path / "in" / "deeper" / f"{'y' * 251}.{ending}")
    photograph(tmp_path / "in" / "a.png")
    with monkeypatch.context() as patch:
        patch.setattr(PREDICT, "answer", no_answer)
        with pytest.raises(ValueError, match=r"^2 names .* too long \(y*\.bmp\.png first, of 259 bytes\)"):
            er.predict(models[0], tmp_path / "in", out=tmp_path / "out")
    (tmp_path / "in" / "deeper" / f"{'y' * 251}.jpg").unlink()
    er.predict(models[0], tmp_path / "in", out=tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == ["a.png", f"deeper/{'y' * 251}.png"]


def test_its_own_files_are_replaced_until_somebody_changes_them(models, tmp_path):
    for name in ("a.jpg", "in/b.png"):
        photograph(tmp_path / "new" / name)
    out = tmp_path / "out"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for model in (*models, models[0]):
            er.predict(model, tmp_path / "new", out=out)
            once = contents(out)
    shutil.move(out, tmp_path / "moved")  # the notes go with it
    er.predict(models[1], tmp_path / "new", out=tmp_path / "moved")
    assert contents(tmp_path / "moved") != once
    assert once["in/b.png"] != contents(tmp_path / "moved")["in/b.png"]
    (tmp_path / "moved" / "in" / "b.png").write_bytes(once["in/b.png"])  # by hand, if as it once was
    with pytest.raises(ValueError, match=r"moved holds 1 files .*\(in/b.png\)"):
        er.predict(models[0], tmp_path / "new", out=tmp_path / "moved")
    (tmp_path / "moved" / NOTES).unlink()
    with pytest.raises(ValueError, match="moved holds 2 files"):
        er.predict(models[0], tmp_path / "new", out=tmp_path / "moved")


def test_outputs_are_never_inputs(models, tmp_path, capsys):
    new = tmp_path / "new"
    for name in ("a.jpg", "b.jpg", "in/c.jpg"):
        photograph(new / name)
    for out in (new, new / "predicted", new / "in", tmp_path / "elsewhere", new):
        assert len(er.predict(models[0], new, out=out)) == 3
    assert len(er.predict(models[0], new)) == 3
    for written in (tmp_path / "elsewhere", tmp_path / "elsewhere" / "in", tmp_path / "elsewhere" / "a.png"):
        with pytest.raises(ValueError, match="holds nothing but what predict wrote"):
            er.predict(models[0], written, out=tmp_path / "more")
    Image.new("L", (12, 9), 255).save(new / "in" / "c.png")  # a mask, corrected by hand
    with pytest.raises(ValueError, match=r"1 files in .* written by predict and changed since .*c\.png"):
        er.predict(models[0], new, out=tmp_path / "more")
    with pytest.warns(UserWarning, match=r"are replaced: in/c\.png"):
        assert len(er.predict(models[0], new, out=new, overwrite=True)) == 3


def test_photographs_in_the_folder_for_masks_are_not_left_out(models, tmp_path):
    photograph(tmp_path / "a.jpg")
    photograph(tmp_path / "in" / "b.jpg")
    for _ in range(2):
        assert len(er.predict(models[0], tmp_path, out=tmp_path / "in")) == 2
    assert sorted(contents(tmp_path / "in")) == ["a.png", "b.jpg", "in/b.png"]


def test_the_table_of_others_is_not_replaced(classifier, tmp_path, monkeypatch):
    for name in ("a.jpg", "b.jpg", "no\udcffutf8.jpg"):
        photograph(tmp_path / "new" / name)
    out = tmp_path / "out"
    out.mkdir()
    (out / "classes.csv").write_text("by hand")
    with pytest.raises(ValueError, match=FOREIGN):
        er.predict(classifier, tmp_path / "new", out=out)
    assert (out / "classes.csv").read_text() == "by hand"
    (out / "classes.csv").unlink()
    for _ in range(2):
        er.predict(classifier, tmp_path / "new", out=out)
    whole = (out / "classes.csv").read_bytes()
    assert whole.count(b"\r\n") == 4
    _, answers = predict_files(classifier, tmp_path / "new", out)
    next(answers)
    assert (out / "classes.csv").read_bytes() == whole
    answers.close()  # as an interruption does
    assert (out / "classes.csv").read_bytes().count(b"\r\n") == 2
    monkeypatch.setattr(PREDICT, "KEEP_EVERY", -1.0)
    _, answers = predict_files(classifier, tmp_path / "new", out)
    next(answers), next(answers)
    assert (out / "classes.csv").read_bytes().count(b"\r\n") == 3


@pytest.mark.skipif(os.name == "nt", reason="links of Unix")
def test_links_in_the_folder_are_not_followed(models, tmp_path):
    photograph(tmp_path / "new" / "in" / "a.jpg")
    photograph(tmp_path / "new" / "b.jpg")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (elsewhere / "victim").write_bytes(b"victim")
    for link, target, words in (
        ("in", elsewhere, "in is a link or a file, expected a folder"),
        ("in", elsewhere / "victim", "in is a link or a file"),
        ("b.png", elsewhere / "victim", FOREIGN),
        ("b.png", elsewhere / "nothing", FOREIGN),
    ):
        (out / link).symlink_to(target)
        with pytest.raises(ValueError, match=words):
            er.predict(models[0], tmp_path / "new", out=out)
        (out / link).unlink()
    (out / "b.png").symlink_to(elsewhere / "victim")
    with pytest.warns(UserWarning, match="are replaced: b.png"):
        er.predict(models[0], tmp_path / "new", out=out, overwrite=True)
    assert not (out / "b.png").is_symlink()
    (out / "b.png.part").symlink_to(elsewhere / "victim")
    er.predict(models[1], tmp_path / "new", out=out)
    (out / NOTES).unlink()
    (out / NOTES).symlink_to(elsewhere / "victim")
    shutil.rmtree(out / "in")
    (out / "b.png").unlink()
    with pytest.raises(OSError, match=r"\.erlangen-predict\.jsonl could not be written"):
        er.predict(models[0], tmp_path / "new", out=out)
    assert contents(elsewhere) == {"victim": b"victim"}
    linked = tmp_path / "linked"  # which the user chose
    linked.symlink_to(elsewhere)
    er.predict(models[0], tmp_path / "new", out=linked)
    er.predict(models[1], tmp_path / "new", out=elsewhere)


def test_names_that_are_one_on_other_systems_are_one(models, tmp_path):
    joined, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    photograph(tmp_path / "new" / f"{joined}.jpg")
    out = tmp_path / "out"
    for name in (f"{apart}.png", f"{joined.upper()}.PNG", f"{apart.title()}.png"):
        out.mkdir()
        (out / name).write_bytes(b"hand-drawn")
        with pytest.raises(ValueError, match=FOREIGN):
            er.predict(models[0], tmp_path / "new", out=out)
        shutil.rmtree(out)
    photograph(tmp_path / "same" / "A.PNG")
    with pytest.raises(ValueError, match=r"the mask of A\.PNG would be written over the photograph"):
        er.predict(models[0], tmp_path / "same", out=tmp_path / "same")
    for first, second in (("a.jpg", "A.jpg"), (f"{joined}.jpg", f"{apart}.jpg"), ("d/a.jpg", "D/a.jpg")):
        both = tmp_path / "both"
        photograph(both / first)
        if (both / second).exists():
            continue  # here they are one
        photograph(both / second)
        with pytest.raises(ValueError, match=r"1 masks would be written twice"):
            er.predict(models[0], both, out=out)
        shutil.rmtree(both)
    photograph(tmp_path / "endings" / "a.jpg")
    photograph(tmp_path / "endings" / "A.tif")
    er.predict(models[0], tmp_path / "endings", out=out)
    assert sorted(contents(out)) == ["A.tif.png", "a.jpg.png"]


def test_killed_between_the_note_and_the_mask_it_knows_its_own(models, tmp_path, monkeypatch):
    photograph(tmp_path / "new" / "a.jpg")
    out = tmp_path / "out"

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    for model in (*models, models[0]):
        with monkeypatch.context() as patch:
            patch.setattr("erlangen.train.outputs.write_whole", killed)
            with pytest.raises(Killed):
                er.predict(model, tmp_path / "new", out=out)
    er.predict(models[0], tmp_path / "new", out=out)
    with open(out / NOTES, "ab") as notes:
        notes.write(b'\n{"file": "a.png", "sha2')  # a note that was cut off
    for model in models[::-1]:
        er.predict(model, tmp_path / "new", out=out)
    for line in (b"[" * 10**5, b'{"file": 3, "sha256": []}', b"\xff\xfe", b'{"file": "b.png"}', b"[]"):
        with open(out / NOTES, "ab") as notes:
            notes.write(b"\n" + line)
        assert Outputs(out).wrote("a.png", out / "a.png")
    assert {"a.png"} == set(Outputs(out).noted)
    assert all("sha256" in json.loads(line) for line in (out / NOTES).read_bytes().splitlines()[1:4])


def test_a_file_that_comes_while_predicting_is_not_lost(models, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        photograph(tmp_path / "new" / name)
    _, answers = predict_files(models[0], tmp_path / "new", tmp_path / "out")
    next(answers)
    (tmp_path / "out" / "b.png").write_bytes(b"hand-drawn")
    with pytest.raises(ValueError, match=r"b\.png was written by another program meanwhile"):
        next(answers)
    assert (tmp_path / "out" / "b.png").read_bytes() == b"hand-drawn"


def test_a_folder_in_the_place_of_a_mask_is_refused_whatever_is_said(models, tmp_path):
    photograph(tmp_path / "new" / "a.jpg")
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"\(a\.png\), expected none; give another --out"):
            er.predict(models[0], tmp_path / "new", out=tmp_path / "out", overwrite=overwrite)


def test_a_full_disc_leaves_the_masks_that_were_there(models, tmp_path, monkeypatch):
    photograph(tmp_path / "new" / "a.jpg")
    er.predict(models[0], tmp_path / "new", out=tmp_path / "out")
    before = contents(tmp_path / "out")

    def full(*_):
        raise OSError(28, "No space left on device")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{call}", full)
            with pytest.raises(OSError, match=r"a\.png could not be written.*is unharmed"):
                er.predict(models[1], tmp_path / "new", out=tmp_path / "out")
        assert contents(tmp_path / "out") == before
    er.predict(models[1], tmp_path / "new", out=tmp_path / "out")


def test_notes_tell_names_of_any_bytes(tmp_path):
    out = Outputs(tmp_path)
    files = [tmp_path / "no\udcffutf8.png", tmp_path / 'a "quoted" \\ name.png', tmp_path / "in" / "x.png"]
    out.claim(files)
    for file in files:
        out.write(file, b"mask")
    again = Outputs(tmp_path)
    assert all(again.wrote(file.relative_to(tmp_path).as_posix(), file) for file in files)
    assert again.claim(files) == []
    assert Path(NOTES).name.startswith(".")


@pytest.mark.parametrize("kind", ["masks", "table"])
def test_one_prediction_at_a_time_in_a_folder(models, classifier, tmp_path, kind):
    """A second one is refused before anything is computed; trainings, and what was left behind, are not."""
    model, out = models[0] if kind == "masks" else classifier, tmp_path / "out"
    for name in "ab":
        photograph(tmp_path / "new" / f"{name}.jpg")
    out.mkdir()
    (out / name_of("prediction")).write_text("process 1 on a machine that is gone")
    _, first = predict_files(model, tmp_path / "new", out)
    with FolderLock(out, "training"):
        for _ in range(2):
            with pytest.raises(
                ValueError, match=r"another prediction is at work .*expected .*; give another --out"
            ):
                er.predict(model, tmp_path / "new", out=out)
            next(first)
    with pytest.raises(StopIteration):
        next(first)
    assert not (out / name_of("prediction")).exists()
    _, stopped = predict_files(model, tmp_path / "new", out)
    next(stopped)
    stopped.close()
    assert len(er.predict(model, tmp_path / "new", out=out)) == 2
