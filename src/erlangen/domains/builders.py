"""The two ways to a stencil: carry fixed nodes out, or sum over the samples in reach."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.domain import Domain
from erlangen.domains.neighbours import within
from erlangen.engines import Stencil
from erlangen.geometry import Frame
from erlangen.kernels.harmonics import sphere_area, sphere_rule


def weighted_sum(domain: Domain, radius: float, at: Frame | None = None) -> Stencil:
    r"""The kernel at the logarithm of each sample in reach: ``sum_q w_q k(log_p q) f(q)``.

    With ``measure="tangent"`` the weight is divided by J(v). Exact quadrature on point sets whose
    weights are the invariant measure's.

    Args:
        domain: the samples that give.
        radius: of the kernel.
        at: the frames that receive, ``(k,)``; None for those of the samples.
    """
    geometry, q = domain.geometry, _flat(domain.frames)
    receiver = q if at is None else at
    row, column = within(geometry, receiver.point, q.point, radius)
    u = receiver.at(row)
    v = geometry.coordinates(u, q.point[column])
    h = geometry.gauge(q.at(column), geometry.carry(u, v))
    a = domain.weights.flatten()[column]
    if geometry.measure == "tangent":
        a = a / geometry.density(v)
    return Stencil(row, column, v, h, a, len(receiver.point), len(q.point))


def gather(domain: Domain, radius: float, at: Frame | None = None, count: int = 8) -> Stencil:
    r"""Fixed nodes carried out, samples interpolated: ``sum_j a_j k(v_j) f(carry(s(p), v_j))``.

    The same nodes at every point, so the kernel's quadrature does not depend on the samples' density.
    """
    geometry, q = domain.geometry, _flat(domain.frames)
    receiver = q if at is None else at
    nodes, a = ball_rule(domain.dim, radius, count)
    if geometry.measure == "space":
        a = a * geometry.density(nodes)
    start = Frame(receiver.point[:, None], receiver.basis[:, None])
    u = geometry.carry(start, nodes.expand(len(receiver.point), -1, -1))
    arrived = Frame(u.point.flatten(0, 1), u.basis.flatten(0, 1))  # (p j,)
    index, weight, h = domain.interpolation.transported(domain, arrived)
    rows = len(receiver.point)
    row = torch.arange(rows).repeat_interleave(len(nodes) * index.shape[1])
    v = nodes[None, :, None].expand(rows, -1, index.shape[1], -1).flatten(0, 2)
    entry = (weight.unflatten(0, (rows, -1)) * a[None, :, None]).flatten()
    keep = entry != 0
    return Stencil(
        row[keep], index.flatten()[keep], v[keep], h.flatten(0, 1)[keep], entry[keep], rows, len(q.point)
    )


def _flat(u: Frame) -> Frame:
    return Frame(u.point.flatten(0, -2), u.basis.flatten(0, -3))


def ball_rule(n: int, radius: float, count: int) -> tuple[Float[Tensor, "k n"], Float[Tensor, "k"]]:
    """Nodes and weights of the integral over the ball: Gauss along the radius, and over directions."""
    import numpy as np

    directions, w = sphere_rule(n, count)
    t, wt = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(count))
    r = radius * (t + 1) / 2
    radial = sphere_area(n) * r ** (n - 1) * wt * radius / 2
    nodes = (r[:, None, None] * directions).flatten(0, 1)
    return nodes, (radial[:, None] * w).flatten()
