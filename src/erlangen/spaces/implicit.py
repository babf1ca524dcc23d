"""Surfaces given by equations: {F = 0} in R^N, in the coordinates of R^N."""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Count, Extent, Length, Steps, checked
from erlangen.domains import Domain
from erlangen.domains.resampling import spread_out
from erlangen.geometry import Embedding, Frame, Geometry, Measure
from erlangen.geometry.derivative import directional, gradient, partials
from erlangen.geometry.frame import broadcast
from erlangen.geometry.runge_kutta import geodesic
from erlangen.geometry.shooting import differential, shoot
from erlangen.kernels.directions import sphere_rule
from erlangen.spaces.metric import orthonormal
from erlangen.spaces.numerical import Isometry, Numerical
from erlangen.spaces.reach import reach
from erlangen.spaces.scattered import scattered_with_nodes

SAMPLES, POLISH, CLIMBS = 512, 6, 12  # of the search for the reach
PROBES, CANDIDATES, STIRS = 256, 8, 3
LEGS, BULGE = 8, 0.37
NEWTON = 30
NEAR = 1e-5  # to the surface, relative to its extent, of points that are given as of it
# relative to the extent: of points that were found, of the origin that is given
ON, ORIGIN = 1e-9, 1e-6
BEYOND = 1.01  # how far points may lie, in extents
RANK = 1e-9  # of equations that are independent, each scaled to a unit derivative
ROUNDINGS = 8  # of the given point, that make no derivative
OCTAVES, HALVINGS = 64, 54


