"""Charts that people name: surfaces of revolution, flat mapping tori."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from erlangen.arguments import Length, Steps, checked
from erlangen.geometry import Embedding
from erlangen.geometry.derivative import jet
from erlangen.spaces.chart import Chart


@checked
def SurfaceOfRevolution(
    profile: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    *,
    period: Length | None = None,
    bounds: tuple[float, float] | None = None,
    steps: Steps = 16,
) -> Chart:
    r"""The profile ``t -> (rho, z)`` turned about the z axis: coordinates (longitude, t), metric
    ``rho^2 dphi^2 + (rho'^2 + z'^2) dt^2``.

    Args:
        profile: ``(...)`` to two of that, with rho > 0; None for the torus with R = 2 and r = 0.7.
        period: of a closed profile.
        bounds: the ends of an open one.
        steps: of Runge and Kutta, for a geodesic.

    Raises:
        ValueError: unless one of period and bounds is given with a profile.

    Example:
        >>> import erlangen as er
        >>> er.SurfaceOfRevolution().holonomy()
        SO(2)
    """
    if profile is None:
        profile, period, bounds = _torus, 2 * math.pi, None
    if (period is None) == (bounds is None):
        raise ValueError(
            f"period is {period} and bounds are {bounds}, expected one: is the profile closed or open?"
        )
    name, metric = "SurfaceOfRevolution", Turned(profile)
    ends = bounds or (0.0, period or 0.0)
    seen = Embedding(metric.embed, metric.embed, [(0.0, 2 * math.pi), ends])
    return Chart(
        metric,
        2,
        periods=(2 * math.pi, period),
        bounds=(None, bounds),
        steps=steps,
        name=name,
        embedding=seen,
    )


@dataclass(frozen=True)
class Turned:
    """The metric of a turned profile."""

    profile: Callable[[Tensor], tuple[Tensor, Tensor]]

    def __call__(self, x: Tensor) -> Tensor:
        point, velocity = jet(self.profile, x[..., 1], 1)
        return torch.diag_embed(torch.stack([point[..., 0] ** 2, velocity.square().sum(-1)], -1))

    def christoffel(self, x: Tensor) -> Tensor:
        """With s the speed of the profile: ``rho'/rho`` twice, ``-rho rho'/s^2`` and ``s'/s``."""
        point, velocity, acceleration = jet(self.profile, x[..., 1], 2)
        rho, slope = point[..., 0], velocity[..., 0]
        square = velocity.square().sum(-1)
        turned, zero = slope / rho, torch.zeros_like(rho)
        along = (velocity * acceleration).sum(-1) / square
        return torch.stack([zero, turned, turned, zero, -rho * slope / square, zero, zero, along], -1).view(
            *rho.shape, 2, 2, 2
        )

    def embed(self, x: Tensor) -> Tensor:
        """Longitude and t to the surface in space."""
        rho, z = self.profile(x[..., 1])
        return torch.stack([rho * torch.cos(x[..., 0]), rho * torch.sin(x[..., 0]), z.expand_as(rho)], -1)


@checked
def MappingTorus(angle: float, length: Length = 1.0, width: Length | None = None) -> Chart:
    """Flat 3-space, glued after a step along z with a turn about it: H is C_n for an angle of 2 pi / n.

    Args:
        angle: of the turn, in radians.
        length: of the step.
        width: of the square ``|x|, |y| <= width / 2`` beyond which there is nothing; None for all of the
            plane, which has no grid.
    """
    ends = None if width is None else (-width / 2, width / 2)
    c, s = math.cos(angle), math.sin(angle)
    A = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Chart(
        _flat,
        3,
        periods=(None, None, length),
        bounds=(ends, ends, None),
        glue={2: A},
        steps=1,
        name=f"MappingTorus({angle:.4g})",
    )


def _torus(t: Tensor) -> tuple[Tensor, Tensor]:
    return 2 + 0.7 * torch.cos(t), 0.7 * torch.sin(t)


def _flat(x: Tensor) -> Tensor:
    return torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand(*x.shape, -1)
