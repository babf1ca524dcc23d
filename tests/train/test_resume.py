"""Stopped at any moment and resumed, a training ends with the same weights, bit for bit."""

import pkgutil
import random
import signal

import pytest
import torch

import erlangen as er
from erlangen.cli import main
from erlangen.train import fit, generate

SMALL = {"width": 2, "depth": 2, "size": 48, "crop": 32, "batch": 2, "seed": 4, "epochs": 4.0}


class Stop(BaseException):
    """What no handler of errors catches."""


def weights(run):
    return run.model.state_dict()


@pytest.fixture(scope="module")
def whole(scenes):
    return weights(fit(scenes, **SMALL))


@pytest.mark.parametrize("moment", random.Random(0).sample(range(1, 12), 3))
def test_an_interrupted_training_ends_with_the_same_weights(scenes, whole, tmp_path, moment):
    def interrupt(step):
        if step.step == moment and step.score is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(scenes, out=tmp_path, progress=interrupt, **SMALL)
    resumed = fit(scenes, out=tmp_path, resume=True, **SMALL)
    for name, tensor in weights(resumed).items():
        assert torch.equal(tensor, whole[name]), name
    assert len(resumed.history) == 10


@pytest.mark.parametrize("place", ["erlangen.train.losses.Loss.forward", "torch.optim.AdamW.step"])
def test_ctrl_c_in_the_middle_of_a_step(scenes, whole, tmp_path, monkeypatch, place):
    """The signal itself, while the loss is computed or the weights are changed."""
    count, inner = [0], pkgutil.resolve_name(place)

    def interrupted(*arguments, **named):
        count[0] += 1
        if count[0] == 5:
            signal.raise_signal(signal.SIGINT)
        return inner(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(scenes, out=tmp_path, **SMALL)
    for name, tensor in weights(fit(scenes, out=tmp_path, resume=True, **SMALL)).items():
        assert torch.equal(tensor, whole[name]), name


def test_ctrl_c_while_looking(scenes, whole, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("erlangen.train.loop.validate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(scenes, out=tmp_path, **SMALL)
    resumed = fit(scenes, out=tmp_path, resume=True, **SMALL)
    assert len(resumed.history) == 10
    assert all(torch.equal(t, whole[name]) for name, t in weights(resumed).items())


def test_a_killed_training_goes_on_from_what_it_saved(scenes, whole, tmp_path, monkeypatch):
    """Without a chance to say farewell: the state is what was saved last."""
    monkeypatch.setattr("erlangen.train.loop.SAVE_EVERY", 0.0)

    def kill(step):
        if step.step == 7:
            raise Stop

    with pytest.raises(Stop):
        fit(scenes, out=tmp_path, progress=kill, **SMALL)
    for name, tensor in weights(fit(scenes, out=tmp_path, resume=True, **SMALL)).items():
        assert torch.equal(tensor, whole[name]), name


def test_trainings_that_cannot_go_on_are_refused(scenes, tmp_path):
    with pytest.raises(ValueError, match="expected the folder that the stopped training wrote to"):
        fit(scenes, resume=True, **SMALL)
    with pytest.raises(ValueError, match="holds no training that could go on"):
        fit(scenes, out=tmp_path, resume=True, **SMALL)

    def interrupt(_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(scenes, out=tmp_path, progress=interrupt, **SMALL)
    with pytest.raises(ValueError, match=r"trained with other settings \(lr\), expected the same ones"):
        fit(scenes, out=tmp_path, resume=True, **SMALL | {"lr": 5e-2})
    with pytest.raises(ValueError, match=r"trained with other settings \(looks\)"):
        fit(scenes, out=tmp_path, resume=True, looks=5, **SMALL)
    generate(tmp_path / "others", 8, size=48, seed=5)
    with pytest.raises(ValueError, match="trained on other photographs or masks, expected the same ones"):
        fit(tmp_path / "others", out=tmp_path, resume=True, **SMALL)
    file = tmp_path / "training.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="holds no training that could go on"):
        fit(scenes, out=tmp_path, resume=True, **SMALL)


def test_ctrl_c_at_the_command_line(scenes, tmp_path, monkeypatch, capsys):
    """One line that says how to go on; and going on ends in a network."""
    flags = ["--width", "2", "--depth", "1", "--size", "48", "--crop", "32", "--batch", "2", "--steps", "8"]
    command = ["train", str(scenes), "--out", str(tmp_path / "run"), *flags]

    def interrupt(_bar, _name, step):
        if step is not None and step.step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("erlangen.commands._bar.update", interrupt)
        assert main(command) == 130
    assert "the same command with --resume goes on" in capsys.readouterr().err
    assert (tmp_path / "run" / "training.safetensors").exists()
    monkeypatch.setattr("erlangen.train.run_page.sources_of", lambda _: None)  # takes long
    assert main([*command, "--resume"]) == 0
    assert er.load(tmp_path / "run").net.domain.rotations == 8
