"""Any points with weights, on any space."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from erlangen.domains.domain import Domain
from erlangen.domains.engine_choice import SAMPLES
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.invariant import expect_invariant
from erlangen.domains.masked import Masked
from erlangen.domains.quadrature import NodeQuadrature, Quadrature, WeightedSum
from erlangen.domains.refusals import refuse_missing
from erlangen.domains.resampling import Resampler, reading, thinned
from erlangen.domains.sampling import Sampling
from erlangen.domains.spec import Field, KernelSpec, MaskBoundary, Way
from erlangen.domains.spectral import KNOTS, Spectral
from erlangen.domains.symmetry import Symmetry
from erlangen.engines import Resolution
from erlangen.geometry import Frame, Geometry
from erlangen.geometry.bad_points import expect_points
from erlangen.groups import Fibre, Representation
from erlangen.shared import shared

if TYPE_CHECKING:
    from erlangen.harmonics import HarmonicTransform

Builder = Callable[[Sampling], Quadrature]
BUILDERS: dict[str, Builder] = {"weighted_sum": WeightedSum, "gather": NodeQuadrature}


class Samples(Domain):
    """Points with quadrature weights; correlations are stencils, and harmonics where samples carry them.

    Args:
        geometry: the space.
        points: ``(*space, m)``, in the coordinates of the space.
        weights: ``(*space)``, the invariant measure of each (but for a factor), or ValueError.
        fibre: the samples of H for regular fields.
        interpolation: how to read between the points; None for local polynomials of degree 3.
        builder: how kernels with a radius sum: "weighted_sum" over the samples in reach, "gather" over nodes
            carried out, between which samples are interpolated; or what makes a `Quadrature` of them.
        frames: s(p), ``(*space)``; None for those of the geometry.
        turns: h(p) in H, ``(*space, n, n)``: the frames are ``s(p) h(p)``.
        spectral: what the harmonics of the samples give; None for none.
        symmetries: what finds those worth testing; None for the elements of the group that permute samples.
        recipe: what makes this domain again; None stores the points themselves.
        coarse_recipe: what makes the domain of half the samples on each axis; None thins the points.
    """

    engines = SAMPLES

    def __init__(
        self,
        geometry: Geometry,
        points: Float[Tensor, "*space m"],
        weights: Float[Tensor, "*space"],
        interpolation: Interpolation | None = None,
        *,
        fibre: Fibre | None = None,
        builder: Literal["weighted_sum", "gather"] | Builder = "weighted_sum",
        frames: Frame | None = None,
        turns: Float[Tensor, "*space n n"] | None = None,
        spectral: Spectral | None = None,
        symmetries: "Callable[[Samples], list[Symmetry]] | None" = None,
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
    ) -> None:
        super().__init__()
        if recipe is None:
            expect_own(geometry, points, weights, once=interpolation is None)
        else:
            _expect_measure(geometry, points, weights)
        if not callable(builder) and builder not in BUILDERS:
            raise ValueError(f'builder is {builder!r}, expected "weighted_sum" or "gather"')
        self.geometry, self.fibre, self.shape = geometry, fibre, tuple(weights.shape)
        points, weights = points.to(torch.float64), weights.to(torch.float64)
        self.sampling = Sampling(geometry, points, weights, interpolation, frames=frames, turns=turns)
        self.builder = builder
        self.quadrature = (builder if callable(builder) else BUILDERS[builder])(self.sampling)
        self.spectral = spectral
        self.recipe, self.coarse_recipe = recipe, coarse_recipe
        self._symmetries = symmetries
        self._options = {"fibre": fibre, "builder": builder, "frames": frames, "coarse_recipe": coarse_recipe}
        self._options |= {"interpolation": interpolation, "spectral": spectral, "symmetries": symmetries}
        self._coarser: Samples | None = None
        self._resamplers: dict[tuple[Way, str], Resampler] = {}

    def __repr__(self) -> str:
        return f"Samples({self.geometry}, shape={self.shape})"

    def __reduce__(self) -> tuple:
        made = self.recipe or partial(Samples, self.geometry, self.points, self.weights, **self._options)
        return _rebuild, (made, self.sampling.turns)

    def reframed(self, h: Tensor) -> "Samples":
        options, turns = dict(self._options), self.sampling.turns
        options |= {"frames": self.sampling.unturned, "turns": h if turns is None else turns @ h}
        options["spectral"] = self.spectral and self.spectral.turned()
        return Samples(self.geometry, self.points, self.weights, **options, recipe=self.recipe)

    def masked(self, mask: Bool[Tensor, "*space"] | None, boundary: MaskBoundary = "zero") -> Domain:
        return self if mask is None else Masked(self, mask, boundary)

    @property
    def is_uniform(self) -> bool:  # type: ignore[override]
        return self.sampling.is_uniform

    def symmetries(self) -> list[Symmetry]:
        return super().symmetries() if self._symmetries is None else self._symmetries(self)

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        super().check(f, field, channels)
        refuse_missing(f)

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"]:
        """``int f dmu / int dmu``: by harmonics where the weights by themselves are not exact for them."""
        found = None if self.spectral is None else self.spectral.mean(field)
        return super().mean(field) if found is None else found

    def seen_from(
        self,
        u: Frame,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        """`Domain.seen_from`: by harmonics, without error, and only what is beyond the band interpolated."""
        found = None
        if interpolation is None and self.spectral is not None:
            found = self.spectral.read(u.flat, f, field)
        if found is None:
            return super().seen_from(u, f, field, interpolation=interpolation)
        seen, beyond = found
        seen = seen.reshape(*seen.shape[:-1], *u.point.shape[:-1])
        return (seen + super().seen_from(u, beyond, field)).to(f.dtype)

    # kernels and their engines

    def kernel_extent(
        self, kernel_size: int | None, radius: float | None, rings: int | None
    ) -> tuple[float, int]:
        if kernel_size == 1 and radius is None:
            return 0.0, 1
        if kernel_size is None and radius is None and self.spectral is not None:
            return math.inf, min(rings or KNOTS, self.spectral.degrees)
        if kernel_size is not None or radius is None:
            raise ValueError(
                f"kernel_size={kernel_size}, radius={radius}: expected radius=, in the units of the space, "
                "since these samples are no pixel grid"
            )
        return radius, rings or 3

    def basis(self, spec: KernelSpec) -> Any:
        if not spec.is_global or self.spectral is None:
            return super().basis(spec)
        rho = self.representation(spec.in_field), self.representation(spec.out_field)
        return self.spectral.kernels(spec, *rho)

    def widening(self, spec: KernelSpec) -> int:
        # harmonics are mixed within the band of the fibre
        return 0 if spec.is_global and self.spectral is not None else super().widening(spec)

    # resampling

    def coarser(self) -> "Samples":
        coarse = self._coarser
        if coarse is None:
            with shared():
                coarse = self._fewer()
            self._coarser = coarse
        return coarse

    def _fewer(self) -> "Samples":
        try:
            return self._thinned() if self.coarse_recipe is None else self.coarse_recipe()
        except ValueError as error:
            raise ValueError(
                f"{self} has no coarser samples: {error}. Expected a finer grid, or fewer levels (depth=)"
            ) from error

    def _thinned(self) -> "Samples":
        points = self.points.flatten(0, -2)
        index, weights = thinned(self.geometry, points, self.weights.flatten())
        builder = self.quadrature.coarser()
        return Samples(self.geometry, points[index], weights, fibre=self.fibre, builder=builder)

    def prepare(self, way: Way, rho: Representation) -> None:
        if self._harmonics_below(rho) is None:
            self._resampler(way, rho)

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        below = self._harmonics_below(rho)
        if below is not None:
            return self.spectral.resampled(field, rho, below)  # type: ignore[union-attr]
        return self._resampler("down", rho)(field)

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        self.expect(size)
        self.coarser().check(field, rho.name)  # type: ignore[arg-type]
        below = self._harmonics_below(rho)
        if below is not None:
            return below.resampled(field, rho, self.spectral)  # type: ignore[arg-type]
        return self._resampler("up", rho)(field)

    def refined(self, rho: Representation, factor: float, fibre: bool) -> Resolution | None:
        if self.spectral is None or not self.spectral.holds(rho.name):
            return super().refined(rho, factor, fibre)
        return self.spectral.finer(rho, factor, fibre)

    def expect_low_pass(self) -> None:
        if self.spectral is None or not self.spectral.has_low_pass:
            super().expect_low_pass()

    def low_passed(self, field: Float[Tensor, "batch channel *space"], circular: bool = False) -> Tensor:
        self.expect_low_pass()
        return self.spectral.low_passed(field)  # type: ignore[union-attr]

    def _harmonics_below(self, rho: Representation) -> Spectral | None:
        """The harmonics of the coarser domain, where such fields go there by harmonics."""
        if self.spectral is None or not self.spectral.holds(rho.name):
            return None
        below = self.coarser().spectral
        return below if below is not None and below.holds("scalar") else None

    def _resampler(self, way: Way, rho: Representation) -> Resampler:
        found = self._resamplers.get((way, rho.name))
        if found is None:
            coarse = self.coarser().sampling
            with shared():
                if way == "down":
                    found = self.quadrature.means(coarse, rho)
                else:
                    found = Resampler(rho, reading(coarse, self.frames.flat), self.sampling.shape)
            self._resamplers[way, rho.name] = found
        return found

    # harmonics

    @property
    def transform(self) -> "HarmonicTransform":
        """The harmonics that the samples carry."""
        return self._spectral("transform").transform

    @property
    def degrees(self) -> int:
        """The bandwidth L: fields of degrees l < L come back from the transform as they were."""
        return self._spectral("degrees").degrees

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
        return self._spectral("analyze").analyze(f, field)

    def synthesize(
        self, c: Complex[Tensor, "*batch l m"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch_space"]:
        """The field of such coefficients: the inverse of `analyze` on fields of degrees below L."""
        return self._spectral("synthesize").synthesize(c, field)

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
        return self._spectral("spectrum").spectrum(f, field)

    def _spectral(self, name: str) -> Spectral:
        if self.spectral is None:
            raise AttributeError(f"{name}: {self} carries no harmonics, expected samples of er.Sphere()")
        return self.spectral


def expect_own(
    geometry: Geometry, points: Float[Tensor, "*space m"], weights: Float[Tensor, "*space"], once: bool = True
) -> None:
    """ValueError unless a user's own points lie on the space, by its measure, and (if asked) each once."""
    _expect_measure(geometry, points, weights)
    expect_points(geometry, points.to(torch.float64), once=once)
    if geometry.measure == "space":
        expect_invariant(geometry, points.to(torch.float64), weights.to(torch.float64))


def _expect_measure(geometry: Geometry, points: Tensor, weights: Tensor) -> None:
    """ValueError unless every point has a positive weight."""
    if not (isinstance(points, Tensor) and isinstance(weights, Tensor)):
        raise ValueError(
            f"points and weights are {type(points).__name__} and {type(weights).__name__}, expected two "
            "tensors: every sample has a measure, such as the area of the space divided by their number"
        )
    if points.shape[-1] != geometry.ambient or points.shape[:-1] != weights.shape:
        raise ValueError(
            f"points {tuple(points.shape)} and weights {tuple(weights.shape)}, expected "
            f"(*space, {geometry.ambient}) and (*space) for {geometry}"
        )
    good = weights.isfinite() & (weights > 0)
    if not bool(good.all()) or not len(weights.flatten()):
        where = "there are none" if bool(good.all()) else f"the first at {(~good).nonzero()[0].tolist()}"
        raise ValueError(
            f"{int((~good).sum())} weights are not positive numbers ({where}), expected the measure of "
            "each sample; leave samples without one out"
        )


def _rebuild(recipe: "partial[Samples]", turns: Tensor | None) -> Samples:
    made = recipe()
    return made if turns is None else made.reframed(turns)
