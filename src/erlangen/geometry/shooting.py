"""Where a geodesic leads, how that depends on its start, and which one leads to a given point."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame, broadcast
from erlangen.geometry.geometry import Geometry

MOST, CONVERGED, FOUND = 25, 1e-11, 1e-8  # steps; of lengths
STEP = 3e-5  # of central differences, in lengths of the space
ASIDE = 1e-5  # lengths of the space that points may lie off it
LEAST = 1e-3  # lengths of the space that a first step may have in any case
SLACK = 1.02  # of lengths by quadrature

Walk = Callable[[Frame, Tensor], Frame]


def differential(
    geometry: Geometry, walk: Walk, u: Frame, v: Float[Tensor, "*#batch n"]
) -> tuple[Frame, Float[Tensor, "*#batch n n"]]:
    """Where v leads, and the derivative of the point by v, in components of the frame there."""
    n, (u, v) = geometry.dim, broadcast(u, v.to(u.basis))
    step = STEP * geometry.length
    one = step * torch.eye(n).to(v)
    around = torch.stack([v, *(v + e for e in one), *(v - e for e in one)])
    u = Frame(u.point.expand(len(around), *u.point.shape), u.basis.expand(len(around), *u.basis.shape))
    ends = walk(u, around)
    arrived, x = ends.at(0), ends.point
    columns = ((x[1 : n + 1] - x[n + 1 :]) / (2 * step)).movedim(0, -1)
    return arrived, geometry.components(arrived, columns)


def _difference(u: Frame, q: Tensor) -> Tensor:
    return q - u.point


def shoot(
    geometry: Geometry,
    walk: Walk,
    u: Frame,
    q: Float[Tensor, "*#batch m"],
    v: Float[Tensor, "*#batch n"] | None = None,
    difference: Callable[[Frame, Tensor], Tensor] = _difference,
) -> Float[Tensor, "*#batch n"]:
    """The v that leads from u to q, by Newton's method; nan if none was found.

    It starts from a guess v, as long as some way to q, so that the shortest is no longer; or from the
    straight line of coordinates. What is left of the way is the difference of coordinates; v is found when
    Newton's step, which is as long as v is wrong, is a rounding.
    """
    longest = math.inf
    if v is None:
        v = geometry.components(u, (q - u.point)[..., None])[..., 0]
    else:
        longest = SLACK * v.norm(dim=-1, keepdim=True)
    best, nearest = v, torch.full_like(v[..., 0], math.inf)
    off = nearest
    step, part = torch.zeros_like(v), torch.ones_like(v[..., :1])  # of the step that is taken
    for _ in range(MOST):
        arrived, J = differential(geometry, walk, u, v)
        rest = difference(arrived, q)
        seen = geometry.components(u, rest[..., None])[..., 0]
        now = torch.hypot(seen.norm(dim=-1), (rest - u.tangent(seen)).norm(dim=-1))
        along = geometry.components(arrived, rest[..., None])
        newton = torch.linalg.solve_ex(J, along)[0][..., 0]
        aside = (rest - arrived.tangent(along[..., 0])).norm(dim=-1)  # as at antipodes: no step shows it
        size, length = newton.norm(dim=-1, keepdim=True), v.norm(dim=-1, keepdim=True)
        coordinates = geometry.components(arrived, arrived.point[..., None])[
            ..., 0
        ]  # which have roundings too
        wrong = size[..., 0] / (geometry.length + length[..., 0] + coordinates.norm(dim=-1))
        wrong = torch.where(aside < ASIDE * geometry.length, wrong, math.inf)
        nearer = now < nearest
        best, nearest = torch.where(nearer[..., None], v, best), torch.where(nearer, now, nearest)
        off = torch.where(nearer, wrong, off)
        if bool((off < CONVERGED).all()):
            break
        # no farther than the way itself, or the first steps overshoot
        newton = newton * (length.clamp_min(LEAST * geometry.length) / size.clamp_min(1e-300)).clamp(max=1)
        step = torch.where(nearer[..., None], newton, step)
        part = torch.where(nearer[..., None], 1.0, part / 2)  # back, and half as far
        v = best + part * step
        v = v * (longest / v.norm(dim=-1, keepdim=True).clamp_min(1e-300)).clamp(max=1)
    return torch.where((off < FOUND)[..., None], best, math.nan)
