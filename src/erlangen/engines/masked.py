"""Correlation where some samples are missing: they give nothing, and receive nothing."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.engines.engine import Engine, Filters
from erlangen.engines.table import Table


class MaskedEngine(Engine):
    """Another engine, that sees zeros at the missing samples, and whose result is scaled at the others.

    Args:
        whole: the engine of all samples.
        mask: ``(*space)``, True where there is data.
        scale: ``(*space)``, factors of the result, zero where there is none.
    """

    def __init__(self, whole: Engine, mask: Bool[Tensor, "*space"], scale: Float[Tensor, "*space"]) -> None:
        self.basis, self.rho_in, self.rho_out = whole.basis, whole.rho_in, whole.rho_out
        self.power, self.smoothness = whole.power, whole.smoothness
        self.whole, self.by_channels = whole, whole.by_channels
        self.mask, self.scale = Table(mask), Table(scale)

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        y = self.whole.apply(self._seen(field), coefficients, groups)
        return y * self.scale.like(y)

    def filters(self, coefficients: Tensor, groups: int = 1, bias: Tensor | None = None) -> Filters:
        return self.whole.filters(coefficients, groups)

    def filtered(self, field: Tensor, filters: Filters, groups: int = 1) -> Tensor:
        y = self.whole.filtered(self._seen(field), filters, groups)
        return y * self.scale.like(y)

    def _seen(self, field: Tensor) -> Tensor:
        """With zeros in place of what is missing."""
        zero = torch.zeros((), dtype=field.dtype, device=field.device)
        return torch.where(self.mask.like(field), field, zero)
