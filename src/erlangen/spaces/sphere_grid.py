"""Rings of latitude on the sphere: samples with a spherical harmonic transform."""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.domains import Interpolation, KernelSpec, Samples
from erlangen.domains.domain import Field, without_grid_options
from erlangen.engines import Engine, SpectralEngine
from erlangen.geometry import Geometry
from erlangen.groups import Fibre
from erlangen.harmonics import GlobalKernels, Latitudes, Transform, frequencies

KNOTS = 8  # degrees at which a global kernel is free, unless told


class SphereGrid(Samples):
    r"""Rings of equispaced longitudes; kernels without a radius reach round the whole sphere.

    Args:
        geometry: the sphere S^2.
        latitudes: the rings.
        fibre: the samples of H for regular fields.
        interpolation: how to read between the samples.
        degrees: the bandwidth L of global kernels and transforms; what the rings carry, unless told.
    """

    def __init__(
        self,
        geometry: Geometry,
        latitudes: Latitudes,
        *,
        fibre: Fibre | None = None,
        interpolation: Interpolation | None = None,
        degrees: int | None = None,
    ) -> None:
        theta, phi = torch.meshgrid(latitudes.theta, latitudes.phi, indexing="ij")
        points = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)
        super().__init__(geometry, points, latitudes.weights, fibre=fibre, interpolation=interpolation)
        self.latitudes = latitudes
        self.transform = Transform(latitudes, degrees)
        fields: list[Field] = ["scalar", "vector", "sign", "regular"]
        self._frequencies = {
            field: frequencies(self.representation(field)) for field in fields[: 3 + (fibre is not None)]
        }

    def __repr__(self) -> str:
        return f"SphereGrid({self.geometry}, shape={self.shape}, degrees={self.degrees})"

    def __reduce__(self) -> tuple:
        options = {"fibre": self.fibre, "interpolation": self._interpolation, "degrees": self.degrees}
        return _rebuild, (self.geometry, self.latitudes, options)

    @property
    def degrees(self) -> int:
        """The bandwidth L: fields of harmonics of degree l < L come back from the transform as they were."""
        return self.transform.degrees

    def analyze(
        self, f: Float[Tensor, "*batch j k"], field: Field = "scalar"
    ) -> Complex[Tensor, "*batch l m"]:
        r"""The spherical harmonic transform: ``f_lm = int conj(Y_lm) f dmu`` for m >= 0, zero where l < m.

        Y_lm are orthonormal, with the phase of Condon and Shortley; ``f_{l,-m} = (-1)^m conj f_lm``. Regular
        and vector fields have coefficients ``c^n_lm`` for each frequency n along the fibre, ascending from -band
        to band (vectors: -1, 1): those of its part of spin -n (see `erlangen.harmonics.Transform`).

        Shapes: ``(*batch, [fibre,] j, k)`` to ``(*batch, [n,] l, m)``.
        """
        rho = self.representation(field)
        axes = 2 + rho.has_axis
        batch = f.shape[: f.dim() - axes]
        self.check(f.reshape(1, -1, *f.shape[f.dim() - axes :]), field)
        c = self.transform.analyze(f.reshape(1, -1, *f.shape[f.dim() - axes :]), self._frequencies[field])
        c = c[:, :, 0].permute(2, 3, 0, 1) if rho.has_axis else c[:, :, 0, :, 0].permute(2, 0, 1)
        return c.reshape(*batch, *c.shape[1:])

    def synthesize(
        self, c: Complex[Tensor, "*batch l m"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch j k"]:
        """The field of such coefficients: the inverse of `analyze` on fields of degrees below L."""
        rho = self.representation(field)
        of = self._frequencies[field]
        expected = (len(of.columns),) * rho.has_axis + (self.degrees, self.degrees)
        axes = len(expected)
        if tuple(c.shape[-axes:]) != expected or not c.is_complex():
            raise ValueError(
                f"the coefficients are {c.dtype} of shape {tuple(c.shape)}, expected complex ones (*batch, "
                f"{', '.join(map(str, expected))}) for {field} fields on {self}"
            )
        batch = c.shape[: c.dim() - axes]
        flat = c.reshape(-1, len(of.columns), self.degrees, self.degrees)
        x = self.transform.synthesize(flat.permute(2, 3, 0, 1)[:, :, None], of)[0]
        return x.reshape(*batch, *x.shape[1:])

    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        if kernel_size is None and radius is None:
            return math.inf, min(rings or KNOTS, self.degrees)
        return super().reach(kernel_size, radius, rings)

    def _build(self, spec: KernelSpec) -> Engine:
        if not math.isinf(spec.radius):
            return super()._build(spec)
        without_grid_options(spec)
        rho_in, rho_out = self.representation(spec.in_field), self.representation(spec.out_field)
        kernels = GlobalKernels(self.degrees, rho_in, rho_out, spec.rings, spec.band_in, spec.band_out)
        return SpectralEngine(kernels, self.transform)


def _rebuild(geometry: Geometry, latitudes: Latitudes, options: dict) -> SphereGrid:
    return SphereGrid(geometry, latitudes, **options)
