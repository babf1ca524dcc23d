"""Layers of the sphere in half precision: harmonics stay in float32, fields come and go in what they are."""

import pytest
import torch

import erlangen as er

BALL = er.Sphere().grid(6, rotations=3)
REGULAR = {"in_field": "regular", "out_field": "regular"}
LAYERS = {
    "lift": (lambda: er.nn.Lift(BALL, 2, 3), (2, 6, 12)),
    "correlation": (lambda: er.nn.Correlation(BALL, 2, 3, **REGULAR), (2, 3, 6, 12)),
    "ReLU": (lambda: er.nn.ReLU(BALL), (2, 3, 6, 12)),
    "polynomial": (lambda: er.nn.Polynomial(BALL, 2), (2, 3, 6, 12)),
    "maximum": (lambda: er.nn.Project(BALL), (2, 3, 6, 12)),
    "local": (lambda: er.nn.Lift(BALL, 2, 3, radius=0.9), (2, 6, 12)),
    "down": (lambda: er.nn.Down(BALL), (2, 3, 6, 12)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16(name):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer, f = make(), torch.randn(2, *shape)
    expected = layer(f).detach()
    y = layer.to(torch.bfloat16)(f.to(torch.bfloat16)).detach()
    assert y.dtype == torch.bfloat16
    assert float((y.float() - expected).abs().max()) < 0.05 * float(expected.abs().max())


@pytest.mark.parametrize("name", LAYERS)
def test_no_fields_at_all(name):
    make, shape = LAYERS[name]
    layer = make()
    f = torch.zeros(0, *shape, requires_grad=True)
    y = layer(f)
    assert y.shape[1:] == layer(torch.zeros(1, *shape)).shape[1:]
    assert y.shape[0] == 0
    y.sum().backward()
    assert f.grad.shape == f.shape


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("ball", [er.Sphere().grid(6), er.Sphere().healpix(2, degrees=4)], ids=str)
def test_harmonics_and_turns_of_halves(ball, dtype):
    f = torch.randn(1, 2, *ball.shape)
    half = f.to(dtype)
    torch.testing.assert_close(ball.analyze(half), ball.analyze(half.float()))
    g = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]).double()
    moved = ball.act(g, half)
    assert moved.dtype == dtype
    torch.testing.assert_close(moved.float(), ball.act(g, half.float()), atol=0.03, rtol=0.03)
