"""Networks of five global layers under any rotation: exact where nothing aliases, small where it does."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import erlangen as er
from erlangen.models.blocks import ConvBlock, stem

sys.path.insert(0, str(Path(__file__).parent))
from rotations import rotation, values_at

L = 16
BALL = er.Sphere().grid(L, rotations=8)
UNET_BALL = er.Sphere().grid(L, rotations=5)
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


# README's figures: errors of U-Nets with random biases and statistics of such fields, at most and at least
UNETS = {
    "the default": ({}, 0.5, 1e-2),
    "ReLU at 4 times the samples": ({"oversampling": 4}, 5e-2, 1e-3),
    "gates": ({"nonlinearity": "gated"}, 1e-2, 1e-4),
    "gates at 4 times the samples": ({"nonlinearity": "gated", "oversampling": 4}, 3e-4, 1e-6),
    "gates at 6 times the samples": ({"nonlinearity": "gated", "oversampling": 6}, 1e-4, 1e-9),
    "polynomials": ({"nonlinearity": "polynomial"}, 1e-11, 0.0),
}


@pytest.mark.parametrize(
    "name", [name if name == "polynomials" else pytest.param(name, marks=pytest.mark.slow) for name in UNETS]
)
def test_unets_under_any_rotation(name):
    options, most, least = UNETS[name]
    net = er.models.UNet(UNET_BALL, 2, 2, width=4, depth=2, **options).double()
    net = er.verify.randomized(net, falling())
    errors = [error(net) for _ in range(3)]
    assert least <= max(errors) < most


def rebiased(net: nn.Module, seed: int) -> nn.Module:
    """Random biases and weights a little off, with the statistics of a network that nothing was shown."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in net.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p)
            p.add_(0.5 * noise if "bias" in name else 0.1 * noise * p.std())
    return net.eval()


POLYNOMIAL = {
    "SO(3)": (lambda: er.Sphere().grid(16, rotations=5), (1, 1, 16, 32)),
    "S2": (lambda: er.Sphere().grid(16), (1, 1, 16, 32)),
    "coefficients": (lambda: er.Sphere().harmonics(16, rotations=5), (1, 1, 2, 16, 16)),
    "HEALPix": (lambda: er.Sphere().healpix(8, degrees=16, rotations=5), (1, 1, 768)),
    "photographs": (lambda: er.Plane(rotations=8), (1, 1, 48, 48)),
}
CASES = [
    pytest.param(
        name, depth, marks=() if (name, depth) in {("SO(3)", 2), ("coefficients", 2)} else pytest.mark.slow
    )
    for name in POLYNOMIAL
    for depth in (1, 2, 3)
]


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_polynomial_networks_stay_finite_before_norms_know_their_fields(name, depth):
    make, shape = POLYNOMIAL[name]
    domain = make()
    for seed, dtype in ((0, torch.float64), (1, torch.float32)):
        torch.manual_seed(seed)
        net = er.models.UNet(domain, 1, 2, width=4, depth=depth, nonlinearity="polynomial")
        y = rebiased(net.to(dtype), seed)(torch.randn(shape, dtype=dtype)).detach()
        assert 1e-3 < float(y.abs().max()) < 3e3


