"""Any points with weights, on any space."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.bad_points import expect_points
from erlangen.domains.builders import gather, weighted_sum
from erlangen.domains.domain import Domain
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.local import LocalPolynomials
from erlangen.domains.quadrature import expect_invariant
from erlangen.domains.refusals import expect_in_view, refuse_missing, without_grid_options
from erlangen.domains.resampling import Resampler, averaging, neighbour_distance, reading, thinned
from erlangen.domains.spec import Field, KernelSpec, Way
from erlangen.engines import Engine, Folded, SparseOperator, Stencil, StencilEngine
from erlangen.engines.stencil import Operator
from erlangen.geometry import Frame, Geometry
from erlangen.groups import Fibre, Representation
from erlangen.kernels import KernelBasis
from erlangen.shared import shared


class Samples(Domain):
    """Points with quadrature weights; correlations are stencils.

    Args:
        geometry: the space.
        points: ``(*space, m)``, in the coordinates of the space.
        weights: ``(*space)``, the invariant measure of each (but for a factor), or ValueError.
        fibre: the samples of H for regular fields.
        interpolation: how to read between the points; None for local polynomials of degree 3.
        builder: "weighted_sum" or "gather".
        recipe: what makes this domain again; None stores the points themselves.
        coarse_recipe: what makes the domain of half the samples on each axis; None thins the points.
    """

    def __init__(
        self,
        geometry: Geometry,
        points: Float[Tensor, "*space m"],
        weights: Float[Tensor, "*space"],
        *,
        fibre: Fibre | None = None,
        interpolation: Interpolation | None = None,
        builder: Literal["weighted_sum", "gather"] = "weighted_sum",
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
    ) -> None:
        super().__init__()
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
                "each sample; leave samples without one away"
            )
        if recipe is None:
            expect_points(geometry, points.to(torch.float64), once=interpolation is None)
        if builder not in ("weighted_sum", "gather"):
            raise ValueError(f'builder is {builder!r}, expected "weighted_sum" or "gather"')
        if geometry.measure == "space" and recipe is None:
            expect_invariant(geometry, points.to(torch.float64), weights.to(torch.float64))
        self.geometry, self.fibre = geometry, fibre
        self.builder: Literal["weighted_sum", "gather"] = builder
        self.shape = tuple(weights.shape)
        self._is_uniform = bool((weights == weights.flatten()[0]).all())
        self._points, self._weights = points.to(torch.float64), weights.to(torch.float64)
        self._interpolation = interpolation
        self.recipe, self.coarse_recipe = recipe, coarse_recipe
        self._coarser: Samples | None = None
        self._stencils: dict[tuple[float, bool], Stencil] = {}
        self._resamplers: dict[tuple[Way, str], Resampler] = {}
        self._frames: Frame | None = None
        self._turns: Tensor | None = None  # from the frames of the geometry to those of the samples

    def __repr__(self) -> str:
        return f"Samples({self.geometry}, shape={self.shape})"

    def __reduce__(self) -> tuple:
        made = self._as_made()
        return made if self._turns is None else (_reframed, (*made, self._turns))

    def _as_made(self) -> tuple:
        """How to make it again, in the frames that it was made with."""
        if self.recipe is not None:
            return _rebuild, (self.recipe,)
        options = {"fibre": self.fibre, "interpolation": self._interpolation, "builder": self.builder}
        return _rebuild, (partial(Samples, self.geometry, self._points, self._weights, **options),)

    @property
    def frames(self) -> Frame:
        if self._frames is None:
            with shared():
                self._frames = self._own_frames()
        return self._frames

    def _own_frames(self) -> Frame:
        return self.geometry.frames(self._points)

    def frames_and_turns(self) -> tuple[Frame, Tensor | None]:
        """The frames ``(q,)`` that the samples had before they were reframed, and what turned them since."""
        u, h = self.frames.flat, self._turns
        if h is None:
            return u, None
        h = h.flatten(0, -3)
        return u.turn(h.mT), h

    def reframed(self, h: Tensor) -> "Samples":
        other = copy.copy(self)
        Domain.__init__(other)  # engines of its own
        other._stencils, other._resamplers = {}, {}
        other._frames = self.frames.turn(h)
        other._turns = h if self._turns is None else self._turns @ h
        return other

    @property
    def is_uniform(self) -> bool:
        return self._is_uniform

    @property
    def points(self) -> Tensor:
        return self._points

    @property
    def weights(self) -> Tensor:
        return self._weights

    @property
    def interpolation(self) -> Interpolation:
        return self._interpolation or LocalPolynomials(self.geometry, self._points.flatten(0, -2))

    def check(self, f: Tensor, field: Field, channels: int | None = None) -> None:
        super().check(f, field, channels)
        refuse_missing(f)

    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        if kernel_size == 1 and radius is None:
            return 0.0, 1
        if kernel_size is not None or radius is None:
            raise ValueError(
                f"kernel_size={kernel_size}, radius={radius}: expected radius=, in the units of the space, "
                "since these samples are no pixel grid"
            )
        return radius, rings or 3

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

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        return self._resampler("down", rho)(field)

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        self.expect(size)
        self.coarser().check(field, rho.name)  # type: ignore[arg-type]
        return self._resampler("up", rho)(field)

    def prepare(self, way: Way, rho: Representation) -> None:
        self._resampler(way, rho)

    def _resampler(self, way: Way, rho: Representation) -> Resampler:
        found = self._resamplers.get((way, rho.name))
        if found is None:
            build = self._downsampler if way == "down" else self._upsampler
            with shared():
                found = self._resamplers[way, rho.name] = build(rho)
        return found

    def _downsampler(self, rho: Representation) -> Resampler:
        coarse = self.coarser()
        stencil = averaging(self, coarse.frames.flat, neighbour_distance(coarse) / 2)
        return Resampler(rho, stencil, tuple(coarse.weights.shape))

    def _upsampler(self, rho: Representation) -> Resampler:
        return Resampler(rho, reading(self.coarser(), self.frames.flat), tuple(self._weights.shape))

    def _thinned(self) -> "Samples":
        points = self._points.flatten(0, -2)
        index, weights = thinned(self.geometry, points, self._weights.flatten())
        return Samples(self.geometry, points[index], weights, fibre=self.fibre, builder=self.builder)

    def _correlator(self, basis: KernelBasis, spec: KernelSpec) -> Engine:
        without_grid_options(spec)
        turns = spec.in_field != "scalar"
        stencil = self._stencils.get((spec.radius, turns))
        if stencil is None:
            stencil = self._stencil(spec.radius, turns)
            if self.builder == "weighted_sum":
                expect_in_view(self, spec.radius, stencil.row, stencil.rows)
            self._stencils[spec.radius, turns] = stencil
        return StencilEngine(basis, stencil, tuple(self._weights.shape), self._operator)

    def _stencil(self, radius: float, turns: bool) -> Stencil:
        build = weighted_sum if self.builder == "weighted_sum" else gather
        return build(self, radius, turns=turns)

    def _operator(self, entries: Folded) -> Operator:
        return SparseOperator(entries)


def _rebuild(recipe: "partial[Samples]") -> Samples:
    return recipe()


def _reframed(make: Callable[..., Samples], arguments: tuple, turns: Tensor) -> Samples:
    return make(*arguments).reframed(turns)
