"""Latitudes: the rings of a grid, and the weights that integrate polynomials in z = cos theta."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Latitudes:
    """Rings from north to south, with ``int_{-1}^{1} f(z) dz = sum_i w_i f(cos theta_i)``.

    Attributes:
        theta: ``(n,)``, colatitudes, ascending.
        weights: ``(n,)``, their sum is 2.
        degree: the highest degree of polynomials in z that they integrate exactly.
        kind: one of `KINDS`; None for others.
    """

    theta: Float[Tensor, "n"]
    weights: Float[Tensor, "n"]
    degree: int
    kind: str | None = None

    def __reduce__(self) -> tuple:
        if self.kind is None:
            return Latitudes, (self.theta, self.weights, self.degree)
        return rings_of_kind, (self.kind, len(self.theta))

    @property
    def half(self) -> "Latitudes":
        """Half as many of the kind; of others, Gauss and Legendre's."""
        return rings_of_kind(self.kind or "gauss-legendre", -(-len(self.theta) // 2))


def gauss_legendre(n: int) -> Latitudes:
    """The zeros of P_n: exact below degree 2 n."""
    z, w = (torch.from_numpy(x[::-1].copy()) for x in np.polynomial.legendre.leggauss(n))
    return Latitudes(torch.arccos(z), w, 2 * n - 1, "gauss-legendre")


def clenshaw_curtis(n: int) -> Latitudes:
    r"""``theta_i = pi i / (n - 1)``, both poles among them: exact below degree n (and at odd degrees).

    ``w_i = c_i / N (1 - sum_k b_k cos(2 k theta_i) / (4 k^2 - 1))`` with N = n - 1, c = 1 at the poles and 2
    elsewhere, b = 1 at k = N / 2 and 2 elsewhere.
    """
    N = n - 1
    theta = math.pi * torch.arange(n).double() / N
    k = torch.arange(1, N // 2 + 1).double()
    b = torch.where(2 * k == N, 1.0, 2.0) / (4 * k**2 - 1)
    c = torch.full((n,), 2.0).double()
    c[0] = c[-1] = 1.0
    return Latitudes(theta, c / N * (1 - torch.cos(2 * theta[:, None] * k) @ b), N + 1 - N % 2, "equiangular")


def fejer(n: int) -> Latitudes:
    r"""``theta_i = pi (i + 1/2) / n``, without the poles: exact below degree n (and at odd degrees).

    ``w_i = 2 / n (1 - 2 sum_k cos(2 k theta_i) / (4 k^2 - 1))``, k to n / 2.
    """
    theta = math.pi * (torch.arange(n).double() + 0.5) / n
    k = torch.arange(1, n // 2 + 1).double()
    w = 2 / n * (1 - 2 * torch.cos(2 * theta[:, None] * k) @ (1 / (4 * k**2 - 1)))
    return Latitudes(theta, w, n - 1, "equiangular, no poles")


def fitted(theta: Float[Tensor, "n"]) -> Latitudes:
    """Any colatitudes: the areas of their bands, changed as little as exactness asks for.

    The highest degree is tried at which all weights are positive.
    """
    n = len(theta)
    ends = torch.cat([theta.new_tensor([0.0]), (theta[1:] + theta[:-1]) / 2, theta.new_tensor([math.pi])])
    bands = torch.cos(ends[:-1]) - torch.cos(ends[1:])
    z = torch.cos(theta).numpy()
    for degree in range(n - 1, -1, -1):
        P = torch.from_numpy(np.polynomial.legendre.legvander(z, degree)).T  # (l, n)
        wanted = P.new_zeros(degree + 1)
        wanted[0] = 2.0
        # the least sum of (w - bands)^2 / bands
        scaled = P * bands
        change = torch.linalg.lstsq(scaled @ P.T, wanted - P @ bands).solution @ scaled
        w = bands + change
        exact = float((P @ w - wanted).abs().max()) < 1e-12
        if exact and bool((w > 0).all()):
            return Latitudes(theta, w, degree)
    return Latitudes(theta, 2 * bands / bands.sum(), 0)


def rings_of_kind(kind: str, count: int) -> Latitudes:
    """So many rings; ValueError for too few, and for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
    poles = kind == "equiangular"
    if count < 2 + poles:
        raise ValueError(f"the grid has {count} latitudes, expected at least {2 + poles} rings")
    return KINDS[kind](count)


KINDS: dict[str, Callable[[int], Latitudes]] = {
    "gauss-legendre": gauss_legendre,
    "equiangular": clenshaw_curtis,
    "equiangular, no poles": fejer,
}
