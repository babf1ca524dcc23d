"""Which samples lie near which: cell lists in the coordinates of points, or all pairs."""

import itertools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.geometry import Geometry

CHUNK = 1 << 21  # pairs held at once
AXES = 3  # coordinates that make the cells; a difference in some is one in all


def within(
    geometry: Geometry,
    p: Float[Tensor, "k m"],
    q: Float[Tensor, "n m"],
    radius: float,
    *,
    roughly: bool = False,
) -> tuple[Int[Tensor, "e"], Int[Tensor, "e"]]:
    """The pairs (i, j) with ``distance(p_i, q_j) < radius``, sorted by i, then by j.

    With `roughly` the distance is that of `Geometry.distance_nearby_of_pairs`.
    """
    reach = geometry.chord(radius)
    distance = geometry.distance_nearby_of_pairs if roughly else geometry.distance_of_pairs
    rows, columns = [], []
    # cells find who may be near by coordinates; then a bound, where there is a cheap one; then the distance
    for row, column in _candidates(p, q, reach) if math.isfinite(reach) else _all_pairs(len(p), len(q)):
        bound = geometry.distance_at_least(p[row], q[column])
        if bound is not None:
            row, column = (x[bound < radius] for x in torch.broadcast_tensors(row, column))
        # rows and columns may still be outer: distances in closed form take them as a table, without pairs
        near = distance(p, q, row, column) < radius
        row, column = torch.broadcast_tensors(row, column)
        rows.append(row[near])
        columns.append(column[near])
    if not rows:
        return torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    row, column = torch.cat(rows), torch.cat(columns)
    order = torch.argsort(row * len(q) + column)
    return row[order], column[order]


def nearest(
    geometry: Geometry, p: Float[Tensor, "k m"], q: Float[Tensor, "n m"], count: int
) -> tuple[Float[Tensor, "k count"], Int[Tensor, "k count"]]:
    """Rough distances and indices of the `count` samples q nearest to each p, the nearest first."""
    if math.isinf(geometry.chord(0.0)) or len(q) <= 4 * count:
        return _nearest_of_all(geometry, p, q, count)
    # a radius that holds enough for a few points holds enough for most; the others ask all samples
    some = p[torch.linspace(0, len(p) - 1, min(len(p), 32)).long()]
    radius = 1.2 * float(_nearest_of_all(geometry, some, q, count)[0].max())
    row, column = within(geometry, p, q, radius, roughly=True)
    d = geometry.distance_nearby_of_pairs(p, q, row, column)
    # by row, then by distance: two stable sorts, the last key first
    order = torch.argsort(d, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    found = torch.bincount(row, minlength=len(p))
    enough = found >= count
    first = torch.cat([found.new_zeros(1), found.cumsum(0)[:-1]])
    entry = order[first[enough, None] + torch.arange(count)]
    distance, index = p.new_zeros(len(p), count), torch.zeros(len(p), count, dtype=torch.long)
    distance[enough], index[enough] = d[entry], column[entry]
    if not bool(enough.all()):
        distance[~enough], index[~enough] = _nearest_of_all(geometry, p[~enough], q, count)
    return distance, index


def _nearest_of_all(geometry: Geometry, p: Tensor, q: Tensor, count: int) -> tuple[Tensor, Tensor]:
    parts = [
        geometry.distance_nearby_of_pairs(p, q, row, column).topk(count, largest=False)
        for row, column in _all_pairs(len(p), len(q))
    ]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def _all_pairs(k: int, n: int) -> Iterator[tuple[Tensor, Tensor]]:
    size = max(1, CHUNK // n)  # rows at a time, so that memory does not grow with their number
    for start in range(0, k, size):
        yield torch.arange(start, min(start + size, k))[:, None], torch.arange(n)[None]


def _candidates(p: Tensor, q: Tensor, reach: float) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs in neighbouring cells, whose sides are `reach`: three cells on the last axis are one run."""
    low, high = q.amin(0), q.amax(0)
    axes = (high - low).topk(min(AXES, q.shape[1])).indices  # along which samples spread most
    side = max(reach, float((high - low).max()) / (1 << 18), 1e-300)  # keys of cells stay below 2^63
    # an empty cell on every side, so that neighbours of a cell are cells and keys never wrap round
    here, there = (torch.floor((x - low)[:, axes] / side).long() + 2 for x in (p, q))
    span = there.amax(0) + 3
    here = torch.minimum(here.clamp_min(0), span - 1)  # far away: into an empty cell
    strides = torch.ones_like(span)
    for axis in range(len(axes) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * span[axis + 1]
    # sorted by key, the samples of three cells in a row along the last axis lie side by side
    key, order = ((there * strides).sum(-1)).sort(stable=True)
    corners = itertools.product((-1, 0, 1), repeat=len(axes) - 1)
    offsets = torch.tensor(
        [sum(c * int(s) for c, s in zip(corner, strides, strict=False)) for corner in corners]
    )
    middle = (here * strides).sum(-1)[:, None] + offsets  # (k, runs)
    first = torch.searchsorted(key, middle - 1)
    counts = torch.searchsorted(key, middle + 1, right=True) - first
    total = counts.sum(1).cumsum(0)
    start = 0  # as many points at a time as have CHUNK candidates
    while start < len(p):
        done = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(total, done + CHUNK)))
        n = counts[start:stop].flatten()
        place = torch.arange(int(n.sum())) - (n.cumsum(0) - n).repeat_interleave(n)
        row = torch.arange(start, stop).repeat_interleave(counts[start:stop].sum(1))
        yield row, order[first[start:stop].flatten().repeat_interleave(n) + place]
        start = stop
