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
