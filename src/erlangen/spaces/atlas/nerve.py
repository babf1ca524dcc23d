"""In which pieces charts overlap, how to come from one to the other, and which loops that leaves."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from erlangen.spaces.atlas.cover import Cover
from erlangen.spaces.atlas.lines import length_of

STATIONS, FEWEST, MOST = 128, 6, 32  # in all overlaps, and in each piece


@dataclass(frozen=True, eq=False)
class Piece:
    """A connected part of the overlap of two charts.

    Attributes:
        one, other: the charts.
        stations: ``(k, m)``, points of it, written in `one`; one in the middle first.
    """

    one: int
    other: int
    stations: Float[Tensor, "k m"] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Nerve:
    """The graph of charts and pieces of their overlaps.

    Boxes can be contracted, so every loop is a word in the pieces that it crosses.
    """

    cover: Cover

    @cached_property
    def _labels(self) -> dict[tuple[int, int], Int[Tensor, "*grid"]]:
        """For each pair of charts, the piece of the overlap at each probe of the first; -1 for none."""
        labels, count = {}, 0
        for a, b in sorted(self.cover.transitions):
            if a < b:
                x = self.cover.probes(a)
                found = _components(self.cover.inside(b, self.cover.to(a, b, x)))
                kinds, index = torch.unique(found, return_inverse=True)
                outside = int(kinds[0] < 0)
                labels[a, b] = torch.where(found < 0, -1, index - outside + count)
                count += len(kinds) - outside
        return labels

    @cached_property
    def pieces(self) -> list[Piece]:
        """All overlaps, piece by piece."""
        cover, found = self.cover, []
        for (a, b), label in self._labels.items():
            for number in torch.unique(label[label >= 0]).tolist():
                x = cover.probes(a)[label == number]
                deep = torch.minimum(cover.room(a, x), cover.room(b, cover.to(a, b, x)))
                order = deep.argsort(descending=True, stable=True)
                found.append((a, b, x[order[: (len(order) + 1) // 2]]))
        count = min(max(STATIONS // max(len(found), 1), FEWEST), MOST)
        return [Piece(a, b, cover.point(a, _spread(x, count, cover.sides(a)))) for a, b, x in found]

    @cached_property
    def tree(self) -> dict[int, tuple[int, int]]:
        """For each chart that can be reached from the first: where from, and over which piece."""
        parents: dict[int, tuple[int, int]] = {0: (0, -1)}
        waiting = [0]
        while waiting:
            here = waiting.pop(0)
            for number, piece in enumerate(self.pieces):
                for one, other in ((piece.one, piece.other), (piece.other, piece.one)):
                    if one == here and other not in parents:
                        parents[other] = (here, number)
                        waiting.append(other)
        return parents

    def middle(self, a: int) -> Float[Tensor, "m"]:
        """The point in the middle of a chart."""
        return self.cover.point(a, self.cover.charts[a].origin)

    def path(self, a: int) -> Float[Tensor, "k m"]:
        """From the middle of chart 0, which is left out, to that of another, along the tree."""
        points = []
        while a:
            before, number = self.tree[a]
            points += [self.middle(a), self.pieces[number].stations[0]]
            a = before
        return torch.stack(points[::-1]) if points else self.middle(0)[None]

    def circuits(self) -> list[Float[Tensor, "k m"]]:
        """Closed polygons from the middle of chart 0 that generate the fundamental group."""
        return [self._round(number) for number in self.generators]

    def _round(self, number: int) -> Float[Tensor, "k m"]:
        """Along the tree to a piece, over it and back."""
        piece = self.pieces[number]
        out, back = self.path(piece.one), self.path(piece.other)
        return torch.cat([out, piece.stations[:1], back.flip(0), self.middle(0)[None]])

    def length(self, number: int) -> float:
        """Of the way to a piece, over it and back."""
        return length_of(self.cover, torch.cat([self.middle(0)[None], self._round(number)]))

    @cached_property
    def generators(self) -> list[int]:
        """Pieces that close loops which, with the tree, are words for all; short ones first.

        The tree's are trivial, and where three charts meet the third piece follows from the other two.
        """
        known = {number for _, number in self.tree.values() if number >= 0}
        triples, generators = self._triples(), []
        others = [number for number in range(len(self.pieces)) if number not in known]
        for number in sorted(others, key=self.length):
            while more := {t[i] for t in triples for i in range(3) if {*t[:i], *t[i + 1 :]} <= known} - known:
                known |= more
            if number not in known:
                generators.append(number)
                known.add(number)
        return generators

    def _triples(self) -> set[tuple[int, int, int]]:
        """The pieces (ab, ac, bc) that meet somewhere."""
        cover, triples = self.cover, set()
        for (a, b), ab in self._labels.items():
            for c in range(b + 1, len(cover.charts)):
                if (a, c) not in self._labels or (b, c) not in self._labels:
                    continue
                ac, bc = self._labels[a, c], self._labels[b, c]
                both = (ab >= 0) & (ac >= 0)
                y, box = cover.to(a, b, cover.probes(a)[both]), cover.charts[b]
                size = torch.tensor(bc.shape)
                cell = ((y - box.low) / (box.high - box.low) * size).long().clamp_min(0)
                there = bc[tuple(torch.minimum(cell, size - 1).unbind(-1))]
                met = torch.stack([ab[both], ac[both], there], -1)[there >= 0]
                triples |= {(int(i), int(j), int(k)) for i, j, k in torch.unique(met, dim=0).tolist()}
        return triples


def _spread(x: Float[Tensor, "k n"], count: int, sides: Float[Tensor, "n"]) -> Float[Tensor, "c n"]:
    """The point in the middle, then those farthest from all before, as seen in a box with those sides."""
    t = x / sides
    chosen, distance = [int((t - t.mean(0)).norm(dim=-1).argmin())], torch.full_like(x[:, 0], torch.inf)
    while len(chosen) < min(count, len(x)):
        distance = torch.minimum(distance, (t - t[chosen[-1]]).norm(dim=-1))
        chosen.append(int(distance.argmax()))
    return x[chosen]


def _components(mask: Bool[Tensor, "*grid"]) -> Int[Tensor, "*grid"]:
    """A number for each connected part of a mask, corners included; -1 outside."""
    label = torch.where(mask, torch.arange(mask.numel()).view(mask.shape), -1)
    while True:
        grown = label
        for axis in range(label.dim()):
            none = torch.full_like(grown.narrow(axis, 0, 1), -1)
            rest = grown.shape[axis] - 1
            before = torch.cat([none, grown.narrow(axis, 0, rest)], axis)
            after = torch.cat([grown.narrow(axis, 1, rest), none], axis)
            grown = torch.maximum(grown, torch.maximum(before, after))
        grown = torch.where(mask, grown, -1)
        if bool((grown == label).all()):
            return label
        label = grown
