"""Even samples in coordinates, with the volume as weights, read by cubic interpolation."""

import math
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import mul, or_

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Interpolation, lagrange
from erlangen.geometry import Frame, Geometry
from erlangen.groups import StructureGroup
from erlangen.spaces.metric import entries, inverse, product_of_entries, times
from erlangen.spaces.metric_field import MetricField

TAPS = 4


def even_grid(field: MetricField, shape: tuple[int, ...]) -> "tuple[Tensor, Tensor, ChartInterpolation]":
    """Points ``(*shape, n)``, weights ``(*shape)``, and how samples there are read."""
    if len(shape) != field.dim or min(shape) < TAPS:
        raise ValueError(
            f"shape is {shape}, expected {field.dim} sizes of at least {TAPS}; a network that goes down "
            f"`depth` times needs {TAPS} 2^depth"
        )
    for axis, (bounds, period) in enumerate(zip(field.bounds, field.periods, strict=True)):
        if bounds is None and period is None:
            raise ValueError(
                f"axis {axis} has no end, expected bounds= or a period: where should samples end?"
            )
    step = (field.high - field.low) / torch.tensor(shape, dtype=torch.float64)
    closed = torch.tensor([period is not None for period in field.periods])
    for deck in field.decks:  # where the seam does not meet samples with samples, there is an edge
        A = deck.matrix
        closed[deck.axis] = bool(
            ((A * step / step[:, None]).abs() - (A.abs() > 0.5).to(A)).abs().max() < 1e-9
        )
    first = torch.where(closed, field.low, field.low + step / 2)
    reading = ChartInterpolation(field, shape, first, step, closed)
    return reading.points, field.volume(reading.points) * step.prod(), reading


