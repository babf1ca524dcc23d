"""A grid in each chart, weighted by a partition of unity, and read in the best chart."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from erlangen.domains import Interpolation
from erlangen.geometry import Frame, Geometry
from erlangen.groups import StructureGroup
from erlangen.spaces.atlas.cover import Cover, grouped, number_of
from erlangen.spaces.chart_grid import TAPS, ChartInterpolation, even_grid, turns_between
from erlangen.spaces.metric import inverse


def grid_of(cover: Cover, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, list[ChartInterpolation]]:
    """Points ``(charts, *shape, m)``, weights ``(charts, *shape)``, and how each chart's samples are read."""
    readings, points, weights = [], [], []
    dim = cover.charts[0].dim
    if len(shape) != dim or min(shape) < TAPS:
        raise ValueError(f"shape is {shape}, expected {dim} sizes of at least {TAPS}, of each chart's grid")
    for a, chart in enumerate(cover.charts):
        x, volumes, reading = even_grid(chart.field, shape)
        points.append(cover.point(a, x))
        weights.append(cover.unity(points[-1]) * volumes)
        readings.append(reading)
    return torch.stack(points), torch.stack(weights), readings


@dataclass(frozen=True, eq=False)
class AtlasInterpolation(Interpolation):
    """Cubic in the coordinates of the chart in which a point has the most room.

    Args:
        cover: the charts and the maps between them.
        structure: H, to which turns between frames belong.
        readings: of the charts, all with as many samples.
    """

    cover: Cover
    structure: StructureGroup
    readings: list[ChartInterpolation]

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        home = self.cover.home(p)

        def inside(a: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
            def read(x: Tensor) -> tuple[Tensor, Tensor]:
                index, weight = self.readings[a].read(x)
                return index + self._first(a), weight

            return read

        return grouped(number_of(home), inside, home[..., 1:])

    def _first(self, a: int) -> int:
        return a * int(torch.tensor(self.readings[a].shape).prod())

    def transported(self, geometry: Geometry, samples: Frame, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        home = self.cover.written(u, self.cover.best(u.point))

        def inside(a: int) -> Callable[[Tensor, Tensor], tuple[Tensor, ...]]:
            def carry(x: Tensor, E: Tensor) -> tuple[Tensor, ...]:
                index, *rest = self.readings[a].carried(Frame(x, E))
                return index + self._first(a), *rest

            return carry

        parts = home.point[..., 1:], home.basis[..., 1:, :]
        index, weight, E, side = grouped(number_of(home.point), inside, *parts)
        dual = inverse(samples.basis[..., 1:, :])
        return index, weight, turns_between(self.structure, dual, index, E, side)
