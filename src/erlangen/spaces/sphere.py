"""The sphere S^n, moved by rotations, by all isometries, or by the turns about one axis."""

import math
from functools import cached_property, partial
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import (
    TOO_MANY,
    Around,
    Bandwidth,
    Dimension,
    Range,
    Rings,
    Rotations,
    checked,
    expect_tensor,
)
from erlangen.domains import Domain
from erlangen.geometry import Embedding, Frame, Geometry, Measure
from erlangen.groups import SO, MatrixGroup, O, StructureGroup, fibre_of
from erlangen.spaces.scattered import far_apart, given, scattered
from erlangen.spaces.spherical import (
    Coefficients,
    RingGrid,
    expect_areas,
    fibonacci,
    halved,
    healpix,
    icosahedron,
    point_samples,
    recognized,
    ring_samples,
    rings_of_kind,
    voronoi_areas,
)
from erlangen.spaces.spherical.coordinates import on_sphere, south_east

Builder = Literal["weighted_sum", "gather"]
WORLD = [(-math.pi, math.pi), (-math.pi / 2, math.pi / 2)]  # all longitudes and latitudes


def about_the_axis(n: int) -> MatrixGroup:
    """The rotations of R^n in the plane of the first two coordinates."""
    return MatrixGroup(SO(n).generators[:1], name="SO(2) about the axis")


# H, of the dimension of the sphere, and the group, of that of the space around it
SYMMETRIES = {
    "rotations": (StructureGroup.special_orthogonal, SO),
    "isometries": (StructureGroup.orthogonal, O),
    "axis": (StructureGroup.trivial, about_the_axis),
}


