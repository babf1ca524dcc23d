"""Any Riemannian metric that can be written down: a chart, glued to itself or not."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Extent, Length, Range, Rotations, Size, Steps, checked
from erlangen.domains import Domain, NodeQuadrature, Samples
from erlangen.domains.builders import Boundary
from erlangen.geometry import Cell, Embedding, Frame, Measure
from erlangen.geometry.curves import SAMPLES, sampled
from erlangen.geometry.derivative import directional
from erlangen.geometry.runge_kutta import geodesic, linear
from erlangen.geometry.shooting import differential, shoot
from erlangen.groups import fibre_of
from erlangen.spaces.chart_grid import even_grid
from erlangen.spaces.euclidean import affine_image
from erlangen.spaces.metric import inverse, orthonormal, riemann, sectional
from erlangen.spaces.metric_field import MetricField
from erlangen.spaces.numerical import Numerical
from erlangen.spaces.probes import Probes
from erlangen.spaces.scattered import box_samples, scattered_with_nodes
from erlangen.spaces.straight import carried_straight, seen_straight, straight_lengths

Metric = Callable[[Tensor], Tensor]
Curve = Callable[[Tensor], tuple[Tensor, Tensor]]
Coordinates = Annotated[
    int, Range(1, 16, kind="the number of coordinates", mend="bounds and periods are given by name")
]
LEGS = 8  # pieces of the straight way from the origin to a point


class Chart(Numerical):
    r"""A metric in coordinates: ``metric(x)``, ``(..., dim)`` to ``(..., dim, dim)``, in torch.

    Carrying integrates the geodesic and the frame together, ``x' = E v`` and ``E' = -Gamma(E v) E``, by
    steps of Runge and Kutta (fourth order). A point is its coordinates; those of an axis with a period
    lie in [0, period). The frame at p is carried from the origin, in the middle of the chart, along the
    straight line of coordinates, so that all frames lie in one holonomy bundle. H is the holonomy
    group, computed when it is first asked for.

    Args:
        metric: symmetric and positive definite; the same (as a tensor field) after each period.
        dim: the dimension n.
        periods: the length of each axis in coordinates that comes round, None for one that does not.
        bounds: the ends ``(low, high)`` of each axis without period, None for none; loops are looked for
            within them, and around zero on an axis without.
        glue: by axis with a period, the matrix that turns the coordinates once round,
            ``x ~ glue x + period e_axis``; the identity unless given.
        connection: ``Gamma[l, i, k]``, ``(..., dim)`` to ``(..., dim, dim, dim)``, of another metric
            connection, ``nabla_i d_k = Gamma[l, i, k] d_l``; None for that of Levi-Civita: what
            ``metric.christoffel`` says, where there is one, else by derivatives.
        symmetry: isometries, functions of points, that enlarge H so that kernels commute with them.
        steps: of Runge and Kutta, for a geodesic.
        measure: "tangent", or "space" with the density J.
        injectivity_radius: the length up to which geodesics are shortest; None estimates it.
        name: for people.
        embedding: how pictures show it, where its metric is that of a surface in space.

    Raises:
        ValueError: for a metric that is not symmetric, or not positive definite; for a gluing that is no
            isometry; for a connection that is not metric.

    Example:
        >>> import torch, erlangen as er
        >>> polar = er.Chart(
        ...     lambda x: torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), x[..., 0] ** 2], -1)),
        ...     dim=2, bounds=((0.5, 1.5), None), periods=(None, 2 * torch.pi),
        ... )
        >>> polar.holonomy()
        trivial
    """

    @checked
    def __init__(
        self,
        metric: Metric,
        dim: Coordinates,
        *,
        periods: Sequence[Length | None] | None = None,
        bounds: Sequence[tuple[float, float] | None] | None = None,
        glue: Mapping[int, Tensor] | None = None,
        connection: Metric | None = None,
        symmetry: Sequence[Metric] = (),
        steps: Steps = 16,
        measure: Measure = "tangent",
        injectivity_radius: Extent | None = None,
        name: str = "Chart",
        embedding: Embedding | None = None,
    ) -> None:
        self._embedding = embedding
        self.dim = self.ambient = dim
        self.periods = _one_for_each_axis("periods", periods, dim)
        self.bounds = _one_for_each_axis("bounds", bounds, dim)
        self.symmetry, self.steps, self.measure, self.name = tuple(symmetry), steps, measure, name
        self.given_radius = injectivity_radius
        self.field = MetricField(metric, dim, self.bounds, self.periods, glue or {}, connection)
        self.low, self.high, self.decks = self.field.low, self.field.high, self.field.decks
        self.probes = Probes(self.field)
        self.probes.expect_metric()

    def __repr__(self) -> str:
        return f"{self.name}, n = {self.dim}"

    @property
    def sampling(self) -> str:
        return f".grid({', '.join(['16'] * self.dim)})"

    # the metric

    def metric(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n"]:
        """g(x), continued beyond the edges as in a mirror."""
        return self.field(x)

    def christoffel(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n n"]:
        """``Gamma[l, i, k]``, with ``nabla_i d_k = Gamma[l, i, k] d_l``."""
        return self.field.christoffel(x)

    def volume(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
        """The volume density ``sqrt(det g)`` of the coordinates."""
        return self.field.volume(x)

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        """That of the shortest axis, or the usual radius of curvature, if that is less; from probes."""
        return self.probes.length

    # the contract

    @cached_property
    def origin(self) -> Tensor:
        return self.field.origin

    def frame(self, p: Tensor) -> Tensor:
        x = p.to(torch.float64)
        home, turn = self.glue(Frame(x, torch.eye(self.dim).to(x)))
        u = self.field.frames(self.origin.expand_as(home))
        leg = (home - self.origin) / LEGS
        for _ in range(LEGS):
            u = self.transported(u, straight(u.point, u.point + leg), max(4, self.steps))
        return (inverse(turn) @ u.basis).to(p.dtype)

    def any_frame(self, p: Tensor) -> Frame:
        return self.field.frames(p.to(torch.float64))

    def walk(self, u: Frame, v: Tensor, steps: int | None = None) -> Frame:
        x, E = geodesic(self.field.along, u, v, steps or self.steps)
        return Frame(x, orthonormal(self.field(x), E))

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        """By shooting: Newton's method on `carry`; nan where no way was found."""
        return shoot(self, self.walk, *self.field.aligned(u, q))

    def coordinates_nearby(self, u: Frame, q: Tensor) -> Tensor:
        return seen_straight(self.field, u, q)

    def distance_nearby_of_pairs(self, p: Tensor, q: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return straight_lengths(self.field, p, q, i, j)

    def density_at(self, u: Frame, v: Tensor) -> Tensor:
        return torch.linalg.det(differential(self, self.walk, u, v)[1]).abs()

    def components(self, u: Frame, w: Tensor) -> Tensor:
        return inverse(u.basis) @ w

    def home(self, p: Tensor) -> Tensor:
        return self.field.home(p)

    def glue(self, u: Frame) -> Frame:
        """The frame of the cover, brought to where axes with a period lie in [0, period)."""
        return self.decks.home(u)

    def contains(self, p: Tensor) -> Tensor:
        return self.field.contains(p)

    def reflected(self, u: Frame) -> Frame:
        return self.field.reflected(u)

    @property
    def matrix_size(self) -> int:
        return self.dim + 1

    def act(self, g: Tensor, u: Frame) -> Frame:
        """``x -> A x + b`` in coordinates for ``g = [[A, b], [0, 1]]``, where that is an isometry."""
        return self.glue(affine_image(g, u))

    # curves, curvature

    def along(self, u: Frame, polygon: Tensor) -> Frame:
        """Along the straight lines of coordinates, each the shortest, from point to point."""
        steps = max(4, LEGS * self.steps // polygon.shape[-2])
        for q in polygon.unbind(-2):
            u, q = self.field.aligned(u, q)
            u = self.glue(self.transported(u, straight(u.point, q), steps))
        return u

    def transported(self, u: Frame, curve: Curve, steps: int) -> Frame:
        """The frame along a curve, t ``(k)`` in [0, 1] to its points and velocities ``(k, ..., n)``."""
        x, velocity = curve(torch.linspace(0.0, 1.0, 2 * steps + 1, dtype=torch.float64))
        E = linear(-self.field.along(x, velocity), u.basis)
        return Frame(x[-1], orthonormal(self.field(x[-1]), E))

    def between(self, p: Tensor, q: Tensor, t: Tensor) -> Tensor:
        u, q = self.field.aligned(Frame(p, torch.eye(self.dim).to(p)), q)
        return self.home(u.point[:, None] + t[:, None] * (q - u.point)[:, None])

    def nearby(self, u: Frame, q: Tensor) -> Frame:
        return carried_straight(self.field, u, q)

    def transport_along(self, curve: Tensor | Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
        points = sampled(curve)
        if not bool(self.contains(points).all()):
            first = int((~self.contains(points)).nonzero()[0])
            raise ValueError(
                f"the curve leaves the chart at its point {first}, {points[first].tolist()}, expected it "
                f"within {self.low.tolist()} to {self.high.tolist()}; add a chart that covers the rest"
            )
        if not callable(curve):
            return super().transport_along(points, w)

        def moving(t: Tensor) -> tuple[Tensor, Tensor]:
            return directional(curve, t, torch.ones_like(t))

        u = self.any_frame(points[0])
        arrived = self.transported(u, moving, SAMPLES // 2)
        return arrived.tangent(self.components_of_vector(u, w))

    def curvature(self, u: Frame) -> Tensor:
        return self.field.curvature(u)

    def sectional(self, p: Tensor, v: Tensor, w: Tensor) -> Tensor:
        """The sectional curvature ``<R(v, w) w, v>`` over the squared area of v and w."""
        return sectional(self.field(p), riemann(self.field.christoffel, p), v, w)

    samples = scattered_with_nodes
    own_samples = box_samples  # type: ignore[assignment]

    @checked
    def grid(
        self,
        *shape: Size,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
        boundary: Boundary = "zero",
        nodes: Steps = 8,
        pooling: Length | None = None,
    ) -> Domain:
        """Samples at even distances in coordinates: on axes with a period from zero, else between the edges.

        Weights are the volume ``sqrt(det g)`` of the cells; between the samples fields are read by cubic
        interpolation in coordinates. The regular fibre is all of a finite H. Where H holds all turns, frames
        lie along the coordinates: what moves the samples by whole steps and is an isometry commutes exactly.

        Args:
            shape: the number of samples on each axis.
            rotations: the samples of the fibre, where H is SO(2) or O(2); None for scalar fields.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
            boundary: what kernels see beyond an edge, "zero", "reflect" or "renormalize".
            nodes: of a kernel along its radius.
            pooling: the radius of the means that down-sampling takes; None for 2.5 distances of samples.
        """
        fibre = fibre_of(self.structure, rotations, reflections)
        points, weights, reading = even_grid(self.field, shape)
        options = {"rotations": rotations, "boundary": boundary, "nodes": nodes}
        half = [-(-size // 2) for size in shape]
        return Samples(
            self,
            points,
            weights,
            reading,
            fibre=fibre,
            builder=partial(NodeQuadrature, nodes=nodes, boundary=boundary, pooling=pooling),
            frames=self.field.frames(points) if self.structure.has_all_turns else None,
            recipe=partial(Chart.grid, self, *shape, **options, pooling=pooling),
            coarse_recipe=partial(Chart.grid, self, *half, **options, pooling=pooling and 2 * pooling),
        ).masked(mask)

    # what pictures ask

    @property
    def embedding(self) -> Embedding | None:
        return self._embedding

    @property
    def cell(self) -> Cell:
        return Cell(self.low, self.high, self.decks.decks)

    # what the search for holonomy asks

    def ways(self, count: int, seed: int = 0) -> Tensor:
        """Straight lines of coordinates, half of them to where curvature is largest."""
        return self.probes.ways(count, seed)

    def circuits(self) -> list[Tensor]:
        t = torch.arange(1, LEGS + 1, dtype=torch.float64)[:, None] / LEGS
        start = self.origin
        return [start + t * (deck.image(start) - start) for deck in self.decks]

    @cached_property
    def injectivity_radius(self) -> float:  # type: ignore[override]
        """As given, or estimated from curvature and from the way round the periods."""
        return self.probes.radius if self.given_radius is None else self.given_radius


def straight(p: Tensor, q: Tensor) -> Curve:
    """The straight line of coordinates from p to q."""

    def line(t: Tensor) -> tuple[Tensor, Tensor]:
        x = p + t.view(-1, *[1] * p.dim()) * (q - p)
        return x, (q - p).expand_as(x)

    return line


def _one_for_each_axis(name: str, values: Sequence | None, dim: int) -> tuple:
    if values is None:
        return (None,) * dim
    if not isinstance(values, Sequence) or len(values) != dim:
        raise ValueError(
            f"{name} is {values!r}, expected {dim} entries, one for each axis; None where none is"
        )
    return tuple(values)
