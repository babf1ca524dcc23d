"""Samples on rings of equal length: the domain with its harmonics, and reading between the rings."""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.domains import Interpolation, KernelSpec, Samples, lagrange
from erlangen.domains.builders import gather, weighted_sum
from erlangen.domains.domain import Field, Way
from erlangen.domains.refusals import without_grid_options
from erlangen.domains.resampling import Resampler, averaging, neighbour_distance
from erlangen.engines import (
    Engine,
    FinerHarmonics,
    Folded,
    Resolution,
    RingOperator,
    SparseOperator,
    SpectralEngine,
    Stencil,
)
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, regular
from erlangen.harmonics import (
    Frequencies,
    GlobalKernels,
    Parallels,
    Transform,
    doubled,
    frequencies,
    gauss_legendre,
    resampled,
)
from erlangen.spaces.spherical.latitudes import Latitudes

POLE = 1e-9
KNOTS = 8  # degrees at which a global kernel is free, unless told


class RingSamples(Samples):
    r"""Rings of equal length on S^2, shape (latitudes, longitudes): row 0 nearest the north pole, eastward.

    Kernels without a radius reach round the whole sphere, and are applied to harmonics.

    On a ring at a pole every sample is that pole, seen along its own meridian: its frame is the limit of the
    frames on the meridian, as wind is given there in files.

    Args:
        geometry: the sphere.
        latitudes: the rings and their weights.
        longitudes: samples on each, an even number.
        first: the longitude of the first sample, in radians.
        fibre, builder, recipe, coarse_recipe: as in `Samples`.
    """

    def __init__(
        self,
        geometry: Geometry,
        latitudes: Latitudes,
        longitudes: int,
        *,
        first: float = 0.0,
        fibre: Fibre | None = None,
        builder: Literal["weighted_sum", "gather"] = "weighted_sum",
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
    ) -> None:
        theta = latitudes.theta
        n = len(theta)
        if n < 2 or longitudes < 2 or longitudes % 2:
            raise ValueError(
                f"the grid is {n} x {longitudes}, expected at least 2 rings, of an even number of "
                "samples: beyond a pole every meridian goes on as another one"
            )
        if recipe is None:
            options = {"first": first, "fibre": fibre, "builder": builder, "coarse_recipe": coarse_recipe}
            recipe = partial(RingSamples, geometry, latitudes, longitudes, **options)
        self.latitudes, self.longitudes, self.first = latitudes, longitudes, first
        self.phi = first + 2 * math.pi * torch.arange(longitudes).double() / longitudes
        theta_, phi_ = torch.meshgrid(theta, self.phi, indexing="ij")
        rho = torch.where(self._at_pole, torch.zeros_like(theta), theta.sin())[:, None]
        points = torch.stack([rho * phi_.cos(), rho * phi_.sin(), theta_.cos()], -1)
        weights = (latitudes.weights[:, None] * (2 * math.pi / longitudes)).expand(-1, longitudes)
        super().__init__(
            geometry,
            points,
            weights,
            fibre=fibre,
            interpolation=RingInterpolation(theta, longitudes, first),
            builder=builder,
            recipe=recipe,
            coarse_recipe=coarse_recipe,
        )
        rings = parallels(latitudes, longitudes, first)
        self._transform = None if rings is None else Transform(rings)
        mirrors = bool((torch.linalg.det(geometry.structure.components) < 0).any())
        fields: tuple[Field, ...] = ("scalar",) if mirrors else ("scalar", "sign", "vector", "regular")
        self._known = {
            field: frequencies(self.representation(field))
            for field in fields
            if field != "regular" or fibre is not None
        }

    @property
    def transform(self) -> Transform:
        """The harmonics that the rings carry."""
        if self._transform is None:
            raise ValueError(
                f"the rings of {self} are no mirror images at the equator, so there is no harmonic transform "
                "on them, expected theta_j + theta_(J-1-j) = pi; read the field elsewhere (Domain.to), or "
                "take kernels with radius="
            )
        return self._transform

    @property
    def degrees(self) -> int:
        """The bandwidth L: fields of degrees l < L come back from the transform as they were."""
        return self.transform.degrees

    def analyze(
        self, f: Float[Tensor, "*batch j k"], field: Field = "scalar"
    ) -> Complex[Tensor, "*batch l m"]:
        r"""The spherical harmonic transform: ``f_lm = int conj(Y_lm) f dmu`` for m >= 0, zero where l < m.

        Y_lm are orthonormal, with the phase of Condon and Shortley; ``f_{l,-m} = (-1)^m conj f_lm``. Regular
        and vector fields have coefficients ``c^n_lm`` for each frequency n along the fibre, ascending from
        -band to band (vectors: -1, 1): those of its part of spin -n (see `erlangen.harmonics.Transform`).

        Shapes: ``(*batch, [fibre,] j, k)`` to ``(*batch, [n,] l, m)``.
        """
        of = self._frequencies(field)
        axes = 2 + of.has_axis
        batch = f.shape[: f.dim() - axes]
        flat = f.reshape(1, -1, *f.shape[f.dim() - axes :])
        self.check(flat, field)
        c = self.transform.analyze(flat, of)[:, :, 0].permute(2, 3, 0, 1)  # (batch, n, l, m)
        return (c if of.has_axis else c[:, 0]).reshape(*batch, *c.shape[2 - of.has_axis :])

    def synthesize(
        self, c: Complex[Tensor, "*batch l m"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch j k"]:
        """The field of such coefficients: the inverse of `analyze` on fields of degrees below L."""
        of, L = self._frequencies(field), self.degrees
        expected = (len(of.columns),) * of.has_axis + (L, L)
        axes = len(expected)
        if tuple(c.shape[-axes:]) != expected or not c.is_complex():
            raise ValueError(
                f"the coefficients are {c.dtype} of shape {tuple(c.shape)}, expected complex ones (*batch, "
                f"{', '.join(map(str, expected))}) for {field} fields on {self}; pad or cut them"
            )
        flat = c.reshape(-1, len(of.columns), L, L).permute(2, 3, 0, 1)[:, :, None]
        x = self.transform.synthesize(flat, of)[0]
        return x.reshape(*c.shape[: c.dim() - axes], *x.shape[1:])

    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        if kernel_size is None and radius is None:
            return math.inf, min(rings or KNOTS, self.degrees)
        return super().reach(kernel_size, radius, rings)

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        coarse = self._coarser_rings(rho)
        if coarse is None:
            return super().downsample(field, rho, circular)
        of = self._frequencies(rho.name)
        return resampled(field, self.transform, of, coarse.transform, of)

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        coarse = self._coarser_rings(rho)
        if coarse is None:
            return super().upsample(field, rho, size, circular)
        self.expect(size)
        of = self._frequencies(rho.name)
        return resampled(field, coarse.transform, of, self.transform, of)

    def prepare(self, way: Way, rho: Representation) -> None:
        if self._coarser_rings(rho) is None:
            super().prepare(way, rho)

    def _coarser_rings(self, rho: Representation) -> "RingSamples | None":
        """The coarser grid, if fields of that type can go there by their harmonics."""
        coarse = self.coarser()
        if rho.name not in self._known or not isinstance(coarse, RingSamples):
            return None
        return coarse if self._transform and coarse._transform else None

    def widening(self, spec: KernelSpec) -> int:
        # harmonics are mixed within the band of the fibre
        return 0 if math.isinf(spec.radius) else super().widening(spec)

    def _refined(self, rho: Representation, factor: int, fibre: bool) -> Resolution | None:
        if rho.name not in self._known or self._transform is None:
            return super()._refined(rho, factor, fibre)
        of, L = self._frequencies(rho.name), self.degrees
        finer = rho
        if fibre and rho.fibre is not None:
            finer = regular(rho.fibre.finer(factor))
        rings = Transform(gauss_legendre(factor * L, 2 * factor * L), L)
        return FinerHarmonics(self.transform, of, rings, frequencies(finer, of.orders[-1]))

    def _build(self, spec: KernelSpec) -> Engine:
        if not math.isinf(spec.radius):
            return super()._build(spec)
        without_grid_options(spec)
        rho_in, rho_out = self.representation(spec.in_field), self.representation(spec.out_field)
        for field in (spec.in_field, spec.out_field):
            self._frequencies(field)  # or refuses
        kernels = GlobalKernels(self.degrees, rho_in, rho_out, spec.rings, spec.band_in, spec.band_out)
        return SpectralEngine(kernels, self.transform)

    def _frequencies(self, field: str) -> Frequencies:
        found = self._known.get(field)
        if found is None:
            self.representation(field)  # type: ignore[arg-type]  # refuses what there is not
            if self._turns is not None:
                raise ValueError(
                    f"the frames of {self} were turned, expected those along the meridians for the harmonics "
                    f"of {field} fields; give radius="
                )
            raise ValueError(
                f"the harmonics of {field} fields are those of rotations, but H = {self.geometry.structure} "
                'has mirrors, expected er.Sphere(symmetry="rotations"), or scalar fields; or give radius='
            )
        return found

    def _own_frames(self) -> Frame:
        u = self.geometry.frames(self.points)
        basis = u.basis.clone()
        for ring in self._at_pole.nonzero().flatten().tolist():
            for place, phi in enumerate(self.phi.tolist()):
                basis[ring, place] = self.geometry.act(_turn(phi), u.at((ring, place))).basis
        return Frame(u.point, basis)

    def _stencil(self, radius: float, turns: bool) -> Stencil:
        build = weighted_sum if self.builder == "weighted_sum" else gather
        return build(
            self, radius, self.frames.at((slice(None), 0)) if self.turns_with_frames else None, turns
        )

    def _operator(self, entries: Folded) -> RingOperator | SparseOperator:
        return RingOperator(entries, self.longitudes) if self.turns_with_frames else SparseOperator(entries)

    def _downsampler(self, rho: Representation) -> Resampler:
        coarse = self.coarser()
        if not self.turns_with_frames:
            return super()._downsampler(rho)
        u = coarse.frames.at((slice(None), 0))
        stencil = averaging(self, u, neighbour_distance(coarse) / 2)
        return Resampler(rho, stencil, (len(u.point), self.longitudes), self._operator, every=2)

    def reframed(self, h: Tensor) -> Samples:
        other = super().reframed(h)
        vars(other).pop("turns_with_frames", None)
        # harmonics of other fields look along the meridians
        vars(other)["_known"] = {"scalar": self._known["scalar"]}
        return other

    @cached_property
    def turns_with_frames(self) -> bool:
        """Whether turns about the axis take the frames of a ring to each other."""
        u = self.frames
        for place in {1, self.longitudes // 2}:
            moved = self.geometry.act(_turn(float(self.phi[place] - self.phi[0])), u.at((slice(None), 0)))
            if float((moved.basis - u.basis[:, place]).abs().max()) > 1e-12:
                return False
        return True

    @property
    def _at_pole(self) -> Tensor:
        return torch.minimum(self.latitudes.theta, math.pi - self.latitudes.theta) < POLE


@dataclass(frozen=True, eq=False)
class RingInterpolation(Interpolation):
    """Cubic interpolation in theta and phi on rings of equal length, over the poles as well.

    Args:
        theta: the colatitude of each ring, ascending.
        longitudes: the number of samples on each ring, an even one.
        first: the longitude of the first sample.
    """

    theta: Float[Tensor, "n"]
    longitudes: int
    first: float = 0.0

    @cached_property
    def _extended(self) -> tuple[Tensor, Tensor, Tensor]:
        """The rings and two beyond each pole, where the meridian goes on half a turn further."""
        n = len(self.theta)
        north, south = int(self.theta[0] < POLE), int(math.pi - self.theta[-1] < POLE)
        above = [north + 1, north]
        below = [n - 1 - south, n - 2 - south]
        ring = torch.tensor([*above, *range(n), *below])
        theta = torch.cat([-self.theta[above], self.theta, 2 * math.pi - self.theta[below]])
        over = torch.tensor([True] * 2 + [False] * n + [True] * 2)
        return theta, ring, over

    def read(self, p: Tensor) -> tuple[Tensor, Tensor]:
        extended, rings, over = self._extended
        theta = torch.atan2(torch.hypot(p[..., 0], p[..., 1]), p[..., 2])
        first = (torch.searchsorted(extended, theta, right=True) - 2).clamp(0, len(extended) - 4)
        near = first[:, None] + torch.arange(4)  # in the extended rings
        across = lagrange(extended[near], theta)
        step = 2 * math.pi / self.longitudes
        phi = (torch.atan2(p[..., 1], p[..., 0]) - self.first) / step  # in samples
        start = torch.floor(phi)[:, None] - 1 + torch.arange(4)
        along = lagrange(start, phi)
        place = start[:, None, :].long() + over[near][..., None] * (self.longitudes // 2)
        index = rings[near][..., None] * self.longitudes + place % self.longitudes
        return index.flatten(1), (across[:, :, None] * along[:, None, :]).flatten(1)


def _turn(angle: float) -> Float[Tensor, "3 3"]:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def parallels(latitudes: Latitudes, longitudes: int, first: float) -> Parallels | None:
    """The rings as harmonics see them, at their full bandwidth; None if they are not mirror images."""
    theta, n, most = latitudes.theta, len(latitudes.theta), (longitudes + 1) // 2
    if float((theta - math.pi + theta.flip(0)).abs().max()) > 1e-9:
        return None
    if latitudes.degree < 2 * min(n, most) - 2:  # the weights are not exact for products
        for poles in (True, False):
            N = n - poles
            even = math.pi * (torch.arange(n).double() + (0.0 if poles else 0.5)) / N
            if float((theta - even).abs().max()) < 1e-9:
                return doubled(n, longitudes, poles, first)
    degrees = min(n, most, latitudes.degree // 2 + 1)
    weights = latitudes.weights * (2 * math.pi / longitudes)
    return Parallels(theta, longitudes, weights, degrees, first)
