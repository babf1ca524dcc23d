"""Symmetries of a domain, with what a test of them needs to know."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A symmetry g of a space, as it acts on the fields of one domain.

    Attributes:
        name: for people, such as "turn 90" or "shift (1, 0)".
        matrix: g, as the geometry takes it.
        permutes: whether it permutes the samples (else fields are interpolated).
        in_group: whether it belongs to the group that the domain's layers are equivariant to.
        circular: for a shift, whether fields go round the edge instead of leaving it.
    """

    name: str
    matrix: Float[Tensor, "d d"]
    permutes: bool
    in_group: bool
    circular: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether an equivariant layer commutes with it up to rounding."""
        return self.permutes and self.in_group

    @property
    def is_shift(self) -> bool:
        """Whether g is ``x -> x + b``, written ``[[1, b], [0, 1]]``."""
        n = len(self.matrix) - 1
        return torch.equal(self.matrix[:, :n], torch.eye(n + 1, n).to(self.matrix))
