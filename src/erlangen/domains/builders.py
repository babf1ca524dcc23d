"""The two ways to a stencil: carry fixed nodes out, or sum over the samples in reach."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.domain import Domain
from erlangen.domains.neighbours import within
from erlangen.domains.view import View, view
from erlangen.engines import Stencil
from erlangen.geometry import Frame
from erlangen.kernels.harmonics import sphere_area, sphere_rule


def weighted_sum(domain: Domain, radius: float, at: Frame | None = None, turns: bool = True) -> Stencil:
    r"""The kernel at the logarithm of each sample in reach: ``sum_q w_q k(log_p q) f(q)``.

    With ``measure="tangent"`` the weight is divided by J(v). Exact quadrature on point sets whose
    weights are the invariant measure's.

    Args:
        domain: the samples that give.
        radius: of the kernel.
        at: the frames that receive, ``(k,)``; None for those of the samples.
        turns: whether to keep how frames are turned, which scalars need not know.
    """
    return sum_in_view(view(domain, domain if at is None else at), radius, turns)


def sum_in_view(seen: View, radius: float, turns: bool = True) -> Stencil:
    """The kernel at the normal coordinates of each sample in reach, from one domain to another.

    Without `turns`, how frames are turned is left away, which scalars need not know.
    """
    geometry, u, q = seen.geometry, seen.viewers, seen.seen
    i, j = within(geometry, u.point, q.point, radius)
    if not seen.outward:  # rows are the samples that are seen
        i, j = i[order := torch.argsort(j, stable=True)], j[order]
    v, start = geometry.coordinates_of_pairs(u, q.point, i, j), u.at(i)
    h = geometry.gauge(q.at(j), geometry.carry(start, v)) if turns else None
    row, column = (i, j) if seen.outward else (j, i)
    a = seen.measure(start, v, seen.weights[column])
    rows, columns = (len(u.point), len(q.point)) if seen.outward else (len(q.point), len(u.point))
    return Stencil(row, column, v, h, a, rows, columns)


def gather(
    domain: Domain, radius: float, at: Frame | None = None, turns: bool = True, count: int = 8
) -> Stencil:
    r"""Fixed nodes carried out, samples interpolated: ``sum_j a_j k(v_j) f(carry(s(p), v_j))``.

    The same nodes at every point, so the kernel's quadrature does not depend on the samples' density.
    """
    geometry, q = domain.geometry, domain.frames.flat
    receiver = q if at is None else at
    nodes, a = ball_rule(domain.dim, radius, count)
    if geometry.measure == "space":
        a = a * geometry.density(nodes)
    start = Frame(receiver.point[:, None], receiver.basis[:, None])
    u = geometry.carry(start, nodes.expand(len(receiver.point), -1, -1))
    arrived = u.flat  # (p j,)
    if turns:
        index, weight, h = domain.interpolation.transported(domain, arrived)
    else:
        (index, weight), h = domain.interpolation.read_from(arrived), None
    rows = len(receiver.point)
    row = torch.arange(rows).repeat_interleave(len(nodes) * index.shape[1])
    v = nodes[None, :, None].expand(rows, -1, index.shape[1], -1).flatten(0, 2)
    entry = (weight.unflatten(0, (rows, -1)) * a[None, :, None]).flatten()
    keep = entry != 0
    h = None if h is None else h.flatten(0, 1)[keep]
    return Stencil(row[keep], index.flatten()[keep], v[keep], h, entry[keep], rows, len(q.point))


def ball_rule(n: int, radius: float, count: int) -> tuple[Float[Tensor, "k n"], Float[Tensor, "k"]]:
    """Nodes and weights of the integral over the ball: Gauss along the radius, and over directions."""
    directions, w, r, radial = ray_rule(n, radius, count)
    return (r[:, None, None] * directions).flatten(0, 1), (radial[:, None] * w).flatten()


def ray_rule(
    n: int, radius: float, count: int, shoulder: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The factors of `ball_rule`: directions ``(d, n)`` and their weights, distances ``(k)`` and theirs.

    With a shoulder, half of the distances lie on each side of it, for kernels that are smooth on both.
    """
    import numpy as np

    panels = [(0.0, shoulder, count - count // 2), (shoulder, radius, count // 2)]
    panels = panels if 0 < shoulder < radius and count > 1 else [(0.0, radius, count)]
    r, w = [], []
    for low, high, size in panels:
        t, wt = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(size))
        r.append(low + (high - low) * (t + 1) / 2)
        w.append(wt * (high - low) / 2)
    distance = torch.cat(r)
    return *sphere_rule(n, count), distance, sphere_area(n) * distance ** (n - 1) * torch.cat(w)
