"""Reading a field between its samples: Lagrange polynomials on grids, of any order."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.geometry import Frame, Geometry
from erlangen.geometry.lattices import reduced


class Interpolation(ABC):
    """Weights of a few samples for the value at any point."""

    @abstractmethod
    def read(self, p: Float[Tensor, "k m"]) -> tuple[Int[Tensor, "k s"], Float[Tensor, "k s"]]:
        """Samples and weights with ``f(p) = sum_s w_s f(q_s)``; weight zero outside of the domain."""

    def read_from(self, u: Frame) -> tuple[Int[Tensor, "k s"], Float[Tensor, "k s"]]:
        """`read` at the points of frames, which may serve as axes for it."""
        return self.read(u.point)

    def transported(self, geometry: Geometry, samples: Frame, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        r"""Samples, weights and turns with ``F(u) = sum_s w_s rho(h_s)^{-1} F(q_s)``.

        The frame u is carried to each sample, where it is ``s(q) h``.

        Shapes: the frames s ``(q,)``, u ``(k,)``; ``(k, s)``, ``(k, s)``, ``(k, s, n, n)``.
        """
        index, weight = self.read_from(u)
        near = samples.at(index)
        start = Frame(u.point[:, None], u.basis[:, None])
        return index, weight, geometry.gauge(near, geometry.nearby(start, near.point))


@dataclass(frozen=True, eq=False)
class LatticeInterpolation(Interpolation):
    r"""Lagrange interpolation of `taps` samples along each of the shortest steps of a flat lattice.

    Args:
        geometry: the flat space, whose gluings bring a sample beyond a seam back.
        shape: the number of samples on each axis.
        origin: ``(n,)``, the first sample.
        steps: ``(n, n)``, row i the step of axis i.
        taps: an even number of samples on each axis; 4 is cubic.
    """

    geometry: Geometry
    shape: tuple[int, ...]
    origin: Float[Tensor, "n"]
    steps: Float[Tensor, "n n"]
    taps: int = 4

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        n = p.shape[-1]
        position = (p - self.origin) @ torch.linalg.inv(self._short)  # in samples
        # a point on a sample up to rounding reads only that sample
        position = torch.where((position - position.round()).abs() < 1e-9, position.round(), position)
        first = torch.floor(position) - (self.taps // 2 - 1)
        nodes = first[..., None] + torch.arange(self.taps, dtype=p.dtype)  # (k, n, taps)
        weights = lagrange(nodes, position)
        if self._has_no_seams:
            index, weight = self._by_axes(nodes, weights)
            return index, weight * self.geometry.contains(p)[:, None]
        corners = torch.cartesian_prod(*[torch.arange(self.taps)] * n).view(-1, n)  # (s, n)
        axes = torch.arange(n)
        index, valid = self._index(nodes[:, axes, corners])
        weight = weights[:, axes, corners].prod(-1) * valid
        return index, weight * self.geometry.contains(p)[:, None]

    @property
    def _has_no_seams(self) -> bool:
        """Whether the samples at a corner are those of its axes, one by one."""
        return type(self.geometry).home is Geometry.home and self._short is self.steps

    def _by_axes(
        self, nodes: Float[Tensor, "k n taps"], weights: Float[Tensor, "k n taps"]
    ) -> tuple[Int[Tensor, "k s"], Float[Tensor, "k s"]]:
        """The samples at all corners and their weights, as products over the axes."""
        index, weight = torch.zeros(len(nodes), 1, dtype=torch.long), weights.new_ones(len(nodes), 1)
        for axis, length in enumerate(self.shape):
            here = nodes[:, axis].long()
            there = (here >= 0) & (here < length)
            index = (index[..., None] * length + (here * there)[:, None]).flatten(1)
            weight = (weight[..., None] * (weights[:, axis] * there)[:, None]).flatten(1)
        return index, weight

    @cached_property
    def _short(self) -> Float[Tensor, "n n"]:
        """The shortest steps: those of long ones askew would read samples far away."""
        gram = self.steps @ self.steps.T
        return self.steps if not bool(gram.triu(1).any()) else reduced(gram) @ self.steps

    def _index(self, node: Float[Tensor, "k s n"]) -> tuple[Tensor, Tensor]:
        """The sample at a lattice position, and whether there is one."""
        home = self.geometry.home(self.origin + node @ self._short)
        index = ((home - self.origin) @ torch.linalg.inv(self.steps)).round().long()
        size = torch.tensor(self.shape)
        valid = ((index >= 0) & (index < size)).all(-1)
        strides = torch.tensor([math.prod(self.shape[i + 1 :]) for i in range(len(self.shape))])
        return (index * strides).sum(-1) * valid, valid


def lagrange(nodes: Float[Tensor, "*batch taps"], x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch taps"]:
    """The values at x of the Lagrange polynomials on the nodes."""
    count = nodes.shape[-1]
    weights = torch.ones_like(nodes)
    for i in range(count):
        for j in range(count):
            if i != j:
                ratio = (x - nodes[..., j]) / (nodes[..., i] - nodes[..., j])
                weights[..., i] = weights[..., i] * ratio
    return weights
