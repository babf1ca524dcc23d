"""How a lattice on a quotient goes on beyond its edge: as the lattice of the cover does.

A field on ``M = M~ / Gamma`` is a Gamma-equivariant field on the cover M~. Deck transformations are data
here: with its neighbourhood across the seams a field is a piece of the cover, where a plain convolution does
the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.convolve import FORMATS
from erlangen.geometry import Deck
from erlangen.groups import Representation


class Continuation:
    r"""How fields of one type go on beyond the axes that close with a mirror, ``x -> A x + length e_axis``.

    The lattice lies symmetrically on the axes that A mirrors, so that each mirror is a flip of samples.

    Args:
        decks: along array axes, with diagonal A; one for each axis at most.
        rho: the type of fields.
    """

    def __init__(self, decks: Sequence[Deck], rho: Representation) -> None:
        self._crossings = [
            _Crossing(
                deck.axis,  # type: ignore[arg-type]
                tuple((deck.matrix.diagonal() < 0).nonzero().flatten().tolist()),
                tuple(tuple(row) for row in rho.matrix(deck.matrix).tolist()),
            )
            for deck in decks
        ]
        self.axes = {crossing.axis for crossing in self._crossings}

    def across(
        self, x: Float[Tensor, "batch channel *space"], widths: Sequence[int], groups: int = 1
    ) -> Tensor:
        """The field with more samples at both ends of these axes: a piece of the cover.

        Args:
            x: the field, fibre folded into the channels as by `fold`.
            widths: how many, for each space axis (fewer where negative); the other axes are left as they are.
            groups: of channels, as they were folded.
        """
        for crossing in self._crossings:
            width, dim = widths[crossing.axis], 2 + crossing.axis
            length = x.shape[dim]
            if width > length:
                raise ValueError(
                    f"the kernel reaches {width} samples beyond an axis of {length}, more than once round; "
                    "take a smaller kernel"
                )
            if width < 0:
                x = x.narrow(dim, -width, length + 2 * width)
            if width > 0:
                x = _Across.apply(x, width, crossing, groups)
        return x


@dataclass(frozen=True)
class _Crossing:
    r"""A deck transformation as it acts on folded fields of one type, in plain numbers.

    Beyond the end of the axis, ``f(A p + length e) = rho(A)^{-1} f(p)``, and A is its own inverse.

    Attributes:
        axis: the array axis that closes.
        flips: the axes that are mirrored.
        rows: rho(A).
    """

    axis: int
    flips: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]

    def turned(self, x: Tensor, groups: int) -> Tensor:
        """``rho(A) f``, its samples mirrored: for each row of the matrix a sum of blocks of channels."""
        d = len(self.rows)
        x = x.flip([2 + axis for axis in self.flips]) if self.flips else x
        if all(m == (i == j) for i, row in enumerate(self.rows) for j, m in enumerate(row)):
            return x
        blocks, parts = x.chunk(groups * d, 1), []
        for group in range(groups):
            own = blocks[group * d : group * d + d]
            for row in self.rows:
                terms = [b if m == 1 else m * b for m, b in zip(row, own, strict=True) if m != 0]
                parts.append(sum(terms[1:], start=terms[0]))
        return torch.cat(parts, 1)


class _Across(torch.autograd.Function):
    """One seam. Its gradient is the adjoint below: torch's own would fill a whole field for each end."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int, crossing: _Crossing, groups: int) -> Tensor:
        ctx.options = width, crossing, groups
        dim = 2 + crossing.axis
        before = crossing.turned(x.narrow(dim, x.shape[dim] - width, width), groups)
        after = crossing.turned(x.narrow(dim, 0, width), groups)
        return torch.cat([before, x, after], dim)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Adjoint.apply(grads[0], *ctx.options), None, None, None


class _Adjoint(torch.autograd.Function):
    """What lies beyond a seam, added to where it came from: rho(A) is orthogonal and its own inverse."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, width: int, crossing: _Crossing, groups: int) -> Tensor:
        ctx.options = width, crossing, groups
        dim = 2 + crossing.axis
        length = y.shape[dim] - 2 * width
        x = y.narrow(dim, width, length).clone(memory_format=FORMATS[y.dim() - 2])
        x.narrow(dim, length - width, width).add_(crossing.turned(y.narrow(dim, 0, width), groups))
        x.narrow(dim, 0, width).add_(crossing.turned(y.narrow(dim, width + length, width), groups))
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Across.apply(grads[0], *ctx.options), None, None, None
