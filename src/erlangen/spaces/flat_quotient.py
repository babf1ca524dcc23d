"""Flat quotients of R^n: the cylinder, the torus, the flat Moebius strip, the flat Klein bottle."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Extent, Length, Rotations, Size, checked
from erlangen.domains import Domain, QuotientGrid
from erlangen.geometry import Cell, Deck, Frame, Geometry
from erlangen.geometry.deck import HIGHEST, TURNED
from erlangen.geometry.lattices import point_group
from erlangen.groups import Stabilizer, StructureGroup, fibre_of
from erlangen.groups.families import affine
from erlangen.spaces.cosets import deck_group
from erlangen.spaces.euclidean import affine_group, affine_image, expect_affine
from erlangen.spaces.scattered import box_sizes, scattered


class FlatQuotient(Geometry):
    r"""R^n divided by deck transformations: everything happens on the cover, then is glued.

    A point has its coordinates in the fundamental domain, the cell whose sides the decks lead along, with
    ``|x_axis| <= width / 2`` on axes that do not close. H is what the decks generate as they turn frames, the
    holonomy of the flat metric; ``symmetry="isometries"`` adds the mirrors of each axis or, where sides are
    not along axes, all that turns the lattice of translations and keeps the deck group.

    Args:
        decks: the generators of the deck group, ``x -> A x + b``.
        widths: the extent of each axis that no deck leads along (inf for none), by axis.
        symmetry: None, or "isometries" for kernels that those leave alone as well.
        structure: H itself, instead, if it holds what the decks generate.

    Raises:
        ValueError: for decks that change lengths, turn endlessly, keep points, or lead home nowhere.
    """

    @checked
    def __init__(
        self,
        decks: Sequence[Deck],
        widths: Sequence[Extent],
        *,
        symmetry: Literal["isometries"] | None = None,
        structure: StructureGroup | None = None,
        name: str = "FlatQuotient",
    ) -> None:
        self.widths, self.name = tuple(widths), name
        self.dim = self.ambient = len(self.widths)
        expect_isometries(decks, self.widths)
        self.decks, self.generators = deck_group(decks), tuple(decks)
        more = list(self._isometries()) if symmetry == "isometries" else []
        holonomy = [deck.matrix for deck in decks]
        self.structure = structure or StructureGroup.finite([*holonomy, *more])
        expect_holds(self.structure, holonomy)
        self.length = self.decks.shortest_loop()
        self.injectivity_radius = self.length / 2
        is_torus = all(deck.order == 1 for deck in decks) and len(self._sides()) == self.dim
        if is_torus:  # shifts move it
            self.group = affine_group(self.structure)

    def __repr__(self) -> str:
        return f"{self.name}, H = {self.structure}"

    @property
    def sampling(self) -> str:
        if not self.decks.is_ordered:
            return ".samples()"
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
        sides = self._sides()
        closed = torch.tensor([axis in sides for axis in range(self.dim)])
        vectors, widths = self._vectors(), torch.tensor(self.widths, dtype=torch.float64)
        size = torch.where(closed, vectors.norm(dim=-1), widths)
        low = torch.where(closed, 0.0, -size / 2)
        axes = vectors / vectors.norm(dim=-1, keepdim=True)
        return Cell(low, low + size, self.decks.decks, axes)

    def _sides(self) -> dict[int, Deck]:
        """The axes of arrays that close, and the deck that leads along each: along it in space, if all are
        so, else in the order in which they are given. Of decks without an order translations."""
        free = [axis for axis, width in enumerate(self.widths) if math.isinf(width)]
        if not self.decks.is_ordered:
            one = torch.eye(self.dim, dtype=torch.float64)
            return {axis: Deck(one, v) for axis, v in zip(free, self.decks.translations(one), strict=False)}
        along = {deck.axis: deck for deck in self.generators if deck.axis in free}
        return along if len(along) == len(self.generators) else dict(zip(free, self.generators, strict=False))

    def _vectors(self) -> Float[Tensor, "n n"]:
        """The sides of the cell, with one for the length of each that does not close."""
        vectors = torch.eye(self.dim, dtype=torch.float64)
        for axis, deck in self._sides().items():
            vectors[axis] = deck.pitch
        return vectors

    def _isometries(self) -> Float[Tensor, "g n n"]:
        """Orthogonal maps that keep the deck group: the mirrors of axes, or all those of a lattice askew."""
        if all(deck.axis is not None and is_diagonal(deck.matrix) for deck in self.generators):
            return torch.diag_embed(1 - 2 * torch.eye(self.dim, dtype=torch.float64))
        lattice = self.decks.translations(torch.eye(self.dim, dtype=torch.float64))
        if len(lattice) < self.dim:
            raise ValueError(
                f'symmetry is "isometries" on {self.name}, of which not all axes close, expected decks along '
                "axes with diagonal matrices; give structure="
            )
        found = point_group(lattice)
        kept = [self.decks.is_kept_by(Deck(A, torch.zeros(self.dim))) for A in found]
        return found[torch.tensor(kept)]

    def circuits(self) -> list[Tensor]:
        t = torch.arange(1, 5, dtype=torch.float64)[:, None] / 4
        return [t * deck.shift for deck in self.decks]

    def act(self, g: Tensor, u: Frame) -> Frame:
        """``x -> A x + b`` for ``g = [[A, b], [0, 1]]``, an isometry of the cover that keeps the gluing."""
        return self.glue(affine_image(g, u))

    def expect_symmetry(self, g: Tensor) -> None:
        super().expect_symmetry(g)
        expect_affine(g)
        if not self.decks.is_kept_by(Deck(g[:-1, :-1], g[:-1, -1])):
            raise ValueError(
                f"g carries some points that are one on {self.name} to two, expected an isometry that keeps "
                "the deck group: such as those of grid.symmetries()"
            )

    def stabilizer(self) -> Stabilizer:
        """The shifts once round as well, which stand for all that they generate."""
        H = super().stabilizer()
        once = torch.stack([deck.affine for deck in self.decks])
        return replace(H, components=torch.cat([H.components, once]), is_infinite=True)

    def mover(self, u: Frame) -> Tensor:
        return super().mover(u) if self.group is None else affine(u.basis, u.point)

    samples = scattered

    def own_samples(self, count: int = 500) -> tuple[Tensor, Tensor]:
        """Those of a lattice along the sides of the cell, whether or not decks carry them to each other."""
        cosets = 1 if self.decks.is_ordered else len(self.decks.words())
        sizes = box_sizes(self.cell, count * cosets)
        sizes = sizes if cosets == 1 else [2 * -(-size // 2) for size in sizes]
        steps, origin, _ = self._lattice(sizes)
        places = torch.cartesian_prod(*[torch.arange(size).double() for size in sizes]).view(-1, self.dim)
        points = origin + places @ steps
        home = self.home(points)
        if cosets > 1:  # the cell of translations holds as many images of each point
            home = home[(home - points).abs().amax(-1) < TURNED * self.length]
        return home, torch.linalg.det(steps).abs().expand(len(home))

    def _lattice(self, shape: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """The steps of a grid of so many samples, the first one, and which axes close."""
        n, sides = self.dim, self._sides()
        endless = [a for a, w in enumerate(self.widths) if a not in sides and math.isinf(w)]
        if endless:
            raise ValueError(
                f"axis {endless[0]} of {self} has no end, expected a width: where should samples end?"
            )
        counts = torch.tensor(shape, dtype=torch.float64)
        widths = torch.tensor(self.widths, dtype=torch.float64)
        closed = torch.tensor([axis in sides for axis in range(n)])
        steps = torch.where(closed, 1.0, widths)[:, None] * self._vectors() / counts[:, None]
        turned = torch.stack([deck.matrix - torch.eye(n).to(deck.matrix) for deck in self.generators])
        begins = 0.5 * ((turned.abs().amax((0, 1)) > 0) & is_diagonal(steps @ steps.T))
        origin = torch.where(closed, begins, (1 - counts) / 2) @ steps
        return steps, origin, closed

    @checked
    def grid(
        self,
        *shape: Size,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """Samples at even distances along the sides of the cell: on those that close from zero, else centred.

        Where sides are perpendicular, an axis that closes and that another deck turns starts half a step
        from zero: samples have mirror images.

        Args:
            shape: the number of samples on each axis.
            rotations: N, where H is C_N or D_N of the plane; None for all of H.
            reflections: whether the fibre has mirrors, which H says; None does not ask.
            mask: as in `Domain.masked`.
        """
        if not self.decks.is_ordered:
            self.refuse_grid()
        if len(shape) != self.dim or min(shape) < 1:
            raise ValueError(f"shape is {shape}, expected {self.dim} positive sizes")
        steps, origin, closed = self._lattice(shape)
        sides = self._sides()
        decks = [sides[axis] for axis in sorted(sides)]
        fibre = fibre_of(self.structure, rotations, reflections)
        grid = QuotientGrid(self, shape, steps, decks, origin=origin, fibre=fibre)
        if any(deck.order > 1 for deck in decks):
            grid.continued(closed.int().tolist())  # refuses samples that decks do not carry to samples
        return grid.masked(mask)


def is_diagonal(A: Float[Tensor, "n n"]) -> bool:
    """Whether there is nothing but rounding beside the diagonal."""
    return bool((A - A.diagonal().diag()).abs().max() <= TURNED * A.diagonal().abs().max())


def expect_isometries(decks: Sequence[Deck], widths: Sequence[float]) -> None:
    """ValueError for decks that change lengths, turn endlessly, keep a point, or lead out of a width."""
    if not decks:
        raise ValueError("a quotient without decks, expected at least one; use er.Euclidean")
    for number, deck in enumerate(decks):
        if tuple(deck.shift.shape) != (len(widths),):
            raise ValueError(
                f"the deck {number} has a shift {tuple(deck.shift.shape)}, and there are {len(widths)} "
                "widths, expected one for each axis, inf where it has no end"
            )
        fault = fault_of(deck)
        if fault is not None:
            raise ValueError(f"the deck {number} {fault}")
        ends = torch.tensor([not math.isinf(width) for width in widths])
        turned = deck.matrix.abs() - torch.eye(len(widths)).to(deck.matrix)
        if bool((deck.shift[ends] != 0).any()) or bool((turned[ends].abs() > TURNED).any()):
            raise ValueError(
                f"the deck {number} leads along or turns an axis that has a width, {tuple(widths)}, expected "
                "inf there"
            )


def fault_of(deck: Deck) -> str | None:
    """Why a flat space of finite holonomy is not made of a deck, and what is expected."""
    off = float((deck.matrix.T @ deck.matrix - torch.eye(len(deck.shift)).to(deck.matrix)).abs().max())
    if not bool(deck.shift.isfinite().all()):
        return f"has the shift {deck.shift.tolist()}, expected finite numbers: give how far it leads"
    if not off < TURNED:
        return f"changes lengths, by {off:.2g}, expected an orthogonal matrix; make it in float64"
    if float(deck.pitch.norm()) <= TURNED * float(deck.shift.norm()):
        return (
            "keeps a point, about which there would be a cone, expected a shift that has a part which its "
            "matrix keeps"
        )
    if not deck.order:
        return (
            f"has no power up to {HIGHEST} that turns nothing, expected one that does; such turns are "
            "er.MappingTorus(angle)"
        )
    return None


def expect_holds(structure: StructureGroup, turns: Sequence[Tensor]) -> None:
    """ValueError for a structure group without the turns of the decks."""
    if structure.is_finite and any(
        float((structure.components - A).abs().amax((1, 2)).min()) > TURNED for A in turns
    ):
        raise ValueError(
            f"structure is {structure}, which lacks turns that frames come back with, expected a group that "
            f"holds {StructureGroup.finite(turns)}; add them to its generators"
        )


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
    lengths: Sequence[Length] | None = None,
    *,
    lattice: Float[Tensor, "n n"] | None = None,
    symmetry: Literal["isometries"] | None = None,
    structure: StructureGroup | None = None,
) -> FlatQuotient:
    r"""The flat torus R^n / (lengths Z^n), or R^n by any lattice; its holonomy is trivial.

    Args:
        lengths: of perpendicular sides, one for each axis; (1, 1) unless given.
        lattice: instead, a basis of the lattice in its rows; array axis i of a grid goes along row i.
        symmetry: "isometries" adds to H the mirrors of each axis or, with `lattice`, its point group: all
            orthogonal maps that carry the lattice onto itself.
        structure: H itself, instead.

    Example:
        >>> import torch, erlangen as er
        >>> hexagonal = torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5]], dtype=torch.float64)
        >>> er.FlatTorus(lattice=hexagonal, symmetry="isometries").structure
        D6
    """
    if lengths is not None and lattice is not None:
        raise ValueError(f"lengths is {tuple(lengths)} and there is a lattice, expected one of them")
    if lattice is None:
        lengths = (1.0, 1.0) if lengths is None else tuple(lengths)
        decks = [Deck.along(axis, length, (1,) * len(lengths)) for axis, length in enumerate(lengths)]
        name = f"FlatTorus({lengths})"
    else:
        lattice = lattice.to(torch.float64)
        expect_lattice(lattice)
        decks = [Deck(torch.eye(len(lattice)), side) for side in lattice]
        name = f"FlatTorus(lattice={lattice.tolist()})"
        if symmetry == "isometries" and structure is None:
            structure = StructureGroup(lattice.new_zeros(0, *lattice.shape), point_group(lattice))
    return FlatQuotient(decks, [math.inf] * len(decks), symmetry=symmetry, structure=structure, name=name)


def expect_lattice(lattice: Float[Tensor, "n n"]) -> None:
    """ValueError for rows that are no basis of R^n."""
    unit = (lattice / lattice.norm(dim=-1, keepdim=True)).nan_to_num(0.0, 0.0, 0.0)
    if lattice.shape[0] != lattice.shape[1] or not bool(torch.linalg.svdvals(unit)[-1] > TURNED):
        raise ValueError(
            f"lattice is {lattice.tolist()}, whose rows are no basis, expected {lattice.shape[-1]} "
            f"independent vectors of R^{lattice.shape[-1]}"
        )
