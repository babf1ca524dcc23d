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
        blocks: the sizes of parts that H keeps apart, the first a number that it leaves alone: of values that
            are the coefficients of a function, in an orthonormal basis by degrees. Empty for all others.
    """

    name: str
    dim: int
    matrix: Callable[[Tensor], Tensor]
    fibre: Fibre | None = None
    has_axis: bool = True
    blocks: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"{self.name} ({self.dim})"

    def inverse(self, h: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch d d"]:
        """rho(h)^{-1} = rho(h^{-1})."""
        return self.matrix(h.mT)

    def constant(self, values: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch d channel"]:
        """The fields that H leaves alone, of these values: the same for each sample of a fibre."""
        spread = values.unsqueeze(-2).expand(*values.shape[:-1], self.dim, -1)
        return spread * self._one.to(values)[:, None] if self.blocks else spread

    def mean(self, field: Float[Tensor, "batch channel d *space"]) -> Float[Tensor, "batch channel *space"]:
        """The mean along the fibre."""
        return field[:, :, 0] if self.blocks else field.mean(2)

    def mean_of(
        self, squares: Float[Tensor, "batch channel d *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        """The mean square along the fibre, of the squares of values."""
        return squares.sum(2) if self.blocks else squares.mean(2)  # of coefficients by Parseval

    @property
    def _one(self) -> Float[Tensor, "d"]:
        """The coefficients of the function that is one."""
        return torch.eye(self.dim, dtype=torch.float64)[0]

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
