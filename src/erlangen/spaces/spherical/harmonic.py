"""What harmonics give to samples of S^2: transforms, kernels that reach all round, exact resampling."""

import math
from abc import abstractmethod
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.arguments import expect_tensor
from erlangen.domains import Domain, Interpolation, KernelSpec
from erlangen.domains.refusals import refuse_missing, without_grid_options
from erlangen.domains.spec import Field, Way
from erlangen.engines import Engine, FinerHarmonics, Reading, Resolution, Scattered, SpectralEngine
from erlangen.geometry import Frame
from erlangen.groups import Representation, regular
from erlangen.harmonics import (
    Frequencies,
    GlobalKernels,
    Harmonics,
    Transform,
    at_least_single,
    frequencies,
    gauss_legendre,
    power_spectrum,
    resampled,
)
from erlangen.shared import shared

KNOTS = 8  # degrees at which a global kernel is free, unless told


class Harmonic(Domain):
    """Samples of S^2 beside their harmonics: put before the class that knows how samples lie.

    Kernels without a radius reach round the whole sphere, and are applied to harmonics.
    """

    _turns: Tensor | None  # from the frames along the meridians to those of the samples

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        turned: tuple[Field, ...] = ("sign", "vector", "spin2")
        own: tuple[Field, ...] = ("regular",) if self.fibre else ()
        fields = ("scalar",) if self.geometry.structure.has_mirrors else ("scalar", *turned, *own)
        with shared():
            self._by_frequency: dict[str, Frequencies] = {
                field: frequencies(self.representation(field)) for field in fields
            }

    @cached_property
    def transform(self) -> Harmonics:
        """The harmonics that the samples carry."""
        with shared():
            return self._make_transform()

    @abstractmethod
    def _make_transform(self) -> Harmonics: ...

    @property
    @abstractmethod
    def is_band_limited(self) -> bool:
        """Whether fields are taken to be their harmonics, by which products and resampling go then."""

    @property
    def degrees(self) -> int:
        """The bandwidth L: fields of degrees l < L come back from the transform as they were."""
        return self.transform.degrees

    def analyze(
        self, f: Float[Tensor, "*batch_space"], field: Field = "scalar"
    ) -> Complex[Tensor, "*batch l m"]:
        r"""The spherical harmonic transform: ``f_lm = int conj(Y_lm) f dmu`` for m >= 0, zero where l < m.

        Y_lm are orthonormal, with the phase of Condon and Shortley; ``f_{l,-m} = (-1)^m conj f_lm``. Regular
        and vector fields have coefficients ``c^n_lm`` for each frequency n along the fibre, ascending from
        -band to band (vectors: -1, 1): those of its part of spin -n (see `erlangen.harmonics.Transform`).

        On rings of equal length that are their own mirror image this is quadrature; on other samples the
        fit of least squares, weighted by their areas. Either gives the
        coefficients of a field of degrees l < L back, to 2e-6 in float32 and 1e-10 in float64.

        Shapes: ``(*batch, [fibre,] *space)`` to ``(*batch, [n,] l, m)``.
        """
        expect_tensor(f, "the field")
        of, f = self._frequencies(field), at_least_single(f)
        axes = self.space_axes + of.has_axis
        batch = f.shape[: f.dim() - axes]
        flat = f.reshape(1, -1, *f.shape[f.dim() - axes :])
        self.check(flat, field)
        c = self.transform.analyze(flat, of)[:, :, 0].permute(2, 3, 0, 1)  # (batch, n, l, m)
        return (c if of.has_axis else c[:, 0]).reshape(*batch, *c.shape[2 - of.has_axis :])

    def synthesize(
        self, c: Complex[Tensor, "*batch l m"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch_space"]:
        """The field of such coefficients: the inverse of `analyze` on fields of degrees below L."""
        expect_tensor(c, "the coefficients")
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

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f dmu / int dmu``: by ``f_00`` where the weights alone are not exact in the band."""
        if self.is_band_limited and isinstance(self.transform, Scattered):
            return self.analyze(field)[..., 0, 0].real.to(field.dtype) / math.sqrt(4 * math.pi)
        return super().mean(field)

    def spectrum(
        self, f: Float[Tensor, "*batch_space"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch l"]:
        r"""The power spectrum: how much of the square each degree holds, which rotations leave as it is.

        Of scalars ``sum_m |f_lm|^2``, m from -l to l, (2l + 1) times what cosmology calls C_l; their sum is
        ``int f^2``. Vectors have one row, n = 1, ``4 sum_m |c^1_lm|^2``, whose sum is ``int |v|^2``; spin-2
        fields one, n = 2, likewise: ``int Q^2 + U^2 = sum |E_lm|^2 + |B_lm|^2`` over all l and m. Regular
        fields have ``sum_m |c^n_lm|^2`` for each frequency n >= 0 along the fibre, ascending (the same for
        -n): over all n from -band to band they sum to ``int F^2 / 2 pi``, over SO(3). Zero where l < n.

        Shapes: ``(*batch, [fibre,] *space)`` to ``(*batch, [n,] l)``.
        """
        of = self._frequencies(field)
        c = self.analyze(f, field)
        return power_spectrum(c if of.has_axis else c.unsqueeze(-3), of)

    def seen_from(
        self,
        u: Frame,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        """`Domain.seen_from`: by harmonics, without error, and only what is beyond the band interpolated."""
        if interpolation is not None or field not in self._known or not self.is_band_limited:
            return super().seen_from(u, f, field, interpolation=interpolation)
        of, rho, kind, f = self._known[field], self.representation(field), f.dtype, at_least_single(f)
        refuse_missing(f)
        places, batch = u.point.shape[:-1], f.shape[: f.dim() - self.space_axes - rho.has_axis]
        u = u.flat
        flat = f.reshape(1, -1, *f.shape[len(batch) :])
        c = self.transform.analyze(flat, of)
        beyond = super().seen_from(u, flat - self.transform.synthesize(c, of), field)
        x, y, z = u.point.unbind(-1)
        theta, phi = torch.atan2(torch.hypot(x, y), z), torch.atan2(y, x)
        parts = Reading(theta, phi, self.degrees, f.dtype).synthesize(c, of)
        southward = of.out.to(f) @ parts if rho.has_axis else parts  # (1, batch, d, p)
        h = self.geometry.frames(u.point).basis.mT @ u.basis
        turned = torch.einsum("pij,...jp->...ip", rho.inverse(h).to(f), southward)
        seen = beyond + (turned if rho.has_axis else turned.squeeze(2))
        return seen.reshape(*batch, *seen.shape[2:-1], *places).to(kind)

    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        if kernel_size is None and radius is None:
            return math.inf, min(rings or KNOTS, self.degrees)
        return super().reach(kernel_size, radius, rings)

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        coarse = self._coarser_harmonics(rho)
        if coarse is None:
            return super().downsample(field, rho, circular)
        of = self._frequencies(rho.name)
        return resampled(field, self.transform, of, coarse, of)

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        coarse = self._coarser_harmonics(rho)
        if coarse is None:
            return super().upsample(field, rho, size, circular)
        self.expect(size)
        self.coarser().check(field, rho.name)  # type: ignore[arg-type]
        of = self._frequencies(rho.name)
        return resampled(field, coarse, of, self.transform, of)

    @shared()
    def prepare(self, way: Way, rho: Representation) -> None:
        if self._coarser_harmonics(rho) is None:
            super().prepare(way, rho)

    def _coarser_harmonics(self, rho: Representation) -> Harmonics | None:
        """Those of the coarser samples, if fields of that type go there by them."""
        if rho.name not in self._known or not self.is_band_limited:
            return None
        coarse: Any = self.coarser()
        return coarse.transform if coarse.is_band_limited else None

    def widening(self, spec: KernelSpec) -> int:
        # harmonics are mixed within the band of the fibre
        return 0 if math.isinf(spec.radius) else super().widening(spec)

    def _refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        if rho.name not in self._known or not self.is_band_limited:
            return super()._refined(rho, factor, fibre)
        of, L = self._frequencies(rho.name), self.degrees
        finer = rho
        if fibre and rho.fibre is not None:
            finer = regular(rho.fibre.finer(factor))
        rings = math.ceil(factor * L)
        there = Transform(gauss_legendre(rings, 2 * rings), L)
        return FinerHarmonics(self.transform, of, there, frequencies(finer, of.orders[-1]))

    def _build(self, spec: KernelSpec) -> Engine:
        return self._spectral(self, spec) if math.isinf(spec.radius) else super()._build(spec)

    def _between(self, to: Domain, spec: KernelSpec) -> Engine:
        if not math.isinf(spec.radius):
            return super()._between(to, spec)
        if not (isinstance(to, Harmonic) and self.geometry.is_same(to.geometry)):
            raise ValueError(
                f"a global kernel goes from {self} to {to}, expected samples of one sphere, under the same "
                "symmetries; or give radius="
            )
        return self._spectral(to, spec)

    def _spectral(self, to: "Harmonic", spec: KernelSpec) -> SpectralEngine:
        """The degrees that both hold, each by a matrix; those that only the target holds are zero."""
        without_grid_options(spec)
        if self.geometry.structure.is_finite:
            raise ValueError(
                f"kernels on {self} are oriented, so that harmonics of one degree do not stay among "
                "themselves, expected local kernels: give radius=, or take er.Sphere()"
            )
        rho_in, rho_out = self.representation(spec.in_field), to.representation(spec.out_field)
        for domain, field in ((self, spec.in_field), (to, spec.out_field)):
            domain._frequencies(field)  # or refuses
        held = min(self.degrees, to.degrees)
        span = spec.degrees or held
        bands = spec.band_in, spec.band_out
        kernels = GlobalKernels(min(held, span), rho_in, rho_out, spec.rings, *bands, span)
        return SpectralEngine(kernels, self.transform, to.transform)

    @property
    def _known(self) -> dict[str, Frequencies]:
        """The types of field that have harmonics here, taken apart by frequency."""
        if self._turns is None:
            return self._by_frequency
        return {"scalar": self._by_frequency["scalar"]}  # those of others look along the meridians

    def _frequencies(self, field: str) -> Frequencies:
        found = self._known.get(field)
        if found is None:
            self.representation(field)  # type: ignore[arg-type]  # refuses what there is not
            if not self.geometry.structure.has_mirrors:
                raise ValueError(
                    f"the frames of {self} were turned, expected those along the meridians for the harmonics "
                    f"of {field} fields; give radius="
                )
            raise ValueError(
                f"the harmonics of {field} fields are those of rotations, but H = {self.geometry.structure} "
                'has mirrors, expected er.Sphere(symmetry="rotations"), or scalar fields; or give radius='
            )
        return found
