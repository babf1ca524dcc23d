"""Flat quotients of R^n: the cylinder, the torus, the flat Moebius strip, the flat Klein bottle."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from erlangen.arguments import Extent, Length, Rotations, Size, checked
from erlangen.domains import Domain, QuotientGrid
from erlangen.geometry import Cell, Deck, Frame, Geometry
from erlangen.groups import Stabilizer, StructureGroup, fibre_of
from erlangen.spaces.decks import DeckGroup
from erlangen.spaces.euclidean import affine, affine_group, expect_affine, frame_mover


class FlatQuotient(Geometry):
    r"""R^n divided by deck transformations: everything happens on the cover, then is glued.

    A point has its coordinates in the fundamental domain, ``0 <= x_axis < length`` on glued axes
    and ``|x_axis| <= width / 2`` on the others. H is what the decks generate as they turn frames, the
    holonomy of the flat metric; ``symmetry="isometries"`` adds the mirrors of each axis.

    Args:
        decks: the generators of the deck group: ``x -> A x + length e_axis``, A diagonal with 1 and -1.
        widths: the extent of each axis that no deck leads along (inf for none), by axis.
        symmetry: None, or "isometries" for kernels that the lengthwise mirrors leave alone as well.
    """

    @checked
    def __init__(
        self,
        decks: Sequence[Deck],
        widths: Sequence[Extent],
        *,
        symmetry: Literal["isometries"] | None = None,
        name: str = "FlatQuotient",
    ) -> None:
        if not decks:
            raise ValueError("a quotient without decks, expected at least one; use er.Euclidean")
        self.decks = DeckGroup(decks)
        self.widths, self.name = tuple(widths), name
        self.dim = self.ambient = n = len(self.widths)
        turns = [deck.matrix for deck in self.decks]
        if symmetry == "isometries":
            turns += list(torch.diag_embed(1 - 2 * torch.eye(n, dtype=torch.float64)))
        self.structure = StructureGroup.finite(turns)
        self.length = min(float(deck.shift.norm()) for deck in self.decks)
        self.injectivity_radius = self.length / 2
        if len(self.decks) == n and all(deck.order == 1 for deck in self.decks):  # a torus, which shifts move
            self.group = affine_group(self.structure)

    def __repr__(self) -> str:
        return f"{self.name}, H = {self.structure}"

    @property
    def sampling(self) -> str:
        return f".grid({', '.join(['32'] * self.dim)})"

    def frame(self, p: Tensor) -> Tensor:
        identity = torch.eye(self.dim, dtype=p.dtype, device=p.device)
        return identity.expand(*p.shape[:-1], -1, -1)

    def carry(self, u: Frame, v: Tensor) -> Frame:
        return self.glue(Frame(u.point + u.tangent(v), u.basis))

    def glue(self, u: Frame) -> Frame:
        """The frame of the cover u, brought into the fundamental domain."""
        return self.decks.home(u)

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        u, q = self.glue(u), self.home(q)
        d = self.decks.nearest_image(torch.eye(self.dim).to(q), u.point, q) - u.point
        return (u.basis.mT @ d[..., None])[..., 0]

    def home(self, p: Tensor) -> Tensor:
        return self.glue(Frame(p, p.new_zeros(self.dim, self.dim))).point

    def contains(self, p: Tensor) -> Tensor:
        widths = torch.tensor(self.widths, dtype=p.dtype, device=p.device)
        return (p.abs() <= widths / 2).logical_or(torch.isinf(widths)).all(-1)

    @property
    def cell(self) -> Cell:
        lengths = self._lengths()
        low = torch.tensor([0.0 if a in lengths else -w / 2 for a, w in enumerate(self.widths)]).double()
        high = torch.tensor([lengths.get(a, w / 2) for a, w in enumerate(self.widths)]).double()
        return Cell(low, high, self.decks.decks)

    def _lengths(self) -> dict[int, float]:
        """Of the axes that close."""
        return {deck.axis: float(deck.shift[deck.axis]) for deck in self.decks}

    def circuits(self) -> list[Tensor]:
        t = torch.arange(1, 5, dtype=torch.float64)[:, None] / 4
        return [t * deck.shift for deck in self.decks]

    def act(self, g: Tensor, u: Frame) -> Frame:
        """``x -> A x + b`` for ``g = [[A, b], [0, 1]]``, an isometry of the cover that keeps the gluing."""
        return self.glue(affine(g, u))

    def expect_symmetry(self, g: Tensor) -> None:
        super().expect_symmetry(g)
        expect_affine(g)

    def stabilizer(self) -> Stabilizer:
        """The shifts once round as well, which stand for all that they generate."""
        H = super().stabilizer()
        once = torch.stack([deck.affine for deck in self.decks])
        return replace(H, components=torch.cat([H.components, once]), is_infinite=True)

    def mover(self, u: Frame) -> Tensor:
        return super().mover(u) if self.group is None else frame_mover(u)

    @checked
    def grid(
        self,
        *shape: Size,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """Samples at even distances: on axes that close from zero, on the others centred.

        An axis that closes and that another deck mirrors starts half a step from zero: samples have
        mirror images.

        Args:
            shape: the number of samples on each axis.
            rotations: N, where H is C_N or D_N of the plane; None for all of H.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
        """
        n = self.dim
        if len(shape) != n or min(shape) < 1:
            raise ValueError(f"shape is {shape}, expected {n} positive sizes")
        lengths = self._lengths()
        endless = [a for a, w in enumerate(self.widths) if a not in lengths and math.isinf(w)]
        if endless:
            raise ValueError(
                f"axis {endless[0]} of {self} has no end, expected a width: where should samples end?"
            )
        mirrored = (torch.stack([deck.matrix.diagonal() for deck in self.decks]) < 0).any(0).tolist()
        spacing = [lengths.get(axis, self.widths[axis]) / size for axis, size in enumerate(shape)]
        first = [
            (0.5 if mirrored[axis] else 0.0) if axis in lengths else (1 - size) / 2
            for axis, size in enumerate(shape)
        ]
        spacing, first = (torch.tensor(x, dtype=torch.float64) for x in (spacing, first))
        fibre, steps = fibre_of(self.structure, rotations, reflections), torch.diag(spacing)
        grid = QuotientGrid(self, shape, steps, self.decks.decks, origin=first * spacing, fibre=fibre)
        return grid.masked(mask)


@checked
def Moebius(
    length: Length = 2.0,
    width: Extent = 1.0,
    *,
    symmetry: Literal["isometries"] | None = None,
) -> FlatQuotient:
    r"""The flat Moebius strip: ``(x, y) ~ (x + length, -y)``, with ``|y| <= width / 2``.

    Its holonomy is Z2, the reflection of axis 1. (The usual band in R^3 is not flat, and has O(2).)

    Args:
        length: the way once around the strip.
        width: the extent across it.
        symmetry: "isometries" adds the lengthwise mirror to H.
    """
    deck = Deck.along(0, length, (1, -1))
    name = f"Moebius(length={length}, width={width})"
    return FlatQuotient([deck], (math.inf, width), symmetry=symmetry, name=name)


@checked
def KleinBottle(
    length: Length = 2.0,
    width: Length = 1.0,
    *,
    symmetry: Literal["isometries"] | None = None,
) -> FlatQuotient:
    r"""The flat Klein bottle: ``(x, y) ~ (x + length, -y) ~ (x, y + width)``.

    Its holonomy is Z2, the reflection of axis 1. Its isometries: all shifts along axis 0, half the width
    along axis 1, the mirrors of both axes.

    Args:
        length: the way once around, mirrored.
        width: the way around without a mirror.
        symmetry: "isometries" adds the mirror of axis 0 to H.
    """
    decks = [Deck.along(0, length, (1, -1)), Deck.along(1, width, (1, 1))]
    name = f"KleinBottle(length={length}, width={width})"
    return FlatQuotient(decks, (math.inf, math.inf), symmetry=symmetry, name=name)


@checked
def Cylinder(
    length: Length = 2.0,
    width: Extent = 1.0,
    *,
    symmetry: Literal["isometries"] | None = None,
) -> FlatQuotient:
    """The flat cylinder: ``(x, y) ~ (x + length, y)``, with ``|y| <= width / 2``; H is trivial."""
    deck = Deck.along(0, length, (1, 1))
    name = f"Cylinder(length={length}, width={width})"
    return FlatQuotient([deck], (math.inf, width), symmetry=symmetry, name=name)


@checked
def FlatTorus(
    lengths: Sequence[Length] = (1.0, 1.0),
    *,
    symmetry: Literal["isometries"] | None = None,
) -> FlatQuotient:
    """The flat torus R^n / (lengths Z^n); H is trivial."""
    decks = [Deck.along(axis, length, (1,) * len(lengths)) for axis, length in enumerate(lengths)]
    name = f"FlatTorus({tuple(lengths)})"
    return FlatQuotient(decks, [math.inf] * len(lengths), symmetry=symmetry, name=name)
