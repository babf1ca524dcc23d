"""Fields that stay harmonics give the answers of those on the grid, and rotations commute with them."""

import pickle

import pytest
import torch

import erlangen as er

L = 8
BALL = er.Sphere().harmonics(L, rotations=5)
GRID = BALL.grid
REGULAR = {"in_field": "regular", "out_field": "regular"}


def field(kind, batch=3, channels=2):
    """A field of degrees < L by its values on the grid, and by its coefficients."""
    parts = {"scalar": (), "vector": (2,), "spin2": (2,), "regular": (5,)}[kind]
    noise = torch.randn(batch, channels, *parts, *GRID.shape, dtype=torch.float64)
    f = BALL.analyze(noise, kind)
    return BALL.synthesize(f, kind), f


# name: the layer on a domain, the field that comes in, the field that goes out
LAYERS = {
    "zonal": (lambda d: er.nn.Correlation(d, 2, 3), "scalar", "scalar"),
    "lift": (lambda d: er.nn.Lift(d, 2, 3), "scalar", "regular"),
    "regular": (lambda d: er.nn.Correlation(d, 2, 4, groups=2, **REGULAR), "regular", "regular"),
    "separable": (lambda d: er.nn.Correlation(d, 2, 3, separable=True, **REGULAR), "regular", "regular"),
    "point": (lambda d: er.nn.Correlation(d, 2, 4, 1, groups=2, **REGULAR), "regular", "regular"),
    "to vectors": (lambda d: er.nn.Correlation(d, 2, 3, out_field="vector"), "scalar", "vector"),
    "spin 2": (lambda d: er.nn.Correlation(d, 2, 3, in_field="spin2"), "spin2", "scalar"),
    "norm": (lambda d: er.nn.Norm(d, 2), "regular", "regular"),
    "norm, scalar": (lambda d: er.nn.Norm(d, 2, field="scalar"), "scalar", "scalar"),
    "norm, vector": (lambda d: er.nn.Norm(d, 2, field="vector"), "vector", "vector"),
    "norm, plain": (lambda d: er.nn.Norm(d, 2, affine=False), "regular", "regular"),
    "relu": (er.nn.ReLU, "regular", "regular"),
    "relu, scalar": (lambda d: er.nn.ReLU(d, "scalar"), "scalar", "scalar"),
    "relu, coarse": (lambda d: er.nn.ReLU(d, oversampling=1), "regular", "regular"),
    "gates": (lambda d: er.nn.Gated(d, 2), "regular", "regular"),
    "gates, vector": (lambda d: er.nn.Gated(d, 2, "vector"), "vector", "vector"),
    "polynomial": (lambda d: er.nn.Polynomial(d, 2), "regular", "regular"),
    "mean": (lambda d: er.nn.Project(d, "mean"), "regular", "scalar"),
    "maximum": (er.nn.Project, "regular", "scalar"),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_layers_give_the_answers_of_the_grid(name, training):
    build, a, b = LAYERS[name]
    here, there = (er.verify.randomized(build(d).double()).train(training) for d in (BALL, GRID))
    there.load_state_dict(here.state_dict())
    values, f = field(a)
    expected, found = there(values), here(f)
    if name == "relu, coarse":  # which is not band-limited on the grid
        expected = BALL.synthesize(BALL.analyze(expected, b), b)
    torch.testing.assert_close(BALL.synthesize(found, b), expected, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(here.state_dict(), there.state_dict(), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("kind", ["scalar", "vector", "spin2", "regular"])
def test_spectra_are_those_of_the_grid(kind):
    values, f = field(kind)
    found, expected = BALL.spectrum(f, kind), GRID.spectrum(values, kind)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_means_are_those_of_the_grid():
    values, f = field("scalar")
    for reduction in ("mean", "max"):
        found = er.nn.GlobalPool(BALL, reduction)(f)
        torch.testing.assert_close(found, er.nn.GlobalPool(GRID, reduction)(values), atol=1e-12, rtol=0)


def test_complex_maps_come_in_stacked():
    values, f = field("scalar")
    a = GRID.analyze(values)
    torch.testing.assert_close(torch.stack([a.real, a.imag], 2), f, atol=1e-14, rtol=0)


def test_losses_are_those_of_the_grid():
    for kind in ("scalar", "regular"):
        (x, f), (y, g) = field(kind), field(kind)
        expected = er.nn.mse_loss(GRID, x, y, "none")
        expected = expected.mean(2) if kind == "regular" else expected
        assert torch.allclose(er.nn.mse_loss(BALL, f, g, "none"), expected, rtol=1e-10)
    with pytest.raises(ValueError, match="synthesize both"):
        er.nn.l1_loss(BALL, f, g)


@pytest.mark.parametrize("nonlinearity", ["relu", "gated", "polynomial"])
@pytest.mark.parametrize("model", [er.models.UNet, er.models.Classifier])
def test_networks_give_the_answers_and_gradients_of_the_grid(model, nonlinearity):
    here, there = (model(d, 2, 3, width=2, depth=1, nonlinearity=nonlinearity).double() for d in (BALL, GRID))
    there.load_state_dict(here.state_dict())
    values, f = field("scalar")
    y, expected = here(f), there(values)
    y = BALL.synthesize(y) if model is er.models.UNet else y
    torch.testing.assert_close(y, expected, atol=1e-10, rtol=1e-10)
    (y.square().sum() + expected.square().sum()).backward()
    for p, q in zip(here.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, atol=1e-9, rtol=1e-9)


def test_rotations_commute():
    lift, regular = er.nn.Lift(BALL, 2, 3), er.nn.Correlation(BALL, 3, 2, **REGULAR)
    net = torch.nn.Sequential(lift, er.nn.Norm(BALL, 3), er.nn.Polynomial(BALL, 3), regular)
    net = er.verify.randomized(net.double())
    report = er.verify.equivariance(net, field("scalar")[1], BALL, show=False)
    assert sum(row.kind == "exact here" for row in report.rows) >= 3
    assert report.worst < 1e-11


def test_they_are_stored_and_look_as_they_are():
    again = pickle.loads(pickle.dumps(BALL))
    assert again.degrees == L
    assert str(BALL) == "Coefficients(Sphere(2), H = SO(2), l < 8)"
    assert BALL.coarser().degrees == 4
    assert er.nn.Norm(BALL, 1).equivariant_to == "SO(3)"


def test_halves_and_autocast():
    net = torch.nn.Sequential(er.nn.Lift(BALL, 2, 3), er.nn.Norm(BALL, 3), er.nn.ReLU(BALL))
    f = field("scalar")[1].float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(f)
    torch.testing.assert_close(y.float(), net(f), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: er.nn.Lift(BALL, 1, 1, radius=0.5),
            r"radius=0.5 on Coefficients.*local ones live on samples",
        ),
        (
            lambda: er.nn.Norm(BALL, 1)(torch.zeros(1, 1, 5, 8, 16)),
            r"expected \(batch, 1, 10, \*space\), 5 axes",
        ),
        (
            lambda: er.nn.Norm(BALL, 2)(torch.zeros(1, 1, 10, 8, 8)),
            r"expected \(batch, 2, 10, \*space\), 5 axes",
        ),
        (
            lambda: BALL.analyze(torch.zeros(1, 1, 7, 16)),
            r"the field has space axes \(7, 16\), expected \(8, 16\)",
        ),
        (lambda: er.nn.Lift(BALL, 1, 1)(torch.full((1, 1, 2, 8, 8), torch.nan)), "are NaN"),
        (
            lambda: er.nn.Up(BALL)(torch.zeros(1, 1, 10, 8, 8), (8, 8)),
            r"space axes \(8, 8\), expected \(4, 4\)",
        ),
        (lambda: BALL.masked(torch.ones(8, 8).bool()), "no samples to hide"),
        (lambda: er.Sphere(symmetry="axis").harmonics(8), "oriented kernels, which live on samples"),
    ],
)
def test_refusals(act, message):
    with pytest.raises(ValueError, match=message):
        act()
