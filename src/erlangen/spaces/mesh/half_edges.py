"""How triangles are glued: half-edges, what lies across each, and the corners round a vertex."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from erlangen.spaces.mesh.forest import labelled


@dataclass(frozen=True, eq=False)
class HalfEdges:
    """The gluing of triangles: half-edge ``3 f + i`` leads from corner i of face f to its next corner.

    Two faces that share an edge are glued along it. Where three or more do, and at edges of one face, the
    surface is cut: such an edge is glued to itself by a mirror, so that a walk which meets it comes back.
    Walks then live on the *double* of the surface, and nothing is special about its boundary.

    Attributes:
        faces: ``(f, 3)``, numbers of vertices.
        twin: ``(3 f,)``, the half-edge across each; itself at a boundary.
        mirrored: ``(3 f,)``, whether both run the same way, so that the orientations of the faces do not
            agree.
        shared_by: ``(3 f,)``, the number of faces at each edge.
    """

    faces: Int[Tensor, "f 3"]
    twin: Int[Tensor, "h"]
    mirrored: Bool[Tensor, "h"]
    shared_by: Int[Tensor, "h"]

    @classmethod
    def of(cls, faces: Int[Tensor, "f 3"]) -> "HalfEdges":
        """Edges are known by the numbers of their two vertices."""
        start, end = faces.flatten(), faces.roll(-1, 1).flatten()
        low, high = torch.minimum(start, end), torch.maximum(start, end)
        _, edge, count = torch.unique(
            low * (int(faces.max()) + 1) + high, return_inverse=True, return_counts=True
        )
        h = torch.arange(len(start))
        pairs = torch.argsort(edge, stable=True)
        pairs = pairs[count[edge[pairs]] == 2].view(-1, 2)
        twin = h.clone()
        twin[pairs[:, 0]], twin[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
        return cls(faces, twin, start == start[twin], count[edge])

    def __len__(self) -> int:
        return len(self.twin)

    @cached_property
    def next(self) -> Int[Tensor, "h"]:
        """The half-edge after each, round its face."""
        return torch.arange(len(self)).view(-1, 3).roll(-1, 1).flatten()

    @cached_property
    def previous(self) -> Int[Tensor, "h"]:
        """The half-edge before each."""
        return torch.arange(len(self)).view(-1, 3).roll(1, 1).flatten()

    @cached_property
    def is_boundary(self) -> Bool[Tensor, "h"]:
        """Whether nothing lies across."""
        return self.twin == torch.arange(len(self))

    @cached_property
    def inner(self) -> Int[Tensor, "e"]:
        """One half-edge of each two that are glued."""
        return (torch.arange(len(self)) < self.twin).nonzero().flatten()

    @cached_property
    def component(self) -> Int[Tensor, "f"]:
        """The least face of the piece that each face belongs to."""
        return labelled(len(self.faces), self.inner // 3, self.twin[self.inner] // 3)

    @cached_property
    def around(self) -> Int[Tensor, "s"]:
        """The next corner round a vertex, -1 at a boundary; corners by their outgoing half-edges c.

        States are ``2 c`` for a sweep from c to the edge that comes in, ``2 c + 1`` for the way back. A sweep
        ends at an edge and goes on across it; where the faces are mirrored, with the other sense.
        """
        corner = torch.arange(len(self)).repeat_interleave(2)
        back = torch.arange(2 * len(self)) % 2 == 1
        edge = torch.where(back, corner, self.previous[corner])
        across, turned = self.twin[edge], self.mirrored[edge]
        # a plain twin runs the other way: it leaves the vertex where this one comes in
        leaves = back == turned
        state = 2 * torch.where(leaves, across, self.next[across]) + (back != turned)
        return torch.where(self.is_boundary[edge], -1, state)

    @cached_property
    def fan(self) -> Int[Tensor, "h"]:
        """The vertex of the surface that each corner belongs to, numbered as in `faces`.

        Corners that meet at one number but not across edges belong to several vertices of the surface, as
        where two cones touch; only then there are more of these than numbers in use.
        """
        state = torch.arange(2 * len(self))[self.around >= 0]
        label = labelled(len(self), state // 2, self.around[state] // 2)
        key = self.faces.flatten() * len(self) + label
        return torch.unique(key, return_inverse=True)[1]
