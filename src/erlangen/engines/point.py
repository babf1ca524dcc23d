"""Kernels at one point: a matrix in channels and along the fibre, the same at every sample."""

import torch
from torch import Tensor

from erlangen.engines.convolve import CONVOLUTIONS
from erlangen.engines.engine import Engine, fold, unfold
from erlangen.engines.table import Table
from erlangen.kernels import KernelBasis


class PointEngine(Engine):
    """``(k * f)(p) = K(0) f(p)``, with K(0) commuting with all of H; the same on every domain."""

    def __init__(self, basis: KernelBasis) -> None:
        self.basis, self.rho_in, self.rho_out = basis, basis.rho_in, basis.rho_out
        self.smoothness = basis.smoothness
        zero = torch.zeros(basis.rings.n, dtype=torch.float64)
        values = basis(zero)  # (b, d_out, d_in)
        self.power = values.square().sum((1, 2)) / basis.rho_out.dim
        self.values = Table(values)

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        values = self.values.like(coefficients)
        grouped = coefficients.unflatten(0, (groups, -1))  # g o c b
        matrix = torch.einsum("gocb,bij->giojc", grouped, values).flatten(0, 2).flatten(1)
        x = fold(field, self.rho_in, groups)
        space = x.shape[2:]
        if len(space) not in CONVOLUTIONS:
            x = x.flatten(2)
        convolve = CONVOLUTIONS[x.dim() - 2]
        y = convolve(x, matrix.unflatten(1, (-1,) + (1,) * (x.dim() - 2)), groups=groups)
        return unfold(y.reshape(*y.shape[:2], *space), self.rho_out, groups)
