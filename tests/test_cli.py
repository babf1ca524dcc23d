"""The commands that people type."""

import importlib.util
import subprocess
import sys

import pytest

from erlangen.cli import main

SMALL = ["--width", "2", "--depth", "1", "--size", "48", "--crop", "32", "--batch", "4", "--steps", "10"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    from erlangen.train import generate

    folder = tmp_path_factory.mktemp("photographs")
    generate(folder, 6, size=48, seed=1)
    return folder


def test_train_predict_check(photographs, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", str(photographs), "--out", str(out), *SMALL]) == 0
    text = capsys.readouterr().out
    assert "validation IoU" in text
    assert "when turned" in text
    assert "worst exact" in text
    assert str(out / "index.html") in text
    for command in (["predict", str(out), str(photographs)], ["check", str(out)]):
        assert main([*command, "--device", "nowhere"]) == 1
        assert "device is 'nowhere'" in capsys.readouterr().err
    assert main(["predict", str(out), str(photographs), "--out", str(tmp_path / "masks")]) == 0
    assert len(list((tmp_path / "masks").glob("*.png"))) == 6
    capsys.readouterr()
    assert main(["check", str(out), "--html", str(tmp_path / "check.html"), "--layers"]) == 0
    assert "turn 90" in capsys.readouterr().out
    assert (tmp_path / "check.html").exists()


def test_export(tmp_path, capsys):
    """The file takes photographs in [0, 1] and scales their colours itself."""
    import json

    import torch

    import erlangen as er

    net = er.models.UNet(er.Plane(), 3, 1, width=2, depth=1, kernel_size=3)
    model = er.train.Predictor(net, torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.1, 0.2, 0.3])).eval()
    er.save(model, tmp_path / "run")
    out = tmp_path / "net.pt2"
    assert main(["export", str(tmp_path / "run"), "--format", "torch", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    said = {"about.json": ""}
    program, x = torch.export.load(out, extra_files=said).module(), torch.rand(1, 3, 11, 14)
    torch.testing.assert_close(program(x), model(x), rtol=1e-4, atol=1e-5)
    assert json.loads(said["about.json"])["classes"] == list(model.task.classes)
    assert main(["export", str(tmp_path / "run"), "--out", str(out)]) == 1
    assert "ends in .onnx" in capsys.readouterr().err


def test_errors_are_one_line_and_no_traceback(tmp_path, capsys):
    assert main(["train", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("erlangen: ")
    assert "expected the photographs there" in error
    assert error.count("\n") == 1
    assert main(["predict", str(tmp_path), str(tmp_path)]) == 1
    assert "expected the folder that `erlangen train` wrote" in capsys.readouterr().err


def test_doctor(capsys, monkeypatch):
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "torch" in text
    assert "device    cpu" in text
    found = importlib.util.find_spec
    for name in ("tyro", "PIL", "erlangen.commands"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda n: None if n in ("tyro", "PIL") else found(n))
    assert main(["doctor"]) == 1
    assert "missing   PIL" in (text := capsys.readouterr().out)
    assert 'pip install "erlangen[train]"' in text


def test_help_teaches():
    run = subprocess.run(
        [sys.executable, "-m", "erlangen", "train", "--help"], capture_output=True, text=True, check=True
    )
    assert "train [-h] [TRAIN OPTIONS] DIR" in run.stdout
    for words in ("--minutes", "--rotations", "DIR/images and DIR/masks", "equal stems", "--class-weights"):
        assert words in run.stdout, words


def test_the_demonstration(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path), "--steps", "6", "--scenes", "12"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1].split()[-1] == str(tmp_path / "demo.html")
    assert [line.split(" U-Net")[0] for line in lines[-4:-2]] == ["equivariant", "plain"]
    assert all("when turned" in line for line in lines[-4:-2])
    assert (tmp_path / "demo.png").stat().st_size > 5000
    assert (tmp_path / "demo.html").read_text().count("data:image/png") >= 3