def test_polynomial_networks_train():
    torch.manual_seed(0)
    domain = er.Sphere().grid(8, rotations=5)
    net = er.models.UNet(domain, 1, 1, width=4, depth=1, nonlinearity="polynomial")
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
    x = torch.randn(4, 1, 8, 16)
    for _ in range(5):
        loss = net(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert bool(loss.isfinite())
    assert float(net.eval()(x).detach().abs().max()) < 1e3


def test_limited_polynomials_are_polynomials_of_fields_within_the_limit():
    """To the bit; beyond it of the field scaled down, which no rotation notices."""
    f = falling()
    f = f / f.square().mean().sqrt()
    plain, limited = (
        er.nn.Polynomial(BALL, 2, field="scalar", limit=limit).double() for limit in (None, 4.0)
    )
    assert torch.equal(limited(f), plain(f))
    root = er.nn.mean(BALL, (100 * f).square()).sqrt()[..., None, None]
    torch.testing.assert_close(limited(100 * f), plain(400 * f / root), rtol=1e-12, atol=1e-12)
    assert (
        error(
            er.verify.randomized(nn.Sequential(er.nn.Polynomial(BALL, 2, field="scalar", limit=0.1).double()))
        )
        < 1e-10
    )
    with pytest.raises(ValueError, match="limit is 0, expected a positive number"):
        er.nn.Polynomial(BALL, 2, limit=0)


@pytest.mark.parametrize("degree", [2, 3])
def test_polynomials_are_exact(degree):
    assert error(five_layers(lambda: er.nn.Polynomial(BALL, 4, degree, dtype=torch.float64))) < 1e-10


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_polynomials_take_as_many_samples_as_they_need(degree):
    """Fewer would alias."""
    lift = er.nn.Lift(BALL, 2, 2, dtype=torch.float64)
    last = er.nn.Correlation(BALL, 2, 2, in_field="regular", dtype=torch.float64)
    power = er.nn.Polynomial(BALL, 2, degree, dtype=torch.float64)
    net = er.verify.randomized(nn.Sequential(lift, power, last))
    assert error(net) < 1e-10
    net[1].oversampling = degree / 2
    assert error(net) > 1e-9


@pytest.mark.parametrize("domain", [BALL, er.Sphere().harmonics(L, rotations=5)], ids=str)
@pytest.mark.parametrize("model", [er.models.UNet, er.models.Classifier])
def test_whole_polynomial_networks_are_exact(domain, model):
    f = BALL.synthesize(torch.randn(1, 1, L, L, dtype=torch.complex128).tril())
    turned = values_at(f, "scalar", BALL, g := rotation())
    x, y = (f, turned) if domain is BALL else (domain.analyze(f), domain.analyze(turned))
    net = model(domain, 1, 3, width=2, depth=1, nonlinearity="polynomial", projection="mean").double()
    net = er.verify.randomized(net, x)
    with torch.no_grad():
        expected, found = net(x), net(y)
    if model is er.models.UNet:
        found, expected = (f if domain is BALL else domain.synthesize(f) for f in (found, expected))
        expected = values_at(expected, "scalar", BALL, g)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


@pytest.mark.parametrize(("oversampling", "low", "high"), [(1, 1e-2, 0.2), (2, 1e-5, 5e-3)])
def test_relu_on_smooth_fields(oversampling, low, high):
    assert low < error(five_layers(lambda: er.nn.ReLU(BALL, oversampling=oversampling))) < high


def test_gates_on_smooth_fields():
    assert 1e-9 < error(five_layers(lambda: er.nn.Gated(BALL, 4, dtype=torch.float64))) < 5e-3


@pytest.mark.parametrize(("oversampling", "low", "high"), [(1, 1e-1, 1), (3, 1e-5, 3e-2)])
def test_maximum_along_the_fibre(oversampling, low, high):
    lift = er.nn.Lift(BALL, 2, 4, dtype=torch.float64)
    assert low < error(nn.Sequential(lift, er.nn.Project(BALL, oversampling=oversampling))) < high


def test_the_maximum_over_the_sphere_is_sought_between_the_samples():
    f, turned = BALL.act(torch.eye(3).double(), falling()), []
    for oversampling in (1, 4):
        pool = er.nn.GlobalPool(BALL, "max", oversampling=oversampling)
        found = torch.stack([pool(BALL.act(rotation(), f)) for _ in range(6)])
        turned.append(float(found.std(0).max()) / float(f.std()))
    assert turned[1] < min(turned[0] / 4, 2e-2)


@pytest.mark.parametrize("size", [20, 22])
def test_networks_halve_rings_of_any_even_length(size):
    """40 samples on a ring, 20, 10 and then 6: five would have no meridian to go on beyond a pole."""
    ball = er.Sphere().grid(size, degrees=3)
    net = er.verify.randomized(er.models.UNet(ball, 1, 1, width=1, depth=3, nonlinearity="gated").double())
    f = ball.synthesize(torch.randn(1, 1, 3, 3, dtype=torch.complex128).tril())
    assert net(f).shape == f.shape
    lat = torch.linspace(90, -90, size + 1)
    file = er.Sphere().from_latlon(lat, torch.arange(2 * size) * (180 / size), degrees=4)
    assert file.degrees == 4
    assert er.nn.Down(file.coarser())(torch.ones(1, 1, *file.coarser().shape)).isfinite().all()
    with pytest.raises(ValueError, match=r"has no coarser samples: the grid has 1 latitudes.*fewer levels"):
        er.models.UNet(er.Sphere().grid(8), 1, 1, width=1)


def test_every_layer_says_what_it_commutes_with():
    ball = er.Sphere().grid(8, rotations=5)
    layers = [er.nn.Norm(ball, 1), er.nn.ReLU(ball), er.nn.Polynomial(ball, 1), er.nn.Gated(ball, 1)]
    layers += [er.nn.Project(ball), er.nn.GlobalPool(ball), er.nn.Down(ball), er.nn.Up(ball)]
    layers += [er.nn.Pool(ball), er.nn.Lift(ball, 1, 1), er.models.Classifier(ball, 1, 2, width=1, depth=0)]
    assert {layer.equivariant_to for layer in layers} == {"SO(3)"}
    masked = ball.masked(torch.arange(8)[:, None].expand(8, 16) > 2)
    for layer in (er.nn.Norm(masked, 1), er.nn.Lift(masked, 1, 1), er.nn.Correlation(ball, 1, 1, to=masked)):
        assert layer.equivariant_to == "the elements of SO(3) that keep the mask"


def test_more_refusals():
    ball = er.Sphere().grid(8)
    with pytest.raises(AttributeError, match="a field with gaps has no harmonics of its own"):
        _ = ball.masked(torch.arange(8)[:, None].expand(8, 16) > 2).analyze
    with pytest.raises(ValueError, match="degrees is 0, expected a whole number"):
        er.Sphere().grid(8, degrees=0)
    with pytest.raises(ValueError, match="expected a whole number"):
        er.Sphere().grid(8, degrees=4.0)
    with pytest.raises(ValueError, match=r"nside is 2\.5, expected a whole number"):
        er.Sphere().healpix(2.5)
    with pytest.raises(ValueError, match="there are 1 points, expected at least 4"):
        er.Sphere().samples(torch.eye(3)[:1])
    with pytest.raises(ValueError, match="3 points are not finite, the first at 0"):
        er.Sphere().samples(torch.full((3, 3), torch.nan))
    with pytest.raises(ValueError, match="field"):
        er.nn.Up(er.Sphere().grid(8, rotations=5), "scalar")(torch.randn(1, 1, 5, 8), (8, 16))
    with pytest.raises(ValueError, match="expected"):
        er.nn.mean(ball, torch.ones(8, 8))


@pytest.mark.parametrize("domain", [er.Sphere().grid(16), er.Sphere().grid(16, rotations=3)], ids=str)
def test_models_take_the_sphere_unchanged(domain):
    f = torch.randn(2, 3, *domain.shape)
    assert er.models.UNet(domain, 3, 2, width=2, depth=2)(f).shape == (2, 2, *domain.shape)
    assert er.models.Classifier(domain, 3, 5, width=2)(f).shape == (2, 5)


def test_rings_are_those_of_every_kernel():
    ball = er.Sphere().harmonics(8, rotations=5)
    few, free = (er.models.Options(2, 0, rings=rings).levels(ball)[0] for rings in (3, None))
    layer, other = (ConvBlock(level, 2).correlation for level in (few, free))
    assert layer.spec.rings == stem(few, 1)[0].spec.rings == 3
    assert layer.weight.shape[2] * 8 == other.weight.shape[2] * 3
