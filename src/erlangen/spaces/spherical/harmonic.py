"""What harmonics give to samples of S^2: transforms, kernels that reach all round, exact resampling."""

import math
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.arguments import expect_tensor
from erlangen.domains import KernelSpec, Spectral
from erlangen.domains.refusals import expect_field, expect_shape, refuse_missing
from erlangen.domains.spec import Field, representation_of
from erlangen.engines import FinerHarmonics, Reading, Resolution, Scattered, SpectralEngine
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation, regular
from erlangen.harmonics import (
    Frequencies,
    GlobalKernels,
    HarmonicTransform,
    Transform,
    at_least_single,
    frequencies,
    gauss_legendre,
    power_spectrum,
    precise,
    resampled,
)
from erlangen.shared import shared


def low_pass(degrees: int) -> Float[Tensor, "l"]:
    """What stays of each degree: a Gaussian, a quarter of the bandwidth wide, up to half of it."""
    l = torch.arange(degrees, dtype=torch.float64)
    return torch.exp(-l * (l + 1) / (2 * (degrees / 4) ** 2)) * (2 * l <= degrees)


class SphereHarmonics(Spectral):
    """The harmonics of samples of S^2, for all types of field on them.

    Args:
        geometry: the sphere.
        shape: the space axes of fields.
        fibre: the samples of H that regular fields have.
        transform: what makes the transform, when it is first asked for.
        is_band_limited: whether fields are taken to be their harmonics.
        is_turned: whether the frames are others than those along the meridians, which harmonics of all fields
            but scalar ones look along.
    """

    def __init__(
        self,
        geometry: Geometry,
        shape: tuple[int, ...],
        fibre: Fibre | None,
        transform: Callable[[], HarmonicTransform],
        *,
        is_band_limited: bool,
        is_turned: bool = False,
    ) -> None:
        self.geometry, self.shape, self.fibre = geometry, shape, fibre
        self.is_band_limited, self.is_turned = is_band_limited, is_turned
        self._make = transform
        turned: tuple[Field, ...] = ("sign", "vector", "spin2")
        own: tuple[Field, ...] = ("regular",) if fibre else ()
        scalars_only = is_turned or geometry.structure.has_mirrors
        fields: tuple[Field, ...] = ("scalar",) if scalars_only else ("scalar", *turned, *own)
        with shared():
            self._known = {field: frequencies(representation_of(field, geometry, fibre)) for field in fields}

    @cached_property
    @shared()
    def transform(self) -> HarmonicTransform:  # type: ignore[override]
        return self._make()

    def turned(self) -> "SphereHarmonics":
        options = {"is_band_limited": self.is_band_limited, "is_turned": True}
        return SphereHarmonics(self.geometry, self.shape, self.fibre, lambda: self.transform, **options)

    def holds(self, field: str) -> bool:
        return self.is_band_limited and field in self._known

    def frequencies(self, field: str) -> Frequencies:
        """A type of field taken apart by its frequencies; ValueError where it has no harmonics here."""
        found = self._known.get(field)
        if found is None:
            representation_of(field, self.geometry, self.fibre)  # type: ignore[arg-type]  # or refuses
            if not self.geometry.structure.has_mirrors:
                raise ValueError(
                    f"the frames on {self.geometry} were turned, expected those along the meridians for the "
                    f"harmonics of {field} fields; give radius="
                )
            raise ValueError(
                f"the harmonics of {field} fields are those of rotations, but H = {self.geometry.structure} "
                'has mirrors, expected er.Sphere(symmetry="rotations"), or scalar fields; or give radius='
            )
        return found

    def analyze(
        self, f: Float[Tensor, "*batch_space"], field: Field = "scalar"
    ) -> Complex[Tensor, "*batch l m"]:
        expect_tensor(f, "the field")
        of, f = self.frequencies(field), at_least_single(f)
        axes = len(self.shape) + of.has_axis
        batch = f.shape[: f.dim() - axes]
        flat = f.reshape(1, -1, *f.shape[f.dim() - axes :])
        parts = len(of.out) if of.has_axis else None
        expect_field(flat, field, None, parts, len(self.shape), self.geometry)
        expect_shape(tuple(flat.shape[-len(self.shape) :]), self.shape)
        refuse_missing(flat)
        c = self.transform.analyze(flat, of)[:, :, 0].permute(2, 3, 0, 1)  # (batch, n, l, m)
        return (c if of.has_axis else c[:, 0]).reshape(*batch, *c.shape[2 - of.has_axis :])

    def synthesize(
        self, c: Complex[Tensor, "*batch l m"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch_space"]:
        expect_tensor(c, "the coefficients")
        of, L = self.frequencies(field), self.degrees
        expected = (len(of.columns),) * of.has_axis + (L, L)
        axes = len(expected)
        if tuple(c.shape[-axes:]) != expected or not c.is_complex():
            raise ValueError(
                f"the coefficients are {c.dtype} of shape {tuple(c.shape)}, expected complex ones (*batch, "
                f"{', '.join(map(str, expected))}) for {field} fields; pad or cut them"
            )
        flat = c.reshape(-1, len(of.columns), L, L).permute(2, 3, 0, 1)[:, :, None]
        x = self.transform.synthesize(flat, of)[0]
        return x.reshape(*c.shape[: c.dim() - axes], *x.shape[1:])

    def spectrum(
        self, f: Float[Tensor, "*batch_space"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch l"]:
        of = self.frequencies(field)
        c = self.analyze(f, field)
        return power_spectrum(c if of.has_axis else c.unsqueeze(-3), of)

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"] | None:
        """By ``f_00``, where weights are not exact in the band."""
        if not (self.is_band_limited and isinstance(self.transform, Scattered)):
            return None
        return self.analyze(field)[..., 0, 0].real.to(field.dtype) / math.sqrt(4 * math.pi)

    def read(self, u: Frame, f: Tensor, field: Field) -> tuple[Tensor, Tensor] | None:
        if not self.holds(field):
            return None
        of, f = self.frequencies(field), at_least_single(f)
        refuse_missing(f)
        axes = len(self.shape) + of.has_axis
        batch = f.shape[: f.dim() - axes]
        flat = f.reshape(1, -1, *f.shape[len(batch) :])
        c = self.transform.analyze(flat, of)
        beyond = flat - self.transform.synthesize(c, of)
        x, y, z = u.point.unbind(-1)
        theta, phi = torch.atan2(torch.hypot(x, y), z), torch.atan2(y, x)
        parts = Reading(theta, phi, self.degrees, f.dtype).synthesize(c, of)
        southward = of.out.to(f) @ parts if of.has_axis else parts  # (1, batch, d, p)
        h = self.geometry.frames(u.point).basis.mT @ u.basis
        rho = representation_of(field, self.geometry, self.fibre)
        turned = torch.einsum("pij,...jp->...ip", rho.inverse(h).to(f), southward)
        seen = turned if of.has_axis else turned.squeeze(2)
        return seen.reshape(*batch, *seen.shape[2:]), beyond.reshape(f.shape)

    def resampled(self, field: Tensor, rho: Representation, to: Spectral) -> Tensor:
        of = self.frequencies(rho.name)
        return resampled(field, self.transform, of, to.transform, of)

    @property
    def has_low_pass(self) -> bool:  # type: ignore[override]
        return self.is_band_limited

    def low_passed(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        of = self.frequencies("scalar")
        with precise(field):
            c = self.transform.analyze(at_least_single(field), of)
            low = c * low_pass(self.degrees).to(c.real)[:, None, None, None, None]
            return self.transform.synthesize(low, of).to(field.dtype)

    def finer(self, rho: Representation, factor: float, fibre: bool) -> Resolution:
        of, L = self.frequencies(rho.name), self.degrees
        finer = rho
        if fibre and rho.fibre is not None:
            finer = regular(rho.fibre.finer(factor))
        rings = math.ceil(factor * L)
        there = Transform(gauss_legendre(rings, 2 * rings), L)
        return FinerHarmonics(self.transform, of, there, frequencies(finer, of.orders[-1]))

    def kernels(
        self, spec: KernelSpec, rho_in: Representation, rho_out: Representation, to: Spectral | None = None
    ) -> GlobalKernels:
        """The degrees that both hold, each by a matrix; those that only the target holds are zero."""
        if self.geometry.structure.is_finite:
            raise ValueError(
                f"kernels on {self.geometry} are oriented, so that harmonics of one degree do not stay among "
                "themselves, expected local kernels: give radius=, or take er.Sphere()"
            )
        there = to if isinstance(to, SphereHarmonics) else self
        self.frequencies(spec.in_field)  # or refuses
        there.frequencies(spec.out_field)
        held = min(self.degrees, there.degrees)
        span, bands = spec.degrees or held, (spec.band_in, spec.band_out)
        return GlobalKernels(min(held, span), rho_in, rho_out, spec.rings, *bands, span)

    def engine(self, kernels: GlobalKernels, to: Spectral | None = None) -> SpectralEngine:
        return SpectralEngine(kernels, self.transform, None if to is None else to.transform)
