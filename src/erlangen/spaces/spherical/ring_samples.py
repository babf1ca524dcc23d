"""Samples on rings of equal length: the domain with its harmonics, and reading between the rings."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Domain, Interpolation, Quadrature, Samples, Sampling, Symmetry, lagrange
from erlangen.domains.resampling import Resampler, averaging
from erlangen.domains.samples import BUILDERS
from erlangen.domains.symmetry import along_first_axes
from erlangen.engines import Folded, RingOperator, Scattered, Stencil, StencilEngine
from erlangen.engines.stencil import Operator
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Representation, fibre_of
from erlangen.harmonics import HarmonicTransform, Parallels, Transform, doubled
from erlangen.kernels import KernelBasis, Polar
from erlangen.spaces.spherical.harmonic import SphereHarmonics
from erlangen.spaces.spherical.latitudes import Latitudes
from erlangen.spaces.spherical.points import half_way_round, halved

POLE = 1e-9


@dataclass(frozen=True, eq=False)
class RingGrid:
    """Rings of equal length on S^2, ``(latitudes, longitudes)``: row 0 nearest the north pole, eastward.

    Attributes:
        latitudes: the rings and their weights.
        longitudes: samples on each, an even number.
        first: the longitude of the first sample, in radians.
    """

    latitudes: Latitudes
    longitudes: int
    first: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.latitudes.theta)
        if n < 2 or self.longitudes < 2 or self.longitudes % 2:
            raise ValueError(
                f"the grid is {n} x {self.longitudes}, expected at least 2 rings, of an even number of "
                "samples: beyond a pole every meridian goes on as another one"
            )

    def __reduce__(self) -> tuple:
        return RingGrid, (self.latitudes, self.longitudes, self.first)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rings, and of samples on each."""
        return len(self.latitudes.theta), self.longitudes

    @cached_property
    def phi(self) -> Float[Tensor, "longitudes"]:
        """The longitudes, in radians."""
        return self.first + 2 * math.pi * torch.arange(self.longitudes).double() / self.longitudes

    @cached_property
    def is_at_pole(self) -> Tensor:
        """Which rings are one pole, ``(latitudes)``."""
        return torch.minimum(self.latitudes.theta, math.pi - self.latitudes.theta) < POLE

    @property
    def places(self) -> list[Float[Tensor, "latitudes longitudes"]]:
        """The colatitude and the longitude of each sample."""
        return list(torch.meshgrid(self.latitudes.theta, self.phi, indexing="ij"))

    @property
    def points(self) -> Float[Tensor, "latitudes longitudes 3"]:
        """The samples; on a ring at a pole every sample is that pole."""
        theta, phi = self.places
        rho = torch.where(self.is_at_pole[:, None], 0.0, theta.sin())
        return torch.stack([rho * phi.cos(), rho * phi.sin(), theta.cos()], -1)

    @property
    def weights(self) -> Float[Tensor, "latitudes longitudes"]:
        """The area of each sample."""
        return (self.latitudes.weights[:, None] * (2 * math.pi / self.longitudes)).expand(self.shape)

    def frames(self, geometry: Geometry) -> Frame | None:
        """At a pole, along each meridian: the limits of the frames on it, as wind is given in files.

        None where no ring is at a pole.
        """
        if not bool(self.is_at_pole.any()):
            return None
        u = geometry.frames(self.points)
        basis = u.basis.clone()
        for ring in self.is_at_pole.nonzero().flatten().tolist():
            for place, phi in enumerate(self.phi.tolist()):
                basis[ring, place] = geometry.act(turn(phi), u.at((ring, place))).basis
        return Frame(u.point, basis)

    def symmetries(self, domain: Domain) -> list[Symmetry]:
        """Turns about the axis, which permute the samples, mirrors, and tilts."""
        step = 2 * math.pi / self.longitudes
        counts = {1, self.longitudes // 4, self.longitudes // 2} - {0}
        turns = {f"turn {math.degrees(k * step):.4g} about the axis": turn(k * step) for k in sorted(counts)}
        swap = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
        tilts = {f"tilt {degrees}": swap.T @ turn(math.radians(degrees)) @ swap for degrees in (20, 90)}
        signs = {"turn 180 about axis 0": (1, -1, -1)}
        signs |= {f"mirror of axis {axis}": [1 - 2 * (i == axis) for i in range(3)] for axis in range(3)}
        others = {name: torch.diag(torch.tensor(sign).double()) for name, sign in signs.items()}
        found = [domain.symmetry_of(g, name) for name, g in (turns | others | tilts).items()]
        return [g for g in found if g.is_exact or g.name not in others]

    @cached_property
    def parallels(self) -> Parallels | None:
        """The rings as harmonics see them, at their full bandwidth; None if they are not mirror images."""
        theta, n, most = self.latitudes.theta, len(self.latitudes.theta), (self.longitudes + 1) // 2
        if float((theta - math.pi + theta.flip(0)).abs().max()) > 1e-9:
            return None
        if self.latitudes.degree < 2 * min(n, most) - 2:  # the weights are not exact for products
            for poles in (True, False):
                N = n - poles
                even = math.pi * (torch.arange(n).double() + (0.0 if poles else 0.5)) / N
                if float((theta - even).abs().max()) < 1e-9:
                    return doubled(n, self.longitudes, poles, self.first)
        degrees = min(n, most, self.latitudes.degree // 2 + 1)
        weights = self.latitudes.weights * (2 * math.pi / self.longitudes)
        return Parallels(theta, self.longitudes, weights, degrees, self.first)

    def transform(self, degrees: int | None) -> HarmonicTransform:
        """The harmonics that the rings carry, of so many degrees."""
        if self.parallels is not None:
            return Transform(self.parallels, degrees)
        theta, phi = self.places
        return Scattered.of(theta.flatten(), phi.flatten(), self.weights, degrees)

    def half(self, degrees: int | None) -> "tuple[RingGrid, int | None]":
        """Half as many rings, and the bandwidth on them."""
        half = RingGrid(self.latitudes.half, half_way_round(self.longitudes), self.first)
        if degrees is not None:
            degrees = min(halved(degrees), half.parallels.degrees)  # type: ignore[type-var, union-attr]
        return half, degrees


def ring_samples(
    geometry: Geometry,
    rings: RingGrid,
    *,
    degrees: int | None = None,
    rotations: int | None = None,
    builder: Literal["weighted_sum", "gather"] = "weighted_sum",
) -> Samples:
    """The domain on any rings, such as those of a file; the coarser one has half as many.

    Args:
        geometry: the sphere.
        rings: where the samples lie.
        degrees: the bandwidth L that fields are taken to have; None for what the rings carry.
        rotations: the samples of the fibre; None for scalar fields only.
        builder: as in `Samples`.
    """
    fibre = fibre_of(geometry.structure, rotations)
    is_band_limited = rings.parallels is not None or degrees is not None
    make = partial(rings.transform, degrees)
    spectral = SphereHarmonics(geometry, rings.shape, fibre, make, is_band_limited=is_band_limited)
    if degrees is not None:
        spectral.transform.prepare(spectral.frequencies("scalar"))  # or refuses
    elif rings.parallels is not None:
        _ = spectral.transform  # made now, and not while a layer is being traced
    again = partial(ring_samples, geometry, rotations=rotations, builder=builder)
    return Samples(
        geometry,
        rings.points,
        rings.weights,
        RingInterpolation(rings),
        fibre=fibre,
        builder=partial(RingQuadrature, rings=rings, inner=builder),
        frames=rings.frames(geometry),
        spectral=spectral,
        symmetries=rings.symmetries,
        recipe=partial(again, rings, degrees=degrees),
        coarse_recipe=partial(_half, again, rings, degrees),
    )


def _half(again: "partial[Samples]", rings: RingGrid, degrees: int | None) -> Samples:
    fewer, degrees = rings.half(degrees)
    return again(fewer, degrees=degrees)


class RingQuadrature(Quadrature):
    """Where turns about the axis take the frames of rings to each other, one sample of each does for all.

    Args:
        samples: those that give.
        rings: where they lie.
        inner: how each of them sums, as in `Samples`.
    """

    def __init__(self, samples: Sampling, rings: RingGrid, inner: Literal["weighted_sum", "gather"]) -> None:
        super().__init__(samples)
        self.rings, self.inner = rings, BUILDERS[inner](samples)

    def entries(self, at: Sampling, rings: Polar, turns: bool) -> Iterable[Stencil]:
        return self.inner.entries(at, rings, turns)

    def engine(self, basis: KernelBasis) -> StencilEngine:
        if not self.turns_with_frames:
            return self.inner.engine(basis)
        entries = self.entries(self._firsts, basis.rings, basis.rho_in.name != "scalar")
        return StencilEngine(basis, entries, self.samples.shape, self._operator)

    def means(self, coarse: Sampling, rho: Representation) -> Resampler:
        if not self.turns_with_frames or 2 * coarse.shape[-1] != self.rings.longitudes:
            return self.inner.means(coarse, rho)
        u = coarse.frames.at((slice(None), 0))
        stencil = averaging(self.samples, u, coarse.neighbour_distance / 2)
        return Resampler(rho, stencil, (len(u.point), self.rings.longitudes), self._operator, every=2)

    @cached_property
    def turns_with_frames(self) -> bool:
        """Whether turns about the axis take the frames of a ring to each other."""
        u, phi = self.samples.frames, self.rings.phi
        for place in {1, self.rings.longitudes // 2}:
            moved = self.samples.geometry.act(turn(float(phi[place] - phi[0])), u.at((slice(None), 0)))
            if float((moved.basis - u.basis[:, place]).abs().max()) > 1e-12:
                return False
        return True

    @cached_property
    def _firsts(self) -> Sampling:
        """The first sample of each ring."""
        return self.samples.part((slice(None), 0))

    @property
    def _operator(self) -> Callable[[Folded], Operator]:
        return partial(RingOperator, longitudes=self.rings.longitudes)


@dataclass(frozen=True, eq=False)
class RingInterpolation(Interpolation):
    """Cubic interpolation in theta and phi on rings of equal length, over the poles as well.

    At a pole the sample is read whose first axis lies along that of the frame.

    Args:
        rings: where they lie.
    """

    rings: RingGrid

    @cached_property
    def _extended(self) -> tuple[Tensor, Tensor, Tensor]:
        """The rings and two beyond each pole, where the meridian goes on half a turn further."""
        colatitude = self.rings.latitudes.theta
        n = len(colatitude)
        north, south = int(colatitude[0] < POLE), int(math.pi - colatitude[-1] < POLE)
        above = [north + 1, north]
        below = [n - 1 - south, n - 2 - south]
        ring = torch.tensor([*above, *range(n), *below])
        theta = torch.cat([-colatitude[above], colatitude, 2 * math.pi - colatitude[below]])
        over = torch.tensor([True] * 2 + [False] * n + [True] * 2)
        return theta, ring, over

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        (extended, rings, over), longitudes = self._extended, self.rings.longitudes
        theta = torch.atan2(torch.hypot(p[..., 0], p[..., 1]), p[..., 2])
        first = (torch.searchsorted(extended, theta, right=True) - 2).clamp(0, len(extended) - 4)
        near = first[:, None] + torch.arange(4)  # in the extended rings
        across = lagrange(extended[near], theta)
        step = 2 * math.pi / longitudes
        phi = (torch.atan2(p[..., 1], p[..., 0]) - self.rings.first) / step  # in samples
        start = torch.floor(phi)[:, None] - 1 + torch.arange(4)
        along = lagrange(start, phi)
        place = start[:, None, :].long() + over[near][..., None] * (longitudes // 2)
        index = rings[near][..., None] * longitudes + place % longitudes
        return index.flatten(1), (across[:, :, None] * along[:, None, :]).flatten(1)

    def transported(self, geometry: Geometry, samples: Frame, u: Frame) -> tuple[Tensor, Tensor, Tensor]:
        index, weight, h = super().transported(geometry, samples, u)
        places = torch.arange(self.rings.longitudes)
        for pole in self.rings.is_at_pole.nonzero():
            ring = samples.at(pole * self.rings.longitudes + places)
            at = (u.point - ring.point[0]).norm(dim=-1) < POLE
            alike = along_first_axes(u.at(at), ring)
            index[at] = (pole * self.rings.longitudes + alike)[:, None]
            weight[at] = torch.eye(1, weight.shape[1]).to(weight)
            h[at] = geometry.gauge(ring.at(alike), u.at(at))[:, None]
        return index, weight, h


def turn(angle: float) -> Float[Tensor, "3 3"]:
    """The turn about the axis."""
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
