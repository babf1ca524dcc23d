"""From regular fields to scalar ones, and from fields to numbers."""

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from erlangen.domains import Domain
from erlangen.engines import FinerFibre

Reduction = Literal["max", "mean"]


class Project(nn.Module):
    r"""``f(p) = max_h F(p, h)`` or ``mean_h F(p, h)``: regular fields to scalars.

    The maximum is the maximum over a fibre `oversampling` times as fine, so that it changes little
    between the fibre's own angles; the mean is exact at every angle. For a learned projection take
    `Correlation` with in_field="regular".

    Args:
        domain: where the field lives.
        reduction: "max" or "mean".
        oversampling: for the maximum, how much finer the fibre is sampled.

    Shapes: ``(batch, channel, fibre, *space)`` to ``(batch, channel, *space)``.
    """

    def __init__(self, domain: Domain, reduction: Reduction = "max", *, oversampling: int = 4) -> None:
        super().__init__()
        rho = domain.representation("regular")
        if reduction not in ("max", "mean"):
            raise ValueError(f'reduction is {reduction!r}, expected "max" or "mean"')
        self.domain, self.reduction, self.oversampling = domain, reduction, oversampling
        fibre, self.finer = rho.fibre, None
        if reduction == "max" and fibre is not None and fibre.default_band is not None:
            self.finer = FinerFibre(fibre, oversampling)

    def forward(
        self, field: Float[Tensor, "batch channel fibre *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        self.domain.check(field, "regular")
        if self.reduction == "mean":
            return field.mean(2)
        return (field if self.finer is None else self.finer.up(field)).amax(2)

    def extra_repr(self) -> str:
        return f'{self.domain}, "{self.reduction}"'


class GlobalPool(nn.Module):
    r"""A number for each channel: the mean or the maximum over the space, weighted by its measure.

    Args:
        domain: where the field lives.
        reduction: "mean" (``int f dmu / int dmu``) or "max".

    Shapes: ``(batch, channel, *space)``, a scalar field, to ``(batch, channel)``.
    """

    def __init__(self, domain: Domain, reduction: Reduction = "mean") -> None:
        super().__init__()
        if reduction not in ("max", "mean"):
            raise ValueError(f'reduction is {reduction!r}, expected "max" or "mean"')
        self.domain, self.reduction = domain, reduction

    def forward(self, field: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel"]:
        self.domain.check(field, "scalar")
        if self.reduction == "max":
            return self.domain.hide(field, -math.inf).flatten(2).amax(2)
        if self.domain.is_uniform:
            return field.flatten(2).mean(2)
        weights = self.domain.weights.to(field)
        return (self.domain.hide(field) * weights).flatten(2).sum(2) / weights.sum()

    def extra_repr(self) -> str:
        return f'{self.domain}, "{self.reduction}"'
