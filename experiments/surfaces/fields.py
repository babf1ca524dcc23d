"""Random smooth fields in R^3, and how strongly their restriction to a surface bends."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, hessian, vmap

Equation = Callable[[Tensor], Tensor]


class Waves:
    """``f(x) = sqrt(2 / K) sum_k cos(w_k x + b_k)``, w drawn evenly from all directions.

    Args:
        count: K.
        lowest, highest: the bounds of |w|.
        draw: where the random numbers come from.
    """

    def __init__(self, count: int, lowest: float, highest: float, draw: torch.Generator) -> None:
        w = torch.randn(count, 3, generator=draw, dtype=torch.float64)
        size = lowest + (highest - lowest) * torch.rand(count, 1, generator=draw, dtype=torch.float64)
        self.w = size * w / w.norm(dim=-1, keepdim=True)
        self.b = 2 * torch.pi * torch.rand(count, generator=draw, dtype=torch.float64)
        self.scale = (2 / count) ** 0.5

    def __call__(self, x: Tensor) -> Tensor:
        return self.scale * torch.cos(x @ self.w.T + self.b).sum(-1)

    def derivatives(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient ``(..., 3)`` and the matrix ``(..., 3, 3)`` of second derivatives in R^3."""
        phase = x @ self.w.T + self.b
        first = -self.scale * torch.sin(phase) @ self.w
        second = -self.scale * torch.einsum("...k,ki,kj->...ij", torch.cos(phase), self.w, self.w)
        return first, second


def bending(f: Waves, F: Equation, x: Tensor) -> Tensor:
    r"""The smaller eigenvalue of the covariant second derivative of f on {F = 0}: very negative on ridges.

    ``P (D^2 f - (n f) D^2 F / |grad F|) P``, P the projection on tangent vectors.
    """
    flat = x.flatten(0, -2)
    G, D2F = vmap(grad(F))(flat), vmap(hessian(F))(flat)
    size = G.norm(dim=-1, keepdim=True)
    n = G / size
    first, second = f.derivatives(flat)
    along = (first * n).sum(-1, keepdim=True) / size
    P = torch.eye(3).to(n) - n[:, :, None] * n[:, None]
    H = P @ (second - along[..., None] * D2F) @ P
    trace, square = H.diagonal(dim1=-2, dim2=-1).sum(-1), H.square().sum((-2, -1))
    return ((trace - (2 * square - trace**2).clamp_min(0).sqrt()) / 2).view(x.shape[:-1])
