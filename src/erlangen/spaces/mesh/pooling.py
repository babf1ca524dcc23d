"""Sums over samples on triangles: the nodes of a kernel, and means about fewer samples, as wide as cells."""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from erlangen.domains import NodeQuadrature, Sampling
from erlangen.domains.builders import ray_rule
from erlangen.domains.resampling import Resampler
from erlangen.engines import Engine, Stencil, StencilEngine
from erlangen.engines.lines import BLUR, REACH
from erlangen.geometry import Frame
from erlangen.groups import CircleFibre, Representation
from erlangen.kernels import KernelBasis
from erlangen.spaces.mesh.node_engine import NodeEngine

ROWS = 1 << 9  # held at once
SMALL = 1 << 21  # entries of a table that are not too many
SOME = 256  # samples that tell the power of kernels


class MeshQuadrature(NodeQuadrature):
    """`NodeQuadrature` whose means go by the area of each coarse sample.

    Meshes are finer here and coarser there, and several may lie side by side: no one radius is right for all.
    """

    def means(self, coarse: Sampling, rho: Representation) -> Resampler:
        return Resampler(rho, self._means(coarse, rho.name != "scalar"), coarse.shape)

    def engine(self, basis: KernelBasis) -> Engine:  # type: ignore[override]
        """That of folded tables; node by node where these would be large."""
        fibre, samples = basis.rho_in.fibre, self.samples
        is_circle = (
            isinstance(fibre, CircleFibre) and not fibre.reflections and fibre.default_band is not None
        )
        if not is_circle or self.boundary == "reflect" or len(samples.shape) > 1:
            return super().engine(basis)
        near = math.pi * basis.rings.radius**2 / float(samples.weights.median())  # samples seen by one
        if near * samples.weights.numel() * len(basis.mix.flatten(0, 1)) < SMALL:
            return super().engine(basis)
        return self.by_nodes(basis)

    def by_nodes(self, basis: KernelBasis) -> NodeEngine:
        """The engine that keeps the nodes."""
        samples, rings = self.samples, basis.rings
        e, share, r, radial = ray_rule(2, rings.radius, self.nodes, rings.shoulder)
        v, a = (r[:, None, None] * e).flatten(0, 1), (radial[:, None] * share).flatten()
        u = samples.unturned.flat
        arrived = (
            samples.geometry.rays(u.at(slice(i, i + ROWS)), e, r) for i in range(0, len(u.point), ROWS)
        )
        some = samples.part((torch.linspace(0, len(u.point) - 1, SOME).round().long().unique(),))
        power = StencilEngine(basis, self.entries(some, rings, True), some.shape).power
        return NodeEngine(basis, samples, v, a, arrived, power, self.boundary == "renormalize")

    def coarser(self) -> Callable[[Sampling], "MeshQuadrature"]:
        return partial(MeshQuadrature, nodes=self.nodes, boundary=self.boundary)

    def _means(self, at: Sampling, turns: bool) -> Iterator[Stencil]:
        """Gaussian means as wide as half a cell's side, over what is visible; they sum to one."""
        geometry = self.samples.geometry
        directions, share, r, radial = ray_rule(2, 1.0, self.nodes)
        v = (r[:, None, None] * directions).flatten(0, 1)
        mass = (radial[:, None] * share).flatten() * torch.exp(-v.square().sum(-1) * (REACH / BLUR) ** 2 / 2)
        side = at.weights.flatten().sqrt() * (REACH / 2)
        u, plain = at.frames.flat, at.unturned.flat
        for i in range(0, len(side), ROWS):
            here, rows = plain.at(slice(i, i + ROWS)), torch.arange(i, min(i + ROWS, len(side)))
            steps = v * side[rows, None, None]
            there = geometry.carry(Frame(here.point[:, None], here.basis[:, None]), steps)
            turned = here.basis[:, 1:].mT @ u.basis[rows][:, 1:]
            there = Frame(there.point, there.basis @ turned[:, None])
            yield self._entries(there, mass, rows, len(side), turns)

    def _entries(self, there: Frame, mass: Tensor, rows: Tensor, count: int, turns: bool) -> Stencil:
        index, weight, h = self.samples.read(there.flat)
        a = (weight.view(len(rows), len(mass), -1) * mass[:, None]).flatten(1)
        a = a / a.sum(1, keepdim=True).clamp_min(torch.finfo(a.dtype).tiny)
        row = rows.repeat_interleave(a.shape[1])
        keep = a.flatten() != 0
        keep[0] = True  # a block is never empty
        kept = h.flatten(0, 1)[keep] if turns else None
        entries = row[keep], index.flatten()[keep], a.new_zeros(int(keep.sum()), 2), kept, a.flatten()[keep]
        return Stencil(*entries, count, self.samples.weights.numel())
