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
    glued = {_axis(cell, deck) for deck in cell.decks}
    if n == 2:
        corners = torch.tensor([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=torch.float64)
        view.area(_padded(_placed(cell, low + corners * (high - low))), color=GROUND, zorder=0)
    for axis in range(n):
        for others in itertools.product((0.0, 1.0), repeat=n - 1):
            ends = torch.tensor(
                [(*others[:axis], t, *others[axis:]) for t in (0.0, 1.0)], dtype=torch.float64
            )
            seam = n == 2 and (1 - axis) in glued
            endless = bool((cell.low[axis] - cell.high[axis]).isinf()) or n == 3
            style = {"color": MUTED if not seam else SEAMS[1 - axis], "linewidth": 2.4 if seam else 1.0}
            view.curve(
                _padded(_placed(cell, low + ends * (high - low))),
                **style | ({"linestyle": ":"} if endless and n == 2 else {}),
            )
    for deck in cell.decks:
        if n == 2:
            _arrows(view, cell, deck, low, high)
        elif n == 3:
            _letters(view, cell, deck, low, high)


def ends(cell: Cell, origin: Tensor) -> tuple[Tensor, Tensor]:
    """The corners of the box: about the origin where it has no end, and where it is glued by a shift."""
    size = (cell.high - cell.low)[(cell.high - cell.low).isfinite()]
    half = torch.full_like(origin, float(size.max()) / 2 if len(size) else 1.0)
    free, middle = (cell.high - cell.low).isinf(), origin @ torch.linalg.inv(_axes(cell, origin))
    for deck in _shifts(cell):
        axis = _axis(cell, deck)
        half[axis], free[axis] = deck.shift.norm() / 2, True
    return torch.where(free, middle - half, cell.low), torch.where(free, middle + half, cell.high)


def about(cell: Cell, origin: Tensor, p: Tensor) -> Tensor:
    """The coordinates of p within that box."""
    inverse = torch.linalg.inv(_axes(cell, p))
    for deck in _shifts(cell):
        turns = torch.floor(((p - origin) @ inverse)[..., _axis(cell, deck)] / deck.shift.norm() + 0.5 + 1e-9)
        p = deck.power(-turns).image(p)
    return p


def _axes(cell: Cell, like: Tensor) -> Tensor:
    return torch.eye(len(cell.low)).to(like) if cell.axes is None else cell.axes.to(like)


def _placed(cell: Cell, x: Tensor) -> Tensor:
    """Points, from their coordinates along the axes of the cell."""
    return x @ _axes(cell, x)


def _axis(cell: Cell, deck: Deck) -> int:
    """The axis of the cell that a deck leads along."""
    return int((deck.shift @ torch.linalg.inv(_axes(cell, deck.shift))).abs().argmax())


def _shifts(cell: Cell) -> list[Deck]:
    """Those of axes whose ends meet as they are."""
    return [deck for deck in cell.decks if deck.order == 1]


def _arrows(view: Any, cell: Cell, deck: Deck, low: Tensor, high: Tensor) -> None:
    """Arrows along both sides of a seam: they point the same way where it does not mirror."""
    axis = _axis(cell, deck)
    other = 1 - axis
    axes = _axes(cell, low)
    A = torch.linalg.inv(axes.T) @ deck.matrix @ axes.T  # along the axes of the cell
    size = float((high - low).max())
    for side in (0.0, 1.0):
        # x at the beginning is A x at the end
        sign = 1.0 if side == 0 else float(A[other, other])
        for share in (0.25, 0.75):
            x, v = low + side * (high - low), torch.zeros(2).double()
            x[other] = low[other] + share * (high[other] - low[other])
            v[other] = sign * 0.05 * size
            x, v = _placed(cell, x - v / 2), _placed(cell, v)
            view.arrow(_padded(x), _padded(v), color=SEAMS[axis], linewidth=2.4, head=20)


def _letters(view: Any, cell: Cell, deck: Deck, low: Tensor, high: Tensor) -> None:
    """A letter on one side, and its image under the deck transformation on the other."""
    axis = _axis(cell, deck)
    plane = [i for i in range(3) if i != axis]
    x = torch.zeros(len(letter()), 3, dtype=torch.float64)
    x[:, plane] = 0.5 * float((high - low)[plane].min()) * letter()
    x[:, axis] = low[axis]
    x = _placed(cell, x)
    for outline in (x, deck.image(x)):
        view.area(outline, color=SEAMS[axis], alpha=0.5)


def _padded(x: Tensor) -> Tensor:
    return torch.nn.functional.pad(x, (0, 3 - x.shape[-1]))
