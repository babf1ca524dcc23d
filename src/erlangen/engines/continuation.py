"""How a lattice on a quotient goes on beyond its edge: as the lattice of the cover does.

A field on ``M = M~ / Gamma`` is a Gamma-equivariant field on the cover M~. With its neighbourhood across the
seams a field is a piece of the cover, where a plain convolution does the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.engines.table import Table
from erlangen.shared import shared

Rows = list[list[float]]


@dataclass(frozen=True)
class _Ring:
    """The places that are added, slab by slab: which sample each is, and where frames are turned, by kind."""

    index: Table
    turned: dict[int, Table]


class Continuation:
    r"""What lies at the places about a lattice: at p the sample q, and ``f(p) = rho(h)^{-1} f(q)``.

    Args:
        index: the number of q for each place of a box, the lattice in its middle.
        kind: which h.
        margins: of the box, on both ends of each axis.
    """

    def __init__(self, index: Int[Tensor, "*box"], kind: Int[Tensor, "*box"], margins: Sequence[int]) -> None:
        self._index, self._kind, self.margins = index, kind, tuple(margins)
        self.sizes = tuple(length - 2 * m for length, m in zip(index.shape, margins, strict=True))
        self._rings: dict[tuple[int, ...], _Ring] = {}

    def across(
        self,
        x: Float[Tensor, "batch channel *space"],
        widths: Sequence[int],
        turns: Sequence[Rows | None],
        groups: int = 1,
    ) -> Tensor:
        """The field with more samples at both ends of each axis: a piece of the cover.

        Args:
            x: the field, fibre folded into the channels as by `fold`.
            widths: how many, for each space axis; fewer where negative.
            turns: the rows of rho(h)^{-1} of each kind, None for the identity.
            groups: of channels, as they were folded.
        """
        ring = self._ring(tuple(widths))
        flat = x.movedim(1, -1).flatten(1, -2)  # (batch, q, channel)
        values = flat.index_select(1, ring.index.like(x))  # (batch, p, channel)
        for kind, where in ring.turned.items():
            rows = turns[kind]
            if rows is not None:
                values = torch.where(where.like(x)[:, None], _mixed(values, rows, groups), values)
        for axis, width in enumerate(widths):
            if width < 0:
                x = x.narrow(2 + axis, -width, x.shape[2 + axis] + 2 * width)
        shapes = [[end - start for start, end in slab] for _, slab in self._slabs(widths)]
        parts = values.split([torch.Size(shape).numel() for shape in shapes], 1)
        slabs = [p.unflatten(1, shape).movedim(-1, 1) for p, shape in zip(parts, shapes, strict=True)]
        for number, (axis, _) in enumerate(self._slabs(widths)):
            if number % 2 == 0:
                x = torch.cat([slabs[number], x, slabs[number + 1]], 2 + axis)
        return x

    def _ring(self, widths: tuple[int, ...]) -> _Ring:
        ring = self._rings.get(widths)
        if ring is None:
            if torch.compiler.is_compiling():
                return _Ring(*self._read(widths))
            with shared():
                ring = self._rings[widths] = _Ring(*self._read(widths))
        return ring

    def _read(self, widths: tuple[int, ...]) -> tuple[Table, dict[int, Table]]:
        windows = [
            tuple(slice(m + start, m + end) for m, (start, end) in zip(self.margins, slab, strict=True))
            for _, slab in self._slabs(widths)
        ]
        index = torch.cat([self._index[window].flatten() for window in windows])
        kinds = torch.cat([self._kind[window].flatten() for window in windows])
        return Table(index), {int(kind): Table(kinds == kind) for kind in kinds.unique() if kind}

    def _slabs(self, widths: Sequence[int]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Before and after each axis, and from where to where on all: as far as axes before it have grown."""
        for axis, width in enumerate(widths):
            for start in (-width, self.sizes[axis]) if width > 0 else ():
                yield (
                    axis,
                    [
                        (start, start + width)
                        if a == axis
                        else (-w, size + w)
                        if a < axis or w < 0
                        else (0, size)
                        for a, (w, size) in enumerate(zip(widths, self.sizes, strict=True))
                    ],
                )


def _mixed(x: Float[Tensor, "batch p channel"], rows: Rows, groups: int) -> Tensor:
    """A matrix on the fibre that is folded into the channels: sums without its zeros, which infinities are
    not multiplied by."""
    blocks = x.unflatten(-1, (groups, len(rows), -1)).unbind(-2)
    mixed = []
    for row in rows:
        terms = [b if m == 1 else m * b for m, b in zip(row, blocks, strict=True) if m != 0]
        mixed.append(sum(terms[1:], start=terms[0]))
    return torch.stack(mixed, -2).flatten(2)
