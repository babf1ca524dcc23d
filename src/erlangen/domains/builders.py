"""The two ways to a stencil: carry fixed nodes out, or sum over the samples in reach."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.neighbours import within
from erlangen.domains.relative import Relative, relative
from erlangen.domains.sampling import Sampling
from erlangen.engines import Stencil
from erlangen.geometry import Frame
from erlangen.kernels.directions import sphere_area, sphere_rule

Boundary = Literal["zero", "reflect", "renormalize"]
ENTRIES = 1 << 18  # held at once: few enough for a processor's cache
AHEAD = 8  # blocks whose rays are walked at once: they need less room than what is read at their ends


def weighted_sum(samples: Sampling, radius: float, at: Frame | None = None, turns: bool = True) -> Stencil:
    r"""The kernel at the logarithm of each sample in reach: ``sum_q w_q k(log_p q) f(q)``.

    With ``measure="tangent"`` the weight is divided by J(v). Exact quadrature on point sets whose
    weights are the invariant measure's.

    Args:
        samples: those that give.
        radius: of the kernel.
        at: the frames that receive, ``(k,)``; None for those of the samples.
        turns: whether to keep how frames are turned, which scalars need not know.
    """
    return sum_in_view(relative(samples, samples if at is None else at), radius, turns)


def sum_in_view(seen: Relative, radius: float, turns: bool = True) -> Stencil:
    """The kernel at the normal coordinates of each sample in reach, from some samples to others.

    Without `turns`, how frames are turned is left out, which scalars need not know.
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
    samples: Sampling,
    radius: float,
    at: Frame | None = None,
    turns: bool = True,
    count: int = 8,
    *,
    shoulder: float = 0.0,
    boundary: Boundary = "zero",
    turned: Float[Tensor, "k n n"] | None = None,
) -> Iterator[Stencil]:
    r"""Fixed nodes carried out, samples interpolated: ``sum_j a_j k(v_j) f(carry(s(p), v_j))``, by blocks.

    The same nodes at every point, so the kernel's quadrature does not depend on the samples' density.

    Args:
        samples: those that give.
        radius: of the kernel.
        at: the frames that receive, ``(k,)``, along which the nodes lie; None for those of the samples.
        turns: whether to keep how frames are turned, which scalars need not know.
        count: of nodes along the radius.
        shoulder: where the kernel begins to fall: half of the nodes lie on either side of it; 0 for none.
        boundary: what nodes beyond an edge see: zero, the mirrored field, or others in their place.
        turned: the h of the frames ``u h`` in which the result is asked for; None for u themselves.
    """
    geometry, u = samples.geometry, samples.frames.flat if at is None else at
    directions, share, r, radial = ray_rule(geometry.dim, radius, count, shoulder)
    v = (r[:, None, None] * directions).flatten(0, 1)  # (j, n)
    a = (radial[:, None] * share).flatten()
    size = max(1, ENTRIES // (len(v) * 4**geometry.dim))
    ahead: Frame | None = None
    for start in range(0, len(u.point), size):
        here = u.at(slice(start, start + size))
        measure = a
        if geometry.measure == "space":
            measure = a * geometry.density_at(Frame(here.point[:, None], here.basis[:, None]), v)
        first = start % (AHEAD * size)
        if first == 0 or ahead is None:
            ahead = geometry.rays(u.at(slice(start, start + AHEAD * size)), directions, r)
        arrived = ahead.at(slice(first, first + size))
        if boundary == "reflect":
            arrived = geometry.reflected(arrived)
        seen = geometry.contains(arrived.point)  # (p, j)
        measure = measure * seen
        if boundary == "renormalize":
            measure = measure * (a.sum() / (a * seen).sum(-1, keepdim=True))
        h = None if turned is None else turned[start : start + size]
        yield _read_at_nodes(samples, arrived, v, measure, h, turns, start, len(u.point))


def _read_at_nodes(
    samples: Sampling,
    arrived: Frame,
    v: Float[Tensor, "j n"],
    measure: Float[Tensor, "p j"],
    turned: Float[Tensor, "p n n"] | None,
    turns: bool,
    start: int,
    rows: int,
) -> Stencil:
    """The entries of some rows, from the frames ``(p, j)`` that arrived at their nodes."""
    count, where = len(arrived.point), v
    node = torch.arange(len(v)).repeat(count)  # (p j)
    if turned is not None:  # in the frames s(p) = u h: components h^-1 v
        arrived = Frame(arrived.point, arrived.basis @ turned[:, None])
        where = torch.einsum("pab,ja->pjb", turned, v).flatten(0, 1)
        node = torch.arange(len(where))
    if turns:
        column, weight, h = samples.read(arrived.flat)
    else:
        (column, weight), h = samples.interpolation.read_from(arrived.flat), None
    taps = column.shape[-1]
    row = torch.arange(start, start + count).repeat_interleave(len(v) * taps)
    entry = (weight.view(count, len(v), taps) * measure[..., None]).flatten()
    keep = entry != 0
    keep[0] = True  # a block is never empty
    h, node = None if h is None else h.flatten(0, 1)[keep], node.repeat_interleave(taps)[keep]
    size = rows, samples.weights.numel()
    return Stencil(row[keep], column.flatten()[keep], where, h, entry[keep], *size, node)


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
