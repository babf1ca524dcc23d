"""Circles of latitude with equispaced samples: what a grid says of itself to have a harmonic transform."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor, from_numpy


@dataclass(frozen=True, eq=False)
class Parallels:
    r"""Rings at colatitudes theta_j, each of the same number of equispaced samples.

    Attributes:
        theta: ``(j,)``, ascending, and its own mirror image: ``theta_j + theta_{J-1-j} = pi``.
        longitudes: the number of samples on each ring.
        quadrature: how analysis integrates. ``(j,)``, the measure of a sample of each ring; or ``(2, j, j)``,
            symmetric matrices for orders m with m + n even and odd (see `doubled`).
        degrees: the bandwidth L: harmonics of degree l < L are integrated exactly against each other.
        phase: the longitude of the first sample of each ring.
        reading: ``(2, j, j)``, as above: what is made of the field's values by synthesis; None keeps them.
    """

    theta: Float[Tensor, "j"]
    longitudes: int
    quadrature: Float[Tensor, "*parity j"]
    degrees: int
    phase: float = 0.0
    reading: Float[Tensor, "parity j j"] | None = None

    def __post_init__(self) -> None:
        mirrored = math.pi - self.theta.flip(0)
        if len(self.theta) < 2 or float((self.theta - mirrored).abs().max()) > 1e-9:
            raise ValueError(
                "the colatitudes are not their own mirror image at the equator, expected ascending angles "
                "in radians from the north pole with theta_j + theta_(J-1-j) = pi; read the field on such a "
                "grid (Domain.to), or take kernels with radius="
            )
        if self.longitudes < 2 * self.degrees - 1:
            raise ValueError(
                f"rings of {self.longitudes} samples cannot carry the degrees below {self.degrees}, expected "
                f"at least {2 * self.degrees - 1}; take a bandwidth of at most {(self.longitudes + 1) // 2}"
            )

    @property
    def is_diagonal(self) -> bool:
        """Whether analysis weighs samples, instead of mixing rings."""
        return self.quadrature.dim() == 1


def gauss_legendre(rings: int, longitudes: int) -> Parallels:
    """Gauss and Legendre's rings."""
    z, w = np.polynomial.legendre.leggauss(rings)
    theta = from_numpy(np.arccos(z[::-1]))
    return Parallels(
        (theta + math.pi - theta.flip(0)) / 2,
        longitudes,
        from_numpy(w * (2 * math.pi / longitudes)),
        min(rings, (longitudes + 1) // 2),
    )


def doubled(rings: int, longitudes: int, poles: bool, phase: float = 0.0) -> Parallels:
    r"""Even steps in theta, at their full bandwidth: 73 x 144 with poles carries l < 72.

    Beyond a pole ``d^l_mn(-theta) = (-1)^{m - n} d^l_mn(theta)``: a field is a trigonometric polynomial on
    the whole circle, which the rings determine. Read at Gauss and Legendre's rings, which integrate products
    exactly, and folded back, ``Q = U^T W U`` with the interpolation U, it is a matrix for each parity of m:
    analysis against ``w Q`` instead of ``w`` times weights, for no more work.

    Reference: Healy et al. 2003; the doubling of Sneeuw & Bun 1996.
    """
    N = rings - poles
    degrees = min(N, (longitudes + 1) // 2)
    theta = math.pi * (np.arange(rings) + (0.0 if poles else 0.5)) / N
    z, w = np.polynomial.legendre.leggauss(degrees)
    fine, k = np.arccos(z), np.arange(degrees)
    share = np.where((np.arange(rings) % N == 0) & poles, 0.5, 1.0)  # a pole belongs to both halves
    quadrature = []
    for wave in (np.cos, np.sin):
        into = wave(np.outer(k, theta)) * share * (2 / N)
        into[0] /= 2
        U = wave(np.outer(fine, k)) @ into
        quadrature.append(U.T @ (U * w[:, None]) * (2 * math.pi / longitudes))
    return Parallels(from_numpy(theta), longitudes, from_numpy(np.stack(quadrature)), degrees, phase)
