"""Points that are scattered over a space: the door `samples`, and what each point measures."""

import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen import domains
from erlangen.arguments import Length, Rotations, Steps, checked
from erlangen.domains import Domain, nearest
from erlangen.geometry import Cell, Frame, Geometry
from erlangen.geometry.bad_points import expect_finite, expect_points
from erlangen.groups import fibre_of
from erlangen.kernels.directions import sphere_area, sphere_rule

NEIGHBOURS, DIRECTIONS = 24, 256
FAR = 8.0  # times as far as usual, in some direction: there is no neighbour
LEAST = 4  # samples on an axis


@checked
def scattered(
    self: Geometry,
    points: Float[Tensor, "*space m"] | None = None,
    weights: Float[Tensor, "*space"] | None = None,
    *,
    rotations: Rotations | None = None,
    reflections: bool | None = None,
    mask: Tensor | None = None,
) -> Domain:
    """Samples at any points of the space.

    Args:
        points: ``(*space, m)``, the more evenly spread the better; None for some all over a space that ends.
        weights: ``(*space)``, the invariant measure of each; None for that of what is nearest to it.
        rotations: the samples of the fibre, where H is SO(2) or O(2); None for scalar fields, or for all of a
            finite H.
        reflections: whether the fibre has mirrors, which H says; None does not ask.
        mask: as in `Domain.masked`.

    Raises:
        ValueError: for points off the space, and for none on an infinite space; without weights, for
            points at an edge, whose cells have no end.
    """
    fibre = fibre_of(self.structure, rotations, reflections)
    points, weights = measured(self, points, weights)
    return domains.Samples(self, points, weights, fibre=fibre).masked(mask)


@checked
def scattered_with_nodes(
    self: Geometry,
    points: Float[Tensor, "*space m"] | None = None,
    weights: Float[Tensor, "*space"] | None = None,
    *,
    rotations: Rotations | None = None,
    reflections: bool | None = None,
    mask: Tensor | None = None,
    nodes: Steps = 8,
    pooling: Length | None = None,
) -> Domain:
    """Samples at any points of the space, between which fields are read by local polynomials.

    Args:
        points, weights, rotations, reflections, mask: as on every space, see `er.Euclidean.samples`.
        nodes: of a kernel along its radius.
        pooling: the radius of the means that down-sampling takes; None for 2.5 distances of samples.

    Raises:
        ValueError: for what is refused on every space.
    """
    fibre = fibre_of(self.structure, rotations, reflections)
    points, weights = measured(self, points, weights)
    builder = partial(domains.NodeQuadrature, nodes=nodes, pooling=pooling)
    return domains.Samples(self, points, weights, fibre=fibre, builder=builder).masked(mask)


def given(geometry: Geometry, points: Tensor | None, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What is given, or the space's own where nothing is."""
    if points is not None:
        return points, weights
    if weights is not None:
        raise ValueError("weights are given and points are None, expected both, or points")
    return geometry.own_samples()


def measured(geometry: Geometry, points: Tensor | None, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Points and the measure of each, both as given, or of the space's own."""
    points, weights = given(geometry, points, weights)
    if points.dim() < 2 or points.shape[-1] != geometry.ambient:
        raise ValueError(
            f"points have shape {tuple(points.shape)}, expected (*space, {geometry.ambient}) for {geometry}"
        )
    points = points.to(torch.float64)
    expect_finite(points.flatten(0, -2))
    geometry.expect_points(points)
    if weights is None:
        expect_points(geometry, points, once=True)
        weights = cells(geometry, points.flatten(0, -2)).view(points.shape[:-1])
        endless = ~weights.isfinite()
        if bool(endless.any()):
            raise ValueError(
                f"weights is None, and {int(endless.sum())} of {weights.numel()} points, the first at "
                f"{endless.nonzero()[0].tolist()}, have no others all round, so that their cells have no "
                "end; expected weights: the measure of each point"
            )
    return points, weights


def own(geometry: Geometry, count: int) -> tuple[Tensor, Tensor]:
    """About so many samples all over a space, as it chooses them."""
    return measured(geometry, *geometry.own_samples(count))


def box_samples(geometry: Geometry, count: int = 500) -> tuple[Tensor, Tensor]:
    """About so many samples of the grid of a space that is glued from a box of coordinates."""
    grid = geometry.grid(*box_sizes(geometry.cell, count))  # type: ignore[arg-type]
    return grid.points.flatten(0, -2), grid.weights.flatten()


def box_sizes(cell: Cell, count: int) -> list[int]:
    """How many samples lie on each axis of a cell, of about so many in all."""
    width = (cell.high - cell.low).nan_to_num(posinf=1.0)  # the grid says that an axis has no end
    sizes = width * (count / width.prod()) ** (1 / len(width))
    return sizes.round().clamp_min(LEAST).int().tolist()


def far_apart(points: Float[Tensor, "k m"], count: int) -> Float[Tensor, "count m"]:
    """So many of the points, each the farthest in coordinates from those before."""
    chosen, distance = [], torch.full((len(points),), math.inf, dtype=points.dtype)
    for _ in range(count):
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (points - points[chosen[-1]]).norm(dim=-1))
    return points[chosen]


def cells(geometry: Geometry, points: Float[Tensor, "k m"]) -> Float[Tensor, "k"]:
    r"""The volume of what is nearer to each point than to the others, flat in its normal coordinates.

    ``int min_q (|v_q|^2 / (2 <v_q, e>))^n / n de`` over the directions e, v_q the logarithms of neighbours;
    inf for a point that has none on one side, such as one at an edge.
    """
    count = min(NEIGHBOURS, len(points))
    u = geometry.frames(points)
    index = nearest(geometry, points, points, count)[1][:, 1:]  # the first is the point itself
    v = geometry.coordinates_nearby(Frame(u.point[:, None], u.basis[:, None]), points[index])
    latitudes = round((DIRECTIONS / 2) ** (1 / max(1, geometry.dim - 1)))
    directions, share = sphere_rule(geometry.dim, latitudes)
    along = v @ directions.T  # (k, q, d)
    r = torch.where(along > 0, v.square().sum(-1, keepdim=True) / (2 * along), math.inf).amin(1)
    r = torch.where(r < FAR * r.median(1, keepdim=True).values, r, math.inf)
    return sphere_area(geometry.dim) / geometry.dim * (r**geometry.dim @ share)