class Implicit(Numerical):
    r"""``{x : F(x) = 0}`` in R^N, with the metric of R^N.

    Carrying integrates ``x' = E v`` and ``E' = -G^T (G G^T)^{-1} G' E``, G the derivative of F and G' its own
    along the way, by steps of Runge and Kutta, and projects on the surface at the end. H is the holonomy
    group, computed when it is first asked for. Frames are carried from the origin along projected chords,
    to second order in their pieces: they lie in the holonomy bundle up to that (exactly, where H holds
    all turns).

    Args:
        F: ``(..., N)`` to ``(..., k)``, or to ``(...)`` for one equation.
        point: one point of the surface, the origin.
        extent: points are looked for in a box of so much to all sides of the origin; None takes twice the way
            along tangents at the origin on which normals turn by 45 degrees: the diameter of a sphere.
        steps: of Runge and Kutta, for a geodesic.
        measure: "tangent", or "space" with the density J.
        injectivity_radius: the length up to which geodesics are shortest; None estimates it: pi times the
            reach, how far from the surface points have one nearest point of it.
        circuits: closed polygons ``(k, N)`` at the origin, one for each generator of the fundamental
            group, where there are some: they show components of H that contractible loops do not.
        symmetry: isometries, functions of points of R^N, that enlarge H so that kernels commute with them.
        name: for people.
        embedding: how pictures show it; None for its coordinates.
        grid: what `grid` calls, with the surface and its own arguments; None where no rows are natural.

    Raises:
        ValueError: for a point off the surface, or at which the derivative of F has no full rank.

    Example:
        >>> import torch, erlangen as er
        >>> er.Implicit(lambda x: x.square().sum(-1) - 1, torch.tensor([0.0, 0.0, 1.0])).holonomy()
        SO(2)
    """

    @checked
    def __init__(
        self,
        F: Callable[[Tensor], Tensor],
        point: Float[Tensor, "N"] | Sequence[float],
        *,
        extent: Length | None = None,
        steps: Steps = 16,
        measure: Measure = "tangent",
        injectivity_radius: Extent | None = None,
        circuits: Sequence[Tensor] = (),
        symmetry: Sequence[Isometry] = (),
        name: str = "Implicit",
        embedding: Embedding | None = None,
        grid: Callable[..., Domain] | None = None,
    ) -> None:
        point = torch.as_tensor(point)
        eps = torch.finfo(point.dtype).eps if point.is_floating_point() else 0.0
        point = point.to(torch.float64)
        if not len(point) or not bool(point.isfinite().all()):
            raise ValueError(
                f"point is {point.tolist()}, expected the coordinates of a point of the surface, all finite"
            )
        self._F, self.steps, self.symmetry = F, steps, tuple(symmetry)
        self.measure, self.given_radius, self.name = measure, injectivity_radius, name
        self._circuits, self._embedding, self._grid = list(circuits), embedding, grid
        self.ambient = len(point)
        G, D = partials(self.gradient, point)
        self.dim = self.ambient - len(G)
        rounding = ROUNDINGS * eps * D.norm(dim=(0, 2)) * point.norm()
        is_regular = bool((G.norm(dim=-1) > rounding).all())
        if not (self.dim > 0 and is_regular and float(torch.linalg.svdvals(_unit(G)).min()) > RANK):
            raise ValueError(
                f"the derivative of F has not full rank at {point.tolist()}, expected {len(G)} independent "
                "rows: the surface has a corner there, or an equation too many"
            )
        self.point = self.project(point)
        self.extent = self._turning_length() if extent is None else extent
        if not float((self.point - point).norm()) < ORIGIN * self.extent:
            value = float(self.F(point).abs().max())
            raise ValueError(
                f"F is {value:.2g} at {point.tolist()}, expected a point of the surface, with F = 0"
            )

    def __repr__(self) -> str:
        return f"{self.name}, n = {self.dim}"

    @property
    def sampling(self) -> str:
        return ".samples()" if self._grid is None else ".grid(16)"

    @property
    def embedding(self) -> Embedding | None:
        return self._embedding

    def grid(
        self,
        *shape: int,
        rotations: int | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
        **options: Any,
    ) -> Domain:
        """The grid that the surface was made with, as `er.Ellipsoid` is with the sphere's.

        Raises:
            ValueError: where it was made with none.
        """
        if self._grid is None:
            self.refuse_grid()
        return self._grid(self, *shape, rotations=rotations, reflections=reflections, mask=mask, **options)

    # the equations

    def F(self, x: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch k"]:
        """The equations."""
        value = self._F(x)
        return value[..., None] if value.dim() < x.dim() else value

    def gradient(self, x: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch k N"]:
        """G, the derivative of F."""
        return gradient(self.F, x)

    def project(self, x: Float[Tensor, "*batch N"], steps: int = 3) -> Float[Tensor, "*batch N"]:
        """The point of the surface next to x, by Newton's method."""
        for _ in range(steps):
            x = x - (_lifting(self.gradient(x)) @ self.F(x)[..., None])[..., 0]
        return x

    def height(self, x: Float[Tensor, "*batch N"]) -> Float[Tensor, "*batch"]:
        """About how far x is from the surface: the length of Newton's step."""
        return (_lifting(self.gradient(x)) @ self.F(x)[..., None])[..., 0].norm(dim=-1)

    def _turning_length(self) -> float:
        """The usual way along tangents at the origin, there and back, on which normals turn by 45 degrees."""
        directions = sphere_rule(self.dim, 6)[0] @ self._first.T
        normals = torch.linalg.qr(self.gradient(self.point).mT).Q

        def is_turned(s: Tensor) -> Tensor:
            G = self.gradient(self.point + s[..., None] * directions)
            cosines = torch.linalg.svdvals(normals.mT @ torch.linalg.qr(G.nan_to_num(0.0).mT).Q)
            return ~(cosines.amin(-1) > 0.5**0.5)

        unit = float(self.point.norm()) or 1.0
        octaves = unit * 2.0 ** torch.arange(-OCTAVES, OCTAVES + 1, dtype=torch.float64)
        first = is_turned(octaves[:, None].expand(-1, len(directions))).int().argmax(0)
        if not bool(first.any()):  # flat: nothing depends on it
            return 2 * unit
        low, high = octaves[(first - 1).clamp_min(0)], octaves[first]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = is_turned(middle)
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        return 2 * float(high[first > 0].median())

    def _adjusted(self, x: Tensor, E: Tensor) -> Tensor:
        """The frame at x nearest to E: projected on tangent vectors, made orthonormal."""
        G = self.gradient(x)
        E = E - _lifting(G) @ (G @ E)
        return orthonormal(torch.eye(self.ambient).to(E), E, 6)

    # its scale

    @cached_property
    def length(self) -> float:  # type: ignore[override]
        """The usual radius of curvature in R^N at points that were found, or the extent, if that is less."""
        x = self.found_points()
        II = self._second_form(self.any_frame(x))
        bend = float(torch.linalg.matrix_norm(II.flatten(1, 2), 2).median())
        return min(self.extent, 1 / bend) if bend * self.extent > ON else self.extent

    # the contract

    @cached_property
    def origin(self) -> Tensor:
        return self.point

    @cached_property
    def injectivity_radius(self) -> float:  # type: ignore[override]
        """As given, or pi times the reach in R^N of what the box of `extent` shows: estimated from samples.

        Pieces that lie close to each other count, whether or not a way leads from one to the other. Made when
        it is first asked for, by about 250,000 evaluations of F and its derivative, half a second.
        """
        if self.given_radius is not None:
            return self.given_radius
        return math.pi * reach(self.found_points(SAMPLES), self._onto, self._normals, self._bending)

    def _onto(self, x: Tensor) -> Tensor:
        """Points near the surface brought onto it, in the box; the origin for those that do not arrive."""
        x = self.project(x, POLISH)
        return torch.where(self._is_found(x, BEYOND * self.extent)[..., None], x, self.point)

    def _normals(self, x: Tensor) -> Float[Tensor, "*batch N k"]:
        """Orthonormal ones."""
        return torch.linalg.qr(self.gradient(x).mT).Q

    def _bending(self, x: Tensor) -> Float[Tensor, "*batch"]:
        """The largest curvature ``|II(v, v)|`` in R^N of geodesics through x."""
        flat = x.reshape(-1, self.ambient)
        II = self._second_form(self.any_frame(flat))  # (p, N, n, n)
        v = sphere_rule(self.dim, 6)[0]
        turns = torch.einsum("pmab,sa,sb->psm", II, v, v).norm(dim=-1)
        v = v[turns.argmax(1)]  # and from there uphill
        shift = 3 * II.square().sum((1, 2, 3))[:, None]
        for _ in range(CLIMBS):
            along = torch.einsum("pmab,pb->pma", II, v)
            up = torch.einsum("pma,pmb,pb->pa", along, along, v)
            v = torch.nn.functional.normalize(up + shift / 4 * v, dim=-1, eps=1e-300)
        return torch.einsum("pmab,pa,pb->pm", II, v, v).norm(dim=-1).view(x.shape[:-1])

    def found_points(self, count: int = PROBES, seed: int = 0) -> Float[Tensor, "found N"]:
        """Random points of the box, projected on the surface, those that arrived."""
        generator = torch.Generator().manual_seed(seed)
        box = 2 * torch.rand(count, self.ambient, generator=generator, dtype=torch.float64) - 1
        x = self.project(self.point + self.extent * box, NEWTON)
        return torch.cat([self.point[None], x[self._is_found(x, BEYOND * self.extent)]])

    def _is_found(self, x: Tensor, extent: float) -> Tensor:
        return (self.height(x) < ON * self.extent) & ((x - self.point).abs() < extent).all(-1)

    samples = scattered_with_nodes

    def own_samples(self, count: int = 500) -> tuple[Tensor, None]:
        """Those of `spread_points`."""
        return self.spread_points(count), None

    def expect_points(self, p: Float[Tensor, "*batch N"]) -> None:
        """ValueError for points off the surface, or outside of the box of `extent`.

        Of that box only the injectivity radius is known, unless that was given.
        """
        if not float(self.height(p).max()) < NEAR * self.extent:
            off = float(self.F(p).abs().max())
            raise ValueError(
                f"F is {off:.2g} at one of the points, expected points of the surface, with F = 0; bring "
                "them onto it: space.project(points)"
            )
        away = (p - self.point).abs().amax(-1)
        if self.given_radius is None and not float(away.max()) <= BEYOND * self.extent:
            raise ValueError(
                f"{int((away > BEYOND * self.extent).sum())} points lie outside of the box of extent "
                f"{self.extent:.4g} about the origin, where the injectivity radius was sought, expected "
                f"points in it; say how far the surface goes: extent={float(away.max()):.4g}"
            )

    @checked
    def spread_points(self, count: Count, seed: int = 0) -> Float[Tensor, "count N"]:
        """Random points of the surface, each the farthest from those before among many.

        Raises:
            ValueError: where the box of `extent` shows too few.
        """
        found = self.found_points(CANDIDATES * count, seed)
        if len(found) < 2 * count:
            raise ValueError(
                f"{len(found)} points were found on {self}, expected twice as many as the {count} that are "
                f"asked for; take another extent, now {self.extent:g}"
            )
        generator, around = torch.Generator().manual_seed(seed), [found]
        for _ in range(STIRS):  # the box sees some sides of the surface more than others
            step = torch.randn(found.shape, generator=generator, dtype=found.dtype)
            around.append(self.project(around[-1] + self.extent / 10 * step, NEWTON))
        p = torch.cat(around)
        p = p[self._is_found(p, self.extent)]
        return p[spread_out(self, p, p.new_ones(len(p)), count)[0]]

    def any_frame(self, p: Tensor) -> Frame:
        p = p.to(torch.float64)
        normals_first = torch.linalg.qr(self.gradient(p).mT, mode="complete").Q
        return Frame(p, normals_first[..., self.ambient - self.dim :])

    def frame(self, p: Tensor) -> Tensor:
        t = torch.arange(1, LEGS + 1, dtype=torch.float64)[:, None] / LEGS
        way = (p - self.point)[..., None, :]
        aside = self._first[:, 0] * way.norm(dim=-1, keepdim=True)  # or chords would meet the centre
        chord = self.project(self.point + t * way + BULGE * t * (1 - t) * aside, 6)
        u = Frame(self.point, self._first)
        for x in [*chord[..., :-1, :].unbind(-2), p]:
            u = self.nearby(u, x)
        E = u.basis
        mirrored = self._side(p, E) != self._side(self.point, self._first)  # by a jump between two pieces
        return torch.where(mirrored[..., None, None], E * E.new_tensor([1.0] * (self.dim - 1) + [-1.0]), E)

    def _side(self, x: Tensor, E: Tensor) -> Tensor:
        """The orientation of R^N by the derivatives of F and the frame: one over all of the surface."""
        return torch.linalg.det(torch.cat([self.gradient(x).mT, E], -1)).sign()

    @cached_property
    def _first(self) -> Tensor:
        """The frame at the origin, as much along the coordinates as may be."""
        G = self.gradient(self.point)
        tangent = torch.eye(self.ambient).to(G) - _lifting(G) @ G
        keep = tangent.diagonal().argsort(descending=True, stable=True)[: self.dim].sort().values
        return torch.linalg.qr(tangent[:, keep]).Q

    rays = Geometry.rays  # one geodesic for each node: a step from node to node would be ten times less exact

    def glue(self, u: Frame) -> Frame:
        return u

    def walk(self, u: Frame, v: Tensor, steps: int | None = None) -> Frame:
        x, E = geodesic(self._turning, u, v, steps or self.steps)
        x = self.project(x)
        return Frame(x, self._adjusted(x, E))

    def _turning(self, x: Tensor, V: Tensor) -> Tensor:
        G, change = directional(self.gradient, x, V)
        return _lifting(G) @ change

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        """By shooting: Newton's method on `carry`; nan where no way was found."""
        return shoot(self, self.carry, *broadcast(u, q.to(u.point)))

    def coordinates_nearby(self, u: Frame, q: Tensor) -> Tensor:
        """The chord c, projected on the tangent vectors, as long as an arc: ``(4 |c| - |Pc|) / 3``."""
        c = q - u.point
        v = self.components(u, c[..., None])[..., 0]
        size = v.norm(dim=-1, keepdim=True)
        return v * (4 * c.norm(dim=-1, keepdim=True) - size) / (3 * size.clamp_min(1e-300))

    def distance_nearby_of_pairs(self, p: Tensor, q: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """The length of the chord."""
        return (p[i] - q[j]).norm(dim=-1)

    def distance_at_least(self, p: Tensor, q: Tensor) -> Tensor:
        """The length of the chord."""
        return (p - q).norm(dim=-1)

    def chord(self, radius: float) -> float:
        return radius * (1 + 1e-12)

    def nearby(self, u: Frame, q: Tensor) -> Frame:
        """By the shortest turn of the normal m to n: ``E - (m + n) (n^T E) / (1 + m^T n)``, to second order.

        With several equations projected on the tangent vectors at q and made orthonormal.
        """
        (p, E), q = broadcast(u, q)
        if self.ambient - self.dim > 1:
            return Frame(q, self._adjusted(q, E))
        m, n = _unit(self.gradient(p)), _unit(self.gradient(q))  # (..., 1, N)
        return Frame(q, E - (m + n).mT @ (n @ E) / (1 + (m * n).sum(-1, keepdim=True)).clamp_min(1e-9))

    def along(self, u: Frame, polygon: Tensor) -> Frame:
        """Along projected chords, by pieces and by pieces twice as long, extrapolated to fourth order."""
        t = torch.linspace(0.0, 1.0, LEGS + 1, dtype=torch.float64)
        for q in polygon.unbind(-2):
            p, q = torch.broadcast_tensors(u.point, q)
            way = self.project(p + t.view(-1, *[1] * p.dim()) * (q - p))
            one = other = u.basis.expand(*q.shape[:-1], -1, -1)
            for i, x in enumerate(way[1:], 1):
                one = self._adjusted(x, one)
                other = self._adjusted(x, other) if i % 2 == 0 else other
            u = Frame(q, self._adjusted(q, (4 * one - other) / 3))
        return u

    def components(self, u: Frame, w: Tensor) -> Tensor:
        return u.basis.mT @ w

    def density_at(self, u: Frame, v: Tensor) -> Tensor:
        return torch.linalg.det(differential(self, self.carry, u, v)[1]).abs()

    def curvature(self, u: Frame) -> Tensor:
        """Gauss: ``<R(e_i, e_j) e_b, e_a> = <II(e_j, e_b), II(e_i, e_a)> - <II(e_i, e_b), II(e_j, e_a)>``."""
        II = self._second_form(u)
        half = torch.einsum("...mjb,...mia->...ijab", II, II)
        return half - half.transpose(-4, -3)

    def _second_form(self, u: Frame) -> Float[Tensor, "*batch N n n"]:
        """``II(e_a, e_b)``, but for its sign."""
        G, D = partials(self.gradient, u.point)  # D[m, ..., k, l]
        bent = torch.einsum("m...kl,...ma,...lb->...kab", D, u.basis, u.basis)
        return torch.einsum("...mk,...kab->...mab", _lifting(G), bent)

    def circuits(self) -> list[Tensor]:
        return self._circuits

    @property
    def matrix_size(self) -> int:
        return self.ambient

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The linear map g of R^N, where it keeps the surface."""
        g = g.to(u.point)
        return Frame((g @ u.point[..., None])[..., 0], g @ u.basis)


def _unit(G: Float[Tensor, "*batch k N"]) -> Float[Tensor, "*batch k N"]:
    return G / G.norm(dim=-1, keepdim=True)


def _lifting(G: Float[Tensor, "*batch k N"]) -> Float[Tensor, "*batch N k"]:
    """``G^T (G G^T)^{-1}``: the shortest vector that changes F by so much."""
    if G.shape[-2] == 1:
        return G.mT / G.square().sum(-1, keepdim=True)
    size = G.norm(dim=-1, keepdim=True)  # equations may have any scale
    G = G / size
    return G.mT @ torch.linalg.inv(G @ G.mT) / size.mT
