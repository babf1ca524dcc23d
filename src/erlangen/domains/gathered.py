"""Samples of a curved space between which fields are read: fixed nodes are carried out from each."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.builders import ray_rule
from erlangen.domains.domain import Domain, KernelSpec, without_grid_options
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.samples import Samples
from erlangen.engines import Engine, Stencil, StencilEngine
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre
from erlangen.kernels import KernelBasis, Rings

Boundary = Literal["zero", "reflect", "renormalize"]
ENTRIES = 1 << 19  # held at once
NODES = 8


class Gathered(Samples):
    r"""``(k * f)(p) = sum_j a_j k(v_j) f(carry(s(p), v_j))`` with the same nodes v_j everywhere.

    Args:
        geometry: the space.
        points: ``(*space, m)``.
        weights: ``(*space)``, the measure of each.
        interpolation: how to read between the points.
        fibre: the samples of H for regular fields.
        boundary: beyond an edge, "zero" sees zeros, "reflect" sends the frame back as a mirror does,
            "renormalize" divides by the part of the kernel's ball that is visible.
        nodes: along the radius, and half of those round a circle.
    """

    def __init__(
        self,
        geometry: Geometry,
        points: Float[Tensor, "*space m"],
        weights: Float[Tensor, "*space"],
        interpolation: Interpolation,
        *,
        fibre: Fibre | None = None,
        boundary: Boundary = "zero",
        nodes: int = NODES,
    ) -> None:
        if boundary not in ("zero", "reflect", "renormalize"):
            raise ValueError(f'boundary is {boundary!r}, expected "zero", "reflect" or "renormalize"')
        super().__init__(
            geometry, points, weights, fibre=fibre, interpolation=interpolation, builder="gather"
        )
        self.boundary, self.nodes = boundary, nodes

    def __reduce__(self) -> tuple:
        arguments = (self.geometry, self.points, self.weights, self.interpolation)
        return _rebuild, (arguments, {"fibre": self.fibre, "boundary": self.boundary, "nodes": self.nodes})

    def _correlator(self, basis: KernelBasis, spec: KernelSpec) -> Engine:
        without_grid_options(spec)
        blocks = self._blocks(basis.rings, turns=basis.rho_in.name != "scalar")
        return StencilEngine(basis, blocks, tuple(self.weights.shape))

    def _blocks(self, rings: Rings, turns: bool) -> Iterator[Stencil]:
        """The stencil, some rows at a time; without transport where fields do not see it.

        Nodes lie along the geometry's own frames, so that the choice of frames does not change them.
        """
        geometry, (points, bases) = self.geometry, self.frames
        turned = self._turns
        if turned is not None:
            bases, turned = bases @ turned.mT, turned.flatten(0, -3)
        u = Frame(points.flatten(0, -2), bases.flatten(0, -3))
        directions, share, r, radial = ray_rule(self.dim, rings.radius, self.nodes, rings.shoulder)
        v = (r[:, None, None] * directions).flatten(0, 1)  # (j, n)
        a = (radial[:, None] * share).flatten()
        total = len(u.point)
        size = max(1, ENTRIES // (len(v) * 4**self.dim))
        for start in range(0, total, size):
            here = u.at(slice(start, start + size))
            measure = a
            if geometry.measure == "space":
                measure = a * geometry.density_at(Frame(here.point[:, None], here.basis[:, None]), v)
            arrived = geometry.rays(here, directions, r)
            if self.boundary == "reflect":
                arrived = geometry.reflected(arrived)
            seen = geometry.contains(arrived.point)  # (p, j)
            measure = measure * seen
            if self.boundary == "renormalize":
                measure = measure * (a.sum() / (a * seen).sum(-1, keepdim=True))
            rows, where = len(here.point), v
            node = torch.arange(len(v)).repeat(rows)  # (p j)
            if turned is not None:  # in the frames s(p) = u h: components h^-1 v
                h = turned[start : start + size]
                arrived = Frame(arrived.point, arrived.basis @ h[:, None])
                where = torch.einsum("pab,ja->pjb", h, v).flatten(0, 1)
                node = torch.arange(len(where))
            flat = Frame(arrived.point.flatten(0, 1), arrived.basis.flatten(0, 1))
            if turns:
                column, weight, h = self.interpolation.transported(self, flat)
            else:
                column, weight = self.interpolation.read(flat.point)
                h = None
            taps = column.shape[-1]
            row = torch.arange(start, start + rows).repeat_interleave(len(v) * taps)
            entry = (weight.view(rows, len(v), taps) * measure[..., None]).flatten()
            node = node.repeat_interleave(taps)
            keep = entry != 0
            keep[0] = True  # a block is never empty
            yield Stencil(
                row[keep],
                column.flatten()[keep],
                where,
                None if h is None else h.flatten(0, 1)[keep],
                entry[keep],
                total,
                total,
                node[keep],
            )


def _rebuild(arguments: tuple, options: dict) -> Domain:
    return Gathered(*arguments, **options)
