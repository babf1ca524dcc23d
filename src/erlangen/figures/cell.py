"""The box that a space is glued from: its edges, and marks that show which side meets which, and how."""

import itertools
from typing import Any

import torch
from torch import Tensor

from erlangen.figures.canvas import MUTED
from erlangen.figures.letter import letter
from erlangen.geometry import Cell, Deck

GROUND, SEAMS = "#f6f1e6", ("#8a6d3b", "#4f7a4f", "#5b3f8c")


def draw_cell(view: Any, cell: Cell, low: Tensor, high: Tensor) -> None:
    """The box from low to high, and a mark on both sides of each seam."""
    n = len(low)
    glued = {deck.axis for deck in cell.decks}
    if n == 2:
        corners = torch.tensor([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=torch.float64)
        view.area(_padded(low + corners * (high - low)), color=GROUND, zorder=0)
    for axis in range(n):
        for others in itertools.product((0.0, 1.0), repeat=n - 1):
            ends = torch.tensor(
                [(*others[:axis], t, *others[axis:]) for t in (0.0, 1.0)], dtype=torch.float64
            )
            seam = n == 2 and (1 - axis) in glued
            endless = bool((cell.low[axis] - cell.high[axis]).isinf()) or n == 3
            style = {"color": MUTED if not seam else SEAMS[1 - axis], "linewidth": 2.4 if seam else 1.0}
            view.curve(
                _padded(low + ends * (high - low)),
                **style | ({"linestyle": ":"} if endless and n == 2 else {}),
            )
    for deck in cell.decks:
        if n == 2:
            _arrows(view, deck, low, high)
        elif n == 3:
            _letters(view, deck, low, high)


def ends(cell: Cell, origin: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of the box: about the origin where it has no end, and where it is glued by a shift."""
    size = (cell.high - cell.low)[(cell.high - cell.low).isfinite()]
    half = torch.full_like(origin, float(size.max()) / 2 if len(size) else 1.0)
    free = (cell.high - cell.low).isinf()
    for deck in _shifts(cell):
        half[deck.axis], free[deck.axis] = deck.shift[deck.axis] / 2, True
    return torch.where(free, origin - half, cell.low), torch.where(free, origin + half, cell.high)


def about(cell: Cell, origin: Tensor, p: Tensor) -> Tensor:
    """The coordinates of p within that box."""
    for deck in _shifts(cell):
        turns = torch.floor(((p - origin) / deck.shift)[..., deck.axis] + 0.5 + 1e-9)
        p = deck.power(-turns).image(p)
    return p


def _shifts(cell: Cell) -> list[Deck]:
    """Those of axes whose ends meet as they are."""
    return [deck for deck in cell.decks if deck.order == 1]


def _arrows(view: Any, deck: Deck, low: Tensor, high: Tensor) -> None:
    """Arrows along both sides of a seam: they point the same way where it does not mirror."""
    axis, A = deck.axis, deck.matrix
    other = 1 - axis
    size = float((high - low).max())
    for side in (0.0, 1.0):
        # x at the beginning is A x at the end
        sign = 1.0 if side == 0 else float(A[other, other])
        for share in (0.25, 0.75):
            x, v = low + side * (high - low), torch.zeros(2).double()
            x[other] = low[other] + share * (high[other] - low[other])
            v[other] = sign * 0.05 * size
            view.arrow(_padded(x - v / 2), _padded(v), color=SEAMS[axis], linewidth=2.4, head=20)


def _letters(view: Any, deck: Deck, low: Tensor, high: Tensor) -> None:
    """A letter on one side, and its image under the deck transformation on the other."""
    plane = [i for i in range(3) if i != deck.axis]
    x = torch.zeros(len(letter()), 3, dtype=torch.float64)
    x[:, plane] = 0.5 * float((high - low)[plane].min()) * letter()
    x[:, deck.axis] = low[deck.axis]
    for outline in (x, deck.image(x)):
        view.area(outline, color=SEAMS[deck.axis], alpha=0.5)


def _padded(x: Tensor) -> Tensor:
    return torch.nn.functional.pad(x, (0, 3 - x.shape[-1]))
