"""Which steps are recorded, and when what was recorded is forgotten; on a GPU see test_train_gpu.py."""

import pytest
import torch

from erlangen.models import UNet
from erlangen.spaces import Plane
from erlangen.train import Loss, Predictor
from erlangen.train import gradient as steps

IMAGE, TRUTH = torch.rand(2, 3, 16, 16), torch.ones(2, 16, 16, dtype=torch.uint8)


class Recorder:
    """Computes every time, and counts."""

    graph = None

    def __init__(self, function, device):
        self.function, self.device, self.calls = function, device, 0

    def __call__(self, image, truth):
        self.calls += 1
        return self.function(image, truth).item()


@pytest.fixture
def gradient(monkeypatch):
    monkeypatch.setattr(steps, "Recorder", Recorder)
    monkeypatch.setattr(steps.Gradient, "recordable", True)
    model = Predictor(UNet(Plane(rotations=4), 3, 1, 2, 1))
    return steps.Gradient(model, Loss(model.task), amp=False)


def test_nothing_is_recorded_on_the_cpu():
    model = Predictor(UNet(Plane(rotations=4), 3, 1, 2, 1))
    gradient = steps.Gradient(model, Loss(model.task), amp=False)
    for _ in range(steps.WARM + 2):
        assert gradient(IMAGE, TRUTH) > 0
    assert not gradient.recordable
    assert not gradient.recorded


def test_a_recorder_stays_while_everything_stays_where_it_is(gradient):
    optimizer = torch.optim.AdamW(gradient.model.parameters())
    for _ in range(5):
        gradient(IMAGE, TRUTH)
        optimizer.step()
    assert gradient.recorder.calls == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.double().float(),
        lambda model: setattr(model.net.head, "bias", torch.nn.Parameter(model.net.head.bias.clone())),
        lambda model: model.register_buffer("mean", model.mean.clone()),
    ],
    ids=["all", "a weight", "a buffer"],
)
def test_what_was_recorded_is_forgotten_where_something_moved(gradient, change):
    gradient(IMAGE, TRUTH)
    before = gradient.recorder
    kept = [tensor.detach() for tensor in gradient.model.state_dict().values()]  # lest memory is used again
    change(gradient.model)
    gradient(IMAGE, TRUTH)
    assert gradient.recorder is not before
    assert kept


def test_another_shape_is_recorded_anew(gradient):
    gradient(IMAGE, TRUTH)
    before = gradient.recorder
    gradient(IMAGE[:1], TRUTH[:1])
    assert gradient.recorder is not before


def test_the_gradient_is_clipped():
    model = Predictor(UNet(Plane(rotations=4), 3, 1, 2, 1))
    gradient = steps.Gradient(model, lambda logits, _: 1e4 * logits.sum(), amp=False)
    gradient(IMAGE, TRUTH)
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    torch.testing.assert_close(norm, torch.tensor(steps.LARGEST), rtol=1e-4, atol=0)
