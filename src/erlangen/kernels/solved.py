"""Solved taps: radial functions whose samples on a square lattice are as isotropic as so many taps can be."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.kernels.directions import sphere_rule, spherical_harmonics
from erlangen.kernels.taps import LatticeTaps, shapes

DEGREE = 3  # the highest, unless told
LONGEST, SHORTEST = 0.125, 1.0  # wave numbers between which taps are solved, per sample
NODES, DIRECTIONS = 6, 12
MORE = 12  # polynomials beyond those that the lattice's own radii fix
FLAT, LEAST = 3e-4, 1e-7  # weights of what is penalized: curvature between the samples, large taps


@dataclass(frozen=True)
class Solved(LatticeTaps):
    r"""Polar-separable functions on R^n whose samples on their lattice are isotropic.

    The symbol of taps ``psi(x_j) = R(|x_j|) Y_l(x_j / |x_j|)`` on the lattice of unit u is
    ``sum_j psi(x_j) exp(i k x_j)``; that of an isotropic kernel is ``i^l g(|k|) Y_l(k / |k|)``. Of all
    functions R on the lattice's own radii those are taken for which the difference, over
    ``1/8 <= |k| u <= 1``, is least in proportion to g: below 0.03 % for as many as there are derivatives
    of order ``l + 2 j <= 2 count - 3``, and for ``count`` of degree 0. Between
    those radii R is the polynomial

    ``R(r) = r^l (1 - r^2 / radius^2)^2 sum_a c_a T_a(2 r^2 / radius^2 - 1)``

    whose samples half a step beside the lattice's have the same symbol (what strides see at even sizes),
    by least squares. So kernels are smooth functions of v, and a finer grid sees the same ones.

    ``u = radius / count`` (one sample for kernel_size = 2 count - 1), and
    ``sum_j |psi(x_j)|^2 u^n = u^-n`` over the lattice, in the mean over c.

    Args:
        n: the dimension.
        radius: the support, in the units of the space.
        count: the number of functions of l = 0, at most 5.
        degree: the highest l, at most; None for 3.

    Raises:
        ValueError: for more samples than are solved for, and for one.
    """

    name = "solved"
    most = 5

    @property
    def terms(self) -> list[tuple[float, int]]:
        """The pairs (j, l), degree by degree, j from the smoothest on."""
        most = min(DEGREE if self.degree is None else self.degree, 1 if self.n == 1 else 2 * self.count - 3)
        return [(j, l) for l in range(max(most, 0) + 1) for j in range(_how_many(self.count, l))]

    def amplitude(self, term: float, degree: int) -> float:
        """Less for what acts as a derivative of higher order, ``l + 2 j``."""
        return 1 / (1 + degree + 2 * term)

    def polynomials(self, degree: int) -> Float[Tensor, "a j"]:
        """Those with the least anisotropy."""
        return _polynomials(self.n, self.count, degree)


def _how_many(count: int, degree: int) -> int:
    """The radial functions of a degree: derivatives of order ``degree + 2 j`` that so many taps resolve."""
    return count if degree == 0 else (2 * count - 1 - degree) // 2


@cache
def _polynomials(n: int, count: int, degree: int) -> Float[Tensor, "a j"]:
    """The coefficients c_a of the class's formula, on the lattice of unit one."""
    k, share = _wave_numbers(degree)
    toward, weight = (x.numpy() for x in sphere_rule(n, DIRECTIONS))
    Y = _harmonics(n, degree, toward)  # (q, c)
    waves = k[:, None, None] * toward  # (k, q, n)
    measure = np.sqrt(share[:, None] * weight)[..., None]  # (k, q, 1)

    radii, taps, S = _symbols(n, count, degree, 0, waves)
    g = np.einsum("akqc,q,qc->ak", S, weight, Y) / Y.shape[1]
    rest = (S - g[:, :, None, None] * Y) * measure
    values = _least(rest, g * np.sqrt(share * Y.shape[1]), radii, taps, count, degree)  # (radius, j)

    target = np.einsum("ak,aj->jk", g, values)[:, :, None, None] * Y * measure
    rows, goals = [], []
    for halves in range(1, n + 1):
        there, _, S = _symbols(n, count, degree, halves, waves)
        values_there = shapes(there, count, degree, len(radii) + MORE)
        rows.append(np.einsum("rkqc,ra->kqca", S * measure, values_there).reshape(-1, values_there.shape[1]))
        goals.append(target.reshape(len(target), -1).T)
    return torch.from_numpy(
        _through(radii, values, np.concatenate(rows), np.concatenate(goals), count, degree)
    )


