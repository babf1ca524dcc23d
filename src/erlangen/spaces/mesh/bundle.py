"""Frames of all faces, carried from one of each piece across a tree of edges; and the loops left over."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from erlangen.groups.structure import turn
from erlangen.spaces.mesh.forest import Level, spanning
from erlangen.spaces.mesh.half_edges import HalfEdges
from erlangen.spaces.mesh.triangles import Triangles


@dataclass(frozen=True, eq=False)
class Bundle:
    r"""The holonomy bundle over the faces: ``E_g = T E_f`` along a tree of the dual graph.

    T lays the plane of one face into that of its neighbour, by the edge that they share; it lies in O(2)
    where their orientations do not agree. An edge that is not in the tree closes a loop, and the frame comes
    back as ``E h``.

    Attributes:
        edges, triangles: the surface.
        levels: the tree, from the root of each piece.
        loops: ``(l,)``, the half-edges that are in no tree, one of each two.
        angle: ``(p,)``, by which the frame at the root of each piece, in the order of their least faces, is
            turned from the first edge.
    """

    edges: HalfEdges
    triangles: Triangles
    levels: list[Level]
    loops: Int[Tensor, "l"]
    angle: Float[Tensor, "p"]

    @classmethod
    def of(cls, edges: HalfEdges, triangles: Triangles) -> "Bundle":
        """Of a surface in any number of pieces."""
        inner, count = edges.inner, len(edges.faces)
        roots = edges.component.unique()
        levels, used = spanning(count, inner // 3, edges.twin[inner] // 3, roots)
        levels = [Level(a, b, inner[edge], backwards) for a, b, edge, backwards in levels]
        return cls(edges, triangles, levels, inner[~used], triangles.area.new_zeros(len(roots)))

    def turned(self, angle: Float[Tensor, "p"]) -> "Bundle":
        """The bundle whose frames are turned by an angle in each piece."""
        return Bundle(self.edges, self.triangles, self.levels, self.loops, self.angle + angle)

    @cached_property
    def piece(self) -> Int[Tensor, "f"]:
        """The number of the piece that each face belongs to."""
        return torch.unique(self.edges.component, return_inverse=True)[1]

    @cached_property
    def side(self) -> Float[Tensor, "f"]:
        """1 where the orientation that is carried from the root agrees with the face's own, else -1."""
        side = self.triangles.lengths.new_ones(len(self.edges.faces))
        for level in self.levels:
            turns = self.edges.mirrored[level.edge]
            side[level.child] = torch.where(turns, -side[level.parent], side[level.parent])
        return side

    @cached_property
    def frames(self) -> Float[Tensor, "f 2 2"]:
        """E of each face, in its layout."""
        frames = turn(self.angle)[self.piece]
        for level in self.levels:
            T = self.transition(level.edge)
            T = torch.where(level.backwards[:, None, None], T.mT, T)
            frames[level.child] = T @ frames[level.parent]
        return frames

    def transition(self, edge: Int[Tensor, "k"]) -> Float[Tensor, "k 2 2"]:
        """T across half-edges: along a plain edge the twin runs back, beside a mirrored one it runs along."""
        twin = self.edges.twin[edge]
        here, there = (_axes(self.triangles.direction[h]) for h in (edge, twin))
        sign = torch.where(self.edges.mirrored[edge], 1.0, -1.0).to(here)
        return there @ torch.diag_embed(torch.stack([sign, -torch.ones_like(sign)], -1)) @ here.mT

    @cached_property
    def turns(self) -> Float[Tensor, "l 2 2"]:
        """h of each loop, by which its frame comes back."""
        f, g = self.loops // 3, self.edges.twin[self.loops] // 3
        return self.frames[g].mT @ self.transition(self.loops) @ self.frames[f]

    @cached_property
    def flips(self) -> Bool[Tensor, "l"]:
        """Whether the orientation comes back reversed."""
        f, g = self.loops // 3, self.edges.twin[self.loops] // 3
        return (self.side[f] * self.side[g] > 0) == self.edges.mirrored[self.loops]


def _axes(d: Float[Tensor, "k 2"]) -> Float[Tensor, "k 2 2"]:
    """The matrix whose columns are unit vectors and what is left of them."""
    return torch.stack([torch.stack([d[:, 0], -d[:, 1]], -1), torch.stack([d[:, 1], d[:, 0]], -1)], -2)
