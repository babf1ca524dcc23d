"""Samples of an atlas: a grid in each chart, weighted by a partition of unity, read in the best chart."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from erlangen.domains import Gathered, Interpolation, Sampled
from erlangen.domains.gathered import Boundary
from erlangen.geometry import Frame
from erlangen.groups import fibre_of
from erlangen.spaces.atlas.cover import grouped, number_of
from erlangen.spaces.chart_grid import TAPS, ChartInterpolation, turns_between
from erlangen.spaces.metric import inverse

if TYPE_CHECKING:
    from erlangen.spaces.atlas.atlas import Atlas


def atlas_grid(
    atlas: "Atlas",
    shape: tuple[int, ...],
    rotations: int | None,
    boundary: Boundary,
    nodes: int,
    pooling: float | None = None,
) -> Gathered:
    """What `Atlas.grid` makes."""
    if len(shape) != atlas.dim or min(shape) < TAPS:
        raise ValueError(
            f"shape is {shape}, expected {atlas.dim} sizes of at least {TAPS}, of each chart's grid"
        )
    readings, points, weights = [], [], []
    for a, chart in enumerate(atlas.charts):
        step = (chart.high - chart.low) / torch.tensor(shape, dtype=torch.float64)
        first = chart.low + step / 2
        axes = [f + s * torch.arange(size).double() for f, s, size in zip(first, step, shape, strict=True)]
        x = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        points.append(atlas.point(x, a))
        weights.append(atlas.unity(points[-1]) * chart.volume(x) * step.prod())
        closed = torch.zeros(atlas.dim, dtype=torch.bool)
        readings.append(ChartInterpolation(chart, shape, first, step, closed))
    half = tuple(-(-size // 2) for size in shape)
    options = {"rotations": rotations, "boundary": boundary, "nodes": nodes}
    return Gathered(
        atlas,
        torch.stack(points),
        torch.stack(weights),
        AtlasInterpolation(atlas, readings),
        fibre=fibre_of(atlas.structure, rotations),
        boundary=boundary,
        nodes=nodes,
        pooling=pooling,
        recipe=partial(atlas_grid, atlas, shape, **options, pooling=pooling),
        coarse_recipe=partial(atlas_grid, atlas, half, **options, pooling=pooling and 2 * pooling),
    )


@dataclass(frozen=True, eq=False)
class AtlasInterpolation(Interpolation):
    """Cubic in the coordinates of the chart in which a point has the most room.

    Args:
        atlas: the space.
        readings: of the charts, all with as many samples.
    """

    atlas: "Atlas"
    readings: list[ChartInterpolation]

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        home = self.atlas.home(p)

        def inside(a: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
            def read(x: Tensor) -> tuple[Tensor, Tensor]:
                index, weight = self.readings[a].read(x)
                return index + self._first(a), weight

            return read

        return grouped(number_of(home), inside, home[..., 1:])

    def _first(self, a: int) -> int:
        return a * int(torch.tensor(self.readings[a].shape).prod())

    def transported(self, domain: Sampled, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        home = self.atlas.glue(u)

        def inside(a: int) -> Callable[[Tensor, Tensor], tuple[Tensor, ...]]:
            def carry(x: Tensor, E: Tensor) -> tuple[Tensor, ...]:
                index, *rest = self.readings[a].carried(Frame(x, E))
                return index + self._first(a), *rest

            return carry

        parts = home.point[..., 1:], home.basis[..., 1:, :]
        index, weight, E, side = grouped(number_of(home.point), inside, *parts)
        dual = inverse(domain.frames.basis[..., 1:, :].flatten(0, -3))[index]
        return index, weight, turns_between(self.atlas.structure, dual, E, side)
