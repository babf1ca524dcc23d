"""An engine for grids that come round on every axis: a correlation is a product of Fourier transforms."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.engine import Engine, fold, unfold
from erlangen.engines.table import Table
from erlangen.geometry import Frame
from erlangen.kernels import KernelBasis


class FourierEngine(Engine):
    r"""``k * f = F^{-1}(conj(F k) F f)``, with k at all samples: large kernels cost no more than small ones.

    Args:
        basis: the kernels.
        v: ``(*space, n)``, the samples as the first one sees them.
        weight: the measure of each.
    """

    def __init__(self, basis: KernelBasis, v: Float[Tensor, "*space n"], weight: float) -> None:
        self.rho_in, self.rho_out = basis.rho_in, basis.rho_out
        self.basis, self.smoothness = basis, basis.smoothness
        values = weight * basis(v).movedim((-3, -2, -1), (0, 1, 2))  # (b, d_out, d_in, *space)
        self.power = values.square().flatten(1).sum(1) / basis.rho_out.dim
        self.axes = tuple(range(1 - v.dim(), 0))
        self.waves = Table(torch.view_as_real(torch.fft.rfftn(values, dim=self.axes)))

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        sizes = field.shape[-len(self.axes) :]
        x = fold(field, self.rho_in, groups).unflatten(1, (groups, self.rho_in.dim, -1))
        k = torch.view_as_complex(self.waves.like(field)).conj()
        w = coefficients.unflatten(0, (groups, -1)).to(k)
        X = torch.fft.rfftn(x, dim=self.axes)
        Y = torch.einsum("gocb,bij...,ngjc...->ngio...", w, k, X)
        return unfold(torch.fft.irfftn(Y, sizes, self.axes).flatten(1, 3), self.rho_out, groups)


def fourier(domain: Any, basis: KernelBasis, spec: Any) -> FourierEngine:
    """The engine of a grid on a torus; a layer asks for it by ``engine=fourier``.

    Raises:
        ValueError: for other domains, and for strides and the like.
    """
    if not (all(domain.periodic) and spec.is_plain) or any(deck.order > 1 for deck in domain.decks):
        raise ValueError(f"{spec} on {domain}: expected a grid without edges, mirrors and strides")
    u = domain.frames.flat
    v = domain.geometry.coordinates(Frame(u.point[0], u.basis[0]), domain.points)
    return FourierEngine(basis, v, float(domain.weights.max()))
