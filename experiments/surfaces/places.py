"""Where the network is tried: samples of one torus in many disguises, and of another surface."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from fields import Equation
from torch import Tensor

import erlangen as er
from erlangen.domains import Domain

TURN = 2 * math.pi
AXES = (1.3, 1.6, 2.0)
MOVED_TO = (0.7, -1.1, 0.4)


@dataclass
class Place:
    """Samples and where they lie in R^3.

    Attributes:
        make: the samples.
        where: from their points to R^3, in which the fields are functions.
        F: the surface there.
        has_picture: whether they are rows and columns that both come round.
    """

    make: Callable[[], Domain]
    where: Callable[[Tensor], Tensor]
    F: Equation
    has_picture: bool = True

    @cached_property
    def domain(self) -> Domain:
        return self.make()

    @cached_property
    def positions(self) -> Tensor:
        return self.where(self.domain.points)


def places(config: dict) -> dict[str, Place]:
    """All of them, by name; the first is trained on."""
    R, r, steps = (config["torus"][name] for name in ("R", "r", "steps"))
    rows, columns = config["grid"]
    options = {"rotations": config["fibre"], "nodes": config["nodes"], "pooling": config["pooling"]}
    more = options | {"nodes": config["nodes"] + 2}
    turn, shift = _rotation(), torch.tensor(MOVED_TO, dtype=torch.float64)

    def F(x: Tensor) -> Tensor:
        return (torch.hypot(x[..., 0], x[..., 1]) - R).square() + x[..., 2].square() - r**2

    def ellipsoid(x: Tensor) -> Tensor:
        return (x / torch.tensor(AXES).to(x)).square().sum(-1) - 1

    def moved(y: Tensor) -> Tensor:
        return F(back(y))

    def back(y: Tensor) -> Tensor:
        return (y - shift.to(y)) @ turn.to(y)

    def embedded(x: Tensor) -> Tensor:
        rho = R + r * torch.cos(x[..., 1])
        return torch.stack(
            [rho * torch.cos(x[..., 0]), rho * torch.sin(x[..., 0]), r * torch.sin(x[..., 1])], -1
        )

    def metric(x: Tensor) -> Tensor:
        rho = R + r * torch.cos(x[..., 1])
        return torch.diag_embed(torch.stack([rho**2, torch.full_like(rho, r**2)], -1))

    def in_other(coordinates: Callable[[Tensor], Tensor]) -> tuple[er.Chart, Callable[[Tensor], Tensor]]:
        chart = er.Chart(_pulled_back(metric, coordinates), 2, periods=(TURN, TURN), steps=steps)
        return chart, lambda x: embedded(coordinates(x))

    torus = er.Chart(metric, 2, periods=(TURN, TURN), steps=steps)
    bent, from_bent = in_other(_bent)
    sheared, from_sheared = in_other(_sheared)
    start = turn @ torch.tensor([R + r, 0.0, 0.0], dtype=torch.float64) + shift
    copy = er.Implicit(moved, start, extent=2 * (R + r) + 0.5, steps=steps, name="moved torus")
    other = er.Ellipsoid(AXES, steps=steps)

    def scattered(count: int) -> Callable[[], Domain]:
        return lambda: copy.samples(copy.spread_points(count), **options)

    return {
        "trained on": Place(lambda: torus.grid(rows, columns, **options), embedded, F),
        "refined, more nodes": Place(lambda: torus.grid(2 * rows, 2 * columns, **more), embedded, F),
        "bent coordinates": Place(lambda: bent.grid(rows, columns, **options), from_bent, F),
        "bent, refined": Place(lambda: bent.grid(2 * rows, 2 * columns, **more), from_bent, F),
        "sheared coordinates": Place(lambda: sheared.grid(rows, columns, **options), from_sheared, F),
        "sheared, refined": Place(lambda: sheared.grid(2 * rows, 2 * columns, **more), from_sheared, F),
        "moved, 768 points": Place(scattered(rows * columns), back, F, has_picture=False),
        "moved, 1536 points": Place(scattered(2 * rows * columns), back, F, has_picture=False),
        "an ellipsoid": Place(
            lambda: other.grid(16, 32, **options), lambda x: x, ellipsoid, has_picture=False
        ),
    }


def _bent(x: Tensor) -> Tensor:
    """The torus's coordinates by others: neither axis keeps its steps, nor its directions."""
    return torch.stack([x[..., 0] + 0.3 * torch.sin(x[..., 1]), x[..., 1] + 0.3 * torch.sin(x[..., 0])], -1)


def _sheared(x: Tensor) -> Tensor:
    """Once round the tube is once round the axis as well."""
    return torch.stack([x[..., 0] + x[..., 1], x[..., 1]], -1)


def _pulled_back(
    metric: Callable[[Tensor], Tensor], coordinates: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """``J^T g(coordinates(x)) J``."""
    from erlangen.geometry.derivative import partials

    def g(x: Tensor) -> Tensor:
        y, D = partials(coordinates, x)
        J = D.movedim(0, -1)
        return J.mT @ metric(y) @ J

    return g


def _rotation() -> Tensor:
    draw = torch.Generator().manual_seed(2019)
    q = torch.linalg.qr(torch.randn(3, 3, generator=draw, dtype=torch.float64)).Q
    return q * torch.linalg.det(q)
