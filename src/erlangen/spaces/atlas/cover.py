"""Charts as boxes, the maps between them, and the points and frames that are written in one or another."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.geometry.derivative import partials
from erlangen.spaces.chart import Chart

Transition = Callable[[Tensor], Tensor]
PROBES = 2304  # in each chart, about
FLAT = 4  # the power with which a chart's share falls to zero at its edge
FIRST = 1e-9  # charts with as much room up to this are told apart by their number
NEAR = 0.25  # to an edge, in halves of the box
ON_FACE = 1e-6  # of a box


@dataclass(frozen=True, eq=False)
class Cover:
    """Charts in boxes of coordinates, and the maps between them.

    A point is ``(a, x)``, the number of a chart and the coordinates there; the columns of a frame ``(0, E)``.

    Args:
        charts: with bounds on all axes.
        transitions: by pairs of charts, from the coordinates of the first to those of the second.
    """

    charts: Sequence[Chart]
    transitions: Mapping[tuple[int, int], Transition]

    # one chart

    def inside(self, a: int, x: Float[Tensor, "*batch n"]) -> Bool[Tensor, "*batch"]:
        """Whether the box of a chart holds the coordinates."""
        low, high = self.charts[a].low.to(x), self.charts[a].high.to(x)
        return ((x >= low) & (x <= high)).all(-1)

    def sides(self, a: int) -> Float[Tensor, "n"]:
        """Of the box of a chart."""
        return self.charts[a].high - self.charts[a].low

    def to(self, a: int, b: int, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """The coordinates in chart b of those in chart a; nan where no transition leads there."""
        if a == b:
            return x
        phi = self.transitions.get((a, b))
        return torch.full_like(x, math.nan) if phi is None else phi(x)

    def room(self, a: int, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """How far the nearest edge is, in halves of the box, one at most; walls are no edges."""
        t = self._to_edges(a, x).amin((-2, -1)).clamp(max=1.0)
        return torch.where(t.isnan(), -math.inf, t)

    def share(self, a: int, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """A bump: zero at the edges and beyond, one in the middle."""
        t = self._to_edges(a, x).clamp(min=0.0)
        bump = torch.where(t.isinf(), 1.0, t).prod(-1).prod(-1) ** FLAT
        return torch.where(self.inside(a, x), bump, 0.0)

    def unity(self, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch"]:
        """The share of the chart in which p is written, zero at its edges: a partition of unity."""
        share = [self.share(b, self.seen_in(b, p)) for b in range(len(self.charts))]
        return torch.stack(share).gather(0, number_of(p)[None])[0] / sum(share)

    def _to_edges(self, a: int, x: Tensor) -> Float[Tensor, "*batch n 2"]:
        """To both ends of each axis, in halves of the box; inf for walls."""
        low, high = self.charts[a].low.to(x), self.charts[a].high.to(x)
        t = 2 * torch.stack([x - low, high - x], -1) / (high - low)[:, None]
        return torch.where(self.edges[a].to(x.device) | t.isnan(), t, math.inf)

    @cached_property
    def edges(self) -> list[Bool[Tensor, "n 2"]]:
        """For each chart and both ends of each axis: whether other charts go on there."""
        return [
            torch.tensor([[self.goes_on(a, x) > 0.5 for x in pair] for pair in self.faces(a)])
            for a in range(len(self.charts))
        ]

    def faces(self, a: int) -> list[tuple[Float[Tensor, "k n"], Float[Tensor, "k n"]]]:
        """Points on both faces across each axis of a box."""
        chart, x = self.charts[a], self.probes(a)
        pairs = []
        for axis in range(chart.dim):
            faces = [x.select(axis, 0).clone().flatten(0, -2) for _ in range(2)]
            for face, end in zip(faces, (chart.low, chart.high), strict=True):
                face[:, axis] = end[axis]
            pairs.append((faces[0], faces[1]))
        return pairs

    def goes_on(self, a: int, x: Float[Tensor, "k n"]) -> float:
        """The part of some points of chart a that other charts hold."""
        return float(self.held(a, x).double().mean())

    def held(self, a: int, x: Float[Tensor, "*batch n"]) -> Bool[Tensor, "*batch"]:
        """Whether points of chart a lie within others, not just on a face of them."""
        found = torch.zeros(x.shape[:-1], dtype=torch.bool)
        for b, chart in enumerate(self.charts):
            if b != a:
                y, margin = self.to(a, b, x), ON_FACE * (chart.high - chart.low)
                found = found | ((y > chart.low + margin) & (y < chart.high - margin)).all(-1)
        return found

    def probes(self, a: int) -> Float[Tensor, "*grid n"]:
        """Points all over a box, on a lattice of cells."""
        chart = self.charts[a]
        size = max(4, round(PROBES ** (1 / chart.dim)))
        t = (torch.arange(size, dtype=torch.float64) + 0.5) / size
        t = torch.stack(torch.meshgrid(*[t] * chart.dim, indexing="ij"), -1)
        return chart.low + t * (chart.high - chart.low)

    def at_home(self, a: int) -> Float[Tensor, "k n"]:
        """The probes of a chart that have the most room there."""
        x = self.probes(a).flatten(0, -2)
        return x[self.best(self.point(a, x)) == a]

    @cached_property
    def least_room(self) -> float:
        """The room that every point has in its best chart, from probes."""
        rooms = [self.room(a, self.at_home(a)) for a in range(len(self.charts))]
        return float(torch.cat(rooms).min())

    @cached_property
    def shortest_way_out(self) -> float:
        """The least length from a point, in its best chart, to the edges, from probes."""
        least = [math.inf]
        for a, chart in enumerate(self.charts):
            x = self.at_home(a)
            span = torch.linalg.inv(chart.metric(x)).diagonal(dim1=-2, dim2=-1).sqrt()
            ends = torch.stack([x - chart.low, chart.high - x], -1) / span[..., None]
            least.extend(torch.where(self.edges[a], ends, math.inf).amin((-2, -1)).tolist())
        return min(least)

    # points and frames, in whichever chart

    def point(self, a: int, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch m"]:
        """The point with the coordinates x in chart a."""
        return torch.cat([torch.full_like(x[..., :1], a), x], -1)

    def seen_in(self, b: int, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch n"]:
        """The coordinates of points in chart b, wherever the transitions lead."""
        return grouped(number_of(p), lambda a: lambda x: self.to(a, b, x), p[..., 1:])

    def best(self, p: Float[Tensor, "*batch m"], stay: float | None = None) -> Int[Tensor, "*batch"]:
        """The chart in which a point has the most room; its own, if it has so much there.

        Beyond a wall of the space it is its own until that comes to an edge.
        """
        number = number_of(p)
        own = grouped(number, lambda a: lambda x: self.room(a, x), p[..., 1:])
        if stay is not None and bool((own >= stay).all()):
            return number
        keys = []
        for b in range(len(self.charts)):
            x = self.seen_in(b, p)
            room = self.room(b, x)
            beyond = torch.where(room > 0, room + 2 * ((number == b) & (room > NEAR)) - 4, -math.inf)
            keys.append(torch.where(self.inside(b, x), room, beyond) - FIRST * b)
        key = torch.stack(keys, -1)
        best = torch.where(key.amax(-1) > -math.inf, key.argmax(-1), number)
        return best if stay is None else torch.where(own >= stay, number, best)

    def common(self, p: Float[Tensor, "*batch m"], q: Float[Tensor, "*batch m"]) -> Int[Tensor, "*batch"]:
        """The chart in which two points have the most room; -1, where none holds both."""
        keys = []
        for b in range(len(self.charts)):
            x, y = self.seen_in(b, p), self.seen_in(b, q)
            key = torch.minimum(self.room(b, x), self.room(b, y)) - FIRST * b
            keys.append(torch.where(self.inside(b, x) & self.inside(b, y), key, -math.inf))
        key = torch.stack(keys, -1)
        return torch.where(key.amax(-1) > -math.inf, key.argmax(-1), -1)

    def home(self, p: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        """Points as written in their best charts."""
        return self.rewritten(p, self.best(p))

    def rewritten(self, p: Float[Tensor, "*batch m"], chart: Int[Tensor, "*batch"]) -> Tensor:
        """Points in the coordinates of the given charts; nan where no transition leads there."""
        number = number_of(p)
        if bool((number == chart).all()):
            return p

        def rewrite(pair: int) -> Callable[[Tensor], Tensor]:
            a, b = divmod(pair, len(self.charts))
            return lambda x: self.point(b, self.to(a, b, x))

        return grouped(number * len(self.charts) + chart, rewrite, p[..., 1:])

    def written(self, u: Frame, chart: Int[Tensor, "*#batch"]) -> Frame:
        """Frames in the coordinates of the given charts; nan where no transition leads there."""
        number, chart = torch.broadcast_tensors(number_of(u.point), chart)
        point, basis = u.point.expand(*number.shape, -1), u.basis.expand(*number.shape, -1, -1)
        if bool((number == chart).all()):
            return Frame(point, basis)

        def rewrite(pair: int) -> Callable[[Tensor, Tensor], Frame]:
            a, b = divmod(pair, len(self.charts))

            def move(x: Tensor, E: Tensor) -> Frame:
                y, derivative = partials(lambda x: self.to(a, b, x), x)
                return raised(self.point(b, y), derivative.movedim(0, -1) @ E)

            return lambda p, E: Frame(p, E) if a == b else move(p[..., 1:], E[..., 1:, :])

        return Frame(*grouped(number * len(self.charts) + chart, rewrite, point, basis))

    def each(self, u: Frame, f: Callable[..., Frame], *parts: Tensor) -> Frame:
        """``f(chart, frame, parts)`` for the frames in each chart, in its own coordinates."""
        number = number_of(u.point)

        def inside(a: int) -> Callable[..., Frame]:
            return lambda x, E, *parts: f(self.charts[a], Frame(x, E), *parts)

        label = self._alike[number]
        x, E = grouped(label, inside, u.point[..., 1:], u.basis[..., 1:, :], *parts)
        return raised(torch.cat([u.point[..., :1].expand_as(x[..., :1]), x], -1), E)

    @cached_property
    def _alike(self) -> Int[Tensor, "charts"]:
        """The first chart that is the same object, so that all of its points are worked on at once."""
        return torch.tensor([self.charts.index(chart) for chart in self.charts])


def number_of(p: Float[Tensor, "*batch m"]) -> Int[Tensor, "*batch"]:
    """The chart in which a point is written."""
    return p[..., 0].round().long()


def raised(p: Float[Tensor, "*batch m"], E: Float[Tensor, "*batch n n"]) -> Frame:
    """The frame at p whose columns have the components E in its chart."""
    return Frame(p, torch.cat([torch.zeros_like(E[..., :1, :]), E], -2))


def grouped(label: Int[Tensor, "*batch"], f: Callable[[int], Callable[..., Any]], *parts: Tensor) -> Any:
    """``f(label)(parts)`` for the rows with each label, put together again; tensors, or tuples of them."""
    flat = label.flatten()
    rows = [
        part.expand(*label.shape, *part.shape[label.dim() :]).reshape(len(flat), *part.shape[label.dim() :])
        for part in parts
    ]
    labels = torch.unique(flat).tolist() or [0]
    if len(labels) == 1:
        results = f(labels[0])(*rows)
        results = (results,) if isinstance(results, Tensor) else tuple(results)
    else:
        order = [(flat == one).nonzero()[:, 0] for one in labels]
        found = [f(one)(*[part[here] for part in rows]) for one, here in zip(labels, order, strict=True)]
        found = [(one,) if isinstance(one, Tensor) else tuple(one) for one in found]
        back = torch.cat(order).argsort()
        results = tuple(torch.cat(values)[back] for values in zip(*found, strict=True))
    results = tuple(value.reshape((*label.shape, *value.shape[1:])) for value in results)
    return results[0] if len(results) == 1 else results
