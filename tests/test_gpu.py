"""What a GPU gives is what the CPU gives: every layer and network, and the proof."""

import copy
import sys
from pathlib import Path

import pytest
import torch

import erlangen as er

sys.path.insert(0, str(Path(__file__).parent / "nn"))
from test_contract import LAYERS, ready

DEVICE = "cuda"
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.usefixtures("in_full_precision"),
]


@pytest.fixture(params=LAYERS, ids=str)
def case(request):
    return LAYERS[request.param]


def answer_and_gradients(layer, x):
    """The output, and the gradients of its weighted sum by the input and every parameter."""
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y)
    grads = torch.autograd.grad((y * weights).sum(), (x, *layer.parameters()), allow_unused=True)
    return [y.detach(), *(g for g in grads if g is not None)]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-11), (torch.float32, 1e-3)], ids=str)
def test_every_layer_gives_what_the_cpu_gives(case, dtype, bound):
    build, shape, _ = case
    layer = ready(build(dtype=dtype), shape)
    x = torch.randn(2, *shape, dtype=dtype)
    here = answer_and_gradients(layer, x)
    there = answer_and_gradients(copy.deepcopy(layer).to(DEVICE), x.to(DEVICE))
    largest = max(float(g.abs().max()) for g in here[1:])
    for k, (one, other) in enumerate(zip(here, there, strict=True)):
        assert other.device.type == DEVICE
        assert other.dtype == dtype
        scale = largest if k else float(one.abs().max())
        assert float((other.cpu() - one).abs().max()) < bound * scale


def test_every_layer_trains_there(case):
    build, shape, _ = case
    layer = build().to(DEVICE).train()
    layer(torch.randn(2, *shape, device=DEVICE, requires_grad=True)).square().sum().backward()
    grads = [p.grad for p in layer.parameters() if p.grad is not None]
    assert all(bool(g.isfinite().all()) for g in grads)
    assert not list(layer.parameters()) or any(bool(g.any()) for g in grads)


def test_every_layer_is_made_there(case):
    build, shape, _ = case
    layer = build(device=DEVICE).eval()
    assert layer(torch.randn(2, *shape, device=DEVICE)).device.type == DEVICE


def test_autocast(case):
    build, shape, _ = case
    layer = ready(build(), shape).to(DEVICE)
    x = torch.randn(2, *shape, device=DEVICE)
    expected = layer(x).detach()
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        y = layer(x)
    error = (y.detach().float() - expected).norm() / expected.norm()
    assert float(error) < (0.3 if isinstance(layer, er.models.UNet | er.models.Classifier) else 0.03)


def test_the_network_is_proved_there():
    plane, x = er.Plane(rotations=8), er.train.example(65).to(DEVICE)
    net = er.verify.randomized(er.models.UNet(plane, 3, 1, 4, 2).to(DEVICE), x)
    exact = [row for row in er.verify.equivariance(net, x, plane, show=False).rows if row.element.is_exact]
    assert exact
    assert max(row.output for row in exact) < 1e-4
