"""Flat quotients of R^n: the cylinder, the torus, the flat Moebius strip, the flat Klein bottle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from erlangen.arguments import Extent, Length, Size, check_fields, checked
from erlangen.domains import QuotientGrid
from erlangen.engines import Seam
from erlangen.geometry import Cell, Frame, Geometry
from erlangen.groups import Stabilizer, StructureGroup, fibre_of
from erlangen.spaces.decks import in_order, nearest_image
from erlangen.spaces.euclidean import affine, affine_group, expect_affine, frame_mover


@dataclass(frozen=True, eq=False)
class Gluing:
    """The deck transformation ``x -> A x + length e_axis``, with A diagonal and A e_axis = e_axis."""

    axis: int
    length: Length
    signs: tuple[float, ...]  # the diagonal of A

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def matrix(self) -> Tensor:
        """A, which glues frames."""
        return torch.diag(torch.tensor(self.signs, dtype=torch.float64))


class FlatQuotient(Geometry):
    r"""R^n divided by deck transformations: everything happens on the cover, then is glued.

    A point has its coordinates in the fundamental domain, ``0 <= x_axis < length`` on glued axes
    and ``|x_axis| <= width / 2`` on the others. H is what the gluings generate, the holonomy of
    the flat metric; ``symmetry="isometries"`` adds the mirrors of each axis that commute with them.

    Args:
        gluings: the generators of the deck group.
        widths: the extent of each axis that is not glued (inf for none), by axis.
        symmetry: None, or "isometries" for kernels that the lengthwise mirrors leave alone as well.
    """

    @checked
    def __init__(
        self,
        gluings: Sequence[Gluing],
        widths: Sequence[Extent],
        *,
        symmetry: Literal["isometries"] | None = None,
        name: str = "FlatQuotient",
    ) -> None:
        self.decks = in_order([(g.axis, g.length, g.matrix) for g in gluings])
        glued = {g.axis: g for g in gluings}
        self.gluings = tuple(glued[axis] for axis, _, _ in self.decks)
        self.widths, self.name = tuple(widths), name
        self.dim = self.ambient = n = len(self.widths)
        if not self.gluings:
            raise ValueError("a quotient without gluings, expected at least one; use er.Euclidean")
        turns = [g.matrix for g in self.gluings]
        if symmetry == "isometries":
            turns += list(torch.diag_embed(1 - 2 * torch.eye(n, dtype=torch.float64)))
        self.structure = StructureGroup.finite(turns)
        self.mirrored = {axis for g in self.gluings for axis, sign in enumerate(g.signs) if sign < 0}
        self.length = min(g.length for g in self.gluings)
        self.injectivity_radius = self.length / 2
        if len(self.gluings) == n and not self.mirrored:  # a torus, which shifts move
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
        point, basis = u
        basis = basis.expand(*point.shape[:-1], -1, -1)
        for g in self.gluings:
            signs = torch.tensor(g.signs, dtype=point.dtype, device=point.device)
            # a point a rounding below zero is at zero: at the length it would be another one's mirror image
            turns = torch.floor(point[..., g.axis] / g.length + 1e-12)
            mirror = torch.where((turns % 2 == 1)[..., None], signs, torch.ones_like(signs))
            shift = torch.zeros_like(point)
            shift[..., g.axis] = turns * g.length
            point = (point - shift) * mirror
            basis = mirror[..., None] * basis
        return Frame(point, basis)

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        u, q = self.glue(u), self.home(q)
        d = nearest_image(self.decks, torch.eye(self.dim).to(q), u.point, q) - u.point
        return (u.basis.mT @ d[..., None])[..., 0]

    def home(self, p: Tensor) -> Tensor:
        return self.glue(Frame(p, p.new_zeros(self.dim, self.dim))).point

    def contains(self, p: Tensor) -> Tensor:
        widths = torch.tensor(self.widths, dtype=p.dtype, device=p.device)
        return (p.abs() <= widths / 2).logical_or(torch.isinf(widths)).all(-1)

    @property
    def cell(self) -> Cell:
        glued = {g.axis: g.length for g in self.gluings}
        low = torch.tensor([0.0 if a in glued else -w / 2 for a, w in enumerate(self.widths)]).double()
        high = torch.tensor([glued.get(a, w / 2) for a, w in enumerate(self.widths)]).double()
        return Cell(low, high, self.decks)

    def circuits(self) -> list[Tensor]:
        t = torch.arange(1, 5, dtype=torch.float64)[:, None] / 4
        return [t * g.length * torch.eye(self.dim, dtype=torch.float64)[g.axis] for g in self.gluings]

    def act(self, g: Tensor, u: Frame) -> Frame:
        """``x -> A x + b`` for ``g = [[A, b], [0, 1]]``, an isometry of the cover that keeps the gluing."""
        return self.glue(affine(g, u))

    def expect_symmetry(self, g: Tensor) -> None:
        super().expect_symmetry(g)
        expect_affine(g)

    def stabilizer(self) -> Stabilizer:
        """The shifts once round as well, which stand for all that they generate."""
        H = super().stabilizer()
        once = torch.eye(self.dim + 1, dtype=torch.float64).repeat(len(self.gluings), 1, 1)
        for shift, g in zip(once, self.gluings, strict=True):
            shift[g.axis, -1] = g.length
        return replace(H, components=torch.cat([H.components, once]), is_infinite=True)

    def mover(self, u: Frame) -> Tensor:
        return super().mover(u) if self.group is None else frame_mover(u)

    @checked
    def grid(self, *shape: Size) -> QuotientGrid:
        """Samples at even distances: on glued axes from zero, on the others centred.

        A glued axis that another gluing mirrors starts half a step from zero, so that samples have mirror
        images. The regular fibre is all of H, where it is not trivial.

        Args:
            shape: the number of samples on each axis.
        """
        n = self.dim
        if len(shape) != n or min(shape) < 1:
            raise ValueError(f"shape is {shape}, expected {n} positive sizes")
        glued = {g.axis: g.length for g in self.gluings}
        endless = [a for a, w in enumerate(self.widths) if a not in glued and math.isinf(w)]
        if endless:
            raise ValueError(
                f"axis {endless[0]} of {self} has no end, expected a width: where should samples end?"
            )
        spacing = [glued.get(axis, self.widths[axis]) / size for axis, size in enumerate(shape)]
        first = [
            (0.5 if axis in self.mirrored else 0.0) if axis in glued else (1 - size) / 2
            for axis, size in enumerate(shape)
        ]
        spacing, first = (torch.tensor(x, dtype=torch.float64) for x in (spacing, first))
        fibre = fibre_of(self.structure)
        seams = [Seam(g.axis, g.signs) for g in self.gluings]
        return QuotientGrid(self, shape, torch.diag(spacing), seams, origin=first * spacing, fibre=fibre)


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
    gluing = Gluing(0, length, (1.0, -1.0))
    name = f"Moebius(length={length}, width={width})"
    return FlatQuotient([gluing], (math.inf, width), symmetry=symmetry, name=name)


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
    gluings = [Gluing(0, length, (1.0, -1.0)), Gluing(1, width, (1.0, 1.0))]
    name = f"KleinBottle(length={length}, width={width})"
    return FlatQuotient(gluings, (math.inf, math.inf), symmetry=symmetry, name=name)


@checked
def Cylinder(
    length: Length = 2.0,
    width: Extent = 1.0,
    *,
    symmetry: Literal["isometries"] | None = None,
) -> FlatQuotient:
    """The flat cylinder: ``(x, y) ~ (x + length, y)``, with ``|y| <= width / 2``; H is trivial."""
    gluing = Gluing(0, length, (1.0, 1.0))
    name = f"Cylinder(length={length}, width={width})"
    return FlatQuotient([gluing], (math.inf, width), symmetry=symmetry, name=name)


@checked
def FlatTorus(
    lengths: Sequence[Length] = (1.0, 1.0),
    *,
    symmetry: Literal["isometries"] | None = None,
) -> FlatQuotient:
    """The flat torus R^n / (lengths Z^n); H is trivial."""
    ones = (1.0,) * len(lengths)
    gluings = [Gluing(axis, length, ones) for axis, length in enumerate(lengths)]
    name = f"FlatTorus({tuple(lengths)})"
    return FlatQuotient(gluings, [math.inf] * len(lengths), symmetry=symmetry, name=name)
