"""Any points with weights, on any space."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.bad_points import expect_points
from erlangen.domains.builders import gather, sum_in_view
from erlangen.domains.domain import Domain, KernelSpec, without_grid_options
from erlangen.domains.interpolation import Interpolation, NoInterpolation
from erlangen.domains.quadrature import expect_invariant
from erlangen.domains.view import view
from erlangen.engines import Engine, Stencil, StencilEngine
from erlangen.geometry import Geometry
from erlangen.groups import Fibre
from erlangen.kernels import KernelBasis


class Samples(Domain):
    """Points with quadrature weights; correlations are stencils.

    Args:
        geometry: the space.
        points: ``(*space, m)``, in the coordinates of the space.
        weights: ``(*space)``, the invariant measure of each (but for a factor), or ValueError.
        fibre: the samples of H for regular fields.
        interpolation: how to read between the points, where they are a grid.
        builder: "weighted_sum" or "gather" (which needs an interpolation).
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
        if not bool((weights.isfinite() & (weights > 0)).all()):
            raise ValueError("some weights are not positive, expected the measure of each sample")
        expect_points(geometry, points.to(torch.float64), once=interpolation is None)
        if builder not in ("weighted_sum", "gather"):
            raise ValueError(f'builder is {builder!r}, expected "weighted_sum" or "gather"')
        if geometry.measure == "space":
            expect_invariant(geometry, points.to(torch.float64), weights.to(torch.float64))
        self.geometry, self.fibre, self.builder = geometry, fibre, builder
        self.shape = tuple(weights.shape)
        self._is_uniform = bool((weights == weights.flatten()[0]).all())
        self._points, self._weights = points.to(torch.float64), weights.to(torch.float64)
        self._interpolation = interpolation or NoInterpolation()
        self._stencils: dict[tuple[float, bool], Stencil] = {}

    def __repr__(self) -> str:
        return f"Samples({self.geometry}, shape={self.shape})"

    def __reduce__(self) -> tuple:
        arguments = (self.geometry, self._points, self._weights)
        options = {
            "fibre": self.fibre,
            "interpolation": self._interpolation,
            "builder": self.builder,
        }
        return _rebuild, (arguments, options)

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
        return self._interpolation

    def reach(self, kernel_size: int | None, radius: float | None, rings: int | None) -> tuple[float, int]:
        if kernel_size == 1 and radius is None:
            return 0.0, 1
        if kernel_size is not None or radius is None:
            raise ValueError(
                f"kernel_size={kernel_size}, radius={radius}: expected radius=, in the units of the space, "
                "since these samples are no pixel grid"
            )
        return radius, rings or 3

    def _correlator(self, basis: KernelBasis, spec: KernelSpec) -> Engine:
        without_grid_options(spec)
        turns = spec.in_field != "scalar"
        stencil = self._stencils.get((spec.radius, turns))
        if stencil is None:
            if self.builder == "weighted_sum":
                stencil = sum_in_view(view(self, self), spec.radius, turns)
            else:
                stencil = gather(self, spec.radius)
            self._stencils[spec.radius, turns] = stencil
        return StencilEngine(basis, stencil, tuple(self._weights.shape))


def _rebuild(arguments: tuple, options: dict) -> Samples:
    return Samples(*arguments, **options)