def _wave_numbers(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in |k|, and weights in which all of them see the same share of ``|k|^l``."""
    t, w = np.polynomial.legendre.leggauss(NODES)
    k = LONGEST + (SHORTEST - LONGEST) * (t + 1) / 2
    return k, w / 2 * k ** (-2.0 * degree)


def _harmonics(n: int, degree: int, x: np.ndarray) -> np.ndarray:
    """Y_c of directions, orthonormal."""
    return spherical_harmonics(n, degree)(torch.from_numpy(x)).numpy()


def _symbols(
    n: int, count: int, degree: int, halves: int, waves: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The radii of a lattice (moved by half a step along so many axes), how many samples lie on each, and the
    symbols ``(radius, k, q, c)`` of harmonics there, over i^l."""
    axes = [np.arange(-count, count + 1) + (axis < halves) / 2 for axis in range(n)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, n)
    square = (x**2).sum(1)
    inside = (square < count**2) & ((square > 0) | (degree == 0))
    x, square = x[inside], square[inside]
    r = np.sqrt(np.maximum(square, 1e-300))[:, None]
    fallback = np.eye(n)[0]
    Y = _harmonics(n, degree, np.where(square[:, None] > 0, x / r, fallback))  # (j, c)
    phase = waves @ x.T  # (k, q, j)
    parity = (-1) ** (degree // 2) * (np.sin(phase) if degree % 2 else np.cos(phase))
    kinds, kind = np.unique(square, return_inverse=True)  # quarters: exact
    S = np.stack([parity[..., kind == a] @ Y[kind == a] for a in range(len(kinds))])
    return np.sqrt(kinds), np.bincount(kind), S


def _least(
    rest: np.ndarray, g: np.ndarray, radii: np.ndarray, taps: np.ndarray, count: int, degree: int
) -> np.ndarray:
    """The functions with the least `rest` in proportion to g, by their values at the radii, ``(radius, j)``.

    By the QR of both, one above the other: their Gram matrices would lose half of the digits. The space that
    is found has a basis of its own, the projections of wide to narrow Gaussians, so that it is the same
    on every machine.
    """
    root, j = np.sqrt(taps), _how_many(count, degree)
    rest, g = ((x.reshape(len(radii), -1) / root[:, None]).T for x in (rest, g))
    size = np.linalg.norm(g)
    above = np.concatenate([rest / size, LEAST * np.eye(len(radii))])
    Q, R = np.linalg.qr(np.concatenate([above, g / size]))
    found = np.linalg.solve(R, np.linalg.svd(Q[: len(above)], full_matrices=False)[2][::-1][:j].T)
    found = np.linalg.qr(found)[0]
    width = count / 2.2 * 0.65 ** np.arange(j)
    blurs = (radii[:, None] ** degree * np.exp(-((radii[:, None] / width) ** 2) / 2)) * root[:, None]
    Q, R = np.linalg.qr(found @ (found.T @ blurs))
    return Q * np.sign(np.diag(R)) / root[:, None]


def _through(
    radii: np.ndarray, values: np.ndarray, rows: np.ndarray, goals: np.ndarray, count: int, degree: int
) -> np.ndarray:
    """Coefficients of polynomials through the values, else near ``rows c = goals`` and little curved."""
    many = rows.shape[1]
    fine = np.linspace(0, count, 40 * count + 1)
    bent = np.diff(shapes(fine, count, degree, many), 2, axis=0) * (40.0**2 * FLAT)
    rows, goals = (
        np.concatenate(pair) for pair in ((rows, bent), (goals, np.zeros((len(bent), goals.shape[1]))))
    )
    fixed = shapes(radii, count, degree, many)
    U, s, V = np.linalg.svd(fixed)
    start = V[: len(s)].T @ (U.T @ values / s[:, None])
    free = V[len(s) :].T
    return start + free @ np.linalg.lstsq(rows @ free, goals - rows @ start, rcond=None)[0]
