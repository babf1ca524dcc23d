"""Which samples each vertex sees, and where: found by lines that the samples send out."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.spaces.mesh.carrying import carried
from erlangen.spaces.mesh.forest import spanning
from erlangen.spaces.mesh.mesh_fields import Reading
from erlangen.spaces.mesh.surface import Surface

NEIGHBOURS = 8
REACH = 2.6  # sides of a sample's cell, up to which it is seen
MOST = 48  # nodes along a line
FLOOR = 1e-3  # of the spread of neighbours: no slope is fitted where there is none
BLOCK = 1 << 18


class Sighting(NamedTuple):
    """Samples as they are seen: each a pair of a sample and a vertex.

    Attributes:
        sample, vertex: their numbers.
        v: ``(e, 2)``, the vertex in the frame of the sample: its logarithm, nearly.
        frame: ``(e, 2, 2)``, that frame, carried to the plane of the vertex.
    """

    sample: Int[Tensor, "e"]
    vertex: Int[Tensor, "e"]
    v: Float[Tensor, "e 2"]
    frame: Float[Tensor, "e 2 2"]

    def at(self, index: Tensor) -> "Sighting":
        """Some of them."""
        return Sighting(*(x[index] for x in self))


def reading(
    surface: Surface, planes: Float[Tensor, "h 2 2"], u: Frame, size: Float[Tensor, "q"], nodes: int
) -> Reading:
    r"""How fields are read between samples with frames u, each with a cell of about the given area.

    At a vertex, from the nearest samples at ``x_c``: weights ``w (1 + l . x_c)``, with w falling from the
    nearest to the farthest and l so that linear functions come out right. A vertex that sees none reads as
    its neighbours do.
    """
    nodes = min(nodes, MOST)
    seen = sightings(surface, planes, u, REACH * size.sqrt(), nodes)
    vertex, count = seen.vertex, len(surface.fans.total)
    first = torch.searchsorted(vertex, torch.arange(count))
    rank = torch.arange(len(vertex)) - first[vertex]
    seen, rank = seen.at(rank < NEIGHBOURS), rank[rank < NEIGHBOURS]
    index = torch.zeros(count, NEIGHBOURS, dtype=torch.long)
    frames = torch.eye(2, dtype=torch.float64).expand(count, NEIGHBOURS, 2, 2).clone()
    x, there = torch.zeros(count, NEIGHBOURS, 2, dtype=torch.float64), index > 0
    place = seen.vertex, rank
    index[place], frames[place], there[place] = (
        seen.sample,
        seen.frame,
        torch.ones_like(rank, dtype=torch.bool),
    )
    x[place] = -(seen.frame @ seen.v[..., None])[..., 0]
    found = Reading(surface, planes, index, _linear(x, there), frames, u.basis[:, 1:], nodes)
    return _spread(found, there[:, 0])


def sightings(
    surface: Surface, planes: Float[Tensor, "h 2 2"], u: Frame, reach: Float[Tensor, "q"], count: int
) -> Sighting:
    """The vertices of all faces where lines of samples come by, by vertex, the nearest sample first.

    From a node at v the corners of its face lie at ``v + E^-1 (corner - node)``: of several nodes the nearest
    tells.
    """
    around = 3 * count // 2
    angle = 2 * math.pi * (torch.arange(around).double() + 0.5) / around
    e = torch.stack([angle.cos(), angle.sin()], -1)
    share = torch.arange(1, count + 1).double() / count
    rows = max(1, BLOCK // (around * count))
    parts = []
    for i in range(0, len(reach), rows):
        here, r = u.at(slice(i, i + rows)), reach[i : i + rows]
        n = len(r)
        each = Frame(*(x.repeat_interleave(around, 0) for x in here))
        r = (r[:, None] * share).repeat_interleave(around, 0)
        away = e.repeat(n, 1)
        nodes = carried(surface, each, away, r)
        sample = torch.arange(i, i + n).repeat_interleave(around * count)
        v = (r[..., None] * away[:, None]).flatten(0, 1)
        own = torch.arange(i, i + n)
        seen = _corners(surface, planes, nodes.flat, v, sample)
        parts.append(_nearest(*seen, *_corners(surface, planes, here, v.new_zeros(n, 2), own)))
    seen = Sighting(*(torch.cat(x) for x in zip(*parts, strict=True)))
    seen = seen.at(torch.argsort(seen.v.norm(dim=-1), stable=True))
    return seen.at(torch.argsort(seen.vertex, stable=True))


def _corners(
    surface: Surface, planes: Tensor, u: Frame, v: Tensor, sample: Tensor
) -> tuple[Sighting, Tensor]:
    """The corners of the faces where frames are, and how far away these are; of a vertex itself."""
    count, fans = len(surface.edges.faces), surface.fans
    cell, E = u.point[:, 0].long(), u.basis[:, 1:]
    face = (cell >= 0) & (cell < count)
    corner = 3 * cell[face, None] + torch.arange(3)
    to = surface.triangles.corner[corner] - u.point[face, None, 1:]
    where = v[face, None] + to @ E[face]
    frame = planes[corner] @ E[face, None]
    three = sample[face, None].expand(-1, 3)
    seen = Sighting(three.flatten(), fans.vertex[corner].flatten(), where.flatten(0, 1), frame.flatten(0, 1))
    at = cell >= count
    there = Sighting(sample[at], cell[at] - count, v[at], E[at])
    both = Sighting(*(torch.cat(x) for x in zip(seen, there, strict=True)))
    return both, torch.cat([to.norm(dim=-1).flatten(), to.new_zeros(int(at.sum()))])


def _nearest(nodes: Sighting, away: Tensor, own: Sighting, own_away: Tensor) -> Sighting:
    """One sighting of each pair: that from the sample itself, or from the nearest node."""
    seen = Sighting(*(torch.cat(x) for x in zip(own, nodes, strict=True)))
    order = torch.argsort(torch.cat([own_away - 1e300, away]), stable=True)
    seen = seen.at(order)
    key = seen.sample * (int(seen.vertex.max()) + 1) + seen.vertex
    _, pair = key.unique(return_inverse=True)
    every = torch.arange(len(key))
    first = torch.full((int(pair.max()) + 1,), len(key)).scatter_reduce(0, pair, every, "amin")
    return seen.at(first)


def _linear(x: Float[Tensor, "v m 2"], there: Tensor) -> Float[Tensor, "v m"]:
    """Weights of samples at x for the value at zero."""
    r = x.norm(dim=-1)
    far = r.amax(1, keepdim=True).clamp_min(1e-300) * (1 + 1e-6)
    x, r = x / far[..., None], r / far
    w = ((1 - r) / r.clamp_min(1e-8)).square() * there
    w = w / w.sum(1, keepdim=True).clamp_min(1e-300)
    M = torch.einsum("vm,vma,vmb->vab", w, x, x)
    spread = M.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None] * FLOOR + 1e-300
    M = M + spread * torch.eye(2, dtype=x.dtype)
    b = torch.einsum("vm,vma->va", w, x)
    slope = torch.linalg.solve(M, b)
    w = w * (1 - (x @ slope[..., None])[..., 0])
    return w / torch.where(there[:, :1], w.sum(1, keepdim=True), 1.0)


def _spread(found: Reading, seen: Tensor) -> Reading:
    """Vertices that see no sample, by the nearest that do, across edges."""
    if bool(seen.all()):
        return found
    edges, fans = found.surface.edges, found.surface.fans
    i, j = fans.vertex, fans.vertex[edges.next]
    index, weight, frames = found.index.clone(), found.weight.clone(), found.frames.clone()
    for level in spanning(len(seen), i, j, seen.nonzero().flatten())[0]:
        h = level.edge
        T = found.planes[edges.next[h]] @ found.planes[h].mT
        T = torch.where(level.backwards[:, None, None], T.mT, T)
        index[level.child], weight[level.child] = index[level.parent], weight[level.parent]
        frames[level.child] = T[:, None] @ frames[level.parent]
    return replace(found, index=index, weight=weight, frames=frames)


def owners(found: Reading) -> Int[Tensor, "v"]:
    """The sample that counts most at each vertex, the nearest but for ties; -1 where none is seen."""
    most = found.weight.abs().argmax(1, keepdim=True)
    owner = found.index.gather(1, most)[:, 0]
    return torch.where(found.weight.abs().sum(1) > 0, owner, -1)


def thinned(found: Reading, weights: Float[Tensor, "q"]) -> Int[Tensor, "c"]:
    """Of samples that lie side by side one: the largest of those that are left, over and over."""
    edges, fans, owner = found.surface.edges, found.surface.fans, owners(found)
    i, j = owner[fans.vertex], owner[fans.vertex[edges.next]]
    apart = (i != j) & (i >= 0) & (j >= 0)
    i, j = torch.cat([i[apart], j[apart]]), torch.cat([j[apart], i[apart]])
    rank = torch.argsort(torch.argsort(weights, stable=True))
    chosen, left = torch.zeros(len(weights), dtype=torch.bool), torch.ones(len(weights), dtype=torch.bool)
    while bool(left.any()):
        rival = torch.full_like(rank, -1).scatter_reduce(0, i, torch.where(left[j], rank[j], -1), "amax")
        best = left & (rank > rival)
        chosen |= best
        left &= ~best
        left[i[best[j]]] = False
    return chosen.nonzero().flatten()
