"""Closed curves with the frame that is carried along them: what a space's holonomy says, to be shown."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry.frame import Frame
from erlangen.geometry.geometry import Geometry

STEPS = 240


@dataclass(frozen=True, eq=False)
class Trip:
    """A frame on its way round a closed curve.

    Attributes:
        frames: ``(k, ...)``, all along; the last one is at the point of the first.
        turn: h, ``(n, n)``, with which it comes back: last = first h.
        centre: ``(m)``, of a circle that can be contracted; None for a way round the space.
    """

    frames: Frame
    turn: Float[Tensor, "n n"]
    centre: Float[Tensor, "m"] | None = None

    @property
    def is_mirrored(self) -> bool:
        """Whether the frame comes back as its mirror image."""
        return bool(torch.linalg.det(self.turn) < 0)

    @property
    def angle(self) -> float:
        """The angle in radians by which it comes back turned: with a sign on surfaces, else from 0 to pi."""
        if self.turn.shape[-1] == 2:
            return math.atan2(float(self.turn[1, 0]), float(self.turn[0, 0]))
        return float(torch.angle(torch.linalg.eigvals(self.turn)).abs().max())


def circle(geometry: Geometry, centre: Frame, radius: Float[Tensor, "c"], steps: int = STEPS) -> Frame:
    """Frames ``(c, steps + 1)`` along geodesic circles in the plane of the first two axes of ``(c)``."""
    t = 2 * math.pi * torch.arange(steps + 1, dtype=torch.float64) / steps
    v = torch.zeros(len(radius), steps + 1, geometry.dim, dtype=torch.float64)
    v[..., 0], v[..., 1] = radius[:, None] * t.cos(), radius[:, None] * t.sin()
    here = Frame(
        centre.point[:, None].expand(-1, steps + 1, -1), centre.basis[:, None].expand(-1, steps + 1, -1, -1)
    )
    return geometry.carry(here, v)


def round_circles(geometry: Geometry, centre: Frame, radius: Float[Tensor, "c"]) -> list[Trip]:
    """A frame carried round each of the circles."""
    around = circle(geometry, centre, radius)
    return [
        _trip(geometry, traced(geometry, around.at((i, 0)), around.point[i]), centre.point[i])
        for i in range(len(radius))
    ]


def round_circuit(geometry: Geometry, start: Frame, polygon: Float[Tensor, "k m"]) -> Trip:
    """A frame carried along a closed polygon."""
    legs = max(1, STEPS // len(polygon))
    corners = torch.cat([start.point[None], polygon])
    t = torch.arange(1, legs + 1, dtype=torch.float64) / legs
    points = geometry.between(corners[:-1], corners[1:], t).flatten(0, 1)
    return _trip(geometry, traced(geometry, start, torch.cat([start.point[None], points])))


def traced(geometry: Geometry, start: Frame, points: Float[Tensor, "k m"]) -> Frame:
    """The frame at the first of some points close to each other, carried along them: ``(k)``.

    All steps are made at once, between the frames that the geometry chooses.
    """
    s = geometry.frames(points)
    w = geometry.nearby(s.at(slice(None, -1)), points[1:])
    steps = geometry.gauge(Frame(w.point, s.basis[1:]), w)
    h = [geometry.gauge(Frame(start.point, s.basis[0]), start)]
    for step in steps:
        h.append(step @ h[-1])
    return s.turn(torch.stack(h))


def _trip(geometry: Geometry, frames: Frame, centre: Tensor | None = None) -> Trip:
    return Trip(frames, geometry.gauge(frames.at(0), frames.at(-1)), centre)
