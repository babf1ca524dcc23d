"""Where a geodesic leads, how that depends on its start, and which one leads to a given point."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame

if TYPE_CHECKING:
    from erlangen.geometry.geometry import Geometry

MOST, CONVERGED, FOUND = 25, 1e-11, 1e-8
STEP = 1e-4  # of central differences
SLACK = 1.02  # of lengths by quadrature

Walk = Callable[[Frame, Tensor], Frame]


def differential(
    geometry: "Geometry", walk: Walk, u: Frame, v: Float[Tensor, "*#batch n"]
) -> tuple[Frame, Float[Tensor, "*#batch n n"]]:
    """Where v leads, and the derivative of the point by v, in components of the frame there."""
    n, shape = geometry.dim, torch.broadcast_shapes(u.point.shape[:-1], v.shape[:-1])
    v = v.expand(*shape, -1)
    u = Frame(u.point.expand(*shape, -1), u.basis.expand(*shape, -1, -1))
    one = STEP * torch.eye(n).to(v)
    around = torch.stack([v, *(v + e for e in one), *(v - e for e in one)])
    u = Frame(u.point.expand(len(around), *u.point.shape), u.basis.expand(len(around), *u.basis.shape))
    ends = walk(u, around)
    arrived, x = ends.at(0), ends.point
    columns = ((x[1 : n + 1] - x[n + 1 :]) / (2 * STEP)).movedim(0, -1)
    return arrived, geometry.components(arrived, columns)


def _difference(u: Frame, q: Tensor) -> Tensor:
    return q - u.point


def shoot(
    geometry: "Geometry",
    walk: Walk,
    u: Frame,
    q: Float[Tensor, "*#batch m"],
    v: Float[Tensor, "*#batch n"] | None = None,
    difference: Callable[[Frame, Tensor], Tensor] = _difference,
) -> Float[Tensor, "*#batch n"]:
    """The v that leads from u to q, by Newton's method; nan if none was found.

    It starts from a guess v, as long as some way to q, so that the shortest is no longer; or from the
    straight line of coordinates. What is left of the way is the difference of coordinates.
    """
    longest = math.inf
    if v is None:
        v = geometry.components(u, (q - u.point)[..., None])[..., 0]
    else:
        longest = SLACK * v.norm(dim=-1, keepdim=True)
    scale = 1 + q.abs().amax(-1)
    best, off = v, torch.full_like(scale, math.inf)
    step, part = torch.zeros_like(v), torch.ones_like(v[..., :1])  # of the step that is taken
    for _ in range(MOST):
        arrived, J = differential(geometry, walk, u, v)
        rest = difference(arrived, q)
        now = rest.norm(dim=-1) / scale
        nearer = now < off
        best, off = torch.where(nearer[..., None], v, best), torch.where(nearer, now, off)
        if bool((off < CONVERGED).all()):
            break
        rest = geometry.components(arrived, rest[..., None])
        newton = torch.linalg.solve_ex(J, rest)[0][..., 0]
        # no farther than the way itself, or the first steps overshoot
        size = newton.norm(dim=-1, keepdim=True).clamp_min(1e-300)
        newton = newton * (v.norm(dim=-1, keepdim=True).clamp_min(1e-3) / size).clamp(max=1)
        step = torch.where(nearer[..., None], newton, step)
        part = torch.where(nearer[..., None], 1.0, part / 2)  # back, and half as far
        v = best + part * step
        v = v * (longest / v.norm(dim=-1, keepdim=True).clamp_min(1e-300)).clamp(max=1)
    return torch.where((off < FOUND)[..., None], best, math.nan)
