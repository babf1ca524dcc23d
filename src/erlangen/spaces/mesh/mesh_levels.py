"""Samples of a mesh, and fewer of them: what makes domains."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Samples
from erlangen.domains.builders import Boundary
from erlangen.groups import Fibre
from erlangen.spaces.mesh.mesh_fields import NODES, Reading, of_vertices
from erlangen.spaces.mesh.pooling import MeshQuadrature
from erlangen.spaces.mesh.sightings import reading, thinned

FEWER = 4  # samples for one of the coarser level, about


@dataclass(frozen=True, eq=False)
class MeshLevel:
    """Samples, what each measures and how fields are read between them, with all that kernels there ask.

    Args:
        mesh: the space, an `er.Mesh`.
        points: ``(*space, 3)``.
        weights: ``(*space)``.
        found: the reading.
        fibre, nodes, boundary: as of the mesh's samples.
    """

    mesh: Any
    points: Float[Tensor, "*space 3"]
    weights: Float[Tensor, "*space"]
    found: Reading
    fibre: Fibre | None
    nodes: int
    boundary: Boundary

    @classmethod
    def of_vertices(cls, mesh: Any, *options: Any) -> "MeshLevel":
        """All vertices, with a third of the area of the faces round each."""
        points = mesh.vertex_points()
        found = of_vertices(mesh.surface, mesh.frame(points)[:, 1:], mesh.planes)
        return cls(mesh, points, mesh.surface.vertex_weights, found, *options)

    @classmethod
    def of_points(cls, mesh: Any, points: Tensor, weights: Tensor | None, *options: Any) -> "MeshLevel":
        """Any points; without weights each has the area of what reads from it."""
        flat = points.flatten(0, -2)
        area = mesh.surface.triangles.area.sum() / len(flat)
        nodes = 2 * NODES * max(1, math.ceil(math.sqrt(mesh.count / len(flat))))
        found = reading(mesh.surface, mesh.planes, mesh.frames(flat), area.expand(len(flat)), nodes)
        if weights is None:
            weights = found.shares(len(flat)).view(points.shape[:-1])
        return cls(mesh, points, weights, found, *options)

    def domain(self, recipe: "Callable[[], Any]") -> Samples:
        """These samples as a domain.

        Args:
            recipe: what makes it again.
        """
        builder = partial(MeshQuadrature, nodes=self.nodes, boundary=self.boundary)
        return Samples(
            self.mesh,
            self.points,
            self.weights,
            self.found,
            fibre=self.fibre,
            builder=builder,
            recipe=recipe,  # type: ignore[arg-type]
            coarse_recipe=partial(self.coarser),
        )

    def coarser(self) -> Samples:
        """The domain of some of the samples, no two of them neighbours.

        Raises:
            ValueError: for samples without neighbours.
        """
        points, weights = self.points.flatten(0, -2), self.weights.flatten()
        chosen = thinned(self.found, weights)
        if 2 * len(chosen) > len(points):
            raise ValueError(f"the {len(points)} samples have no neighbours")
        p, surface = points[chosen], self.mesh.surface
        frames, size = self.mesh.frames(p), FEWER * weights[chosen]
        found = reading(surface, self.mesh.planes, frames, size, 2 * self.found.nodes)
        options = self.fibre, self.nodes, self.boundary
        level = MeshLevel(self.mesh, p, found.shares(len(p)), found, *options)
        return level.domain(partial(self.coarser))
