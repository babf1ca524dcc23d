"""Layers from one grid of the sphere to another: f evaluated at g^{-1} u before the layer and after it."""

import sys
from pathlib import Path

import pytest
import torch

import erlangen as er

sys.path.insert(0, str(Path(__file__).parent))
from rotations import Field, rotation, values_at

SPHERE, N = er.Sphere(), 5
PAIRS = {
    "Gauss-Legendre to HEALPix": (
        lambda: SPHERE.grid(6, rotations=N),
        lambda: SPHERE.healpix(2, degrees=4, rotations=N),
    ),
    "HEALPix to Gauss-Legendre": (
        lambda: SPHERE.healpix(2, degrees=4, rotations=N),
        lambda: SPHERE.grid(6, rotations=N),
    ),
    "equiangular to fewer": (
        lambda: SPHERE.grid(7, kind="equiangular", rotations=N),
        lambda: SPHERE.grid(4, kind="equiangular, no poles", rotations=N),
    ),
    "Fibonacci to icosahedral": (
        lambda: SPHERE.fibonacci(60, degrees=4, rotations=N),
        lambda: SPHERE.icosahedral(1, degrees=5, rotations=N),
    ),
}
FIELDS = [
    ("scalar", "scalar"),
    ("scalar", "regular"),
    ("regular", "vector"),
    ("vector", "scalar"),
    ("regular", "regular"),
]


@pytest.mark.parametrize("fields", FIELDS, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_global_layers_commute_with_rotations(name, fields):
    source, target = (build() for build in PAIRS[name])
    a, b = fields
    layer = er.nn.Correlation(source, 2, 3, in_field=a, out_field=b, rings=3, to=target, dtype=torch.float64)
    layer = er.verify.randomized(layer)
    f, g = Field(a, source.degrees, 2, (N - 1) // 2 if a == "regular" else 0), rotation()
    y, moved = layer(f(source)).detach(), layer(f(source, g)).detach()
    assert y.shape[-target.space_axes :] == target.shape
    expected = values_at(y, b, target, g)
    scale = float(y.abs().max())
    assert float((expected - y).abs().max()) > 1e-2 * scale, "g moves it"
    assert float((moved - expected).abs().max()) < 1e-11 * scale


def test_a_kernel_of_ones_only_resamples():
    fine, coarse = SPHERE.grid(8), SPHERE.healpix(4, degrees=5)
    f = Field("scalar", 5, 1)
    for source, target in ((fine, coarse), (coarse, fine)):
        layer = er.nn.Correlation(source, 1, 1, rings=1, bias=False, to=target, dtype=torch.float64)
        torch.nn.init.ones_(layer.weight)
        torch.testing.assert_close(layer(f(source)), f(target), atol=1e-11, rtol=0)


def turned(domain, g):
    """The samples ``g^{-1} p``."""
    p = domain.points.flatten(0, -2) @ g
    return SPHERE.samples(p, domain.weights.flatten())


LOCAL = {
    "Gauss-Legendre to HEALPix": (lambda i: SPHERE.grid(12 * i), lambda: SPHERE.healpix(3)),
    "equiangular to Gauss-Legendre": (
        lambda i: SPHERE.grid(12 * i + 1, kind="equiangular"),
        lambda: SPHERE.grid(6),
    ),
    "icosahedral to equiangular": (
        lambda i: SPHERE.icosahedral(1 + i),
        lambda: SPHERE.grid(6, kind="equiangular, no poles"),
    ),
}


@pytest.mark.parametrize("name", LOCAL)
def test_local_layers_commute_with_rotations_as_the_source_is_refined(name):
    build, target = LOCAL[name][0], LOCAL[name][1]()
    f, g, errors = Field("scalar", 5, 1), rotation(), []
    for i in (1, 2):
        source = build(i)
        layers = [
            er.nn.Correlation(source, 1, 1, radius=0.8, bias=False, to=to, dtype=torch.float64)
            for to in (target, turned(target, g))
        ]
        layers[1].load_state_dict(layers[0].state_dict())
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(torch.linspace(1, 0.3, layer.weight.shape[-1]))
        here, there = layers[0](f(source, g)).detach().flatten(), layers[1](f(source)).detach().flatten()
        errors.append(float((here - there).norm() / (here - here.mean()).norm()))
    assert errors[1] < 0.01
    assert errors[1] < errors[0] / 2.5


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected samples of one sphere, under the same"):
        er.nn.Correlation(SPHERE.grid(4), 1, 1, to=er.Sphere(symmetry="isometries").grid(4))
    with pytest.raises(ValueError, match="expected samples of one sphere, under the same"):
        er.nn.Correlation(SPHERE.grid(4), 1, 1, to=er.Euclidean(2).grid(4, 4))
    with pytest.raises(ValueError, match="this domain has no fibre"):
        er.nn.Correlation(SPHERE.grid(4, rotations=3), 1, 1, out_field="regular", to=SPHERE.grid(4))
