"""Reading fields between samples on triangles: linear within a face, from samples at vertices or anywhere."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.domains import Interpolation
from erlangen.geometry import Frame, Geometry
from erlangen.spaces.mesh.surface import Surface

NODES = 4


@dataclass(frozen=True, eq=False)
class Reading(Interpolation):
    r"""``F(u) = sum_i b_i sum_c w_ic rho(h)^{-1} F(c)``, b barycentric, c the samples near corner i.

    The frame u is laid into the plane of each corner, and there compared with the frames of samples that were
    carried to it. Where samples are the vertices each sees itself only.

    Attributes:
        surface: the triangles.
        planes: ``(h, 2, 2)``, from the layout of each face to the planes of its corners.
        index, weight: ``(v, m)``, the samples near each vertex, and how much each counts.
        frames: ``(v, m, 2, 2)``, the frame of each, before turns, carried to the plane of the vertex.
        plain: ``(q, 2, 2)``, those frames where they are, to know turns by.
        nodes: how fine the lines were along which samples were found; twice as many find those of a coarser
            level.
    """

    surface: Surface
    planes: Float[Tensor, "h 2 2"]
    index: Int[Tensor, "v m"]
    weight: Float[Tensor, "v m"]
    frames: Float[Tensor, "v m 2 2"]
    plain: Float[Tensor, "q 2 2"]
    nodes: int = NODES

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        vertex, b = self.corners(p)[:2]
        return self.index[vertex].flatten(1), (b[..., None] * self.weight[vertex]).flatten(1)

    def corners(self, p: Float[Tensor, "k 3"]) -> tuple[Tensor, Tensor, Tensor]:
        """The vertices of the face at each point, their weights, the corners; -1 for points at vertices."""
        fans, count = self.surface.fans, len(self.surface.edges.faces)
        cell = p[:, 0].long()
        lost, at_vertex = cell < 0, cell >= count
        face = cell.clamp(0, count - 1)
        corner = 3 * face[:, None] + torch.arange(3)
        b = barycentric(self.surface, face, p[:, 1:])
        b = torch.where(at_vertex[:, None], b.new_tensor([1.0, 0.0, 0.0]), b) * ~lost[:, None]
        vertex = torch.where(at_vertex[:, None], (cell - count)[:, None], fans.vertex[corner])
        return vertex, b, torch.where(at_vertex[:, None], -1, corner)

    def transported(self, geometry: Geometry, samples: Frame, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        vertex, b, corner = self.corners(u.point)
        E = u.basis[:, None, 1:]
        seen = torch.where((corner < 0)[..., None, None], E, self.planes[corner] @ E)
        index, weight = self.index[vertex], b[..., None] * self.weight[vertex]
        turned = self.plain.mT @ samples.basis[:, 1:]  # the h of s h
        h = turned[index].mT @ self.frames[vertex].mT @ seen[:, :, None]
        return index.flatten(1), weight.flatten(1), geometry.structure.nearest(h.flatten(1, 2))

    def shares(self, count: int) -> Float[Tensor, "q"]:
        """The area of each of so many samples: that of the vertices, by how much they read from it."""
        w = self.weight.clamp_min(0)
        w = w * (self.surface.vertex_weights / w.sum(1).clamp_min(1e-300))[:, None]
        return w.new_zeros(count).index_add(0, self.index.flatten(), w.flatten())


def barycentric(surface: Surface, face: Int[Tensor, "k"], x: Float[Tensor, "k 2"]) -> Float[Tensor, "k 3"]:
    """The weights of the corners for points in the layouts of faces."""
    apex, length = surface.triangles.apex[3 * face], surface.triangles.lengths[face, 0]
    third = x[:, 1] / apex[:, 1]
    second = (x[:, 0] - third * apex[:, 0]) / length
    return torch.stack([1 - second - third, second, third], -1)


def of_vertices(surface: Surface, frames: Float[Tensor, "v 2 2"], planes: Float[Tensor, "h 2 2"]) -> Reading:
    """Samples at all vertices, in these frames."""
    every = torch.arange(len(frames))[:, None]
    return Reading(
        surface, planes, every, torch.ones_like(every, dtype=frames.dtype), frames[:, None], frames
    )
