"""Samples, found again by their coordinates."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.geometry import Geometry

SAME = 1e-7  # what is apart by less, relative to the extent of the samples, is one place
ASIDE = 1e-9  # a step off a seam, so that rounding does not decide on which side of it a point is written


class Places:
    """Points, in the order of one linear function of their coordinates that tells them apart.

    Args:
        geometry: the space.
        points: ``(q, m)``.
    """

    def __init__(self, geometry: Geometry, points: Float[Tensor, "q m"]) -> None:
        self.geometry, self.points = geometry, geometry.home(points)
        apart = (self.points - self.points.mean(0)).norm(dim=-1).max()
        self.extent = float(apart) or float(self.points.abs().max()) or 1.0
        # square roots of odd numbers: no two points of a lattice have the same sum
        direction = torch.arange(3, 3 + 2 * points.shape[1], 2, dtype=torch.float64).sqrt()
        self._direction = direction / direction.norm()
        self._keys, self._order = (self.points @ self._direction).sort()

    def find(self, p: Float[Tensor, "k m"]) -> Int[Tensor, "k"]:
        """The number of the point at each place, -1 where there is none."""
        index = torch.full(p.shape[:1], -1)
        for aside in (0.0, ASIDE, -ASIDE):
            lost = (index < 0).nonzero().flatten()
            if len(lost):
                index[lost] = self._found(self.geometry.home(p[lost] + aside * self.extent))
        return index

    def _found(self, p: Float[Tensor, "k m"]) -> Int[Tensor, "k"]:
        place = torch.searchsorted(self._keys, p @ self._direction)
        some = (place[:, None] + torch.arange(-2, 2)).clamp(0, len(self._keys) - 1)
        some = self._order[some]  # (k, 4)
        distance, nearest = (self.points[some] - p[:, None]).norm(dim=-1).min(-1)
        index = some.gather(1, nearest[:, None])[:, 0]
        return torch.where(distance < SAME * self.extent, index, -1)