class Sphere(Geometry):
    r"""The unit sphere in R^{n+1}; carrying walks the great circle.

    With t = |v| and the direction ``e = E v / t``: ``q = cos(t) p + sin(t) e``, and the frame turns
    in the plane of p and e. ``J(v) = (sin t / t)^{n-1}``. The north pole ``p0 = (0, ..., 0, 1)`` has
    the frame of the first n axes; on S^2 the frame at p is ``Rz(phi) Ry(theta)`` applied to it
    (south, then east), elsewhere it is carried from p0.

    Args:
        n: the dimension.
        symmetry: "rotations" (H = SO(n)), "isometries" (H = O(n)); or "axis", on S^2, for oriented kernels:
            any function of the frame (south, east), such as a derivative eastward. Layers with them commute
            with the turns about the axis of z only. At a pole itself there is no east: rings there
            have it along each meridian, other grids have no sample there.
        measure: "space" (the sphere's area, 4 pi for n = 2) or "tangent".
    """

    injectivity_radius = math.pi

    @checked
    def __init__(
        self,
        n: Dimension = 2,
        symmetry: Literal["rotations", "isometries", "axis"] = "rotations",
        *,
        measure: Measure = "space",
    ) -> None:
        if n < 2:
            raise ValueError(f"n is {n}, expected at least 2; a circle is er.FlatTorus((2 * math.pi,))")
        if symmetry not in SYMMETRIES or (symmetry == "axis" and n != 2):
            raise ValueError(
                f'symmetry is {symmetry!r} on S^{n}, expected "rotations" or "isometries", or on S^2 "axis"'
            )
        self.dim, self.ambient = n, n + 1
        self.structure, self.group = (
            build(k) for build, k in zip(SYMMETRIES[symmetry], (n, n + 1), strict=True)
        )
        self.measure = measure

    def __repr__(self) -> str:
        under = f" under {self.group}" * self.structure.is_finite
        return f"Sphere({self.dim}){under}, H = {self.structure}"

    @property
    def sampling(self) -> str:
        return ".grid(64)" if self.dim == 2 else super().sampling

    @cached_property
    def origin(self) -> Tensor:
        return torch.eye(self.ambient, dtype=torch.float64)[-1]

    @property
    def embedding(self) -> Embedding | None:
        """S^2 itself; S^3 from the south pole."""
        if self.dim == 2:
            return Embedding(lambda p: p, on_sphere, WORLD)
        return Embedding(lambda p: p[..., :3] / (1 + p[..., 3:])) if self.dim == 3 else None

    def frame(self, p: Tensor) -> Tensor:
        if self.dim == 2:
            return south_east(p)
        pole = torch.zeros_like(p)
        pole[..., -1] = 1.0
        axes = torch.eye(self.ambient, dtype=p.dtype, device=p.device)[:, :-1]
        u = Frame(pole, axes.expand(*p.shape[:-1], -1, -1))
        return self.carry(u, self.coordinates(u, p)).basis

    def carry(self, u: Frame, v: Tensor) -> Frame:
        t = v.norm(dim=-1)[..., None]
        w = u.tangent(v)
        sinc = torch.sinc(t / math.pi)
        point = torch.cos(t) * u.point + sinc * w
        # the frame turns in span(p, e): E + e (cos t - 1) e^T E - p sin t e^T E, and e^T E = v^T / t
        versine = (torch.sinc(t / (2 * math.pi)) ** 2) / 2  # (1 - cos t) / t^2
        along = -versine * w - sinc * u.point
        return Frame(point, u.basis + along[..., :, None] * v[..., None, :])

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        cosine = (u.point * q).sum(-1)
        c = (u.basis.mT @ _aside(u.point, q, cosine)[..., None])[..., 0]  # sin(t) times the direction
        sine = c.norm(dim=-1)
        still = sine == 0
        v = c * torch.where(still, 1.0, torch.atan2(sine, cosine) / torch.where(still, 1.0, sine))[..., None]
        # next to the antipode every direction is as good: take the first axis
        antipode = (sine < 1e-14) & (cosine < 0)
        first = torch.zeros_like(v)
        first[..., 0] = math.pi
        return torch.where(antipode[..., None], first, v)

    def density(self, v: Tensor) -> Tensor:
        return torch.sinc(v.norm(dim=-1) / math.pi) ** (self.dim - 1)

    def distance(self, p: Tensor, q: Tensor) -> Tensor:
        """By sine and cosine: to rounding also where points are close or opposite."""
        cosine = (p * q).sum(-1)
        aside = _aside(p, q, cosine)
        return torch.atan2((aside - (aside * p).sum(-1, keepdim=True) * p).norm(dim=-1), cosine)

    def act(self, g: Tensor, u: Frame) -> Frame:
        """The rotation (or mirror) g, an (n+1) x (n+1) matrix."""
        g = g.to(u.point)
        return Frame((g @ u.point[..., None])[..., 0], g @ u.basis)

    def mover(self, u: Frame) -> Tensor:
        return torch.cat([u.basis, u.point[..., None]], -1)

    def chord(self, radius: float) -> float:
        return 2 * math.sin(min(radius, math.pi) / 2) * (1 + 1e-12)

    def own_samples(self, count: int = 500) -> tuple[Tensor, None]:
        """A spiral; random points far apart on S^n."""
        if self.dim == 2:
            return fibonacci(count), None
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(8 * count, self.ambient, generator=generator, dtype=torch.float64)
        return far_apart(x / x.norm(dim=1, keepdim=True), count), None

    @checked
    def grid(
        self,
        latitudes: Rings,
        longitudes: Around | None = None,
        *,
        kind: str = "gauss-legendre",
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
        builder: Builder = "weighted_sum",
    ) -> Domain:
        """Rings of equal length on S^2: row 0 nearest the north pole, longitude eastward from x.

        Args:
            latitudes: the number of rings.
            longitudes: samples on each ring, an even number; None for twice the number of rings (with both
                poles, of the steps between them: 73 x 144).
            kind: "gauss-legendre", exact for spherical harmonics of degree below 2 `latitudes`;
                "equiangular", even steps with both poles among the rings, or "equiangular, no poles", half a
                step from them: both exact below degree `latitudes`.
            degrees: the bandwidth L of fields; None for all that the rings carry.
            rotations: the samples of the fibre SO(2), or O(2); None for scalar fields only.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
            builder: how kernels with a radius sum: "weighted_sum" over the samples in reach, or "gather"
                over nodes carried out, between which the samples are interpolated.
        """
        if self.dim != 2:
            self.refuse_grid()
        fibre_of(self.structure, rotations, reflections)  # or refuses
        longitudes = 2 * (latitudes - (kind == "equiangular")) if longitudes is None else longitudes
        rings = RingGrid(rings_of_kind(kind, latitudes), longitudes)
        domain = ring_samples(self, rings, degrees=degrees, rotations=rotations, builder=builder)
        return domain.masked(mask)

    @checked
    def harmonics(self, degrees: Bandwidth, *, rotations: Rotations | None = None) -> Coefficients:
        """Fields of degrees l < `degrees` that stay coefficients between layers: fewer transforms.

        ``analyze`` makes the coefficients of values on a grid, ``synthesize`` is the way back.

        Shapes: ``(batch, channel, 2 k, l, m)``, m >= 0: the real and the imaginary parts of the k
        frequencies along the fibre, one of scalars.

        Args:
            degrees: the bandwidth L.
            rotations: the samples of the fibre SO(2); None for scalar fields only.
        """
        self._expect_surface()
        if self.structure.is_finite:
            raise ValueError(
                'symmetry="axis" has oriented kernels, which live on samples, expected er.Sphere().harmonics '
                'or er.Sphere(symmetry="axis").grid and radius='
            )
        return Coefficients(self.grid(degrees, rotations=rotations))  # type: ignore[arg-type]

    @checked
    def from_latlon(
        self,
        lat: Any,
        lon: Any,
        *,
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """The grid of a file's own latitudes and longitudes, in degrees, shape (lat, lon).

        Known kinds (those of `grid`) are found out; other latitudes get fitted weights.

        Args:
            lat: degrees north, from north to south.
            lon: degrees east, eastward in even steps once around, from any first meridian.
            degrees, rotations, mask: as in `grid`.

        Raises:
            ValueError: for radians, reversed or unordered axes, gaps, a repeated meridian, missing polar
                regions, with the mend.
        """
        self._expect_surface()
        domain = ring_samples(self, RingGrid(*recognized(lat, lon)), degrees=degrees, rotations=rotations)
        return domain.masked(mask)

    @checked
    def healpix(
        self,
        nside: Annotated[int, Range(high=8192, limit=TOO_MANY)],
        *,
        nest: bool = False,
        ring_weights: bool = False,
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """HEALPix, 12 nside^2 pixels of one area.

        Args:
            nside: pixels along the side of each of the 12 base pixels.
            nest: the order of the pixels: NESTED, with nside a power of 2, instead of RING.
            ring_weights: a weight for each ring instead, exact for more.
            degrees: the bandwidth L that fields are taken to have, so that nonlinearities and resampling go
                by harmonics, as on rings; None leaves that, and global kernels take what the points carry:
                here l < 2 nside.
            rotations, mask: as in `grid`.
        """
        self._expect_surface()
        points, weights = healpix(nside, ring_weights, nest)
        options = {"nest": nest, "ring_weights": ring_weights, "rotations": rotations}
        recipe = partial(Sphere.healpix, self, nside, degrees=degrees, **options)
        coarse = partial(Sphere.healpix, self, nside // 2, degrees=halved(degrees), **options)
        return self._points(points, weights, degrees, rotations, mask, recipe, None if nside % 2 else coarse)

    @checked
    def icosahedral(
        self,
        level: Annotated[int, Range(high=12, limit=TOO_MANY)],
        *,
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """The vertices of an icosahedron halved `level` times, 10 4^level + 2, with their cells' areas.

        Args:
            level: how often the faces are halved.
            degrees: as in `healpix`.
            rotations, mask: as in `grid`.
        """
        self._expect_surface()
        points, _ = icosahedron(level)
        recipe, coarse = (
            partial(Sphere.icosahedral, self, i, degrees=L, rotations=rotations)
            for i, L in ((level, degrees), (level - 1, halved(degrees)))
        )
        weights = voronoi_areas(self, points)
        return self._points(points, weights, degrees, rotations, mask, recipe, coarse if level else None)

    @checked
    def fibonacci(
        self,
        n: Annotated[int, Range(high=2**27, limit=TOO_MANY)],
        *,
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """A spiral of n points, of about equal area each.

        Args:
            n: how many.
            degrees: as in `healpix`.
            rotations, mask: as in `grid`.
        """
        self._expect_surface()
        points = fibonacci(n)
        weights = (
            voronoi_areas(self, points) if n > 4 else torch.full((n,), 4 * math.pi / n, dtype=torch.float64)
        )
        recipe, coarse = (
            partial(Sphere.fibonacci, self, i, degrees=L, rotations=rotations)
            for i, L in ((n, degrees), (n // 4, halved(degrees)))
        )
        return self._points(points, weights, degrees, rotations, mask, recipe, coarse)

    @checked
    def samples(
        self,
        points: Tensor | None = None,
        weights: Tensor | None = None,
        *,
        degrees: Bandwidth | None = None,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """Your own points.

        Args:
            points: ``(n, 3)``, unit vectors; None for a spiral of 500. On S^n ``(*space, n + 1)``.
            weights: ``(n,)``, the area of each; None for those of their Voronoi cells.
            degrees: as in `healpix`, on S^2.
            rotations, reflections, mask: as in `grid`.
        """
        if self.dim != 2 and degrees is None:
            options = {"rotations": rotations, "reflections": reflections, "mask": mask}
            return scattered(self, points, weights, **options)
        self._expect_surface()
        fibre_of(self.structure, rotations, reflections)  # or refuses
        points, weights = given(self, points, weights)
        expect_tensor(points, "points")
        points = _unit_vectors(points.to(torch.float64))
        if weights is None:
            weights = voronoi_areas(self, points)
        else:
            expect_tensor(weights, "weights")
            weights = weights.to(torch.float64)
            expect_areas(self, points, weights)
        return self._points(points, weights, degrees, rotations, mask, None, None)

    def _points(
        self,
        points: Tensor,
        weights: Tensor,
        degrees: int | None,
        rotations: int | None,
        mask: Tensor | None,
        recipe: "partial[Any] | None",
        coarse: "partial[Any] | None",
    ) -> Domain:
        at_poles = int((points[:, 2].abs() > 1 - 1e-12).sum())
        if at_poles and self.structure.is_finite:
            raise ValueError(
                f"{at_poles} samples lie at poles, where there is no east and no oriented kernel, expected "
                'none: turn the points, or take rings, .grid(n, kind="equiangular")'
            )
        domain = point_samples(
            self,
            points,
            weights,
            fibre=fibre_of(self.structure, rotations),
            degrees=degrees,
            recipe=recipe,
            coarse_recipe=coarse,
        )
        return domain.masked(mask)

    def _expect_surface(self) -> None:
        if self.dim != 2:
            raise ValueError(
                f"this grid lies on S^2, not on S^{self.dim}; give points: .samples(points, weights)"
            )


def _unit_vectors(points: Tensor) -> Float[Tensor, "n 3"]:
    """Points of S^2, to rounding; ValueError for what is none, and for too few."""
    if not bool(points.isfinite().all()):
        lost = (~points.isfinite().flatten(1).all(1)).nonzero().flatten().tolist()
        raise ValueError(
            f"{len(lost)} points are not finite, the first at {lost[0]}, expected unit vectors; leave "
            "those out"
        )
    if points.dim() != 2 or points.shape[1] != 3:
        raise ValueError(
            f"points have shape {tuple(points.shape)}, expected (n, 3), unit vectors; from latitude and "
            "longitude: (cos lat cos lon, cos lat sin lon, sin lat)"
        )
    if len(points) < 4:
        raise ValueError(f"there are {len(points)} points, expected at least 4, round the sphere")
    length = points.norm(dim=1)
    off = float((length - 1).abs().max())
    if not off < 1e-5:
        raise ValueError(
            f"points lie {off:.3g} off the unit sphere, expected unit vectors; divide them by their "
            "length: points / points.norm(dim=1, keepdim=True)"
        )
    return points / length[:, None]


def _aside(p: Tensor, q: Tensor, cosine: Tensor) -> Tensor:
    """``q - p`` or ``q + p``, the shorter: its part orthogonal to p is that of q, without its rounding."""
    return torch.where((cosine < 0)[..., None], q + p, q - p)
