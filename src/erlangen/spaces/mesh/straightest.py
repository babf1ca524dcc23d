"""Straightest geodesics, many at once: lines through triangles that are laid out one after the other."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from erlangen.spaces.mesh.fans import Fans
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.triangles import Triangles

HIT = 2.0**-40  # of an edge: how near to its end a line meets the vertex
MOST = 1 << 14  # edges that a line crosses, before it is given up
TINY = 1e-300


class Walkers(NamedTuple):
    """Where lines are: each in the frame of a half-edge, from which it goes up into the triangle.

    Attributes:
        edge: the half-edge; ``s`` along it from its start, the direction is ``(c, n)`` with n >= 0.
        gone: how far they came; below zero for lines that begin within the triangle.
        side: 1 or -1, the orientation of the frame that is carried, in the face.
        out: whether a boundary threw them back before.
    """

    edge: Int[Tensor, "k"]
    s: Float[Tensor, "k"]
    c: Float[Tensor, "k"]
    n: Float[Tensor, "k"]
    gone: Float[Tensor, "k"]
    side: Float[Tensor, "k"]
    out: Bool[Tensor, "k"]

    def at(self, index: Tensor) -> "Walkers":
        """Some of them."""
        return Walkers(*(x.index_select(0, index) for x in self))

    def put(self, index: Tensor, others: "Walkers") -> "Walkers":
        """Others in the place of some."""
        return Walkers(*(x.index_copy(0, index, y) for x, y in zip(self, others, strict=True)))


class Arrivals(NamedTuple):
    """Where lines are after given lengths: a point and the direction there, in the layout of a face.

    Attributes:
        face: its number; -1 for lines that were given up.
        point, direction: in its layout.
        side: 1 or -1, the orientation of the carried frame there.
        out: whether a boundary threw the line back on its way.
    """

    face: Int[Tensor, "*places"]
    point: Float[Tensor, "*places 2"]
    direction: Float[Tensor, "*places 2"]
    side: Float[Tensor, "*places"]
    out: Bool[Tensor, "*places"]


class Exits(NamedTuple):
    """How lines leave triangles.

    Attributes:
        edge: the half-edge by which.
        along: where along it, of its whole ``length``.
        c, sine: the direction there, along the edge and away from the triangle.
    """

    edge: Int[Tensor, "k"]
    along: Float[Tensor, "k"]
    length: Float[Tensor, "k"]
    c: Float[Tensor, "k"]
    sine: Float[Tensor, "k"]


@dataclass(frozen=True, eq=False)
class Straightest:
    r"""Geodesics that have the same angle on both sides, everywhere.

    In the frame of the edge where it enters, a line sees one corner above it, to its left or to its right. It
    leaves by the edge on the other side: ``t = (Q - P) x e / (d x e)`` away, at ``r = (Q - P) x d / (d x e)``
    along that edge, where Q is its start and e its direction. There it is turned into the frame of the edge
    across. A mirrored edge, such as a boundary, turns the carried frame over. A line that meets a vertex goes
    on with half of the total angle on each side; at a boundary, with half of that of the double.

    Reference: Polthier & Schmies 1998.
    """

    edges: HalfEdges
    triangles: Triangles
    fans: Fans

    def walk(self, lines: Walkers, r: Float[Tensor, "k m"]) -> Arrivals:
        """Where each line is after each of its ascending lengths."""
        k, m = r.shape
        flat = torch.arange(k)
        face, side, out = torch.full((k * m,), -1), r.new_ones(k * m), torch.zeros(k * m, dtype=torch.bool)
        place, aim = r.new_zeros(k * m, 2), r.new_zeros(k * m, 2)
        passed = torch.zeros(k, dtype=torch.long)  # how many lengths lie behind each line
        for _ in range(MOST):
            t, exits = self._leave(lines)
            seen = (r <= (lines.gone + t)[:, None]).sum(1)
            count = seen - passed
            if bool(count.any()):
                who = torch.arange(len(count)).repeat_interleave(count)
                nth = torch.arange(len(who)) - (count.cumsum(0) - count)[who] + passed[who]
                node, here = flat[who] * m + nth, lines.at(who)
                face[node], side[node], out[node] = here.edge // 3, here.side, here.out
                ahead = r.flatten().index_select(0, who * m + nth) - here.gone
                place[node], aim[node] = self._laid_out(here, ahead)
            going = (seen < m).nonzero().flatten()
            if not len(going):
                break
            lines = self._cross(lines, t, exits)
            passed = seen
            if len(going) < 0.8 * len(seen):  # the others do no harm
                lines, passed = lines.at(going), passed.index_select(0, going)
                r, flat = r.index_select(0, going), flat.index_select(0, going)
        found = (face, place, aim, side, out)
        return Arrivals(*(x.view(k, m, *x.shape[1:]) for x in found))

    def from_faces(
        self,
        face: Int[Tensor, "k"],
        point: Float[Tensor, "k 2"],
        direction: Float[Tensor, "k 2"],
        side: Float[Tensor, "k"],
    ) -> Walkers:
        """Lines from points within faces: each as if it had come in where it meets the face backwards."""
        Q, e = (x.view(-1, 3, 2)[face] for x in (self.triangles.corner, self.triangles.direction))
        d, away = direction[:, None], Q - point[:, None]
        into = cross(e, d)  # (k, 3), above zero where the line comes in
        t = torch.where(into > 0, cross(e, away) / into.clamp_min(TINY), -torch.inf)
        which = t.argmax(1)
        k = torch.arange(len(face))
        e, into = e[k, which], into[k, which]
        s = -cross(away[k, which], direction) / into
        edge = 3 * face + which
        s = s.clamp_min(0).minimum(self.triangles.lengths.flatten()[edge])
        c = (e * direction).sum(-1)
        return Walkers(edge, s, c, into, t[k, which], side, torch.zeros_like(side, dtype=torch.bool))

    def from_vertices(
        self, vertex: Int[Tensor, "k"], angle: Float[Tensor, "k"], side: Float[Tensor, "k"]
    ) -> Walkers:
        """Lines from vertices, at angles of their planes; what leads off the surface comes back mirrored."""
        fans, turn = self.fans, 2 * torch.pi
        total, stretch = fans.total[vertex], fans.stretch[vertex]
        angle = angle.remainder(turn)
        inside = stretch * total
        out = fans.is_open[vertex] & (angle > inside)
        back = (turn - angle) / (turn - inside).clamp_min(TINY)
        angle = torch.where(out, back * total, angle / stretch)
        return self._spread(vertex, angle, torch.where(out, -side, side), out, torch.zeros_like(angle))

    def _spread(self, vertex: Tensor, angle: Tensor, side: Tensor, out: Tensor, gone: Tensor) -> Walkers:
        """Lines from vertices at angles of the surface; `side` is the orientation in the plane of each."""
        corner = self.fans.corner_at(vertex, angle)
        whole, sense = self.triangles.angle[corner], self.fans.sense[corner]
        a = (angle - self.fans.start[corner]).clamp_min(0).minimum(whole)
        a = torch.where(sense > 0, a, whole - a)
        return Walkers(corner, torch.zeros_like(a), a.cos(), a.sin(), gone, side * sense, out)

    def _leave(self, lines: Walkers) -> tuple[Tensor, Exits]:
        """How far away lines leave their triangles, and how."""
        edge, s, c, n, *_ = lines
        ax, ay = self.triangles.apex.index_select(0, edge).unbind(-1)
        passes_left = (c * ay < n * (ax - s)) & (s > 0)  # from a corner lines leave across
        row = 2 * edge + passes_left
        qx, qy, ex, ey, length = self._exits.index_select(0, row).unbind(-1)
        sine = (c * ey - n * ex).clamp_min(TINY)
        qx = qx - s
        t = ((qx * ey - qy * ex) / sine).clamp_min(0)
        along = ((qx * n - qy * c) / sine).clamp_min(0).minimum(length)
        return t, Exits(self._exit_edge.index_select(0, row), along, length, c * ex + n * ey, sine)

    def _cross(self, lines: Walkers, t: Tensor, exits: Exits) -> Walkers:
        """Into the triangle on the other side."""
        edge, along, length, c, sine = exits
        mirrored, twin = self.edges.mirrored.index_select(0, edge), self.edges.twin.index_select(0, edge)
        gone, out = lines.gone + t, lines.out | (twin == edge)
        there = Walkers(
            twin,
            torch.where(mirrored, along, length - along),
            torch.where(mirrored, c, -c),
            sine,
            gone,
            torch.where(mirrored, -lines.side, lines.side),
            out,
        )
        hit = ((along <= HIT * length) | (along >= (1 - HIT) * length)).nonzero().flatten()
        if not len(hit):
            return there
        at_end = 2 * along[hit] > length[hit]
        onward = self._through(
            edge[hit], at_end, c[hit], sine[hit], lines.side[hit], lines.out[hit], gone[hit]
        )
        return there.put(hit, onward)

    def _through(
        self, edge: Tensor, at_end: Tensor, c: Tensor, sine: Tensor, side: Tensor, out: Tensor, gone: Tensor
    ) -> Walkers:
        """Lines that come to the start or to the end of an edge: on from the vertex there."""
        fans = self.fans
        corner = torch.where(at_end, self.edges.next[edge], edge)
        whole = self.triangles.angle[corner]
        # back along the line, from the edge that leaves this corner
        a = torch.where(at_end, whole - torch.atan2(sine, c), torch.atan2(sine, -c))
        a = a.clamp_min(0).minimum(whole)
        vertex, sense = fans.vertex[corner], fans.sense[corner]
        came = fans.start[corner] + torch.where(sense > 0, a, whole - a)
        total, is_open = fans.total[vertex], fans.is_open[vertex]
        went = torch.where(is_open, total - came, (came + total / 2).remainder(total))
        side = torch.where(is_open, -side * sense, side * sense)
        return self._spread(vertex, went, side, out | is_open, gone)

    def _laid_out(self, lines: Walkers, t: Tensor) -> tuple[Tensor, Tensor]:
        """The points so far ahead and the directions, in the layouts of the faces."""
        e, start = (x.index_select(0, lines.edge) for x in (self.triangles.direction, self.triangles.corner))
        up = torch.stack([-e[:, 1], e[:, 0]], -1)
        d = lines.c[:, None] * e + lines.n[:, None] * up
        return start + lines.s[:, None] * e + t[:, None] * d, d

    @cached_property
    def _exit_edge(self) -> Int[Tensor, "2h"]:
        """By which edge lines leave that pass to the right of the corner above, and to its left."""
        return torch.stack([self.edges.next, self.edges.previous], -1).flatten()

    @cached_property
    def _exits(self) -> Float[Tensor, "2h 5"]:
        """In the frame of each half-edge, of both edges: start, direction and length."""
        length, apex = self.triangles.lengths.flatten(), self.triangles.apex
        base = torch.stack([length, torch.zeros_like(length)], -1)
        start, end = torch.stack([base, apex], 1), torch.stack([apex, torch.zeros_like(apex)], 1)
        size = torch.stack([length[self.edges.next], length[self.edges.previous]], -1)[..., None]
        along = end - start
        return torch.cat([start, along / along.norm(dim=-1, keepdim=True), size], -1).flatten(0, 1)


def cross(a: Float[Tensor, "*batch 2"], b: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    """The area that two vectors of the plane span, with its sign."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
