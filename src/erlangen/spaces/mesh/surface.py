"""A clean surface of triangles: its gluing, metric, corners, frames and straight lines, each made once."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.groups import StructureGroup
from erlangen.spaces.mesh.bundle import Bundle
from erlangen.spaces.mesh.defect_holonomy import Turning, turning
from erlangen.spaces.mesh.fans import Fans
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.straightest import Straightest
from erlangen.spaces.mesh.triangles import Triangles

ASIDE = 0.3  # radians from the longest edge to the first axis, so that lines along axes miss the vertices
EQUAL = 1 - 1e-9  # edges of which none is the longest


@dataclass(frozen=True, eq=False)
class Surface:
    """What a mesh is made of.

    Attributes:
        edges: the gluing.
        triangles: the metric.
        rounding: ``(f,)``, how well the angles of each face are known, in radians.
    """

    edges: HalfEdges
    triangles: Triangles
    rounding: Float[Tensor, "f"]

    @cached_property
    def fans(self) -> Fans:
        """The corners round each vertex."""
        return Fans.of(self.edges, self.triangles)

    @cached_property
    def lines(self) -> Straightest:
        """Straight lines."""
        return Straightest(self.edges, self.triangles, self.fans)

    @cached_property
    def turning(self) -> Turning:
        """What loops do to frames."""
        return turning(self._untouched, self.fans, self.rounding)

    @cached_property
    def bundle(self) -> Bundle:
        """Frames of the faces, carried; where loops mirror them, one mirror keeps the first axis.

        Where they turn them, the first is turned aside: directions half-way between two turns belong to
        neither.
        """
        H = self.turning.group
        aside = ASIDE * (len(H.components) > 1 and not H.has_mirrors)
        return self._untouched.turned(self.turning.axis + aside)

    @cached_property
    def _untouched(self) -> Bundle:
        return Bundle.of(self.edges, self.triangles)

    @cached_property
    def is_orientable(self) -> bool:
        """Whether no loop comes back mirrored."""
        return not bool(self._untouched.flips.any())

    @cached_property
    def vertex_weights(self) -> Float[Tensor, "v"]:
        """A third of the area of the faces round each: exact for functions that are linear on faces."""
        share = self.triangles.area.repeat_interleave(3) / 3
        return torch.zeros_like(self.fans.total).index_add(0, self.fans.vertex, share)

    # frames

    @cached_property
    def carried_at_vertices(self) -> Float[Tensor, "v 2 2"]:
        """The carried frame of the first face round each vertex, in the plane of the vertex."""
        first = self.fans.first
        return self.fans.to_plane[first] @ self.bundle.frames[first // 3]

    def rounded(self, H: StructureGroup) -> Float[Tensor, "h 2 2"]:
        """`Fans.to_plane`, but so that carried frames go to carried frames by elements of a finite H."""
        S, E = self.carried_at_vertices[self.fans.vertex], self.bundle.frames.repeat_interleave(3, 0)
        return S @ H.nearest(S.mT @ self.fans.to_plane @ E) @ E.mT

    @cached_property
    def own_at_vertices(self) -> Float[Tensor, "v 2 2"]:
        """Frames by the longest edge at each vertex, of the carried orientation: no labels decide.

        Of two that are as long, as on a plane of symmetry, by the edges after them round the vertex.
        """
        fans, length = self.fans, self.triangles.lengths.flatten()
        begins = torch.where(fans.sense > 0, length, length[self.edges.previous])
        after = self.edges.around.view(-1, 2).gather(1, (fans.sense < 0).long()[:, None])[:, 0] // 2
        second = torch.where(after < 0, 0.0, begins[after])
        third = torch.where(after < 0, 0.0, second[after])
        corner = _longest(begins + second / 8 + third / 64, fans.vertex, len(fans.total))
        side = self._untouched.side[fans.first // 3] * fans.sense[fans.first]
        return _oriented(fans.stretch * fans.start[corner] + side * ASIDE, side)

    @cached_property
    def own_at_faces(self) -> Float[Tensor, "f 2 2"]:
        """The same by the longest side of each face."""
        length, face = self.triangles.lengths.flatten(), torch.arange(len(self.edges)) // 3
        longest = _longest(length + length[self.edges.next] / 8, face, len(self.edges.faces))
        d = self.triangles.direction[longest]
        side = self._untouched.side
        return _oriented(torch.atan2(d[:, 1], d[:, 0]) + side * ASIDE, side)


def _longest(length: Tensor, owner: Tensor, count: int) -> Int[Tensor, "n"]:
    """The longest of each owner's, the first of those that are equal."""
    most = length.new_zeros(count).scatter_reduce(0, owner, length, "amax")
    where = (length >= EQUAL * most[owner]).nonzero().flatten()
    return torch.full((count,), len(length)).scatter_reduce(0, owner[where], where, "amin")


def _oriented(angle: Float[Tensor, "k"], side: Float[Tensor, "k"]) -> Float[Tensor, "k 2 2"]:
    """Frames whose first axis lies at an angle, and the second to its left or, on the other side, right."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([torch.stack([c, -side * s], -1), torch.stack([s, side * c], -1)], -2)
