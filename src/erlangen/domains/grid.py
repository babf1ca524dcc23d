"""Flat rectangular grids, where torch's convolutions do the work."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.arguments import Size, checked
from erlangen.domains.domain import Domain
from erlangen.domains.engine_choice import GRID
from erlangen.domains.interpolation import Interpolation, LatticeInterpolation
from erlangen.domains.quadrature import Quadrature, WeightedSum
from erlangen.domains.sampling import Sampling
from erlangen.domains.spec import KernelSpec, MaskBoundary
from erlangen.engines import centred, fold, halving, unfold
from erlangen.engines.any_size import even
from erlangen.geometry import Geometry
from erlangen.geometry.lattices import shortest
from erlangen.groups import Fibre, Representation
from erlangen.shared import shared

MOST = 2**31  # samples
FARTHEST = 512  # samples that a kernel reaches


class Grid(Domain):
    """A lattice of samples on a flat space.

    Args:
        geometry: the flat space.
        shape: the number of samples on each axis, or None for any.
        steps: ``(n, n)``, row i the step of array axis i in coordinates.
        origin: ``(n,)``, the first sample; None centres the grid at zero.
        periodic: the axes on which the last sample is next to the first.
        fibre: the samples of H for regular fields.
    """

    engines = GRID
    is_uniform = True
    is_skew: bool = False  # whether steps are not perpendicular, so that strides keep the first sample

    @checked
    def __init__(
        self,
        geometry: Geometry,
        shape: Sequence[Size] | None,
        steps: Float[Tensor, "n n"],
        *,
        origin: Float[Tensor, "n"] | None = None,
        periodic: Sequence[bool] = (),
        fibre: Fibre | None = None,
    ) -> None:
        super().__init__()
        self.geometry, self.fibre = geometry, fibre
        self.shape = None if shape is None else _checked(shape, geometry.dim)
        self.steps = steps.to(torch.float64)
        self.origin = origin
        self.periodic = tuple(periodic) or (False,) * geometry.dim

    def __repr__(self) -> str:
        return f"Grid({self.geometry}, shape={self.shape})"

    def __reduce__(self) -> tuple:
        arguments = (self.geometry, self.shape, self.steps)
        options = {"origin": self.origin, "periodic": self.periodic, "fibre": self.fibre}
        return _rebuild, (arguments, options)

    @cached_property
    @shared()
    def sampling(self) -> Sampling:  # type: ignore[override]
        axes = [torch.arange(length, dtype=torch.float64) for length in self.sizes]
        index = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        steps = self.coordinate_steps
        volume = torch.linalg.det(steps).abs().expand(self.sizes)
        return Sampling(self.geometry, self.first + index @ steps, volume, self.interpolated(4))

    def interpolated(self, taps: int) -> Interpolation:
        """Lagrange interpolation with `taps` samples on each axis."""
        return LatticeInterpolation(self.geometry, self.sizes, self.first, self.coordinate_steps, taps)

    def sized(self, shape: tuple[int, ...]) -> "Grid":
        if self.shape is None:
            return Grid(self.geometry, shape, self.steps, periodic=self.periodic, fibre=self.fibre)
        self.expect(shape)
        return self

    def masked(self, mask: Bool[Tensor, "*space"] | None, boundary: MaskBoundary = "zero") -> Domain:
        if mask is None:
            return self
        from erlangen.domains.masked import Masked  # few grids have gaps

        return Masked(self, mask, boundary)

    def kernel_extent(
        self, kernel_size: int | None, radius: float | None, rings: int | None
    ) -> tuple[float, int]:
        if (kernel_size is None) == (radius is None):
            raise ValueError(
                f"kernel_size={kernel_size}, radius={radius}: expected one of them, such as kernel_size=5"
            )
        if radius is not None:
            samples = radius / shortest(self.steps)
            if samples > FARTHEST:
                raise ValueError(
                    f"radius is {radius}, {samples:.3g} samples of {self}, expected at most {FARTHEST}: more "
                    "would not fit in memory; take a smaller radius, or a coarser grid"
                )
            if samples <= 1:
                raise ValueError(
                    f"radius is {radius}, {samples:.3g} samples of {self}: the kernel sees no neighbour, "
                    "expected more than one sample; take a larger radius, a finer grid, or kernel_size=1"
                )
            return radius, rings or 3
        if kernel_size == 1:
            return 0.0, 1
        if kernel_size < 1 or kernel_size % 2 == 0:  # type: ignore[operator]
            raise ValueError(
                f"kernel_size is {kernel_size}, expected an odd number, so that the kernel has a "
                f"centre; take {max(kernel_size + 1, 1)}"  # type: ignore[operator]
            )
        if kernel_size > 2 * FARTHEST:  # type: ignore[operator]
            raise ValueError(
                f"kernel_size is {kernel_size}, expected at most {2 * FARTHEST - 1}: more would not fit in "
                "memory"
            )
        return kernel_size / 2 * shortest(self.steps), rings or (kernel_size + 1) // 2  # type: ignore[operator]

    @cached_property
    @shared()
    def spacing(self) -> float | None:  # type: ignore[override]
        gram = self.steps @ self.steps.T
        square = gram[0, 0] * torch.eye(self.dim, dtype=torch.float64)
        is_square = self.dim <= 3 and torch.allclose(gram, square, rtol=1e-9, atol=0.0)
        return math.sqrt(gram[0, 0]) if is_square else None

    @property
    def default_kernel_size(self) -> int:
        return 5

    @shared()
    def coarser(self) -> "Grid":
        if self.shape is None:
            return self
        grids = [centred(length, 2) for length in self.shape]
        twice = torch.tensor([twice for _, twice in grids], dtype=torch.float64)
        shape = [length for length, _ in grids]
        origin = self.first + (twice / 2) @ self.steps
        return Grid(
            self.geometry,
            shape,
            2 * self.steps,
            origin=origin,
            periodic=self.periodic,
            fibre=self.fibre,
        )

    @property
    def closed(self) -> tuple[bool, ...]:
        return self.periodic

    def surround(self, field: Tensor, widths: list[int], rho: Representation | None = None) -> Tensor:
        return halving.circular(field, widths)

    @property
    def resamplings(self) -> tuple[str, ...]:
        return self.halving.kinds

    def downsample(
        self, field: Tensor, rho: Representation, circular: bool = False, kind: str = "gaussian"
    ) -> Tensor:
        folded, around = fold(field, rho), partial(self.surround, rho=rho)
        closes = self.circles(tuple(folded.shape[2:]), circular)
        return unfold(self.halving.down(folded, closes, around, kind=kind), rho)

    def upsample(
        self,
        field: Tensor,
        rho: Representation,
        size: tuple[int, ...],
        circular: bool = False,
        kind: str = "gaussian",
    ) -> Tensor:
        closes, around = self.circles(size, circular), partial(self.surround, rho=rho)
        return unfold(self.halving.up(fold(field, rho), size, closes, around, kind), rho)

    def expect_low_pass(self) -> None:
        """Every lattice has one."""

    def low_passed(self, field: Float[Tensor, "batch channel *space"], circular: bool = False) -> Tensor:
        closes = [closes or circular for closes in self.periodic]
        return self.halving.low_passed(field, closes, self.surround)

    def expect_smoothing(self) -> None:
        if self.is_skew or self.spacing is None:
            super().expect_smoothing()

    def smoothed(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        self.expect_smoothing()
        closes = [closes or circular for closes in self.periodic]
        return unfold(halving.smoothed(fold(field, rho), closes, partial(self.surround, rho=rho)), rho)

    def circles(self, size: tuple[int, ...], circular: bool) -> list[bool]:
        circles = []
        for periodic, length in zip(self.periodic, size, strict=True):
            if periodic and length % 2:
                raise ValueError(
                    f"sizes are {size}: every second sample of an odd periodic axis is no periodic grid, "
                    "expected even sizes there"
                )
            circles.append(periodic or (circular and even(length)))
        return circles

    def beyond(self, rho: Representation) -> Callable[[Tensor, list[int], int], Tensor] | None:
        """How fields go on beyond axes that close, other than from their other end."""
        return None

    def basis(self, spec: KernelSpec) -> Any:
        if spec.radius == 0 and not spec.is_plain:  # a kernel at one point strides and pads as any other
            spec = replace(spec, radius=shortest(self.steps) / 2)
        return super().basis(spec)

    @cached_property
    def quadrature(self) -> Quadrature:
        """Sums over the samples in reach."""
        return WeightedSum(self.sampling)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of samples on each axis; ValueError where any will do."""
        if self.shape is None:
            raise ValueError(
                f"{self} takes any size, expected a known one; give shape=, or call sized(shape)"
            )
        return self.shape

    @property
    def first(self) -> Float[Tensor, "n"]:
        """The first sample."""
        if self.origin is not None:
            return self.origin
        extent = torch.tensor(self.sizes, dtype=torch.float64) - 1
        return -(extent @ self.coordinate_steps) / 2

    @property
    def coordinate_steps(self) -> Float[Tensor, "n n"]:
        """The steps in the coordinates of points; `steps` are in the components of frames."""
        return self.steps


def _checked(shape: Sequence[int], n: int) -> tuple[int, ...]:
    if len(shape) != n:
        raise ValueError(f"shape is {tuple(shape)}, expected {n} positive sizes, one for each axis")
    if math.prod(shape) > MOST:
        raise ValueError(
            f"a grid of {tuple(shape)} has {math.prod(shape):.2g} samples, expected at most 2^31: more would "
            "not fit in memory"
        )
    return tuple(shape)


def _rebuild(arguments: tuple, options: dict) -> Grid:
    return Grid(*arguments, **options)
