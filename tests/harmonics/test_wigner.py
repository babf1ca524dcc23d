"""The one recursion: against exponentials of J_y, and far out against many digits."""

import mpmath
import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.special import sph_harm_y

from erlangen.harmonics import wigner


def d(l: int, beta: float) -> np.ndarray:
    m = np.arange(-l, l)
    up = np.zeros((2 * l + 1, 2 * l + 1), complex)
    up[np.arange(1, 2 * l + 1), np.arange(2 * l)] = np.sqrt(l * (l + 1) - m * (m + 1))
    return expm(-1j * beta * (up - up.conj().T) / 2j).real


@pytest.mark.parametrize("n", range(-3, 4))
def test_columns_of_the_rotation(n):
    theta = torch.tensor([0.0, 0.3, 1.2, 2.9, np.pi], dtype=torch.float64)
    w = wigner(theta, 6, list(range(-5, 6)), n)
    for l in range(6):
        for j, beta in enumerate(theta.tolist()):
            expected = np.zeros((11, 2 * 20 + 1))
            expected[5 - l : 6 + l, 20 - l : 21 + l] = np.sqrt((2 * l + 1) / (4 * np.pi)) * d(l, beta)
            np.testing.assert_allclose(w[:, l, j], expected[:, 20 + n], atol=1e-14)


def test_spherical_harmonics_with_the_phase_of_condon_and_shortley():
    theta = torch.linspace(0.1, 3.0, 7, dtype=torch.float64)
    w = wigner(theta, 40, [0, 3, 17], 0)
    for i, m in enumerate([0, 3, 17]):
        expected = sph_harm_y(39, m, theta.numpy(), 0.0).real
        np.testing.assert_allclose(w[i, 39], expected, atol=1e-13)


@pytest.mark.parametrize("n", [0, -2, 3])
def test_far_beyond_the_range_of_floating_point(n):
    theta, l = [0.5, 1.0], 4000  # at m = 1296 the first value is below 1e-400
    w = wigner(torch.tensor(theta, dtype=torch.float64), l + 1, [1296, 2000, 3999], n)
    mpmath.mp.dps = 50
    for i, m in enumerate([1296, 2000, 3999]):
        for j, beta in enumerate(theta):
            s, c = mpmath.sin(mpmath.mpf(beta) / 2), mpmath.cos(mpmath.mpf(beta) / 2)
            of = mpmath.factorial
            norm = mpmath.sqrt((2 * l + 1) / (4 * mpmath.pi) * of(l + m) * of(l - m) / of(l + n) / of(l - n))
            jacobi = mpmath.jacobi(l - m, m - n, m + n, mpmath.cos(mpmath.mpf(beta)))
            expected = (-1) ** (m - n) * norm * s ** (m - n) * c ** (m + n) * jacobi
            assert abs(float(w[i, l, j]) - float(expected)) < 1e-11 * max(abs(float(expected)), 1e-2)
