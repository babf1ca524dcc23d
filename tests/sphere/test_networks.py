"""Networks of five global layers under any rotation: exact where nothing aliases, small where it does."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import erlangen as er

sys.path.insert(0, str(Path(__file__).parent))
from rotations import rotation, values_at

L = 16
BALL = er.Sphere().grid(L, rotations=8)
REGULAR = {"in_field": "regular", "out_field": "regular"}


def falling() -> torch.Tensor:
    """Random harmonics that fall as e^{-3 l / L}, ``(1, 2, *space)``."""
    c = torch.randn(1, 2, L, L, dtype=torch.complex128).tril() * torch.exp(-3 * torch.arange(L) / L)[:, None]
    return BALL.synthesize(c)


def five_layers(activation) -> nn.Module:
    layers = [er.nn.Lift(BALL, 2, 4, dtype=torch.float64), activation()]
    for _ in range(3):
        layers += [er.nn.Correlation(BALL, 4, 4, dtype=torch.float64, **REGULAR), activation()]
    layers += [er.nn.Correlation(BALL, 4, 2, in_field="regular", dtype=torch.float64)]
    return er.verify.randomized(nn.Sequential(*layers))


def error(net: nn.Module) -> float:
    """How far N(g f) is from g N(f), relative to what varies in it."""
    f, g = falling(), rotation()
    with torch.no_grad():
        found = net(values_at(f, "scalar", BALL, g))
        expected = values_at(net(f), "scalar", BALL, g)
    w = BALL.weights / BALL.weights.sum()
    spread = expected - (expected * w).sum((-1, -2), keepdim=True)
    return float(((found - expected).square() * w).sum() / (spread.square() * w).sum()) ** 0.5


@pytest.mark.parametrize("degree", [2, 3])
def test_polynomials_are_exact(degree):
    assert error(five_layers(lambda: er.nn.Polynomial(BALL, 4, degree, dtype=torch.float64))) < 1e-10


@pytest.mark.parametrize(("oversampling", "low", "high"), [(1, 1e-2, 0.2), (2, 1e-5, 5e-3)])
def test_relu_on_smooth_fields(oversampling, low, high):
    assert low < error(five_layers(lambda: er.nn.ReLU(BALL, oversampling=oversampling))) < high


def test_gates_on_smooth_fields():
    assert 1e-9 < error(five_layers(lambda: er.nn.Gated(BALL, 4, dtype=torch.float64))) < 5e-3


@pytest.mark.parametrize(("oversampling", "low", "high"), [(1, 1e-1, 1), (3, 1e-5, 3e-2)])
def test_maximum_along_the_fibre(oversampling, low, high):
    lift = er.nn.Lift(BALL, 2, 4, dtype=torch.float64)
    assert low < error(nn.Sequential(lift, er.nn.Project(BALL, oversampling=oversampling))) < high


@pytest.mark.parametrize("domain", [er.Sphere().grid(16), er.Sphere().grid(16, rotations=3)], ids=str)
def test_models_take_the_sphere_unchanged(domain):
    f = torch.randn(2, 3, *domain.shape)
    assert er.models.UNet(domain, 3, 2, width=2, depth=2)(f).shape == (2, 2, *domain.shape)
    assert er.models.Classifier(domain, 3, 5, width=2)(f).shape == (2, 5)
