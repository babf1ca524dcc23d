"""The two ways to a stencil: carry fixed nodes out, or sum over the samples in reach."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.domain import Domain
from erlangen.domains.view import CHUNK, View, view
from erlangen.engines import Stencil
from erlangen.geometry import Frame
from erlangen.kernels.harmonics import sphere_area, sphere_rule


def weighted_sum(domain: Domain, radius: float) -> Stencil:
    r"""The kernel at the logarithm of each sample in reach: ``sum_q w_q k(log_p q) f(q)``.

    With ``measure="tangent"`` the weight is divided by J(v). Exact quadrature on point sets whose
    weights are the invariant measure's.
    """
    return sum_in_view(view(domain, domain), radius)


def sum_in_view(seen: View, radius: float, turns: bool = True) -> Stencil:
    """The kernel at the normal coordinates of each sample in reach, from one domain to another.

    Without `turns`, how frames are turned is left away, which scalars need not know.
    """
    geometry, u, q = seen.geometry, seen.viewers, seen.seen
    found, size = [], max(1, CHUNK // len(q.point))
    for start in range(0, len(u.point), size):
        block = u.point[start : start + size]
        i, j = (geometry.distance_at_least(block[:, None], q.point[None]) < radius).nonzero(as_tuple=True)
        found.append(torch.stack([i + start, j]))
    i, j = torch.cat(found, 1)
    if not seen.outward:  # rows are the samples that are seen
        i, j = i[order := torch.argsort(j, stable=True)], j[order]
    v = geometry.coordinates_of_pairs(u, q.point, i, j)
    near = v.norm(dim=-1) < radius
    i, j, v = i[near], j[near], v[near]
    h = geometry.gauge(q.at(j), geometry.carry(u.at(i), v)) if turns else None
    row, column = (i, j) if seen.outward else (j, i)
    a = seen.measure(v, seen.weights[column])
    counts = (len(u.point), len(q.point))
    return Stencil(row, column, v, h, a, *(counts if seen.outward else counts[::-1]))


def gather(domain: Domain, radius: float, count: int = 8) -> Stencil:
    r"""Fixed nodes carried out, samples interpolated: ``sum_j a_j k(v_j) f(carry(s(p), v_j))``.

    The same nodes at every point, so the kernel's quadrature does not depend on the samples' density.
    """
    geometry, (points, bases) = domain.geometry, domain.frames
    points, bases = points.flatten(0, -2), bases.flatten(0, -3)
    nodes, a = ball_rule(domain.dim, radius, count)
    if geometry.measure == "space":
        a = a * geometry.density(nodes)
    u = geometry.carry(Frame(points[:, None], bases[:, None]), nodes.expand(len(points), -1, -1))
    arrived = Frame(u.point.flatten(0, 1), u.basis.flatten(0, 1))  # (p j,)
    index, weight, h = domain.interpolation.transported(domain, arrived)
    per_row = len(nodes) * index.shape[1]
    row = torch.arange(len(points)).repeat_interleave(per_row)
    v = nodes[None, :, None].expand(len(points), -1, index.shape[1], -1).flatten(0, 2)
    entry = (weight.unflatten(0, (len(points), -1)) * a[None, :, None]).flatten()
    keep = entry != 0
    return Stencil(
        row[keep],
        index.flatten()[keep],
        v[keep],
        h.flatten(0, 1)[keep],
        entry[keep],
        len(points),
        len(points),
    )


def ball_rule(n: int, radius: float, count: int) -> tuple[Float[Tensor, "k n"], Float[Tensor, "k"]]:
    """Nodes and weights of the integral over the ball: Gauss along the radius, and over directions."""
    import numpy as np

    directions, w = sphere_rule(n, count)
    t, wt = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(count))
    r = radius * (t + 1) / 2
    radial = sphere_area(n) * r ** (n - 1) * wt * radius / 2
    nodes = (r[:, None, None] * directions).flatten(0, 1)
    return nodes, (radial[:, None] * w).flatten()
