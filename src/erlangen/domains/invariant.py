"""Are weights those of the invariant measure? By means over the group, and by the volume of balls."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame, Geometry
from erlangen.kernels.directions import sphere_area, sphere_rule

CENTRES, FEWEST = 64, 100
UNEVEN = 1.3  # the ratio of densities that the coarsest of good grids stays below
ELEMENTS, LEAST, MOST = 4096, 24, 5000  # of the group; points that their means are compared with those of
EMPTY, GAP = 0.05, 6.0  # the part of a space that may lie apart from the points; how far that is
INSIDE = 0.7  # of the radius of a ball: how far points of it lie in each direction
CLEAR = 0.06  # in standard deviations: errors of means that the coarsest of good grids stays below


def expect_invariant(
    geometry: Geometry, points: Float[Tensor, "*space m"], weights: Float[Tensor, "*space"]
) -> None:
    r"""ValueError for weights that are not, but for a factor, the invariant measure of the points.

    Around each of some points, the sum of the weights in the ball that holds the k nearest is divided by the
    volume of the ball, ``int_{|v| < r} J(v) dv``. Away from edges, which are left out, that is the same
    everywhere for the invariant measure, but for the noise of k points. Sets of fewer than 100 points, or in
    more than three dimensions, say too little, and are taken as they are. Where a compact group moves any
    point to any other, means over its elements are compared first (`_expect_means`).
    """
    p, w = points.flatten(0, -2), weights.flatten()
    group = geometry.group
    if group is not None and group.dim >= geometry.dim > 0 and group.is_compact and LEAST <= len(p) <= MOST:
        _expect_means(geometry, p, w)
    if len(p) < FEWEST or geometry.dim > 3:
        return
    k = max(32, len(p) // 20)
    centres = torch.linspace(0, len(p) - 1, CENTRES).round().long()
    bases = geometry.frame(p[centres])
    v = geometry.coordinates(Frame(p[centres, None], bases[:, None]), p[None])  # (c, q, n)
    r, near = v.norm(dim=-1).topk(k + 1, largest=False)
    v, mass = v.gather(1, near[..., None].expand(-1, -1, v.shape[-1]))[:, :-1], w[near][:, :-1]
    radius = (r[:, -1] + r[:, -2]) / 2
    # whether points lie in all directions, whatever they weigh: balls at an edge have none beyond it
    reach = (v @ sphere_rule(geometry.dim, 4)[0].T).amax(1).amin(-1)
    inside = (reach > INSIDE * radius) & (radius < 0.9 * geometry.injectivity_radius)
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


def _expect_means(geometry: Geometry, p: Float[Tensor, "k m"], w: Float[Tensor, "k"]) -> None:
    r"""ValueError for weighted means ``sum w f(q) / sum w`` other than ``int f(g p0) dg`` over the group.

    The f are the coordinates, their products, and the squares of these, by their standard deviations. Means
    near those of the points' cells, by the elements of the group that lead into each, are taken as well;
    equal weights of random points err by ``1 / sqrt(k)``. Points that leave a part of the space empty, such
    as a window on it, are taken as they are.
    """
    g = geometry.group.sample(ELEMENTS, seed=0)  # type: ignore[union-attr]
    even = geometry.home(geometry.act(g, geometry.frames(geometry.origin.expand(len(g), -1))).point)
    p = geometry.home(p)
    away, cell = torch.cdist(even, p).min(1)
    apart = torch.cdist(p, p).fill_diagonal_(math.inf).amin(1).median()
    if float((away > 2 * GAP ** (1 / geometry.dim) * apart).double().mean()) > EMPTY:
        return
    i, j = torch.triu_indices(p.shape[1], p.shape[1])

    def functions(x: Tensor) -> Tensor:
        products = x[:, i] * x[:, j]
        return torch.cat([x, products, products.square()], -1)

    there = functions(even)
    mean, spread = there.mean(0), there.std(0)
    varies = spread > 1e-6 * there.abs().amax(0).clamp_min(1e-300)
    cells = torch.bincount(cell, minlength=len(p)).to(w)
    of_weights, of_cells = (share @ functions(p) / share.sum() for share in (w, cells))
    off = torch.minimum((of_weights - mean).abs(), (of_weights - of_cells).abs())[varies] / spread[varies]
    if len(off) and float(off.max()) > CLEAR + 3.5 / math.sqrt(len(p)):
        raise ValueError(
            f"the weights are not the invariant measure of {geometry}: a polynomial in the coordinates has a "
            f"mean that is {float(off.max()):.2g} standard deviations off that over {geometry.group}, "
            "expected none; multiply them by the density of your coordinates (such as sin theta)"
        )


def volume(geometry: Geometry, radius: Float[Tensor, "k"]) -> Float[Tensor, "k"]:
    """The volumes of balls: ``int_{|v| < r} J(v) dv``."""
    n = geometry.dim
    directions, weight = sphere_rule(n, 6)
    t = (torch.arange(16, dtype=torch.float64) + 0.5) / 16
    r = radius[:, None] * t  # (k, t)
    J = geometry.density(r[..., None, None] * directions) @ weight
    return sphere_area(n) * (J * r ** (n - 1)).mean(1) * radius
