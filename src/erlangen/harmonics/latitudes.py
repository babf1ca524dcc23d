"""Rings of equispaced longitudes: what a grid must say of itself to have a spherical harmonic transform."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Latitudes:
    r"""Rings at colatitudes theta_j, each of the same number of equispaced samples.

    Attributes:
        theta: ``(j,)``, ascending, and its own mirror image: ``theta_j + theta_{J-1-j} = pi``.
        longitudes: the number of samples on each ring.
        quadrature: how analysis integrates over theta. ``(j,)``, the measure of one sample of each ring; or
            ``(2, j, j)``, symmetric matrices for even and odd orders m (see `equiangular`).
        degrees: the bandwidth L: harmonics of degree l < L are integrated exactly against each other.
        phase: the longitude of the first sample of each ring.
    """

    theta: Float[Tensor, "j"]
    longitudes: int
    quadrature: Float[Tensor, "*parity j"]
    degrees: int
    phase: float = 0.0

    def __post_init__(self) -> None:
        mirrored = math.pi - self.theta.flip(0)
        if len(self.theta) < 2 or float((self.theta - mirrored).abs().max()) > 1e-12:
            raise ValueError(
                "the colatitudes are not their own mirror image at the equator, expected ascending angles "
                "in radians from the north pole with theta_j + theta_(J-1-j) = pi"
            )
        if self.longitudes < 2 * self.degrees - 1:
            raise ValueError(
                f"rings of {self.longitudes} samples cannot carry the degrees below {self.degrees}, expected "
                f"at least {2 * self.degrees - 1}; take a bandwidth of at most {(self.longitudes + 1) // 2}"
            )

    def __len__(self) -> int:
        return len(self.theta)

    @property
    def phi(self) -> Float[Tensor, "k"]:
        """The longitudes of the samples of one ring."""
        return self.phase + 2 * math.pi * torch.arange(self.longitudes).double() / self.longitudes

    @property
    def weights(self) -> Float[Tensor, "j k"]:
        """The measure of each sample."""
        w = self.quadrature
        if w.dim() == 3:  # the constant function, m = 0
            w = w[0].sum(0)
        return w[:, None].expand(-1, self.longitudes)


def gauss_legendre(rings: int, longitudes: int, degrees: int | None = None) -> Latitudes:
    """Gauss and Legendre's rings: exact for products of harmonics of degree below the number of rings."""
    z, w = (torch.from_numpy(x[::-1].copy()) for x in np.polynomial.legendre.leggauss(rings))
    theta = torch.arccos(z)
    theta = (theta + math.pi - theta.flip(0)) / 2
    degrees = degrees or min(rings, (longitudes + 1) // 2)
    return Latitudes(theta, longitudes, w * (2 * math.pi / longitudes), degrees)
