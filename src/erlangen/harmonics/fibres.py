"""Fields of any type as functions on the circle of frames: their frequencies there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.groups import Representation


@dataclass(frozen=True, eq=False)
class Frequencies:
    r"""A field type of SO(2), taken apart by frequency.

    In the frame turned by gamma a field f has the first component ``F(gamma) = sum_n F_n e^{i n gamma}``. For
    real fields ``F_n = C_n - i S_n``, ``F_{-n} = C_n + i S_n``, with C_n and S_n real: the rows of `into`.
    A scalar has only n = 0, a tangent vector n = 1 (its spins are -1 and 1), a regular field 0, ..., band.

    Attributes:
        orders: the n >= 0 that occur, ascending.
        into: ``(k, d)``, values to (C_0,) C_1, S_1, ...
        out: ``(d, k)``, the way back.
        has_axis: whether fields carry a fibre axis.
        has_fibre: whether their values are samples of F, and not components such as those of vectors.
    """

    orders: tuple[int, ...]
    into: Float[Tensor, "k d"]
    out: Float[Tensor, "d k"]
    has_axis: bool
    has_fibre: bool = False

    @property
    def columns(self) -> tuple[int, ...]:
        """All n that occur, ascending."""
        return columns_of(self.orders)

    @property
    def waves_in(self) -> Complex[Tensor, "n d"]:
        """Values to the F_n, n ascending."""
        rows = {}
        for n, c, s in self._rows():
            row = torch.complex(self.into[c], -self.into[s] if n else torch.zeros_like(self.into[c]))
            rows |= {n: row, -n: row.conj()}
        return torch.stack([rows[n] for n in self.columns])

    @property
    def waves_out(self) -> Complex[Tensor, "d n"]:
        """The F_n to values."""
        rows = {}
        for n, c, s in self._rows():
            real = self.out[:, c]
            row = torch.complex(real, self.out[:, s]) / 2 if n else real + 0j
            rows |= {n: row, -n: row.conj()}
        return torch.stack([rows[n] for n in self.columns], 1)

    @property
    def energies(self) -> tuple[float, ...]:
        """For each n >= 0 what |F_n|^2 adds to the square of a value's length: 4 for vectors, where
        ``F_1 = (v_1 - i v_2) / 2``; 1 for samples of F, whose mean square counts every n once, n < 0 too.
        """
        if self.has_fibre:
            return (1.0,) * len(self.orders)
        return tuple(float(self.out[:, c].square().sum()) for _, c, _ in self._rows())

    def _rows(self) -> list[tuple[int, int, int]]:
        """Each n >= 0, and where its C_n and S_n are."""
        starts = [len(columns_of(self.orders[:i])) for i in range(len(self.orders))]
        return [(n, start, start + (n > 0)) for n, start in zip(self.orders, starts, strict=True)]


def columns_of(orders: Sequence[int]) -> tuple[int, ...]:
    """All n of these orders n >= 0, ascending, those below 0 too: as many as there are parts."""
    return tuple(sorted({n for order in orders for n in (-order, order)}))


def frequencies(rho: Representation, band: int | None = None) -> Frequencies:
    """The frequencies of a field type, up to the band, or to that of its fibre."""
    count = 4 * rho.dim + 8
    gamma = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    c, s = torch.cos(gamma), torch.sin(gamma)
    turns = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    first = rho.inverse(turns)[:, 0]  # (gamma, d): F(gamma) for each value
    limit = None if rho.fibre is None else rho.fibre.default_band
    most = band if band is not None else rho.dim if limit is None else limit
    orders, rows = [], []
    for n in range(most + 1):
        cosine, sine = (f(n * gamma) @ first / count for f in (torch.cos, torch.sin))
        if float(cosine.abs().max()) > 1e-9:
            orders.append(n)
            rows += [cosine] if n == 0 else [cosine, sine]
    into = torch.stack(rows)
    return Frequencies(tuple(orders), into, torch.linalg.pinv(into), rho.has_axis, rho.fibre is not None)
