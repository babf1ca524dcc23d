"""Smooth nonlinearities: what numpy's Fourier transforms say of them, and how little of them aliases."""

import numpy as np
import pytest
import torch

import erlangen as er

N = 8


def banded(seed: int = 0, gain: float = 1.0) -> np.ndarray:
    """Functions on the circle of frequencies up to 3, ``(batch, channel, N, height, width)``."""
    x = np.random.default_rng(seed).normal(size=(2, 3, N, 5, 4)) * gain
    c = np.fft.rfft(x, axis=2)
    c[:, :, N // 2] = 0
    return np.fft.irfft(c, N, axis=2)


def at_more_angles(x: np.ndarray, function, times: int) -> np.ndarray:
    """The function on so many times as many angles, cut back to frequencies below N / 2: by zero padding."""
    c = np.fft.rfft(x, axis=2)
    finer = function(np.fft.irfft(c, N * times, axis=2) * times)
    c = np.fft.rfft(finer, axis=2)[:, :, : N // 2 + 1] / times
    c[:, :, N // 2] = 0
    return np.fft.irfft(c, N, axis=2)


def turned(x: np.ndarray, angle: float) -> np.ndarray:
    """The functions shifted round the circle, by phases."""
    c = np.fft.rfft(x, axis=2)
    phase = np.exp(-1j * angle * np.arange(N // 2 + 1))
    return np.fft.irfft(c * phase[:, None, None], N, axis=2)


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


FUNCTIONS = {
    "silu": (er.nn.SiLU, silu),
    "relu": (er.nn.ReLU, lambda x: np.maximum(x, 0)),
}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_numpy_takes_it(name, times):
    layer, function = FUNCTIONS[name]
    x = banded(gain=3)
    found = layer(er.Plane(rotations=N), oversampling=times)(torch.from_numpy(x))
    expected = function(x) if times == 1 else at_more_angles(x, function, times)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)


@pytest.mark.parametrize("channels", [3, 16])
def test_without_holding_the_finer_field_it_is_the_same(channels):
    """The piecewise way against the plain one, gradients too."""
    plane = er.Plane(rotations=N)
    x = torch.randn(2, channels, N, 6, 5, dtype=torch.float64, requires_grad=True)
    plain = er.nn.Pointwise(plane, torch.nn.functional.silu)
    weights = torch.randn(2, channels, N, 6, 5, dtype=torch.float64)
    found = [(y, *torch.autograd.grad((y * weights).sum(), x)) for y in (er.nn.SiLU(plane)(x), plain(x))]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_fewer_bytes_are_kept_than_by_the_plain_way():
    plane, x = er.Plane(rotations=N), torch.randn(2, 4, N, 32, 32, requires_grad=True)
    kept = []
    for layer in (er.nn.SiLU(plane), er.nn.Pointwise(plane, torch.nn.functional.silu)):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t
        ):
            layer(x)
        kept.append(sum(sizes))
    assert kept[0] < 1.1 * x.numel()
    assert kept[1] > 1.9 * x.numel()


@pytest.mark.parametrize(("gain", "ratio"), [(1, 10), (3, 1.5)])
def test_between_the_angles_less_of_it_is_lost_than_of_a_relu(gain, ratio):
    """The steeper what norms learn, the smaller the gain."""
    x, angle = banded(1, gain), 0.3
    lost = {}
    for name, (layer, _) in FUNCTIONS.items():
        here = layer(er.Plane(rotations=N))
        first = here(torch.from_numpy(turned(x, angle))).numpy()
        then = turned(here(torch.from_numpy(x)).numpy(), angle)
        lost[name] = np.linalg.norm(first - then) / np.linalg.norm(then)
    assert ratio * lost["silu"] < lost["relu"] < 0.05


def test_a_network_takes_it_by_name():
    net = er.models.UNet(er.Plane(rotations=N), 3, 1, width=2, depth=1, nonlinearity="silu")
    assert sum(isinstance(part, er.nn.SiLU) for part in net.modules()) == 4
    assert er.models.UNet(net.domain, 3, 1, **vars(net.options)).options.nonlinearity == "silu"


# gates that look at a smoothed field

GAUSSIAN = 0.9 * 2**0.5  # samples


def smoothed(x: np.ndarray) -> np.ndarray:
    """scipy's Gaussian mean over what lies inside, of the last two axes; a little wider than the layer's."""
    from scipy.ndimage import correlate1d

    once = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 0.9**2))
    once /= once.sum()
    inside = np.ones_like(x)
    for axis in (-2, -1):
        for _ in range(1):
            twice = np.convolve(once, once)
            x = correlate1d(x, twice, axis, mode="constant")
            inside = correlate1d(inside, twice, axis, mode="constant")
    return x / inside


@pytest.mark.parametrize("size", [(12, 12), (9, 14), (3, 2), (1, 1)], ids=str)
def test_a_low_passed_gate_as_scipy_takes_it(size):
    x = np.random.default_rng(0).normal(size=(2, 3, N, *size)) * 3
    layer = er.nn.Gated(er.Plane(rotations=N), 3, low_pass=True, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, 3) * 3)
    a, b, c = layer.weight.detach().numpy()[:, :, None, None]
    argument = a * smoothed(x.mean(2)) + b * np.sqrt(smoothed((x**2).mean(2))) + c
    expected = x / (1 + np.exp(-argument[:, :, None]))
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-10)


