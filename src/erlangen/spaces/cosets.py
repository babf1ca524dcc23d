"""Deck groups without an order, in which points come home deck by deck: by cosets of their translations."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Deck, Frame
from erlangen.geometry.deck import TURNED
from erlangen.geometry.lattices import reduced
from erlangen.shared import shared
from erlangen.spaces.decks import DeckGroup, in_order

MOST = 1152  # turns: no finite group of whole matrices of up to four rows has more
PARTS = 64  # of a lattice vector that translations may be
SLACK = 1e-12  # less is rounding
WHOLE = 1e-6  # less is rounding after a few hundred products


def deck_group(decks: Sequence[Deck]) -> DeckGroup:
    """The group that decks generate.

    Raises:
        ValueError: for decks of which some product keeps points, or that do not lead home.
    """
    try:
        in_order(decks)
    except ValueError as no_order:
        group = CosetGroup(decks)
        if not group.shortest_loop() > WHOLE * float(group.lattice.norm(dim=-1).min()):
            raise no_order  # it says that there would be cones
        return group
    return DeckGroup(decks)


class CosetGroup(DeckGroup):
    r"""What any decks generate, such as Hantzsche and Wendt's, each of which turns the axes of the others.

    The group is finitely many turns, each with all translations of a lattice. Of the images of a point, each
    brought into the cell of that lattice, home is the first in the order of their coordinates there.

    Args:
        decks: the generators.

    Attributes:
        turns: a deck for each coset of the translations, the identity first.
        lattice: ``(k, n)``, a basis of the translations, of short vectors.

    Raises:
        ValueError: for decks that turn in endlessly many ways, or whose translations lie dense.
    """

    is_ordered = False

    def __init__(self, decks: Sequence[Deck]) -> None:
        with shared():
            self.decks = list(decks)
            self.turns, shifts = _cosets(decks)
            self.lattice = lattice_of(shifts)
            self._dual = torch.linalg.pinv(self.lattice)  # (n, k), to coordinates

    def home(self, u: Frame) -> Frame:
        p, E = u.point, u.basis.expand(*u.point.shape[:-1], -1, -1)
        found = [self._into_cell(deck.act(Frame(p, E))) for deck in self.turns]
        points = torch.stack([w.point for w in found])  # (c, ..., n)
        which = self._first(points)[None, ..., None]
        point = points.take_along_dim(which, 0)[0]
        return Frame(point, torch.stack([w.basis for w in found]).take_along_dim(which[..., None], 0)[0])

    def _into_cell(self, u: Frame) -> Frame:
        whole = torch.floor(u.point @ self._dual.to(u.point) + _slack(u.point))
        whole = torch.where(whole.isfinite(), whole, 0)
        return Frame(u.point - whole @ self.lattice.to(u.point), u.basis)

    def _first(self, points: Float[Tensor, "c *batch n"]) -> Tensor:
        """Which of some images is the first, by its coordinates in the cell and beside it."""
        inside = points @ self._dual.to(points)
        beside = points - inside @ self.lattice.to(points)
        left = torch.ones_like(points[..., 0], dtype=torch.bool)
        for x in torch.cat([inside, beside], -1).unbind(-1):
            least = torch.where(left, x, math.inf).amin(0)
            left = left & (x <= least + 8 * _slack(points) * self._size.to(points))
        return left.int().argmax(0)

    @property
    def _size(self) -> Tensor:
        return self.lattice.abs().max().clamp_min(1.0)

    def image(self, word: Sequence[int], x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """x by the turn of that number."""
        return self.turns[word[0]].image(x)

    def words(self) -> list[tuple[int, ...]]:
        return [(number,) for number in range(len(self.turns))]

    def translations(self, g: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch k n"]:
        V = self.lattice.to(g.device)
        return reduced(V @ g.to(V) @ V.T) @ V

    def shells(self, g: Tensor, d: Tensor) -> Iterator[tuple[list[tuple[int, ...]], Tensor]]:
        yield self.words(), d.new_zeros(())


def _slack(x: Tensor) -> float:
    return max(SLACK, 4 * torch.finfo(x.dtype).eps)


def _cosets(decks: Sequence[Deck]) -> tuple[list[Deck], list[Tensor]]:
    """A deck for each turn, and translations that generate all of them (Schreier's)."""
    n = len(decks[0].shift)
    turns, shifts = [Deck(torch.eye(n), torch.zeros(n))], []
    for turn in turns:  # grows
        for deck in decks:
            more = turn @ deck
            known = next((t for t in turns if float((t.matrix - more.matrix).abs().max()) < WHOLE), None)
            if known is not None:
                shifts.append(more.shift - known.shift)
            elif len(turns) < MOST:
                turns.append(more)
            else:
                raise ValueError(
                    f"{len(decks)} decks turn frames in more than {MOST} ways, expected finitely many: turns "
                    "that keep a lattice; make their matrices in float64"
                )
    return turns, shifts


def lattice_of(shifts: Sequence[Float[Tensor, "n"]]) -> Float[Tensor, "k n"]:
    """A basis of the lattice that vectors generate.

    Raises:
        ValueError: for vectors whose whole combinations lie dense.
    """
    basis = torch.zeros(0, len(shifts[0]), dtype=torch.float64)
    least = TURNED * max(float(v.norm()) for v in shifts)
    for v in sorted(shifts, key=lambda v: float(v.norm())):
        if float(v.norm()) > least:
            basis = _joined(basis, v)
            basis = reduced(basis @ basis.T) @ basis
    return basis


def _joined(basis: Float[Tensor, "k n"], v: Float[Tensor, "n"]) -> Float[Tensor, "l n"]:
    """A basis of the lattice and one more vector."""
    c = v @ torch.linalg.pinv(basis)
    if float((v - c @ basis).norm()) > WHOLE * float(v.norm()):
        return torch.cat([basis, v[None]])
    for m in range(1, PARTS + 1):
        if float((m * c - (m * c).round()).abs().max()) < m * WHOLE:
            rows = [[m * (i == j) for j in range(len(c))] for i in range(len(c))]
            rows.append([int(x) for x in (m * c).round().tolist()])
            return torch.tensor(_triangular(rows), dtype=torch.float64) / m @ basis
    raise ValueError(
        f"the translations among the decks, such as by {torch.round(v, decimals=4).tolist()}, lie dense, "
        "expected a lattice; give decks whose shifts are whole parts of one"
    )


def _triangular(rows: list[list[int]]) -> list[list[int]]:
    """As many rows as columns, of the same whole combinations as the given ones, by Euclid's algorithm."""
    done = []
    for column in range(len(rows[0])):
        while True:
            some = sorted((row for row in rows if row[column]), key=lambda row: abs(row[column]))
            if len(some) < 2:
                break
            first = some[0]
            for row in some[1:]:
                q = row[column] // first[column]
                row[:] = [a - q * b for a, b in zip(row, first, strict=True)]
        done += some
        rows = [row for row in rows if not row[column]]
    return done
