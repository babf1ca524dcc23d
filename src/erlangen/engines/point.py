"""Kernels at one point: a matrix in channels and along the fibre, the same at every sample."""

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.engines.convolve import CONVOLUTIONS
from erlangen.engines.engine import Engine, Filters, fold, unfold
from erlangen.engines.table import Table
from erlangen.kernels import KernelBasis


class PointEngine(Engine):
    """``(k * f)(p) = K(0) f(p)``, with K(0) commuting with all of H; the same on every domain."""

    adds_bias = by_channels = True

    def __init__(self, basis: KernelBasis) -> None:
        self.basis, self.rho_in, self.rho_out = basis, basis.rho_in, basis.rho_out
        self.smoothness = basis.smoothness
        zero = torch.zeros(basis.rings.n, dtype=torch.float64)
        values = basis(zero)  # (b, d_out, d_in)
        self.power = values.square().sum((1, 2)) / basis.rho_out.dim
        self.values = Table(values)

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        return self._mixed(field, self._matrix(coefficients, groups), None, groups)

    def filters(self, coefficients: Tensor, groups: int = 1, bias: Tensor | None = None) -> Filters:
        if bias is not None:
            bias = self.rho_out.constant(bias.view(groups, -1)).flatten()
        return Filters((self._matrix(coefficients, groups),), bias)

    def filtered(self, field: Tensor, filters: Filters, groups: int = 1) -> Tensor:
        (matrix,) = filters.tensors
        return self._mixed(field, matrix, filters.bias, groups)

    def _matrix(self, coefficients: Tensor, groups: int) -> Tensor:
        """``(group d_out out, d_in in)``."""
        grouped = coefficients.unflatten(0, (groups, -1))  # g o c b
        values = self.values.like(coefficients)
        return torch.einsum("gocb,bij->giojc", grouped, values).flatten(0, 2).flatten(1)

    def _mixed(self, field: Tensor, matrix: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        x = fold(field, self.rho_in, groups)
        space = x.shape[2:]
        if len(space) == 3 and groups == 1:  # conv3d would take a slow kernel, and copies for it
            y = F.linear(x.movedim(1, -1), matrix, bias).movedim(-1, 1)
            return unfold(y, self.rho_out)
        if len(space) not in CONVOLUTIONS:
            x = x.flatten(2)
        convolve = CONVOLUTIONS[x.dim() - 2]
        y = convolve(x, matrix.unflatten(1, (-1,) + (1,) * (x.dim() - 2)), bias, groups=groups)
        return unfold(y.reshape(*y.shape[:2], *space), self.rho_out, groups)