DOMAINS = {
    "plane": (er.Plane(rotations=8), "regular", (9, 6)),
    "isotropic": (er.Plane(), "scalar", (9, 6)),
    "C6": (er.Plane(rotations=6), "regular", (5, 8)),
    "D4": (er.Plane(rotations=4, reflections=True), "regular", (4, 4)),
    "vectors": (er.Plane(rotations=8), "vector", (9, 6)),
}


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("make", ["gate", "down", "there and back"])
def test_turns_and_flips_commute_at_every_size(name, make):
    domain, field, size = DOMAINS[name]
    rho = domain.representation(field)
    layers = {
        "gate": lambda: er.nn.Gated(domain, 2, field, low_pass=True, dtype=torch.float64),
        "down": lambda: er.nn.Down(domain, field, resampling="band-limited"),
    }
    layer = layers["gate" if make == "gate" else "down"]()
    if make == "there and back":
        down, up = layer, er.nn.Up(domain, field, resampling="band-limited")
        layer = lambda x: up(down(x), tuple(x.shape[-2:]))  # noqa: E731
    x = torch.randn(1, 2, *(rho.dim,) * rho.has_axis, *size, dtype=torch.float64)
    for element in domain.symmetries():
        if not element.is_exact or "shift" in element.name:
            continue
        found = layer(domain.act(element.matrix, x, field))
        expected = domain.act(element.matrix, layer(x), field)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rotations", [None, 5])
@pytest.mark.parametrize(("gain", "times"), [(1, 2), (3, 3)])
def test_on_the_sphere_hardly_anything_aliases(rotations, gain, times):
    """Fields that fill the band, slopes as norms could learn them; the gate that looks closely loses 1e-3."""
    ball = er.Sphere().grid(10, rotations=rotations)
    field = ball.default_field
    f = torch.randn(1, 2, *(rotations,) * (rotations is not None), 10, 20, dtype=torch.float64)
    f = gain * ball.synthesize(ball.analyze(f, field), field)
    g = torch.matrix_exp(er.groups.SO(3).generators.double().sum(0) * 0.7)
    lost = []
    for low_pass in (True, False):
        layer = er.nn.Gated(ball, 2, oversampling=times, low_pass=low_pass, dtype=torch.float64)
        with torch.no_grad():
            found, expected = layer(ball.act(g, f, field)), ball.act(g, layer(f), field)
        lost.append(float((found - expected).norm() / expected.norm()))
    assert lost[0] < 1e-6
    assert lost[1] > 1e-4


def test_where_there_is_no_low_pass_it_is_refused():
    with pytest.raises(
        ValueError, match="cannot take the fine detail from a scalar field, expected a lattice"
    ):
        er.nn.Gated(er.Sphere().samples(), 2, low_pass=True)
    grid = er.Sphere().grid(4)
    with pytest.raises(ValueError, match="leave low_pass out"):
        er.nn.Gated(grid.masked(torch.rand(4, 8) > 0.2), 2, low_pass=True)


def test_other_lattices_have_one():
    """Constants stay, on lattices that close, are mirrored, askew, in three dimensions and with gaps."""
    skew = er.FlatTorus(lattice=torch.tensor([[1.0, 0.0], [0.5, 3**0.5 / 2]])).grid(6, 6)
    gaps = er.Plane(shape=(7, 8)).masked(torch.rand(7, 8) > 0.4)
    grids = [
        er.Moebius(8.0, 5.0).grid(8, 5),
        skew,
        er.Euclidean(3).grid(5, 4, 3),
        gaps,
        er.FlatTorus((2.0, 3.0)).grid(2, 3),
    ]
    for grid in grids:
        f = torch.full((1, 1, *grid.shape), 2.0, dtype=torch.float64)
        torch.testing.assert_close(grid.low_passed(f), grid.hide(f))


def test_a_network_of_low_passed_gates_sees_as_far_as_it_says():
    net = er.models.UNet(
        er.Plane(rotations=4), 1, 1, width=2, depth=1, nonlinearity="low-passed", resampling="band-limited"
    )
    net = er.verify.randomized(net.double(), torch.randn(1, 1, 32, 32).double())
    size = 2 * net.receptive_radius + 5
    x = torch.zeros(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    x = (x + torch.randn(1, 1, size, size)).detach().requires_grad_()
    net(x)[0, 0, size // 2, size // 2].backward()
    rows = x.grad[0, 0].abs().amax(1)
    seen = int(rows.nonzero().min())
    assert size // 2 - net.receptive_radius - 2 <= seen - 2 <= size // 2 - net.receptive_radius + 8
    assert size // 2 - seen <= net.receptive_radius


@pytest.mark.parametrize("kind", [er.nn.ReLU, er.nn.SiLU])
@pytest.mark.parametrize(("channels", "oversampling"), [(1, 2), (3, 3), (12, 2)])
def test_small_fields_without_a_gradient_go_another_way_to_the_same(kind, channels, oversampling):
    """One product each way instead of pieces; in bfloat16, where products are cast, pieces as before."""
    layer = kind(er.Plane(rotations=6), oversampling=oversampling)
    x = torch.randn(2, channels, 6, 7, 5, dtype=torch.float64)
    with torch.no_grad():
        y = layer(x)
    torch.testing.assert_close(y, layer(x.requires_grad_()), rtol=0, atol=1e-13)
    x = x.detach().float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(x), y.float(), rtol=0, atol=1e-5)
