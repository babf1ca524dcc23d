"""Points that are scattered over a space: what each measures, and the domain that they make."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Gathered, nearest
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre
from erlangen.kernels.harmonics import sphere_area, sphere_rule

NEIGHBOURS, DIRECTIONS = 24, 128


def scattered(
    geometry: Geometry,
    points: Float[Tensor, "k m"],
    weights: Float[Tensor, "k"] | None,
    fibre: Fibre | None,
    nodes: int,
    pooling: float | None,
) -> Gathered:
    """Samples at any points, between which fields are read by local polynomials."""
    points = points.to(torch.float64)
    weights = cells(geometry, points) if weights is None else weights
    return Gathered(geometry, points, weights, fibre=fibre, nodes=nodes, pooling=pooling)


def cells(geometry: Geometry, points: Float[Tensor, "k m"]) -> Float[Tensor, "k"]:
    r"""The volume of what is nearer to each point than to the others, flat in its normal coordinates.

    ``int min_q (|v_q|^2 / (2 <v_q, e>))^n / n de`` over the directions e, v_q the logarithms of neighbours.
    """
    count = min(NEIGHBOURS, len(points))
    u = geometry.frames(points)
    index = nearest(geometry, points, points, count)[1][:, 1:]  # the first is the point itself
    v = geometry.coordinates_nearby(Frame(u.point[:, None], u.basis[:, None]), points[index])
    directions, share = sphere_rule(geometry.dim, DIRECTIONS)
    along = v @ directions.T  # (k, q, d)
    r = torch.where(along > 0, v.square().sum(-1, keepdim=True) / (2 * along), math.inf).amin(1)
    return sphere_area(geometry.dim) / geometry.dim * (r**geometry.dim @ share)
