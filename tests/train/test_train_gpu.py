"""Training and prediction on a GPU go as on the CPU."""

import copy
import re

import pytest
import torch

import erlangen as er
from erlangen.cli import main

DEVICE = "cuda"
SMALL = {"width": 2, "depth": 2, "size": 48, "crop": 32, "batch": 2, "seed": 4, "steps": 12}
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.usefixtures("in_full_precision"),
]


@pytest.fixture
def deterministic():
    """Kernels whose sums do not depend on which thread comes first, where torch has them."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
def test_training_goes_as_on_the_cpu(scenes, amp):
    here = er.fit(scenes, **SMALL)
    there = er.fit(scenes, device=DEVICE, amp=amp, **SMALL)
    for one, other in zip(here.history, there.history, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=0.1 if amp else 1e-2)


KINDS = {
    "C8": {},
    "one block": {"blocks": 1},
    "D8, separable": {"reflections": True, "separable": True, "kernel_size": 5, "oversampling": 2},
    "isotropic": {"rotations": 0},
    "consistent": {"consistency": 10.0},
    "focal": {"loss": "focal", "class_weights": (1.0, 2.0), "ignore": 7},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_is_the_step(scenes, monkeypatch, deterministic, kind, amp):
    settings = er.train.Settings().changed(device=DEVICE, amp=amp, **SMALL, **KINDS[kind])
    recorded = er.train.prepare(scenes, settings)
    run = recorded.run()
    assert recorded.gradient.recorded
    monkeypatch.setattr(er.train.gradient, "WARM", 100)
    launched = er.train.prepare(scenes, settings)
    other = launched.run()
    assert not launched.gradient.recorded
    bound = 0.02 if amp else 1e-3  # atomic sums differ from run to run
    assert recorded.losses == pytest.approx(launched.losses, abs=bound)
    assert run.history[-1]["score"] == pytest.approx(other.history[-1]["score"], abs=bound)
    expected = other.model.state_dict()
    for name, tensor in run.model.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=10 * bound, atol=10 * bound)


class Own(torch.nn.Module):
    """A network that decides anew at every step, and asks the GPU for a number."""

    def __init__(self):
        super().__init__()
        self.conv, self.steps, self.asked = torch.nn.Conv2d(3, 1, 3, padding=1), 0, 0.0

    def forward(self, x):
        y = torch.nn.functional.dropout(self.conv(x), 0.1, self.training)
        self.steps, self.asked = self.steps + self.training, y.max().item()
        return y


def test_a_network_of_ones_own_is_launched(scenes):
    settings = er.train.Settings().changed(device=DEVICE, **SMALL)
    training = er.train.prepare(scenes, settings, net=Own())
    run = training.run()
    assert not training.gradient.recorded
    assert run.model.net.steps == SMALL["steps"]


def test_what_was_recorded_is_forgotten_where_the_network_moves(scenes):
    training = er.train.prepare(scenes, er.train.Settings().changed(device=DEVICE, **SMALL))
    training.run()
    model, batch = training.model.train(), training.crops.batch()
    gradient = er.train.gradient.Gradient(model, er.train.Loss(model.task), amp=False)
    expected = gradient(*batch), [p.grad.clone() for p in model.parameters()]
    model.to(DEVICE)
    for _ in range(6):
        assert gradient(*batch) == pytest.approx(expected[0], abs=1e-3)
    assert gradient.recorded
    for p, grad in zip(model.parameters(), expected[1], strict=True):
        torch.testing.assert_close(p.grad.cpu(), grad, rtol=1e-2, atol=1e-3)


def test_the_cost_is_that_of_recorded_steps(scenes, monkeypatch):
    """More than one of the steps that are timed is replayed (the first is recorded): the quickest counts."""
    training = er.train.prepare(scenes, er.train.Settings().changed(device=DEVICE, **SMALL | {"steps": 100}))
    replayed, advance = [], er.train.Training.advance

    def noted(trial):
        before = trial.gradient.recorded
        advance(trial)
        replayed.append(before)

    monkeypatch.setattr(er.train.Training, "advance", noted)
    assert training.cost().seconds > 0
    assert sum(replayed) >= 2
    assert not training.gradient.recorded


@pytest.mark.filterwarnings("ignore")
def test_a_stopped_training_goes_on_there(scenes, deterministic, tmp_path):
    def interrupt(step):
        if step.step == 5 and step.score is None:
            raise KeyboardInterrupt

    whole = er.fit(scenes, device=DEVICE, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        er.fit(scenes, device=DEVICE, out=tmp_path, progress=interrupt, **SMALL)
    resumed = er.fit(scenes, device=DEVICE, out=tmp_path, resume=True, **SMALL)
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_check_proves_there(run, tmp_path, capsys):
    er.save(copy.deepcopy(run.model).cpu(), tmp_path / "net")
    page, outputs = tmp_path / "check.html", []
    for device in ("cpu", DEVICE):
        assert main(["check", str(tmp_path / "net"), "--device", device, "--html", str(page)]) == 0
        found = re.search(r"turn 45 +interpolated +(\S+)", capsys.readouterr().out)
        outputs.append(float(found[1]))
    assert outputs[1] == pytest.approx(outputs[0], rel=0.1)  # of two digits
    assert page.exists()


def test_it_predicts_in_tiles_and_scores_angles_there(run, scenes):
    x = er.train.example(97)
    model = copy.deepcopy(run.model)
    here = er.predict(model, x)
    scores = er.train.score_by_angle(model, run.held_out, [0, 45])
    model = model.to(DEVICE)
    there = er.predict(model, x, tile=40)
    torch.testing.assert_close(there[0], here[0], rtol=0, atol=1e-4)
    assert er.train.score_by_angle(model, run.held_out, [0, 45]) == pytest.approx(scores, abs=0.01)
