"""The space: geodesics and frames that pass from chart to chart."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Extent, Length, Rotations, Size, Steps, checked
from erlangen.domains import Domain, NodeQuadrature, Samples
from erlangen.domains.builders import Boundary
from erlangen.geometry import Frame, Geometry, Measure
from erlangen.geometry.curves import SAMPLES, sampled
from erlangen.geometry.derivative import directional
from erlangen.geometry.frame import broadcast
from erlangen.geometry.shooting import differential, shoot
from erlangen.groups import fibre_of
from erlangen.spaces.atlas.atlas_grid import AtlasInterpolation, grid_of
from erlangen.spaces.atlas.broken_lines import BrokenLines
from erlangen.spaces.atlas.cover import Cover, Transition, grouped, number_of, raised
from erlangen.spaces.atlas.faults import expect_charts, faults
from erlangen.spaces.atlas.nerve import Nerve
from erlangen.spaces.chart import LEGS, Chart, straight
from erlangen.spaces.metric import inverse, orthonormal
from erlangen.spaces.numerical import Isometry, Numerical
from erlangen.spaces.scattered import scattered_with_nodes

STRIDE = 0.6  # of the room that a frame has in its chart, for a step


class Atlas(Numerical):
    r"""Charts, each with its metric in a box of coordinates, and the transition maps between them.

    A point is the number of a chart and the coordinates there, ``(a, x_1, ..., x_n)``; a tangent vector at it
    is ``(0, v_1, ..., v_n)``, in the same coordinates. Where several charts hold a point, `home` writes it in
    the one at whose edges it is the least. Geodesics and frames are integrated together in the chart where
    they are, as on a `Chart`, and rewritten in another one before they come to an edge: points by the
    transition, frames by its derivative. A face of a box is an edge if other charts go on there, a wall
    of the space if none does.

    The frame at p is carried from the origin, the middle of chart 0, from chart to chart over the middles of
    their overlaps, then along a straight line of coordinates, so that all frames lie in one holonomy bundle.
    H is the holonomy group, computed when it is first asked for; the overlaps that are not needed to
    reach all charts give the circuits.

    Args:
        charts: with ``bounds=`` on all axes, and no periods.
        transitions: ``{(a, b): phi}``, from the coordinates of chart a to those of chart b, ``(..., n)`` to
            ``(..., n)``, in torch, both ways for each pair that overlaps. Points that chart b does not hold
            go anywhere outside of its box, or to nan.
        symmetry: isometries, functions of points, that enlarge H so that kernels commute with them.
        steps: of Runge and Kutta, for a geodesic.
        measure: "tangent", or "space" with the density J.
        injectivity_radius: the length up to which geodesics are shortest; None estimates it from curvature
            and circuits, ``min(pi / sqrt(K), length / 2)``.
        name: for people.

    Raises:
        ValueError: for charts without ends; for all that `check` finds.

    Example:
        >>> import torch, erlangen as er
        >>> cap = er.Chart(
        ...     lambda x: (4 / (1 + x.square().sum(-1)) ** 2)[..., None, None] * torch.eye(2).to(x),
        ...     dim=2, bounds=((-1.5, 1.5), (-1.5, 1.5)),
        ... )
        >>> across = lambda x: x / x.square().sum(-1, keepdim=True)
        >>> sphere = er.Atlas([cap, cap], {(0, 1): across, (1, 0): across})
        >>> sphere.holonomy()
        SO(2)
    """

    @checked
    def __init__(
        self,
        charts: Sequence[Chart],
        transitions: Mapping[tuple[int, int], Transition],
        *,
        symmetry: Sequence[Isometry] = (),
        steps: Steps = 16,
        measure: Measure = "tangent",
        injectivity_radius: Extent | None = None,
        name: str = "Atlas",
    ) -> None:
        expect_charts(charts, transitions)
        self.charts, self.steps, self.measure, self.name = tuple(charts), steps, measure, name
        self.symmetry, self.given_radius = tuple(symmetry), injectivity_radius
        self.dim = self.charts[0].dim
        self.ambient = 1 + self.dim
        self.cover = Cover(self.charts, dict(transitions))
        self.nerve = Nerve(self.cover)
        self.check()

    def __repr__(self) -> str:
        return f"{self.name} of {len(self.charts)} charts, n = {self.dim}"

    @property
    def sampling(self) -> str:
        return f".grid({', '.join(['16'] * self.dim)})"

    def is_same(self, other: Geometry) -> bool:
        return self is other

    def check(self) -> None:
        """Whether the charts fit together.

        Raises:
            ValueError: naming every reason why not: a transition that is no isometry or leads nowhere, one
                that the way back does not undo, three that do not agree, a face that other charts cover in
                part only, charts that cannot be reached, overlaps too thin to change charts in.
        """
        if found := faults(self.cover, self.nerve):
            raise ValueError(f"{self} does not fit together: " + "; ".join(found))

    # points, and the charts in which they are written

    def point(self, x: Float[Tensor, "*batch n"], chart: int = 0) -> Float[Tensor, "*batch m"]:
        """The point with the coordinates x in a chart, written there."""
        return self.cover.point(chart, x)

    def seen_in(self, p: Float[Tensor, "*batch m"], chart: int) -> Float[Tensor, "*batch n"]:
        """The coordinates of points in a chart; nan where it does not hold them."""
        x = self.cover.seen_in(chart, p)
        return torch.where(self.cover.inside(chart, x)[..., None], x, math.nan)

    def glue(self, u: Frame) -> Frame:
        return self.cover.written(u, self.cover.best(u.point))

    def home(self, p: Tensor) -> Tensor:
        return self.cover.home(p)

    def contains(self, p: Tensor) -> Tensor:
        home = self.home(p)
        return grouped(number_of(home), lambda a: lambda x: self.cover.inside(a, x), home[..., 1:])

    def reflected(self, u: Frame) -> Frame:
        return self.cover.each(u, lambda chart, u: chart.reflected(u))

    def expect_points(self, p: Float[Tensor, "*batch m"]) -> None:
        """ValueError for points that lie in no chart."""
        count, number = len(self.charts), p[..., 0]
        known = (number == number.round()) & (number >= 0) & (number < count)
        if bool(known.all()):
            known = self.contains(p)
        if not bool(known.all()):
            lost = ", ".join(f"{x:.4g}" for x in p[~known][0].tolist())
            raise ValueError(
                f"({lost}) lies in no chart of {self}, expected the number of a chart, 0 to {count - 1}, and "
                "coordinates within its bounds"
            )

    # the contract

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        """The least of the charts'."""
        return min(chart.length for chart in self.charts)

    @cached_property
    def origin(self) -> Tensor:
        return self.nerve.middle(0)

    def frame(self, p: Tensor) -> Tensor:
        self.expect_points(p)
        home = self.home(p.to(torch.float64))
        u = self.cover.each(
            Frame(home, home.new_zeros(*home.shape, self.dim)),
            lambda chart, u, h: Frame(u.point, chart.frame(u.point) @ h),
            self._turns[number_of(home)],
        )
        return self.cover.written(u, number_of(p)).basis.to(p.dtype)

    def any_frame(self, p: Tensor) -> Frame:
        self.expect_points(p)
        p = p.to(torch.float64)
        return self.cover.each(
            Frame(p, p.new_zeros(*p.shape, self.dim)), lambda chart, u: chart.any_frame(u.point)
        )

    @cached_property
    def _turns(self) -> Float[Tensor, "charts n n"]:
        """For each chart, what turns its own frames to those that are carried there from the origin."""
        own = [Frame(chart.origin, chart.frame(chart.origin)) for chart in self.charts]
        own = [raised(self.point(u.point, a), u.basis) for a, u in enumerate(own)]
        turns = [torch.eye(self.dim, dtype=torch.float64)]
        for a in range(1, len(own)):
            arrived = self.along(own[0], self.nerve.path(a))
            turns.append(self.gauge(own[a], self.cover.written(arrived, torch.tensor(a))))
        return orthonormal(turns[0], torch.stack(turns))

    def walk(self, u: Frame, v: Tensor, steps: int | None = None) -> Frame:
        """Step by step, each in the chart that the frame lies in; near an edge it is rewritten."""
        u, v = broadcast(u, v)
        steps = steps or self.steps
        longest = float(v.detach().norm(dim=-1).nan_to_num(0.0).max()) if v.numel() else 0.0
        steps *= max(1, math.ceil(longest / (STRIDE * self.room * steps)))
        for step in range(steps):
            u = self.cover.written(u, self.cover.best(u.point, stay=self.cover.least_room if step else None))
            u = self.cover.each(u, lambda chart, u, v: chart.walk(u, v, 1), v / steps)
        return u

    @cached_property
    def room(self) -> float:
        """The length that every point has, in its best chart, to the edges (but for walls), from samples."""
        return self.cover.shortest_way_out

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        """By shooting: Newton's method on `carry`; nan where no way was found."""
        u, q = broadcast(self.glue(u), self.home(q.to(u.point)))

        def walk(u: Frame, v: Tensor) -> Frame:
            ends = self.walk(u, v)
            number, chart = number_of(ends.point[0]), self.cover.common(ends.point[0], q)
            return self.cover.written(ends, torch.where(chart < 0, number, chart))

        def rest(u: Frame, q: Tensor) -> Tensor:
            d = self.cover.rewritten(q, number_of(u.point)) - u.point
            apart = self.cover.common(u.point, q) < 0  # about as far as a broken line
            if bool(apart.any()):
                far = u.at(apart)
                d[apart] = far.tangent(self._broken_lines(far, q[apart]))
            return d

        return shoot(self, walk, u, q, self._broken_lines(u, q), rest)

    @cached_property
    def _broken_lines(self) -> BrokenLines:
        return BrokenLines(self.cover, self.nerve, self.room)

    def log(self, p: Tensor, q: Tensor) -> Tensor:
        self.expect_points(q)
        return super().log(p, q)

    def density_at(self, u: Frame, v: Tensor) -> Tensor:
        def walk(u: Frame, v: Tensor) -> Frame:
            ends = self.walk(u, v)
            return self.cover.written(ends, number_of(ends.point[:1]))

        return torch.linalg.det(differential(self, walk, u, v)[1]).abs()

    def components(self, u: Frame, w: Tensor) -> Tensor:
        return inverse(u.basis[..., 1:, :]) @ w[..., 1:, :]

    # curves, curvature

    def along(self, u: Frame, polygon: Tensor) -> Frame:
        """Along straight lines of coordinates, each in the chart where its ends have the most room."""
        steps = max(4, LEGS * self.steps // polygon.shape[-2])

        def line(chart: Chart, u: Frame, q: Tensor) -> Frame:
            return chart.transported(u, straight(u.point, q), steps)

        for q in polygon.unbind(-2):
            u = self._led(u, q, line)
        return u

    def nearby(self, u: Frame, q: Tensor) -> Frame:
        """Along the straight line of coordinates, by the mean of the connection at both ends."""
        return self._led(u, q, lambda chart, u, q: chart.nearby(u, q))

    def _led(self, u: Frame, q: Tensor, lead: Callable[[Chart, Frame, Tensor], Frame]) -> Frame:
        """The frame u led to q in the chart that holds both best; along a geodesic where none does."""
        u, q = broadcast(u, q)

        def in_chart(b: int) -> Callable[..., Frame]:
            def run(p: Tensor, E: Tensor, q: Tensor) -> Frame:
                if b < 0:
                    return self.carry(Frame(p, E), self.coordinates(Frame(p, E), q))
                here = self.cover.written(Frame(p, E), torch.tensor(b))
                return self.cover.each(here, lead, self.cover.seen_in(b, q))

            return run

        return self.glue(Frame(*grouped(self.cover.common(u.point, q), in_chart, u.point, u.basis, q)))

    def transport_along(self, curve: Tensor | Callable[[Tensor], Tensor], w: Tensor) -> Tensor:
        points = sampled(curve)
        inside = self.contains(points)
        if not bool(inside.all()):
            first = int((~inside).nonzero()[0])
            raise ValueError(
                f"the curve leaves the charts at its point {first}, {points[first].tolist()}, expected it "
                f"within those of {self}; add a chart that covers the rest"
            )
        u = self.any_frame(points[0])
        arrived = self._carried_along(curve, u, points) if callable(curve) else self.along(u, points[1:])
        arrived = self.cover.written(arrived, number_of(points[-1]))
        return arrived.tangent(self.components_of_vector(u, w))

    def _carried_along(
        self, curve: Callable[[Tensor], Tensor], u: Frame, points: Float[Tensor, "k m"]
    ) -> Frame:
        """The frame along a curve, from sample to sample, in runs that one chart holds."""
        t = torch.linspace(0.0, 1.0, SAMPLES, dtype=torch.float64)
        velocity = directional(curve, t, torch.ones_like(t))[1]
        start, last = 0, SAMPLES - 1
        while start < last:
            b = int(self.cover.best(points[start]))
            inside = self.cover.inside(b, self.cover.seen_in(b, points[start:]))
            stop = start + 2 * ((int(inside.int().cumprod(0).sum()) - 1) // 2)
            if stop == start:
                raise ValueError(
                    f"the curve jumps at t = {float(t[start]):.4g}, from {points[start].tolist()} to "
                    f"{points[start + 1].tolist()}, expected a continuous one, that a chart holds for a while"
                )
            run = Frame(points[start : stop + 1], velocity[start : stop + 1, :, None] * (stop - start) / last)
            run, here = self.cover.written(run, torch.tensor(b)), self.cover.written(u, torch.tensor(b))
            samples = run.point[:, 1:], run.basis[:, 1:, 0]
            x, E = self.charts[b].transported(
                Frame(here.point[1:], here.basis[1:]), lambda _, samples=samples: samples, (stop - start) // 2
            )
            u, start = raised(self.point(x, b), E), stop
        return u

    def curvature(self, u: Frame) -> Tensor:
        def inside(a: int) -> Callable[[Tensor, Tensor], Tensor]:
            return lambda x, E: self.charts[a].curvature(Frame(x, E))

        return grouped(number_of(u.point), inside, u.point[..., 1:], u.basis[..., 1:, :])

    samples = scattered_with_nodes

    def own_samples(self, count: int = 500) -> tuple[Tensor, Tensor]:
        """Those of the grid that count."""
        size = max(4, round((count / len(self.charts)) ** (1 / self.dim)))
        points, weights, _ = grid_of(self.cover, (size,) * self.dim)
        counts = weights > 0
        return points[counts], weights[counts]

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
        """A grid in each chart, at even distances in its coordinates: space axes ``(charts, *shape)``.

        Where charts overlap, samples of each lie side by side; weights are the volume ``sqrt(det g)`` of the
        cells times the share of the chart in a partition of unity. Between the samples fields are read
        by cubic interpolation in the chart where a point has the most room. The regular fibre is all of a
        finite H.

        Args:
            shape: the number of samples on each axis of each chart.
            rotations: the samples of the fibre, where H is SO(2) or O(2); None for scalar fields.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
            boundary: what kernels see beyond a wall, "zero", "reflect" or "renormalize".
            nodes: of a kernel along its radius.
            pooling: the radius of the means that down-sampling takes; None for 2.5 distances of samples.
        """
        points, weights, readings = grid_of(self.cover, shape)
        half = [-(-size // 2) for size in shape]
        recipe = partial(Atlas.grid, self, rotations=rotations, boundary=boundary, nodes=nodes)
        domain = Samples(
            self,
            points,
            weights,
            AtlasInterpolation(self.cover, self.structure, readings),
            fibre=fibre_of(self.structure, rotations, reflections),
            builder=partial(NodeQuadrature, nodes=nodes, boundary=boundary, pooling=pooling),
            recipe=partial(recipe, *shape, pooling=pooling),
            coarse_recipe=partial(recipe, *half, pooling=pooling and 2 * pooling),
        )
        return domain.masked(mask)

    # what the search for holonomy asks

    def ways(self, count: int, seed: int = 0) -> Tensor:
        """To the middle of each chart, then as on that chart."""
        found = []
        for a, chart in enumerate(self.charts):
            share = (count + a) // len(self.charts)
            if share:
                path = self.nerve.path(a)
                inner = self.point(chart.ways(share, seed), a)
                found.append(torch.cat([path.expand(share, -1, -1), inner], 1))
        longest = max(way.shape[1] for way in found)
        waiting = self.origin.expand(count, longest, -1)
        return torch.cat([torch.cat([waiting[: len(w), w.shape[1] :], w], 1) for w in found])

    def circuits(self) -> list[Tensor]:
        return self.nerve.circuits()

    @cached_property
    def injectivity_radius(self) -> float:  # type: ignore[override]
        """As given, or estimated from curvature and from circuits."""
        if self.given_radius is not None:
            return self.given_radius
        halves = [self.nerve.length(number) / 2 for number in self.nerve.generators]
        return min([chart.probes.radius for chart in self.charts] + halves)
