"""Deck transformations ``x -> A x + b``: they lead from a point of the cover to all that are one with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import check_fields
from erlangen.geometry.frame import Frame
from erlangen.groups.families import affine
from erlangen.shared import shared

HIGHEST = 12  # the highest order of a turn that keeps a lattice in up to five dimensions
TURNED = 1e-9  # less is rounding


@dataclass(frozen=True, eq=False)
class Deck:
    r"""The deck transformation ``x -> A x + b``; on frames ``(x, E) -> (A x + b, A E)``.

    Products, inverses and powers are deck transformations again. Attributes may have batch axes.

    Attributes:
        matrix: A, ``(n, n)``.
        shift: b, ``(n,)``.

    Example:
        >>> import torch, erlangen as er
        >>> once = er.Deck(matrix=torch.diag(torch.tensor([1.0, -1.0])), shift=torch.tensor([2.0, 0.0]))
        >>> once.image(torch.tensor([0.5, 0.25])), once.order, (once @ once).order
        (tensor([ 2.5000, -0.2500]), 2, 1)
    """

    matrix: Float[Tensor, "*#batch n n"]
    shift: Float[Tensor, "*#batch n"]

    def __post_init__(self) -> None:
        check_fields(self)
        if self.matrix.shape[-2:] != 2 * self.shift.shape[-1:]:
            raise ValueError(
                f"the matrix has shape {tuple(self.matrix.shape)} and the shift {tuple(self.shift.shape)}, "
                "expected (n, n) and (n,): x -> matrix x + shift"
            )
        object.__setattr__(self, "matrix", self.matrix.to(torch.float64))
        object.__setattr__(self, "shift", self.shift.to(torch.float64))

    @staticmethod
    def along(axis: int, length: float, signs: Sequence[float]) -> "Deck":
        """``x -> diag(signs) x + length e_axis``."""
        one = torch.eye(len(signs), dtype=torch.float64)
        return Deck(one * torch.tensor(signs, dtype=torch.float64), length * one[axis])

    def __matmul__(self, other: "Deck") -> "Deck":
        """The other first, then this one."""
        return Deck(self.matrix @ other.matrix, self.image(other.shift))

    @property
    def inverse(self) -> "Deck":
        """The way back."""
        A = torch.linalg.inv(self.matrix)
        return Deck(A, -(A @ self.shift[..., None])[..., 0])

    @cached_property
    def order(self) -> int:
        """The least power of A that is the identity; 0 if there is none up to 12, the highest of a
        turn that keeps a lattice in up to five dimensions."""
        one, power = torch.eye(len(self.matrix)).to(self.matrix), self.matrix
        for times in range(1, HIGHEST + 1):
            if bool((power - one).abs().max() < TURNED):
                return times
            power = power @ self.matrix
        return 0

    @property
    def axis(self) -> int | None:
        """The axis along which b lies; None where it lies along none."""
        along = self.shift.nonzero().flatten()
        return int(along) if len(along) == 1 else None

    @property
    def affine(self) -> Float[Tensor, "m m"]:
        """``[[A, b], [0, 1]]``."""
        return affine(self.matrix, self.shift)

    def image(self, x: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*batch n"]:
        """Points, moved."""
        A, b = self.matrix.to(x), self.shift.to(x)
        return (x @ A.T if A.dim() == 2 else (A @ x[..., None])[..., 0]) + b

    def act(self, u: Frame) -> Frame:
        """Frames, moved."""
        return Frame(self.image(u.point), self.matrix.to(u.basis) @ u.basis)

    def power(self, k: int | Float[Tensor, "*batch"]) -> "Deck":
        """The k-th power, of each whole number k in a tensor of any shape."""
        k = torch.as_tensor(k, dtype=torch.float64, device=self.shift.device if isinstance(k, int) else None)
        A, centre = self._turned(k), self._centre.to(k)
        return Deck(A, centre - (A @ centre[..., None])[..., 0] + k[..., None] * self.pitch.to(k))

    def _turned(self, k: Tensor) -> Tensor:
        """A^k."""
        if self.order == 1:
            return self.matrix.to(k)
        if self.order:
            return self._powers.to(k)[k.remainder(self.order).long()]
        values, index = torch.unique(k, return_inverse=True)
        powers = torch.stack([torch.linalg.matrix_power(self.matrix, int(value)) for value in values])
        return powers.to(k)[index]

    @cached_property
    def _powers(self) -> Float[Tensor, "order n n"]:
        with shared():
            return torch.stack([torch.linalg.matrix_power(self.matrix, k) for k in range(self.order)])

    # ``x -> A (x - c) + c + pitch``, a screw about c: (1 - A)^2 c = (1 - A) b leaves a pitch that A keeps

    @cached_property
    def _centre(self) -> Float[Tensor, "n"]:
        with shared():
            turned = torch.eye(len(self.matrix)).to(self.matrix) - self.matrix
            return torch.linalg.pinv(turned @ turned, rtol=TURNED) @ (turned @ self.shift)

    @cached_property
    def fixed(self) -> Float[Tensor, "n n"]:
        """The projection to what A keeps, for an orthogonal A of finite order."""
        return self._powers.mean(0)

    @cached_property
    def pitch(self) -> Float[Tensor, "n"]:
        """The part of b that A keeps: how far each turn leads."""
        with shared():
            return self.shift - self._centre + self.matrix @ self._centre
