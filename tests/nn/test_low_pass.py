"""`LowPass`: what numpy's Fourier transforms say of it, borders, and turns at every size."""

import numpy as np
import pytest
import torch

import erlangen as er
from erlangen.engines import fold

C8 = er.Plane(rotations=8)
HEXAGONAL = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5]], dtype=torch.float64)


def by_fourier(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """A periodic field, each wave times the symbol of the line on each axis."""
    for axis in axes:
        n = x.shape[axis]
        symbol = (2 + np.cos(2 * np.pi * np.fft.fftfreq(n))) / 3
        shape = [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)]
        x = np.fft.ifft(np.fft.fft(x, axis=axis) * symbol.reshape(shape), axis=axis).real
    return x


@pytest.mark.parametrize(
    ("domain", "size"),
    [
        (er.Euclidean(1).grid(7), (7,)),
        (C8, (6, 9)),
        (er.Plane(), (1, 5)),
        (er.Euclidean(3).grid(4, 5, 3), (4, 5, 3)),
    ],
    ids=["line", "plane", "isotropic", "volume"],
)
def test_periodic_fields_as_fourier_takes_them(domain, size):
    fibre = () if domain.fibre is None else (len(domain.fibre),)
    x = np.random.default_rng(0).normal(size=(2, 3, *fibre, *size))
    y = er.nn.LowPass(domain, circular=True)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, by_fourier(x, tuple(range(-len(size), 0))), atol=1e-13)


def test_waves_of_all_directions_are_damped_alike():
    angle = torch.linspace(0, torch.pi, 25, dtype=torch.float64)
    y, x = torch.meshgrid(*[torch.arange(-8.0, 9.0).double()] * 2, indexing="ij")
    for k, expected, apart in [(0.5, 0.959, 5e-5), (1.0, 0.847, 5e-4), (2.0, 0.52, 1.2e-2)]:
        waves = torch.cos(k * (torch.cos(angle)[:, None, None] * y + torch.sin(angle)[:, None, None] * x))
        damped = er.nn.LowPass(er.Plane())(waves[:, None])[:, 0, 8, 8]
        assert float(damped.max() - damped.min()) < apart
        assert abs(float(damped.mean()) - expected) < 6e-3


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (7, 12)], ids=str)
@pytest.mark.parametrize("circular", [False, True])
def test_turns_flips_and_constants_at_every_size(size, circular):
    domain = er.Plane(rotations=4, reflections=True)
    layer = er.nn.LowPass(domain, circular=circular)
    x = torch.randn(2, 3, 8, *size, dtype=torch.float64)
    torch.testing.assert_close(layer(torch.ones_like(x)), torch.ones_like(x), rtol=0, atol=1e-14)
    for element in domain.symmetries():
        if element.is_exact and not element.is_shift:
            moved = domain.act(element.matrix, layer(x))
            torch.testing.assert_close(layer(domain.act(element.matrix, x)), moved, rtol=0, atol=1e-12)


def test_what_lies_beyond_a_border_is_shared_by_what_lies_inside():
    x = torch.tensor([3.0, 0.0, 0.0, 6.0], dtype=torch.float64)
    y = er.nn.LowPass(er.Euclidean(1).grid(4))(x.view(1, 1, 4)).flatten()
    torch.testing.assert_close(y, torch.tensor([2.4, 0.5, 1.0, 4.8], dtype=torch.float64))


def test_fields_go_on_beyond_the_seam_of_a_strip():
    strip = er.Moebius(8.0, 5.0).grid(8, 5)
    field = strip.default_field
    layer, rho = er.nn.LowPass(strip, field), strip.representation(field)
    x = torch.randn(1, 2, *([rho.dim] if rho.has_axis else []), 8, 5, dtype=torch.float64)
    wide = strip.surround(fold(x, rho), [1, 0], rho).numpy()
    line = np.array([1, 4, 1]) / 6
    along = sum(w * wide[:, :, i : i + 8] for i, w in enumerate(line))
    inner = np.pad(along, [(0, 0)] * 3 + [(1, 1)])
    share = np.convolve(np.ones(5), line, "same")
    expected = sum(w * inner[..., i : i + 5] for i, w in enumerate(line)) / share
    np.testing.assert_allclose(fold(layer(x), rho).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    "domain",
    [
        er.Sphere().grid(8, rotations=3),
        er.FlatTorus(lattice=HEXAGONAL).grid(6, 6),
        er.FlatTorus((2.0, 3.0)).grid(8, 8),
    ],
    ids=["sphere", "askew", "unequal"],
)
def test_other_samples_are_refused_by_name(domain):
    with pytest.raises(ValueError, match="expected all samples of a lattice"):
        er.nn.LowPass(domain)


def test_networks_have_it_where_they_are_told_and_see_one_sample_farther():
    options = {"width": 2, "depth": 1, "nonlinearity": "silu"}
    plain = er.models.UNet(C8, 1, 1, **options)
    net = er.models.UNet(C8, 1, 1, **options, low_pass=(True, False))
    found = [part for part in net.modules() if isinstance(part, er.nn.LowPass)]
    assert len(found) == sum(isinstance(part, er.nn.SiLU) for part in plain.modules()) - 1
    assert net.receptive_radius > plain.receptive_radius
    net.load_state_dict(plain.state_dict())  # it has no weights
    x = torch.randn(1, 1, 24, 24)
    torch.testing.assert_close(er.freeze(net.eval())(x), net(x), rtol=1e-4, atol=1e-5)
    assert er.models.UNet(C8, 1, 1, **options).options.low_pass is False
