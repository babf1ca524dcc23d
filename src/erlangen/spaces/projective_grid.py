"""Samples of the projective plane: the northern half of the sphere's rings, with the sphere's harmonics."""

import math
from functools import partial
from typing import Any

from torch import Tensor

from erlangen.domains import KernelSpec, Samples
from erlangen.domains.refusals import without_grid_options
from erlangen.domains.spec import Way
from erlangen.engines import (
    AntipodalEngine,
    AntipodalResolution,
    Engine,
    FinerHarmonics,
    Hemispheres,
    Resolution,
)
from erlangen.geometry import Geometry
from erlangen.groups import Fibre, Representation, regular
from erlangen.harmonics import (
    Antipodal,
    AntipodalKernels,
    Harmonics,
    Transform,
    antipodal,
    frequencies,
    gauss_legendre,
    resampled,
)
from erlangen.spaces.spherical import RingSamples
from erlangen.spaces.spherical.harmonic import KNOTS


class HalfRings(Samples):
    """The northern rings of the sphere's grid, shape (latitudes / 2, longitudes).

    Kernels without a radius reach round the whole space and are applied to the sphere's harmonics: even
    degrees for scalars, odd ones for signs, all of them for vectors and regular fields.

    Args:
        geometry: the projective plane.
        whole: the sphere's grid, of an even number of rings.
        fibre, recipe, coarse_recipe: as in `Samples`.
        builder: as in `Samples`.
    """

    def __init__(
        self,
        geometry: Geometry,
        whole: RingSamples,
        *,
        fibre: Fibre | None = None,
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
        **builder: Any,
    ) -> None:
        half = slice(0, whole.points.shape[0] // 2)
        options = {"fibre": fibre, "recipe": recipe, "coarse_recipe": coarse_recipe, **builder}
        super().__init__(geometry, whole.points[half], whole.weights[half], **options)
        self.whole = whole

    @property
    def transform(self) -> Harmonics:
        """The harmonics that the sphere's rings carry."""
        return self.whole.transform

    @property
    def degrees(self) -> int:
        """The bandwidth L on the sphere."""
        return self.transform.degrees

    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        if kernel_size is None and radius is None:
            return math.inf, min(rings or KNOTS, self.degrees)
        return super().reach(kernel_size, radius, rings)

    def widening(self, spec: KernelSpec) -> int:
        # harmonics are mixed within the band of the fibre
        return 0 if math.isinf(spec.radius) else super().widening(spec)

    def prepare(self, way: Way, rho: Representation) -> None:
        if not isinstance(self.coarser(), HalfRings):
            super().prepare(way, rho)

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        coarse = self.coarser()
        if not isinstance(coarse, HalfRings):
            return super().downsample(field, rho, circular)
        return self._resampled(field, rho, self.transform, coarse.transform)

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        coarse = self.coarser()
        if not isinstance(coarse, HalfRings):
            return super().upsample(field, rho, size, circular)
        self.expect(size)
        return self._resampled(field, rho, coarse.transform, self.transform)

    def _resampled(self, field: Tensor, rho: Representation, source: Harmonics, target: Harmonics) -> Tensor:
        fields = self._lifted(rho)
        of, halves = frequencies(fields.cover), Hemispheres(fields)
        return halves.down(resampled(halves.up(field), source, of, target, of))

    def _refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        own = self._lifted(rho)
        of, L = frequencies(own.cover), self.degrees
        finer = own
        if fibre and rho.fibre is not None:
            finer = antipodal(regular(rho.fibre.finer(factor)))
        rings = 2 * math.ceil(factor * L / 2)
        there = Transform(gauss_legendre(rings, 2 * rings), L)
        inner = FinerHarmonics(self.transform, of, there, frequencies(finer.cover, of.orders[-1]))
        return AntipodalResolution(inner, own, finer)

    def _build(self, spec: KernelSpec) -> Engine:
        if not math.isinf(spec.radius):
            return super()._build(spec)
        without_grid_options(spec)
        rho_in, rho_out = self.representation(spec.in_field), self.representation(spec.out_field)
        for rho in (rho_in, rho_out):
            self._lifted(rho)  # or refuses
        span = spec.degrees or self.degrees
        bands = spec.band_in, spec.band_out
        kernels = AntipodalKernels(min(self.degrees, span), rho_in, rho_out, spec.rings, *bands, span)
        if len(kernels) == 0:
            raise ValueError(
                f"H = {self.geometry.structure} allows no kernel from {spec.in_field} to {spec.out_field} "
                "fields, expected types that a mirror tells apart on neither or both sides; lift first"
            )
        return AntipodalEngine(kernels, self.transform)

    def _lifted(self, rho: Representation) -> Antipodal:
        if rho.name != "scalar" and self._turns is not None:
            raise ValueError(
                f"the frames of {self} were turned, expected those along the meridians for the harmonics of "
                f"{rho.name} fields; give radius="
            )
        return antipodal(rho)
