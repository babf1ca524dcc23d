"""Harmonics on the directions of R^n, and quadrature on them, for every n."""

import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@cache
def spherical_harmonics(n: int, degree: int) -> Callable[[Tensor], Tensor]:
    r"""An orthonormal basis ``Y_c`` of the harmonics of one degree on the sphere S^{n-1}.

    For n = 2 and l > 0 it is ``sqrt(2) cos(l t), sqrt(2) sin(l t)``; for n = 1 it is 1 (l = 0) and the sign
    (l = 1). In every n the Y_c are homogeneous harmonic polynomials, in an order that does not
    depend on the machine, with ``sum_c Y_c(x)^2 = number of c`` on unit x.

    Returns:
        A function of points ``(..., n)`` with values ``(..., c)``.
    """
    exponents = [e for e in itertools.product(range(degree, -1, -1), repeat=n) if sum(e) == degree]
    # In the monomials x^e / sqrt(e!) the Fischer product is the dot product, and on harmonics it is
    # the integral over the sphere but for a factor.
    scale = np.array([math.sqrt(math.prod(map(math.factorial, e))) for e in exponents])
    laplacian = _laplacian(exponents) / scale
    kernel = np.eye(len(exponents)) - np.linalg.pinv(laplacian) @ laplacian
    basis = canonical_basis(torch.from_numpy(kernel)).numpy() / scale  # (c, monomials)
    count = len(basis)
    power = torch.tensor(exponents)
    pole = torch.zeros(n, dtype=torch.float64)
    pole[0] = 1.0

    def monomials(x: Tensor) -> Tensor:
        return (x[..., None, :] ** power.to(x.device)).prod(-1)

    at_pole = monomials(pole) @ torch.from_numpy(basis).T
    coefficients = torch.from_numpy(basis) * (math.sqrt(count) / at_pole.norm() if count else 1.0)

    def evaluate(x: Tensor) -> Tensor:
        return monomials(x) @ coefficients.to(x).T

    return evaluate


def canonical_basis(rows: Float[Tensor, "k d"], tolerance: float = 1e-9) -> Tensor:
    """Gram and Schmidt on the rows in their order, without those that depend on earlier ones.

    Unlike a basis from an SVD this one is the same on every machine, so that a checkpoint means
    the same kernel everywhere.
    """
    found = rows.new_zeros(0, rows.shape[-1])
    for row in rows:
        rest = row - found.T @ (found @ row)
        rest = rest - found.T @ (found @ rest)
        if rest.norm() > tolerance * max(1.0, float(row.norm())):
            found = torch.cat([found, (rest / rest.norm())[None]])
    return found


def legendre(n: int, degree: int, t: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The zonal harmonic P_l of R^n with P_l(1) = 1: cos(l arccos t) for n = 2, Legendre for n = 3."""
    before, here = torch.ones_like(t), t
    if degree == 0:
        return before
    for k in range(1, degree):
        before, here = here, ((2 * k + n - 2) * t * here - k * before) / (k + n - 2)
    return here


@cache
def gegenbauer_rule(n: int, count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights for the average over S^{n-1} of a function of one coordinate t."""
    if n == 1:
        return torch.tensor([-1.0, 1.0], dtype=torch.float64), torch.full((2,), 0.5).double()
    a, k = (n - 2) / 2, np.arange(1, count, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = k * (k + 2 * a - 1) / (4 * (k + a) * (k + a - 1))
    beta[0:1] = 1 / n  # the mean of t^2; the formula has 0 / 0 on the circle
    nodes, vectors = np.linalg.eigh(np.diag(np.sqrt(beta), 1) + np.diag(np.sqrt(beta), -1))
    return torch.from_numpy(nodes), torch.from_numpy(vectors[0] ** 2)


@cache
def sphere_rule(n: int, count: int) -> tuple[Tensor, Tensor]:
    """Directions ``(k, n)``, weights ``(k,)``: the average over S^{n-1}, exact below degree 2 count - 1."""
    if n == 1:
        return torch.tensor([[1.0], [-1.0]]).double(), torch.full((2,), 0.5).double()
    if n == 2:
        t = torch.arange(2 * count, dtype=torch.float64) * (math.pi / count)
        return torch.stack([torch.cos(t), torch.sin(t)], -1), torch.full_like(t, 1 / len(t))
    t, w = gegenbauer_rule(n, count)
    inner, inner_w = sphere_rule(n - 1, count)
    ring = torch.sqrt(1 - t**2)[:, None, None] * inner  # (t, k, n - 1)
    nodes = torch.cat([ring, t[:, None, None].expand(-1, len(inner), 1)], -1)
    return nodes.flatten(0, 1), (w[:, None] * inner_w).flatten()


def sphere_area(n: int) -> float:
    """The measure of the directions of R^n: 2, 2 pi, 4 pi, ..."""
    return 2 * math.pi ** (n / 2) / math.gamma(n / 2)


def _laplacian(exponents: list[tuple[int, ...]]) -> np.ndarray:
    """The Laplace operator from polynomials of one degree to those of two degrees less."""
    entries: dict[tuple[int, ...], dict[int, float]] = {}
    for column, e in enumerate(exponents):
        for axis, power in enumerate(e):
            if power >= 2:
                image = (*e[:axis], power - 2, *e[axis + 1 :])
                entries.setdefault(image, {})[column] = float(power * (power - 1))
    matrix = np.zeros((len(entries), len(exponents)))
    for row, columns in enumerate(entries.values()):
        for column, value in columns.items():
            matrix[row, column] = value
    return matrix
