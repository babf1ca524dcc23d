"""The corners round each vertex, laid side by side, and the plane that they are stretched to."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from erlangen.groups.structure import turn
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.triangles import Triangles

LAST = 1 - 1e-9  # of the angle round a vertex: whole parts of keys stay apart


@dataclass(frozen=True, eq=False)
class Fans:
    r"""The angles round each vertex, in order: corner c lies from ``start[c]`` to ``start[c] + angle[c]``.

    The plane of a vertex has all its directions: round a vertex within the surface the total angle is
    stretched to ``2 pi``; at a boundary angles stay as they are, and the others lead off the surface.

    Attributes:
        vertex: ``(h,)``, of each corner.
        start: ``(h,)``, where it begins.
        sense: ``(h,)``, 1 where the face is oriented as the fan, else -1.
        first: ``(v,)``, the corner where each fan begins.
        total: ``(v,)``, the whole angle.
        is_open: ``(v,)``, whether the vertex lies on a boundary.
    """

    triangles: Triangles
    vertex: Int[Tensor, "h"]
    start: Float[Tensor, "h"]
    sense: Float[Tensor, "h"]
    first: Int[Tensor, "v"]
    total: Float[Tensor, "v"]
    is_open: Bool[Tensor, "v"]

    @classmethod
    def of(cls, edges: HalfEdges, triangles: Triangles) -> "Fans":
        """All fans are walked at once, as many steps as the largest has corners."""
        begin = _begin(edges)
        start, total = torch.zeros(len(edges), dtype=torch.float64), triangles.lengths.new_zeros(len(begin))
        sense = torch.ones_like(start)
        fan, state = torch.arange(len(begin)), begin
        while len(fan):
            corner = state // 2
            start[corner], sense[corner] = total[fan], (1 - 2 * (state % 2)).to(start)
            total[fan] += triangles.angle[corner]
            state = edges.around[state]
            on = (state >= 0) & (state != begin[fan])
            fan, state = fan[on], state[on]
        is_open = torch.zeros(len(begin), dtype=torch.bool)
        is_open[edges.fan[edges.is_boundary]] = True
        is_open[edges.fan[edges.next[edges.is_boundary]]] = True
        return cls(triangles, edges.fan, start, sense, begin // 2, total, is_open)

    @cached_property
    def stretch(self) -> Float[Tensor, "v"]:
        """Angles of the plane for one of the surface."""
        whole = 2 * math.pi / self.total
        return torch.where(self.is_open, whole.clamp_max(1.0), whole)

    @cached_property
    def defect(self) -> Float[Tensor, "v"]:
        """``2 pi`` less the total angle, ``pi`` less it at a boundary; in sum ``2 pi`` Euler's number."""
        return math.pi * (2 - self.is_open.to(self.total)) - self.total

    @cached_property
    def to_plane(self) -> Float[Tensor, "h 2 2"]:
        """From the layout of a face to the plane of the vertex at a corner: so that their bisectors meet."""
        half = self.triangles.angle / 2
        d = self.triangles.direction
        middle = torch.atan2(d[:, 1], d[:, 0]) + half
        there = self.stretch[self.vertex] * (self.start + half)
        one = torch.ones_like(self.sense)
        return turn(there) @ torch.diag_embed(torch.stack([one, self.sense], -1)) @ turn(-middle)

    def corner_at(self, vertex: Int[Tensor, "k"], angle: Float[Tensor, "k"]) -> Int[Tensor, "k"]:
        """The corner that an angle of the surface, from zero to the total, lies in."""
        keys, order = self._sorted
        share = (angle / self.total[vertex]).clamp(0, LAST)
        return order[torch.searchsorted(keys, vertex + share, right=True) - 1]

    @cached_property
    def _sorted(self) -> tuple[Tensor, Tensor]:
        """Corners by vertex and then by angle: the whole part of a key is the vertex."""
        share = self.start / self.total[self.vertex]
        return (self.vertex + share.clamp_max(LAST)).sort(stable=True)


def _begin(edges: HalfEdges) -> Int[Tensor, "v"]:
    """The state in which the walk round each vertex begins: at a boundary where there is one, and with the
    sense of the face where both senses will do."""
    state = torch.arange(2 * len(edges))
    is_end = edges.around[state] < 0
    cost = torch.where(is_end[state ^ 1], 0, 2) + state % 2  # one that nothing leads to, if there is one
    key = cost * len(state) + state
    count = int(edges.fan.max()) + 1
    least = key.new_full((count,), 4 * len(state)).scatter_reduce(0, edges.fan[state // 2], key, "amin")
    return least % len(state)
