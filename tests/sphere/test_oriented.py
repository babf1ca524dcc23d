"""Oriented kernels: layers that commute with turns about the axis, with no other rotation, and say so."""

import math
import sys
from pathlib import Path

import pytest
import torch

import erlangen as er
from erlangen.domains import Symmetry

sys.path.insert(0, str(Path(__file__).parent))
from rotations import Field, rotation

AXIS = er.Sphere(symmetry="axis")
GRIDS = {
    "Gauss-Legendre": lambda i: AXIS.grid(12 * i),
    "equiangular": lambda i: AXIS.grid(12 * i + 1, kind="equiangular"),
    "HEALPix": lambda i: AXIS.healpix(6 * i),
    "Fibonacci": lambda i: AXIS.fibonacci(600 * i * i),
}


def about(angle):
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)


def oriented(source, target, generator):
    """A layer with a kernel that nothing leaves alone."""
    layer = er.nn.Correlation(source, 1, 1, radius=0.8, to=target, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.normal_(generator=generator).mul_(torch.linspace(1, 0.3, layer.weight.shape[-1]))
    return layer


def defect(source, g):
    """f at g^{-1} q, seen from p; and f, seen from g^{-1} p."""
    target = AXIS.fibonacci(60)
    turned = AXIS.samples(target.points @ g, target.weights)
    f = Field("scalar", 5, 1)
    layers = [oriented(source, to, torch.Generator().manual_seed(0)) for to in (target, turned)]
    here, there = layers[0](f(source, g)).detach(), layers[1](f(source)).detach()
    return float((here - there).norm() / (here - here.mean()).norm())


@pytest.mark.parametrize("name", GRIDS)
def test_turns_about_the_axis_and_no_others(name):
    errors = [defect(GRIDS[name](i), about(0.7)) for i in (1, 2)]
    assert errors[1] < 0.01
    assert errors[1] < errors[0] / 2
    assert defect(GRIDS[name](2), rotation()) > 0.2
    # the same layers are exact for every rotation where kernels are invariant
    assert len(er.nn.Correlation(er.Sphere().grid(6), 1, 1, radius=0.8).weight[0, 0]) < len(
        er.nn.Correlation(AXIS.grid(6), 1, 1, radius=0.8).weight[0, 0]
    )


@pytest.mark.parametrize("kind", ["gauss-legendre", "equiangular", "equiangular, no poles"])
@pytest.mark.parametrize(
    "fields", [("scalar", "scalar"), ("scalar", "vector"), ("vector", "scalar")], ids=str
)
def test_whole_steps_round_the_axis_are_exact(kind, fields):
    ball = AXIS.grid(7, 12, kind=kind)
    a, b = fields
    layer = er.nn.Correlation(ball, 2, 3, radius=0.9, in_field=a, out_field=b, dtype=torch.float64)
    layer = er.verify.randomized(layer)
    f = torch.randn(1, 2, *((2,) if a == "vector" else ()), 7, 12, dtype=torch.float64)
    for k in (1, 5):
        torch.testing.assert_close(layer(f.roll(k, -1)), layer(f).roll(k, -1), atol=1e-13, rtol=0)
    assert float((layer(f.roll(1, -2)) - layer(f).roll(1, -2)).detach().std()) > 0.1  # what is no symmetry


def test_a_derivative_eastward():
    """``kernel(v) = v_east exp(-20 v^2)`` on x = sin(theta) cos(phi) goes as ``-sin(phi)``."""
    ball = AXIS.grid(20)

    def kernel(v):
        return v[..., 1] * torch.exp(-20 * v.square().sum(-1))

    y = er.correlate(ball, kernel, ball.points[..., 0], radius=1.2)
    phi = torch.atan2(ball.points[..., 1], ball.points[..., 0])
    ratio = y / -torch.sin(phi)
    torch.testing.assert_close(ratio[:, 5], ratio[10, 5].expand(20), rtol=1e-2, atol=0)
    with pytest.raises(ValueError, match="moves this kernel"):
        er.correlate(er.Sphere().grid(8), kernel, torch.randn(8, 16), radius=1.2)


def test_they_say_so(capsys):
    ball = AXIS.grid(8)
    layer = er.verify.randomized(er.nn.Correlation(ball, 1, 2, radius=0.8))
    assert layer.equivariant_to == "SO(2) about the axis"
    assert 'equivariant_to="SO(2) about the axis"' in repr(layer)
    report = er.verify.equivariance(layer, torch.randn(1, 1, 8, 16), ball)
    assert report.worst < 1e-5
    tilts = [row for row in report.rows if row.element.name.startswith("tilt")]
    assert all(row.kind == "not in the group" and row.output > 2 * row.floor for row in tilts)
    assert "under SO(2) about the axis" in capsys.readouterr().out
    # on the sphere of all rotations tilts belong to the group, and cost what interpolation costs
    f = er.Sphere().grid(24)
    smooth = f.points[..., 0:1].movedim(-1, 0)[None].float()
    zonal = er.verify.randomized(er.nn.Correlation(f, 1, 2))
    report = er.verify.equivariance(zonal, smooth, f, show=False)
    assert report.worst < 1e-5
    assert report.worst_interpolated < 2e-3
    assert isinstance(report.rows[0].element, Symmetry)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: er.Sphere(3, "axis"), r'symmetry is \'axis\' on S\^3, expected .* or on S\^2 "axis"'),
        (lambda: AXIS.grid(6, rotations=4), "rotations is 4 where H = trivial .*, expected None"),
        (lambda: er.nn.Correlation(AXIS.grid(6), 1, 1), "are oriented, so that.*give radius="),
        (lambda: er.nn.Lift(AXIS.grid(6), 1, 1, radius=0.8), "this domain has no fibre"),
        (lambda: AXIS.icosahedral(2), r"2 samples lie at poles, where there is no east.*kind="),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
