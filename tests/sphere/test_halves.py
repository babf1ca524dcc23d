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
