"""From regular fields to scalar ones, and from fields to numbers."""

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Oversampling, checked
from erlangen.domains import Domain
from erlangen.nn.equivariant import Equivariant

Reduction = Literal["max", "mean"]


class Project(Equivariant):
    r"""``f(p) = max_h F(p, h)`` or ``mean_h F(p, h)``: regular fields to scalars.

    The mean is exact at every angle. The maximum is the one over a finer fibre, so that it changes little
    between the fibre's own angles. On the sphere it is taken on finer latitudes and longitudes too, and
    brought back to the harmonics that the grid carries: no harmonic of the maximum itself, aliased, may say
    how the samples lie. For a learned projection take `Correlation` with in_field="regular".

    Args:
        domain: where the field lives.
        reduction: "max" or "mean".
        oversampling: for the maximum, how much finer the samples are; None for 4 times on the fibre, or 3
            times on the sphere and its fibre (there rotations then change it by 1.6 %, else by 15 %).

    Shapes: ``(batch, channel, fibre, *space)`` to ``(batch, channel, *space)``.
    """

    @checked
    def __init__(
        self, domain: Domain, reduction: Reduction = "max", *, oversampling: Oversampling | None = None
    ) -> None:
        super().__init__()
        self.regular, self.scalar = domain.representation("regular"), domain.representation("scalar")
        if reduction == "max" and oversampling is None:
            oversampling = 4 if domain.finer(self.scalar, 3) is None else 3
        self.domain, self.reduction, self.oversampling = domain, reduction, oversampling or 1
        self.prepare()

    def prepare(self) -> None:
        if self.reduction == "max":  # kept by the domain
            self.domain.finer(self.scalar, self.oversampling)
            self.domain.finer(self.regular, self.oversampling)

    def forward(
        self, field: Float[Tensor, "batch channel fibre *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        self.domain.check(field, "regular")
        if self.reduction == "mean":
            return self.domain.fibre_mean(field)
        finer = self.domain.finer(self.regular, self.oversampling)
        largest = field.amax(2) if finer is None else finer.largest(field)
        back = self.domain.finer(self.scalar, self.oversampling)  # None where the space is not refined
        return largest if back is None else back.down(largest)

    def of_channels(self, rows: slice) -> "Project":
        return self

    def extra_repr(self) -> str:
        return f'{self.domain}, "{self.reduction}"'


class GlobalPool(Equivariant):
    r"""A number for each channel: the mean or the maximum over the space, weighted by its measure.

    Args:
        domain: where the field lives.
        reduction: "mean" (``int f dmu / int dmu``), exact under every symmetry; or "max", over the samples.
        oversampling: for the maximum on the sphere, how much finer the samples are than the grid's own:
            between those it is missed.

    Shapes: ``(batch, channel, *space)``, a scalar field, to ``(batch, channel)``.
    """

    @checked
    def __init__(
        self, domain: Domain, reduction: Reduction = "mean", *, oversampling: Oversampling = 4
    ) -> None:
        super().__init__()
        self.domain, self.reduction, self.oversampling = domain, reduction, oversampling
        self.rho = domain.representation("scalar")
        self.prepare()

    def prepare(self) -> None:
        if self.reduction == "max":
            self.domain.finer(self.rho, self.oversampling)  # kept by the domain

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel"]:
        self.domain.check(field, "scalar")
        if self.reduction == "max":
            finer = self.domain.finer(self.rho, self.oversampling)
            field = self.domain.hide(field, -math.inf) if finer is None else finer.up(field)
            return field.flatten(2).amax(2)
        return self.domain.mean(field)

    def extra_repr(self) -> str:
        return f'{self.domain}, "{self.reduction}"'
