"""The radial part of a kernel: what all families of it share, and Gaussian rings, smooth at the centre."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.kernels.directions import gegenbauer_rule, legendre, sphere_area, spherical_harmonics

MANY, POWERS = 1 << 14, 12  # beyond so many radii the profile is read from polynomials
MOST = 512  # radii
EDGE = 0.7  # over which the window falls, in units


@dataclass(frozen=True)
class Polar(ABC):
    r"""Polar-separable functions on R^n, ``psi_{j,l,c}(v) = R_{j,l}(|v|) Y_{l,c}(v / |v|)``.

    Args:
        n: the dimension.
        radius: the support, in the units of the space.
        count: the number of radial functions of l = 0.
    """

    n: int
    radius: float
    count: int = 3

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"radius is {self.radius}, expected a positive length")
        if not 1 <= self.count <= MOST:
            raise ValueError(
                f"rings is {self.count}, expected at least 1 (the centre) and at most {MOST}: more would not "
                "fit in memory"
            )

    @property
    @abstractmethod
    def unit(self) -> float:
        """The length u that a kernel resolves."""

    @property
    @abstractmethod
    def terms(self) -> list[tuple[float, int]]:
        """The pairs (j, l); the first is the family's own name of a radial function."""

    @property
    @abstractmethod
    def shoulder(self) -> float:
        """The distance on both sides of which kernels are smooth."""

    @abstractmethod
    def profile(self, term: float, degree: int, r: Float[Tensor, "*batch"], /) -> Float[Tensor, "*batch"]:
        """R_{j,l}(r) for r of any shape; zero from the radius on, and at r = 0 unless l = 0."""

    def amplitude(self, term: float, degree: int) -> float:
        """How large the coefficients of a function should start: smooth kernels first."""
        return 1 / (1 + degree)

    def angular(self, degree: int, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch c"]:
        """The harmonics Y_{l,c} of the direction of v; at v = 0 they are multiplied by zero."""
        r = v.norm(dim=-1, keepdim=True)
        fallback = torch.zeros_like(v)
        fallback[..., 0] = 1.0
        direction = torch.where(r > 0, v / r.clamp_min(torch.finfo(r.dtype).tiny), fallback)
        return spherical_harmonics(self.n, degree)(direction)


@dataclass(frozen=True)
class Rings(Polar):
    r"""Polar-separable functions on R^n: spheres that carry a harmonic, blurred by a Gaussian.

    ``psi_{j,l,c}(v) = R_{j,l}(|v|) Y_{l,c}(v / |v|)`` where R_{j,l} is the harmonic of degree l on
    the sphere of radius rho_j, blurred with standard deviation s (Funk and Hecke):

    ``R_{j,l}(r) = mean over t of exp(-(r^2 + rho_j^2 - 2 r rho_j t) / (2 s^2)) P_l(t)``, s = 3/4 u,

    times a window that falls to zero at `radius`. Unlike a Gaussian of r times an angular wave this is
    smooth at the centre, where only l = 0 is not zero. With ``count`` spheres the unit is
    ``u = radius / (count - 1/2)`` (one pixel for kernel_size = 2 count - 1); the spheres lie
    evenly between 0 and ``radius - u``, and carry the degrees ``l <= (2/3) (rho_j + u) / u``, so that
    no angular wave is shorter than the grid can turn.

    Args:
        n: the dimension.
        radius: the support, in the units of the space.
        count: the number of rings, the centre included.
    """

    @property
    def unit(self) -> float:
        """The length u that a kernel resolves."""
        return self.radius / (self.count - 0.5)

    @property
    def terms(self) -> list[tuple[float, int]]:
        """The pairs (rho_j, l), ring by ring."""
        pairs = [(0.0, 0)]
        for j in range(1, self.count):
            rho = j * (self.count - 1.5) / (self.count - 1)  # in units
            most = math.floor(2 / 3 * (rho + 1) + 1e-9)
            pairs += [(rho * self.unit, l) for l in range(min(most, 1 if self.n == 1 else most) + 1)]
        return pairs

    def profile(self, rho: float, degree: int, r: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """R_{j,l}(r) for r of any shape, with ``int |psi|^2 dv = unit^-n``."""
        if r.numel() < MANY or r.dtype != torch.float64 or r.requires_grad:
            blurred = self.blurred(rho, degree, r)
        else:
            blurred = _read(_pieces(self, rho, degree).to(r.device), r / self.radius)
        if degree:
            blurred = torch.where(r > 0, blurred, 0.0)
        return blurred * self.window(r) / _norm(self, rho, degree)

    def blurred(self, rho: float, degree: int, r: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The sum of the class's formula for R_{j,l}, by quadrature over t, before the window."""
        t, w = (x.to(r) for x in gegenbauer_rule(self.n, 48))
        blur = 0.75 * self.unit
        wave = w * legendre(self.n, degree, t)
        distance = r[..., None] ** 2 + rho**2 - 2 * r[..., None] * rho * t
        return (torch.exp(-distance / (2 * blur**2)) * wave).sum(-1)

    @property
    def shoulder(self) -> float:
        """The distance at which the window begins to fall: kernels are smooth on both sides of it."""
        return max(self.radius - EDGE * self.unit, 0.0)

    def window(self, r: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """One up to the shoulder, falling to zero at the radius as a squared sine."""
        edge = EDGE * self.unit
        inside = ((self.radius - r) / edge).clamp(0.0, 1.0)
        return torch.sin(inside * math.pi / 2) ** 2


@cache
def _norm(rings: Rings, rho: float, degree: int) -> float:
    """What makes ``int |psi|^2 dv = unit^-n``, so that a coefficient has no dimension."""
    t, w = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(96))
    r = rings.radius * (t + 1) / 2
    power = (rings.blurred(rho, degree, r) * rings.window(r)).square() * r ** (rings.n - 1)
    total = sphere_area(rings.n) * (power * w).sum() * rings.radius / 2
    return math.sqrt(float(total) * math.prod([rings.unit] * rings.n))


@cache
def _pieces(rings: Rings, rho: float, degree: int) -> Float[Tensor, "power piece"]:
    """The profile without its window as polynomials on pieces of [0, radius], to rounding."""
    count = 4 * rings.count + 4
    nodes = np.cos(np.pi * (np.arange(POWERS) + 0.5) / POWERS)
    r = (torch.arange(count)[:, None] + (torch.from_numpy(nodes) + 1) / 2) * rings.radius / count
    values = rings.blurred(rho, degree, r).numpy()  # (piece, node)
    fits = np.polynomial.chebyshev.chebfit(nodes, values.T, POWERS - 1)
    return torch.from_numpy(_powers() @ fits)


@cache
def _powers() -> np.ndarray:
    """Chebyshev polynomials, the columns, by powers: `cheb2poly` of a sum drops powers that do not occur."""
    rows = [np.polynomial.chebyshev.cheb2poly(row) for row in np.eye(POWERS)]
    return np.stack([np.pad(row, (0, POWERS - len(row))) for row in rows], 1)


def _read(pieces: Float[Tensor, "power piece"], x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The polynomials at x in [0, 1]; beyond, where the window is zero, at the end."""
    x = x.clamp(0.0, 1.0) * pieces.shape[1]
    piece = x.long().clamp(max=pieces.shape[1] - 1)
    t = 2 * (x - piece) - 1
    value = pieces[-1][piece]
    for coefficients in pieces[:-1].flip(0):
        value = value * t + coefficients[piece]
    return value
