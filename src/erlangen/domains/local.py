"""Reading a field between scattered samples: local polynomials in normal coordinates."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.interpolation import Interpolation
from erlangen.domains.neighbours import nearest
from erlangen.geometry import Frame, Geometry

DEGREE, DEPENDENT = 3, 1e-9
BLOCK = 1 << 15


@dataclass(frozen=True, eq=False)
class LocalPolynomials(Interpolation):
    r"""The value at v = 0 of the polynomial in v = log_p(q) that fits the nearest samples best.

    Where logarithms are costly, other coordinates that agree with them to second order do.

    Twice as many samples as the polynomial has coefficients, weighted by ``1 / |v|^2`` and less towards the
    farthest, so that samples are met exactly. Of order degree + 1 where the samples are well spread.

    Args:
        geometry: the space.
        points: ``(n, m)``, the samples.
        degree: of the polynomials; less where the samples are too few.
    """

    geometry: Geometry
    points: Float[Tensor, "n m"]
    degree: int = DEGREE

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        return self.read_from(self.geometry.frames(p))

    def read_from(self, u: Frame) -> tuple[Tensor, Tensor]:
        p = u.point
        degree = self.degree
        while degree and 2 * len(exponents(self.geometry.dim, degree)) > len(self.points):
            degree -= 1
        count = min(2 * len(exponents(self.geometry.dim, degree)), len(self.points))
        index = nearest(self.geometry, p, self.points, count)[1]
        parts = [
            self._weights(u.at(slice(start, start + BLOCK)), index[start : start + BLOCK], degree)
            for start in range(0, len(p), BLOCK)
        ]
        return index, torch.cat(parts) if parts else p.new_zeros(index.shape)

    def _weights(self, u: Frame, index: Tensor, degree: int) -> Tensor:
        v = self.geometry.coordinates_nearby(Frame(u.point[:, None], u.basis[:, None]), self.points[index])
        r = v.norm(dim=-1)
        far = r[:, -1:].clamp_min(1e-300) * (1 + 1e-6)
        r = r / far
        trust = (1 - r) / r.clamp_min(1e-8)  # the square root of the weight
        powers = torch.stack(
            [(v / far[..., None]).pow(e).prod(-1) for e in exponents(self.geometry.dim, degree)], -1
        )  # (k, s, c), the constant first
        weight = _first_row(trust[..., None] * powers) * trust
        return weight * self.geometry.contains(u.point)[:, None]


def _first_row(A: Float[Tensor, "k s c"]) -> Float[Tensor, "k s"]:
    """The first row of the pseudo-inverse, ``A (A^T A)^{-1} e_0``: by QR, if the columns are independent."""
    scale = A.norm(dim=1, keepdim=True).clamp_min(1e-300)
    A = A / scale
    Q, R = torch.linalg.qr(A)
    diagonal = R.diagonal(dim1=-2, dim2=-1).abs()
    poor = diagonal.amin(-1) < DEPENDENT * diagonal.amax(-1)
    safe = torch.where(poor[:, None, None], torch.eye(A.shape[-1], dtype=A.dtype), R)
    first = torch.zeros_like(A[:, : A.shape[-1], :1])
    first[:, 0] = 1.0
    row = (Q @ torch.linalg.solve_triangular(safe.mT, first, upper=False))[..., 0]
    row[poor] = torch.linalg.pinv(A[poor], rtol=DEPENDENT)[:, 0]
    return row / scale[:, 0, :1]


def exponents(n: int, degree: int) -> Tensor:
    """``(c, n)``, of all monomials of n variables to that degree, by degree."""
    grid = torch.cartesian_prod(*[torch.arange(degree + 1)] * n).view(-1, n)
    total = grid.sum(-1)
    grid = grid[total <= degree]
    return grid[torch.argsort(grid.sum(-1), stable=True)]


def spacing(geometry: Geometry, points: Float[Tensor, "n m"]) -> float:
    """The usual distance of neighbouring samples."""
    some = points[torch.linspace(0, len(points) - 1, min(len(points), 255)).round().long()]
    d = nearest(geometry, some, points, min(2, len(points)))[0][:, -1]
    return float(d.median()) if float(d.median()) > 0 else math.inf
