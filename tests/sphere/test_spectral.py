"""Global layers under any rotation: the field evaluated at g^{-1} u, before the layer and after it."""

import sys
from pathlib import Path

import pytest
import torch

import erlangen as er

sys.path.insert(0, str(Path(__file__).parent))
from rotations import Field, rotation, values_at

L, N = 5, 5
BALL = er.Sphere().grid(L, rotations=N)
EVEN = er.Sphere().grid(L + 1, kind="equiangular", rotations=N)
POINTS = er.Sphere().healpix(2, degrees=L, rotations=N)
KINDS = ["scalar", "regular", "vector", "spin2"]


def fields(a, b):
    return {"in_field": a, "out_field": b}


# name: the layer, the field that comes in, the field that goes out
CASES = {
    "zonal": (lambda d, k: er.nn.Correlation(d, 3, 4, **k), "scalar", "scalar"),
    "zonal, every degree": (lambda d, k: er.nn.Correlation(d, 3, 4, rings=L, **k), "scalar", "scalar"),
    "lift": (lambda d, k: er.nn.Lift(d, 3, 4, **k), "scalar", "regular"),
    "separable": (
        lambda d, k: er.nn.Correlation(d, 3, 4, separable=True, **fields("regular", "regular"), **k),
        "regular",
        "regular",
    ),
    "mean": (lambda d, k: er.nn.Project(d, "mean"), "regular", "scalar"),
    "point": (
        lambda d, k: er.nn.Correlation(d, 3, 4, 1, **fields("regular", "regular"), **k),
        "regular",
        "regular",
    ),
    "norm": (lambda d, k: er.nn.Norm(d, 3, **k), "regular", "regular"),
    "norm, vector": (lambda d, k: er.nn.Norm(d, 3, field="vector", **k), "vector", "vector"),
    "norm, spin 2": (lambda d, k: er.nn.Norm(d, 3, field="spin2", **k), "spin2", "spin2"),
    "square": (lambda d, k: er.nn.Polynomial(d, 3, **k), "regular", "regular"),
    "cube": (lambda d, k: er.nn.Polynomial(d, 3, 3, "scalar", **k), "scalar", "scalar"),
} | {
    f"{a} to {b}": (
        lambda d, k, a=a, b=b: er.nn.Correlation(d, 3, 4, rings=3, **fields(a, b), **k),
        a,
        b,
    )
    for a in KINDS
    for b in KINDS
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("domain", [BALL, EVEN, POINTS], ids=["Gauss-Legendre", "equiangular", "HEALPix"])
@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 1e-5), (torch.float64, 1e-11)], ids=str)
def test_any_rotation(name, domain, dtype, bar):
    build, a, b = CASES[name]
    layer = er.verify.randomized(build(domain, {"dtype": dtype}))
    f = Field(a, L, 3, (N - 1) // 2 if a == "regular" else 0)
    y = layer(f(domain).to(dtype)).detach()
    assert float(y.std()) > 1e-2 * float(y.abs().max())
    for g in (rotation(), rotation()):
        moved = layer(f(domain, g).to(dtype)).detach().double()
        expected = values_at(y.double(), b, domain, g)
        assert float((expected - y).abs().max()) > 1e-2 * float(y.abs().max()), "g moves it"
        assert float((moved - expected).abs().max()) < bar * float(y.abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fine",
    [er.Sphere().grid(8, rotations=N), er.Sphere().healpix(4, degrees=8, rotations=N)],
    ids=["Gauss-Legendre", "HEALPix"],
)
def test_coarser_and_back(kind, fine):
    coarse = fine.coarser()
    f, g = Field(kind, coarse.degrees, 3, (N - 1) // 2 if kind == "regular" else 0), rotation()
    down, up = er.nn.Down(fine, kind), er.nn.Up(fine, kind)
    torch.testing.assert_close(down(f(fine, g)), f(coarse, g), atol=1e-12, rtol=0)
    torch.testing.assert_close(up(f(coarse, g), fine.shape), f(fine, g), atol=1e-12, rtol=0)
    # what the coarser grid cannot hold goes, whichever way the field is turned
    wide = Field(kind, 8, 3, (N - 1) // 2 if kind == "regular" else 0)
    moved = values_at(down(wide(fine)), kind, coarse, g)
    torch.testing.assert_close(down(wide(fine, g)), moved, atol=1e-11, rtol=0)


def test_refusals():
    mirrored = er.Sphere(symmetry="isometries").grid(5, rotations=3)
    er.nn.Correlation(mirrored, 1, 1)  # zonal kernels are their own mirror images
    with pytest.raises(ValueError, match=r"has mirrors, expected er\.Sphere"):
        er.nn.Lift(mirrored, 1, 1)
    with pytest.raises(ValueError, match="expected the defaults on this domain"):
        er.nn.Correlation(BALL, 1, 1, stride=2)
    with pytest.raises(ValueError, match="degree is 1, expected a whole number between 2 and 16"):
        er.nn.Polynomial(BALL, 1, 1)


@pytest.mark.parametrize("rotations", [1, 2, 3])
@pytest.mark.parametrize("field", ["vector", "spin2"])
def test_few_samples_of_the_fibre_limit_regular_fields_only(rotations, field):
    """Vectors turn once and spin 2 twice as fast as frames, whatever the fibre holds."""
    few, none = (er.Sphere().grid(6, rotations=n) for n in (rotations, None))
    layers = [er.nn.Correlation(d, 1, 1, in_field=field, out_field=field) for d in (few, none)]
    assert layers[0].weight.shape == layers[1].weight.shape


def test_the_mean_over_the_sphere_is_invariant():
    f, pool = Field("scalar", L, 3), er.nn.GlobalPool(BALL)
    torch.testing.assert_close(pool(f(BALL, rotation())), pool(f(BALL)), atol=1e-13, rtol=0)
