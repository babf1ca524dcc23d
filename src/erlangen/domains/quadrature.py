"""Are weights those of the invariant measure? Compared with the volume of balls."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame, Geometry
from erlangen.kernels.harmonics import sphere_area, sphere_rule

CENTRES, FEWEST = 64, 100
UNEVEN = 1.3  # the ratio of densities that the coarsest of good grids stays below


def expect_invariant(
    geometry: Geometry, points: Float[Tensor, "*space m"], weights: Float[Tensor, "*space"]
) -> None:
    r"""ValueError for weights that are not, but for a factor, the invariant measure of the points.

    Around each of some points, the sum of the weights in the ball that holds the k nearest is divided by the
    volume of the ball, ``int_{|v| < r} J(v) dv``. Away from edges, which are left out, that is the same
    everywhere for the invariant measure, but for the noise of k points. Sets of fewer than 100 points, or in
    more than three dimensions, say too little, and are taken as they are.
    """
    p, w = points.flatten(0, -2), weights.flatten()
    if len(p) < FEWEST or geometry.dim > 3:
        return
    k = max(32, len(p) // 20)
    centres = torch.linspace(0, len(p) - 1, CENTRES).round().long()
    bases = geometry.frame(p[centres])
    v = geometry.coordinates(Frame(p[centres, None], bases[:, None]), p[None])  # (c, q, n)
    r, near = v.norm(dim=-1).topk(k + 1, largest=False)
    v, mass = v.gather(1, near[..., None].expand(-1, -1, v.shape[-1]))[:, :-1], w[near][:, :-1]
    radius = (r[:, -1] + r[:, -2]) / 2
    offset = (mass[..., None] * v).sum(1).norm(dim=-1) / (mass * r[:, :-1]).sum(1)
    inside = (offset < 0.35) & (radius < 0.9 * geometry.injectivity_radius)
    if int(inside.sum()) < CENTRES // 4:
        return
    ratio = (mass.sum(1) / volume(geometry, radius))[inside]
    low, middle, high = torch.quantile(ratio, torch.tensor([0.1, 0.5, 0.9]).to(ratio)).tolist()
    if high / low > UNEVEN * math.exp(2.6 / math.sqrt(k)):
        raise ValueError(
            f"the weights are not the invariant measure of {geometry}: in equal balls they sum to "
            f"{low / middle:.2g} to {high / middle:.2g} times as much, expected about the same everywhere; "
            "multiply them by the density of your coordinates (such as sin theta)"
        )


def volume(geometry: Geometry, radius: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """The volumes of balls: ``int_{|v| < r} J(v) dv``."""
    n = geometry.dim
    directions, weight = sphere_rule(n, 6)
    t = (torch.arange(16, dtype=torch.float64) + 0.5) / 16
    r = radius[:, None] * t  # (k, t)
    J = geometry.density(r[..., None, None] * directions) @ weight
    return sphere_area(n) * (J * r ** (n - 1)).mean(1) * radius
