"""Representations of a structure group: how the values of a field change with the frame."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups.fibre import Fibre


@dataclass(frozen=True, eq=False)
class Representation:
    r"""A field type: values ``f(p)`` in R^d that become ``rho(h)^{-1} f(p)`` in the frame ``s(p) h``.

    Attributes:
        name: "scalar", "regular", "vector", "spin2" or "sign".
        dim: d.
        matrix: h ``(..., n, n)`` -> rho(h) ``(..., d, d)``, orthogonal.
        fibre: the sampled group behind a regular representation, else None.
        has_axis: whether fields carry a fibre axis (scalars and signs do not).
    """

    name: str
    dim: int
    matrix: Callable[[Tensor], Tensor]
    fibre: Fibre | None = None
    has_axis: bool = True

    def __repr__(self) -> str:
        return f"{self.name} ({self.dim})"

    def inverse(self, h: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch d d"]:
        """rho(h)^{-1} = rho(h^{-1})."""
        return self.matrix(h.mT)

    @property
    def has_invariants(self) -> bool:
        """Whether a bias exists: a value that every h leaves alone."""
        return self.name in ("scalar", "regular")


def trivial() -> Representation:
    """Scalars: H does not see them."""
    return Representation("scalar", 1, _one, has_axis=False)


def determinant() -> Representation:
    """Signs: a mirrored frame sees the negative value."""
    return Representation("sign", 1, _sign, has_axis=False)


def standard(n: int) -> Representation:
    """Tangent vectors, by their components in the frame."""
    return Representation("vector", n, _itself)


def traceless() -> Representation:
    """Spin 2: symmetric tensors ``[[Q, U], [U, -Q]]`` of a surface, by (Q, U), such as polarization."""
    return Representation("spin2", 2, _on_traceless)


def regular(fibre: Fibre) -> Representation:
    """Functions on the fibre: ``(rho(h) F)(h_i) = F(h^{-1} h_i)``."""
    return Representation("regular", len(fibre), fibre.regular, fibre)


def _one(h: Tensor) -> Tensor:
    return torch.ones(*h.shape[:-2], 1, 1, dtype=h.dtype)


def _sign(h: Tensor) -> Tensor:
    return torch.linalg.det(h).round()[..., None, None]


def _itself(h: Tensor) -> Tensor:
    return h


def _on_traceless(h: Tensor) -> Tensor:
    units = torch.tensor([[[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]]]).to(h)
    moved = h[..., None, :, :] @ units @ h[..., None, :, :].mT  # one tensor for each column
    return moved[..., 0, :].mT
