"""Samples of a curved space between which fields are read: fixed nodes are carried out from each."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.builders import ray_rule
from erlangen.domains.domain import Domain
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.local import LocalPolynomials
from erlangen.domains.refusals import without_grid_options
from erlangen.domains.resampling import BLUR, REACH, Resampler, thinned
from erlangen.domains.samples import Samples
from erlangen.domains.spec import KernelSpec
from erlangen.engines import Engine, Stencil, StencilEngine
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation
from erlangen.kernels import KernelBasis

Boundary = Literal["zero", "reflect", "renormalize"]
ENTRIES = 1 << 19  # held at once
AHEAD = 8  # blocks whose rays are walked at once: they need less room than what is read at their ends
NODES = 8


class Gathered(Samples):
    r"""``(k * f)(p) = sum_j a_j k(v_j) f(carry(s(p), v_j))`` with the same nodes v_j everywhere.

    Down-sampling is such a sum as well, with a Gaussian for a kernel and divided by what is visible of it:
    constants stay, and so does the integral of a field but for quadrature, since geodesics keep dv dmu(p).

    Args:
        geometry: the space.
        points: ``(*space, m)``.
        weights: ``(*space)``, the measure of each.
        interpolation: how to read between the points; None for local polynomials of degree 3.
        fibre: the samples of H for regular fields.
        boundary: beyond an edge, "zero" sees zeros, "reflect" sends the frame back as a mirror does,
            "renormalize" divides by the part of the kernel's ball that is visible.
        nodes: along the radius, and half of those round a circle.
        frames: those of the samples, along which nodes lie; None for the geometry's own.
        pooling: the radius of the means that down-sampling takes, in units of the space, twice as long on
            the coarser domain; None for 2.5 distances of samples. A network keeps its meaning on a finer
            grid only if that has the same one.
        recipe, coarse_recipe: as in `Samples`.
    """

    def __init__(
        self,
        geometry: Geometry,
        points: Float[Tensor, "*space m"],
        weights: Float[Tensor, "*space"],
        interpolation: Interpolation | None = None,
        *,
        fibre: Fibre | None = None,
        boundary: Boundary = "zero",
        nodes: int = NODES,
        frames: Frame | None = None,
        pooling: float | None = None,
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
    ) -> None:
        if boundary not in ("zero", "reflect", "renormalize"):
            raise ValueError(f'boundary is {boundary!r}, expected "zero", "reflect" or "renormalize"')
        if pooling is not None and not pooling > 0:
            raise ValueError(f"pooling is {pooling}, expected a radius in the units of the space, or None")
        super().__init__(
            geometry,
            points,
            weights,
            fibre=fibre,
            interpolation=interpolation or LocalPolynomials(geometry, points.double().flatten(0, -2)),
            builder="gather",
            recipe=recipe,
            coarse_recipe=coarse_recipe,
        )
        self.boundary, self.nodes, self._given = boundary, nodes, frames
        side = _side(float(self.weights.mean()), geometry.dim)
        self.pooling = REACH * side if pooling is None else pooling

    def _as_made(self) -> tuple:
        if self.recipe is not None:
            return super()._as_made()
        names = ("fibre", "boundary", "nodes", "pooling", "coarse_recipe")
        options = {name: getattr(self, name) for name in names} | {"frames": self._given}
        arguments = (self.geometry, self.points, self.weights, self.interpolation)
        return _rebuild, (arguments, options)

    def _own_frames(self) -> Frame:
        return super()._own_frames() if self._given is None else self._given

    def _correlator(self, basis: KernelBasis, spec: KernelSpec) -> Engine:
        without_grid_options(spec)
        rings = basis.rings
        blocks = self._blocks(self, rings.radius, rings.shoulder, turns=basis.rho_in.name != "scalar")
        return StencilEngine(basis, blocks, tuple(self.weights.shape))

    def _thinned(self) -> "Gathered":
        points = self.points.flatten(0, -2)
        index, weights = thinned(self.geometry, points, self.weights.flatten())
        options = {"fibre": self.fibre, "boundary": self.boundary, "nodes": self.nodes}
        return Gathered(self.geometry, points[index], weights, pooling=2 * self.pooling, **options)

    def _downsampler(self, rho: Representation) -> Resampler:
        coarse = self.coarser()
        return Resampler(rho, self._means(coarse, turns=rho.name != "scalar"), coarse.weights.shape)

    def _means(self, at: Samples, turns: bool) -> Iterator[Stencil]:
        """Gaussian means about other samples: entries that sum to one."""
        width = BLUR / REACH * self.pooling
        for s in self._blocks(at, self.pooling, 0.0, turns):
            a = s.a * torch.exp(-s.v.square().sum(-1) / (2 * width**2))[s.node]
            total = a.new_zeros(s.rows).index_add(0, s.row, a)
            yield replace(s, a=a / total[s.row])

    def _blocks(self, at: Samples, radius: float, shoulder: float, turns: bool) -> Iterator[Stencil]:
        """What samples `at` see within a radius, some rows at a time; without transport if not `turns`.

        Nodes lie along the frames that they have of their own, so that other frames do not change them.
        """
        geometry, (u, turned) = self.geometry, at.frames_and_turns()
        directions, share, r, radial = ray_rule(self.dim, radius, self.nodes, shoulder)
        v = (r[:, None, None] * directions).flatten(0, 1)  # (j, n)
        a = (radial[:, None] * share).flatten()
        total, columns = len(u.point), self.weights.numel()
        size = max(1, ENTRIES // (len(v) * 4**self.dim))
        for start in range(0, total, size):
            here = u.at(slice(start, start + size))
            measure = a
            if geometry.measure == "space":
                measure = a * geometry.density_at(Frame(here.point[:, None], here.basis[:, None]), v)
            first = start % (AHEAD * size)
            if first == 0:
                ahead = geometry.rays(u.at(slice(start, start + AHEAD * size)), directions, r)
            arrived = ahead.at(slice(first, first + size))
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
            flat = arrived.flat
            if turns:
                column, weight, h = self.interpolation.transported(self, flat)
            else:
                (column, weight), h = self.interpolation.read_from(flat), None
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
                columns,
                node[keep],
            )


def _side(volume: float, n: int) -> float:
    """The side of a cube; twice as long for ``2^n volume``, bit for bit."""
    mantissa, exponent = math.frexp(volume)
    whole, rest = divmod(exponent, n)
    return math.ldexp((mantissa * 2**rest) ** (1 / n), whole)


def _rebuild(arguments: tuple, options: dict) -> Domain:
    return Gathered(*arguments, **options)
