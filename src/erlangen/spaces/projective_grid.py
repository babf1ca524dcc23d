"""Samples of the projective plane: the northern half of the sphere's rings, with the sphere's harmonics."""

import math
from functools import cached_property
from typing import Any

from torch import Tensor

from erlangen.domains import KernelSpec, Samples, Spectral
from erlangen.engines import (
    AntipodalEngine,
    AntipodalResolution,
    FinerHarmonics,
    Hemispheres,
    Resolution,
)
from erlangen.geometry import Geometry
from erlangen.groups import Representation, regular
from erlangen.harmonics import (
    Antipodal,
    AntipodalKernels,
    HarmonicTransform,
    Transform,
    antipodal,
    frequencies,
    gauss_legendre,
    resampled,
)
from erlangen.shared import shared
from erlangen.spaces.spherical import RingGrid


def half_rings(
    geometry: Geometry,
    whole: RingGrid,
    *,
    degrees: int | None = None,
    **options: Any,
) -> Samples:
    """The domain on the northern rings of the sphere's grid, ``(latitudes / 2, longitudes)``.

    Args:
        geometry: the projective plane.
        whole: the sphere's rings, an even number.
        degrees: the bandwidth L on the sphere; None for what the rings carry.
        options: as in `Samples`.
    """
    half, spectral = slice(0, whole.shape[0] // 2), AntipodalHarmonics(whole, degrees)
    _ = spectral.transform  # made now, and not while a layer is being traced
    return Samples(geometry, whole.points[half], whole.weights[half], spectral=spectral, **options)


class AntipodalHarmonics(Spectral):
    """Kernels round the whole space, applied to the sphere's harmonics.

    Even degrees for scalars, odd ones for signs, all of them for vectors and regular fields.

    Args:
        whole: the sphere's rings.
        degrees: the bandwidth L on the sphere; None for what the rings carry.
        is_turned: whether the frames are others than those along the meridians.
    """

    def __init__(self, whole: RingGrid, degrees: int | None, is_turned: bool = False) -> None:
        self.whole, self.asked, self.is_turned = whole, degrees, is_turned

    @cached_property
    @shared()
    def transform(self) -> HarmonicTransform:  # type: ignore[override]
        return self.whole.transform(self.asked)

    def turned(self) -> "AntipodalHarmonics":
        return AntipodalHarmonics(self.whole, self.asked, is_turned=True)

    def holds(self, field: str) -> bool:
        return field == "scalar" or not self.is_turned

    def kernels(
        self, spec: KernelSpec, rho_in: Representation, rho_out: Representation, to: Spectral | None = None
    ) -> AntipodalKernels:
        for rho in (rho_in, rho_out):
            self._lifted(rho)  # or refuses
        span, bands = spec.degrees or self.degrees, (spec.band_in, spec.band_out)
        kernels = AntipodalKernels(min(self.degrees, span), rho_in, rho_out, spec.rings, *bands, span)
        if len(kernels) == 0:
            raise ValueError(
                f"H = O(2) allows no kernel from {spec.in_field} to {spec.out_field} fields, expected types "
                "that a mirror tells apart on neither or both sides; lift first"
            )
        return kernels

    def engine(self, kernels: AntipodalKernels, to: Spectral | None = None) -> AntipodalEngine:
        return AntipodalEngine(kernels, self.transform)

    def resampled(self, field: Tensor, rho: Representation, to: Spectral) -> Tensor:
        fields = self._lifted(rho)
        of, halves = frequencies(fields.cover), Hemispheres(fields)
        return halves.down(resampled(halves.up(field), self.transform, of, to.transform, of))

    def finer(self, rho: Representation, factor: float, fibre: bool) -> Resolution:
        own = self._lifted(rho)
        of, L = frequencies(own.cover), self.degrees
        finer = own
        if fibre and rho.fibre is not None:
            finer = antipodal(regular(rho.fibre.finer(factor)))
        rings = 2 * math.ceil(factor * L / 2)
        there = Transform(gauss_legendre(rings, 2 * rings), L)
        inner = FinerHarmonics(self.transform, of, there, frequencies(finer.cover, of.orders[-1]))
        return AntipodalResolution(inner, own, finer)

    def _lifted(self, rho: Representation) -> Antipodal:
        if not self.holds(rho.name):
            raise ValueError(
                "the frames on the projective plane were turned, expected those along the meridians for the "
                f"harmonics of {rho.name} fields; give radius="
            )
        return antipodal(rho)