@dataclass(frozen=True, eq=False)
class ChartInterpolation(Interpolation):
    """Cubic in coordinates: across the periods, and within the edges by samples of one side.

    Args:
        field: the metric, in its box.
        shape: the number of samples on each axis.
        first, step: ``(n)``, of the samples, in coordinates.
        closed: ``(n)``, the axes with a period.
    """

    field: MetricField
    shape: tuple[int, ...]
    first: Tensor
    step: Tensor
    closed: Tensor

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        node, weight = self._nodes(p)
        return self._index(node), weight * self.field.contains(p)[:, None]

    def _nodes(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """The samples about p, ``(k, s, n)`` in steps from the first one of the cover, and their weights."""
        position = (p - self.first) / self.step
        position = torch.where((position - position.round()).abs() < 1e-9, position.round(), position)
        start = torch.floor(position) - (TAPS // 2 - 1)
        last = torch.tensor(self.shape, dtype=p.dtype) - TAPS
        start = torch.where(self.closed, start, torch.minimum(start.clamp_min(0), last))
        axes = start[..., None] + torch.arange(TAPS, dtype=p.dtype)  # (k, n, taps)
        weights = lagrange(axes, position)
        return torch.stack(_at_corners(axes), -1), reduce(mul, _at_corners(weights))

    def _index(self, node: Tensor) -> Tensor:
        shape = torch.tensor(self.shape)
        strides = torch.tensor([math.prod(self.shape[i + 1 :]) for i in range(len(self.shape))]).to(node)
        index = node @ strides
        beyond = ((node < 0) | (node >= shape)).unbind(-1)
        where = reduce(or_, beyond).flatten().nonzero()[:, 0]  # few need to be brought home
        home = self.field.home(self.first + node.flatten(0, -2)[where] * self.step)
        index.view(-1)[where] = ((home - self.first) / self.step).round().remainder(shape) @ strides
        return index.long()

    def transported(self, geometry: Geometry, samples: Frame, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        dual = inverse(samples.basis)
        if self.field.dim == 2 and not self._has_turns:
            index, weight, h = self._in_plane(dual, u)
            return index, weight, geometry.structure.nearest(h)
        index, weight, E, side = self.carried(u)
        return index, weight, turns_between(geometry.structure, dual, index, E, side)

    def carried(self, u: Frame) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The samples about frames ``(k)`` and their weights; the frames carried there, and their side.

        Along straight lines of coordinates to each sample, by the mean of the connection at their ends.
        """
        field = self.field
        node, weight = self._nodes(u.point)
        q = self.first + node * self.step  # (k, s, n), on the cover
        index, d = self._index(node), q - u.point[:, None]
        half = torch.einsum("klia,ksi->ksla", field.christoffel(u.point), d)
        side = torch.sign(torch.linalg.det(u.basis))[:, None]
        B = field.decks.home(Frame(q, torch.eye(field.dim).to(q))).basis if self._has_turns else None
        if B is None:
            half = (half + self._connected(index, d)) / 4
        else:
            there = self._connected(index, (B @ d[..., None])[..., 0])
            half, side = (half + inverse(B) @ there @ B) / 4, side * torch.sign(torch.linalg.det(B))
        one = torch.eye(field.dim).to(half)
        E = times(inverse(one + half), times(one - half, u.basis[:, None]))
        E = E if B is None else B @ E
        return index, weight * field.contains(u.point)[:, None], E, side

    @cached_property
    def points(self) -> Tensor:
        """Those of the samples, ``(*shape, n)``."""
        axes = [
            first + step * torch.arange(size).double()
            for first, step, size in zip(self.first, self.step, self.shape, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)

    def _in_plane(self, dual: Tensor, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        """`transported` on a surface, number by number: small matrices are slow to multiply one by one."""
        node, weight = self._nodes(u.point)
        index = self._index(node)
        d = [self.first[i] + node[..., i] * self.step[i] - u.point[:, i, None] for i in (0, 1)]
        (a, b), (c, e) = self._half(u.point, index, d)
        before, after = [[1 - a, -b], [-c, 1 - e]], [[1 + e, -b], [-c, 1 + a]]
        scale = (1 + a) * (1 + e) - b * c  # by which that is more than an inverse
        D = [[dual[:, i, k].contiguous()[index] for k in (0, 1)] for i in (0, 1)]
        h = reduce(product_of_entries, (D, after, before, entries(u.basis[:, None])))
        side = torch.sign(torch.linalg.det(dual))[index] * torch.sign(torch.linalg.det(u.basis))[:, None]
        return index, weight * self.field.contains(u.point)[:, None], _turn(h, side, scale)

    def _half(self, p: Tensor, index: Tensor, d: list[Tensor]) -> list[list[Tensor]]:
        """The entries of the mean of ``Gamma[l, i, k] d^i / 2`` at both ends of the ways d."""
        here, there = self.field.christoffel(p)[..., None], self._christoffel.movedim(0, -1).contiguous()

        def entry(l: int, k: int) -> Tensor:
            one, two = ((here[:, l, i, k] + there[l, i, k][index]) * d[i] for i in (0, 1))
            return (one + two) / 4

        return [[entry(l, k) for k in (0, 1)] for l in (0, 1)]

    @cached_property
    def _has_turns(self) -> bool:
        """Whether some way round turns the coordinates."""
        return any(deck.order != 1 for deck in self.field.decks)

    def _connected(self, index: Tensor, d: Tensor) -> Tensor:
        """``Gamma[l, i, k] d^i`` at samples."""
        each = zip(self._christoffel.unbind(2), d.unbind(-1), strict=True)
        return sum(Gamma[index] * x[..., None, None] for Gamma, x in each)  # type: ignore[return-value]

    @cached_property
    def _christoffel(self) -> Tensor:
        """``(q, n, n, n)``, at the samples."""
        return self.field.christoffel(self.points.flatten(0, -2))


def _at_corners(rows: Float[Tensor, "k n t"]) -> list[Float[Tensor, "k s"]]:
    """For each axis its entries, ``s = t^n``: at all corners of a lattice of t on each axis."""
    k, n, t = rows.shape
    return [
        row.view(k, *[t if i == axis else 1 for i in range(n)]).expand(k, *[t] * n).flatten(1)
        for axis, row in enumerate(rows.unbind(1))
    ]


def turns_between(H: StructureGroup, dual: Tensor, index: Tensor, E: Tensor, side: Tensor) -> Tensor:
    """The elements of H next to the turns from the frames at samples to almost orthonormal ones E.

    Args:
        H: the structure group.
        dual: the inverses of the frames at all samples, ``(q, n, n)``.
        index: which sample each of E is at.
        E: the frames there.
        side: the signs of their determinants in coordinates.

    On coarse grids those may be far from turns, and tell not even the side by themselves.
    """
    side = side * torch.sign(torch.linalg.det(dual))[index]
    return H.nearest(_nearest_orthogonal(times(dual[index], E), side))


def _nearest_orthogonal(h: Tensor, side: Tensor) -> Tensor:
    """The orthogonal matrix of the given determinant next to h, which on coarse grids may be far from one."""
    n = h.shape[-1]
    if n == 2:
        return _turn(entries(h), side)
    one = torch.eye(n).to(h)
    for _ in range(3):
        h = h @ (1.5 * one - 0.5 * h.mT @ h)
    return h


def _turn(h: list[list[Tensor]], side: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """The part of ``h / scale`` that commutes, or does not, with turns, of length one."""
    a, b = (h[0][0] + side * h[1][1]) / scale, (h[1][0] - side * h[0][1]) / scale
    size = torch.hypot(a, b)
    a, b = a / size, b / size
    return torch.stack([torch.stack([a, -side * b], -1), torch.stack([b, side * a], -1)], -2)
