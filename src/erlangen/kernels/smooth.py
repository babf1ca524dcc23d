"""Smooth taps: of all kernels on a square lattice those that are isotropic nearly over its whole band."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.kernels.directions import gegenbauer_rule, legendre, sphere_area
from erlangen.kernels.taps import LatticeTaps, shapes

DEGREE = 4  # the highest, unless told
BAND = 0.8 * math.pi  # waves that count, per sample
BETWEEN = 0.02  # the weight of samples half a step beside the lattice
ANISOTROPY = 0.035  # of the norm of a symbol, at most
ALWAYS = (2, 1)  # functions of degree 0, 1: also of three samples
NODES = 96


@dataclass(frozen=True)
class Smooth(LatticeTaps):
    r"""Polar-separable functions on R^n whose samples on their lattice have isotropic symbols.

    The symbol of taps ``psi(x_j) = R(|x_j|) Y_l(x_j / |x_j|)`` on the lattice of unit u is
    ``S(k) = sum_j psi(x_j) exp(i k x_j)``. What of it is isotropic is

    ``i^l g(|k|) Y_l(k / |k|)``, with ``g(k) = sum_j R(|x_j|) b_l(k |x_j|)``, b_l the Bessel function of R^n.

    The functions

    ``R(r) = r^l (1 - r^2 / radius^2)^2 sum_a c_a T_a(2 r^2 / radius^2 - 1)``

    are those for which this holds the largest share of ``int |S|^2 dk`` over ``|k| <= 4/5 pi / u``: an
    eigenvalue problem. They come in the order of their shares, the smoothest first, as long as what is not
    isotropic is below 3.5 % of the norm (and two of degree 0, one of degree 1 always). Samples half a
    step beside the lattice, which strides see at even sizes, count for 2 %: they see nearly the same.

    ``u = radius / count`` (one sample for kernel_size = 2 count - 1), and
    ``sum_j |psi(x_j)|^2 u^n = u^-n`` over the lattice, in the mean over c.

    Args:
        n: the dimension.
        radius: the support, in the units of the space.
        count: the samples along the radius, at most 8.
        degree: the highest l, at most; None for 4.

    Raises:
        ValueError: for more samples than are solved for, and for one.

    Reference: Slepian & Pollak 1961 (functions that are concentrated best).
    """

    name = "smooth"
    most = 8

    @property
    def terms(self) -> list[tuple[float, int]]:
        """The pairs (j, l), degree by degree, j from the smoothest on."""
        most = DEGREE if self.degree is None else self.degree
        degrees = range(min(most, 1 if self.n == 1 else most) + 1)
        return [(j, l) for l in degrees for j in range(self.polynomials(l).shape[1])]

    def polynomials(self, degree: int) -> Float[Tensor, "a j"]:
        """Those with the largest isotropic shares."""
        return _polynomials(self.n, self.count, degree)


@cache
def _polynomials(n: int, count: int, degree: int) -> Float[Tensor, "a j"]:
    """The coefficients c_a of the class's formula, on the lattice of unit one."""
    t, w = np.polynomial.legendre.leggauss(NODES)
    k = BAND * (t + 1) / 2
    measure = sphere_area(n) / (2 * math.pi) ** n * k ** (n - 1) * (BAND / 2 * w)
    beside = [_samples(n, count, halves, degree) for halves in range(n + 1)]
    often = np.array([math.comb(n, halves) * BETWEEN / (2**n - 1) for halves in range(n + 1)])
    often[0] = 1 - BETWEEN
    many = min(count + 4, sum(len(np.unique(np.linalg.norm(x, axis=1).round(9))) for x in beside))
    values = [shapes(np.linalg.norm(x, axis=1), count, degree, many) for x in beside]
    whole, waves = np.zeros((many, many)), []
    for share, s, x in zip(often, values, beside, strict=True):
        whole += share * s.T @ _energy(n, degree, x, k, measure) @ s
        waves.append(_bessel(n, degree, k[:, None] * np.linalg.norm(x, axis=1)) @ s)
    g = np.tensordot(often, waves, 1) * np.sqrt(measure)[:, None]
    root = np.linalg.inv(np.linalg.cholesky(whole + 1e-11 * np.trace(whole) * np.eye(many)))
    rest, vectors = np.linalg.eigh(root @ (whole - g.T @ g) @ root.T)
    kept = max(int((rest < ANISOTROPY**2).sum()), ALWAYS[degree] if degree < len(ALWAYS) else 0)
    c = root.T @ vectors[:, :kept]
    size = np.sqrt(((values[0] @ c) ** 2).sum(0))
    middle = shapes(np.array([count / 3]), count, degree, many)[0] @ c
    return torch.from_numpy(c / (size * np.where(middle < 0, -1, 1)))


def _samples(n: int, count: int, halves: int, degree: int) -> np.ndarray:
    """Those within reach of a point half a step beside them on so many axes."""
    axes = [np.arange(-count, count + 1) + (axis < halves) / 2 for axis in range(n)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, n)
    square = (x**2).sum(1)
    return x[(square < count**2) & ((square > 0) | (degree == 0))]


def _energy(n: int, degree: int, x: np.ndarray, k: np.ndarray, measure: np.ndarray) -> np.ndarray:
    """What two samples give together to the energy of symbols in the band, in the mean over c."""
    r = np.maximum(np.linalg.norm(x, axis=1), 1e-9)
    square = ((x[:, None] - x[None]) ** 2).sum(-1)
    kinds, kind = np.unique((4 * square).round().astype(int), return_inverse=True)
    together = measure @ _bessel(n, 0, k[:, None] * np.sqrt(kinds / 4))
    angle = torch.from_numpy((x @ x.T / (r[:, None] * r)).clip(-1, 1))
    return together[kind].reshape(square.shape) * legendre(n, degree, angle).numpy()


def _bessel(n: int, degree: int, x: np.ndarray) -> np.ndarray:
    """The mean over directions of ``exp(i x t) P_l(t)``, over i^l: the Bessel function of R^n."""
    t, w = (q.numpy() for q in gegenbauer_rule(n, 64))
    wave = w * legendre(n, degree, torch.from_numpy(t)).numpy()
    phase = x[..., None] * t
    return (-1) ** (degree // 2) * (np.sin(phase) if degree % 2 else np.cos(phase)) @ wave
