"""Matrix Lie groups: generators, exponential, logarithm."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class MatrixGroup(ABC):
    r"""A Lie group of d x d matrices with generators ``X_1, ..., X_n`` of its Lie algebra.

    ``exp(v) = matrix_exp(sum_i v_i X_i)``. Elements are ``(..., d, d)``, composition is ``@``.

    Args:
        n: which group of its family.
    """

    n: int

    @property
    @abstractmethod
    def generators(self) -> Float[Tensor, "n d d"]:
        """The basis of the Lie algebra in which components ``v`` are taken, in float64."""

    @abstractmethod
    def log(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch n"]:
        """The components v, nearest to zero, with ``exp(v) = g``."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n})"

    @property
    def dim(self) -> int:
        """The dimension of the group."""
        return len(self.generators)

    @property
    def size(self) -> int:
        """The size d of its matrices."""
        return self.generators.shape[-1]

    def exp(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch d d"]:
        """The element ``exp(sum_i v_i X_i)``."""
        return torch.matrix_exp(torch.einsum("...i,iab->...ab", v, self.generators.to(v)))

    def ad(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n"]:
        """The matrix of ``w -> [v, w]`` in components."""
        X = self.generators
        brackets = torch.einsum("iab,jbc->ijac", X, X) - torch.einsum("jab,ibc->ijac", X, X)
        flat = X.flatten(1).T  # (d d, n)
        structure = torch.linalg.lstsq(flat, brackets.flatten(2).flatten(0, 1).T).solution  # (n, n n)
        structure = structure.unflatten(1, (self.dim, self.dim))  # [k, i, j]
        return torch.einsum("kij,...i->...kj", structure.to(v), v)


@dataclass(frozen=True, eq=False, repr=False)
class SE(MatrixGroup):
    """SE(2): the shifts and turns of the plane; components are (shift x, shift y, angle)."""

    def __post_init__(self) -> None:
        if self.n != 2:
            raise ValueError(f"SE({self.n}) has no logarithm here yet, expected n = 2")

    @property
    def generators(self) -> Tensor:
        X = torch.zeros(3, 3, 3, dtype=torch.float64)
        X[0, 0, 2] = X[1, 1, 2] = 1.0
        X[2, 1, 0], X[2, 0, 1] = 1.0, -1.0
        return X

    def log(self, g: Tensor) -> Tensor:
        # g = (R(t), V(t) v) with V(t) = [[a, -b], [b, a]], a = sin t / t, b = (1 - cos t) / t
        t = torch.atan2(g[..., 1, 0], g[..., 0, 0])
        a = torch.sinc(t / torch.pi)
        b = torch.sin(t / 2) * torch.sinc(t / (2 * torch.pi))
        x, y = g[..., 0, 2], g[..., 1, 2]
        norm = a**2 + b**2
        return torch.stack([(a * x + b * y) / norm, (a * y - b * x) / norm, t], -1)
