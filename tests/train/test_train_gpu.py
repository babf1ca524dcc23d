"""Training and prediction on a GPU go as on the CPU."""

import copy
import time

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
    "focal": {"loss": "focal", "class_weights": (1.0, 2.0), "ignore": 7},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_is_the_step(scenes, monkeypatch, deterministic, kind, amp):
    settings = er.train.Settings(device=DEVICE, amp=amp, **SMALL, **KINDS[kind])
    recorded = er.train.prepare(scenes, settings)
    run = recorded.run()
    assert recorded.gradient.recorded is not None
    monkeypatch.setattr(er.train.gradient, "WARM", 100)
    launched = er.train.prepare(scenes, settings)
    other = launched.run()
    assert launched.gradient.recorded is None
    bound = 0.02 if amp else 1e-3  # atomic sums differ from run to run
    assert recorded.losses == pytest.approx(launched.losses, abs=bound)
    assert run.history[-1]["score"] == pytest.approx(other.history[-1]["score"], abs=bound)
    statistics = dict(other.model.named_buffers())
    for name, buffer in run.model.named_buffers():
        torch.testing.assert_close(buffer, statistics[name], rtol=10 * bound, atol=10 * bound)


class Stubborn(torch.nn.Module):
    """A network that cannot be recorded, and draws numbers at random."""

    def __init__(self, does):
        super().__init__()
        self.conv, self.does = torch.nn.Conv2d(3, 1, 3, padding=1), does

    def forward(self, x):
        y = torch.nn.functional.dropout(self.conv(x), 0.1, self.training)
        self.does(y)
        return y


@pytest.mark.parametrize(
    "does", [torch.Tensor.tolist, lambda _: torch.cuda.synchronize()], ids=["asks", "waits"]
)
def test_a_network_that_cannot_be_recorded_is_trained(scenes, does):
    settings = er.train.Settings(device=DEVICE, **SMALL | {"steps": 40, "lr": 0.03})
    training = er.train.prepare(scenes, settings, net=Stubborn(does))
    with pytest.warns(UserWarning, match="cannot be recorded"):
        run = training.run()
    assert run.history[-1]["step"] == 40
    assert training.gradient.recorded is None
    assert training.losses[-1] < training.losses[0]
    assert torch.cuda.get_sync_debug_mode() == 0


def test_the_cost_is_that_of_recorded_steps(scenes):
    training = er.train.prepare(scenes, er.train.Settings(device=DEVICE, **SMALL | {"steps": 100}))
    expected = training.cost().seconds
    for _ in range(20):
        training.advance()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        training.advance()
    assert 0.3 < expected / ((time.perf_counter() - start) / 20) < 3


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
    proved = []
    for device in ("cpu", DEVICE):
        main(["check", str(tmp_path / "net"), "--device", device, "--html", str(tmp_path / "check.html")])
        proved.append([line for line in capsys.readouterr().out.splitlines() if "turn" in line])
    assert len(proved[0]) == len(proved[1]) > 0
    assert (tmp_path / "check.html").exists()


def test_it_predicts_in_tiles_and_scores_angles_there(run, scenes):
    x = er.train.example(97)
    model = copy.deepcopy(run.model)
    here = er.predict(model, x)
    scores = er.train.score_by_angle(model, run.held_out, [0, 45])
    model = model.to(DEVICE)
    there = er.predict(model, x, tile=40)
    torch.testing.assert_close(there[0], here[0], rtol=0, atol=1e-4)
    assert er.train.score_by_angle(model, run.held_out, [0, 45]) == pytest.approx(scores, abs=0.01)
