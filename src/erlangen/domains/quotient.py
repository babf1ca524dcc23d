"""Lattices on flat quotients: what lies beyond a seam is what the cover says."""

import itertools
import math
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains.grid import Grid
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.spec import Field
from erlangen.domains.symmetry import Symmetry
from erlangen.engines import Continuation, SkewHalving, fold, unfold
from erlangen.geometry import Deck, Geometry
from erlangen.groups import Fibre, Representation
from erlangen.shared import shared

REMEMBERED = 256  # isometries whose permutation a domain keeps


class QuotientGrid(Grid):
    r"""A lattice on ``R^n / Gamma`` that the deck transformations permute.

    Fields are Gamma-equivariant fields on the lattice of R^n: every operation takes the samples it needs from
    beyond a seam, mirrored and with their frames, and does there what it does on R^n.

    Args:
        geometry: the flat quotient.
        shape: the number of samples on each axis.
        steps: ``(n, n)``, row i the step of array axis i, along coordinate i.
        decks: one for each axis that closes, along it.
        origin: ``(n,)``, the first sample.
        fibre: the samples of H for regular fields.
    """

    def __init__(
        self,
        geometry: Geometry,
        shape: Sequence[int],
        steps: Float[Tensor, "n n"],
        decks: Sequence[Deck],
        *,
        origin: Float[Tensor, "n"] | None = None,
        fibre: Fibre | None = None,
    ) -> None:
        sides = torch.stack([deck.pitch for deck in decks]) @ torch.linalg.inv(steps).to(torch.float64)
        periodic = (sides.abs() > 0.5).any(0).tolist()
        super().__init__(geometry, shape, steps, origin=origin, periodic=periodic, fibre=fibre)
        self.decks = tuple(decks)
        turning = any(deck.order > 1 for deck in decks)
        self.mirrors = [deck for deck in map(self._as_crossed, decks) if deck.order > 1] if turning else []
        signs = torch.stack([deck.matrix.diagonal() for deck in decks])
        self._mirrored = set((signs < 0).any(0).nonzero().flatten().tolist())
        fields: list[Field] = ["scalar", "vector", "sign"]
        if geometry.dim == 2:
            fields.append("spin2")
        if fibre is not None:
            fields.append("regular")
        rhos = [self.representation(field) for field in fields]
        self._continuations = {rho.name: Continuation(self.mirrors, rho) for rho in rhos}
        gram = self.steps @ self.steps.T
        self.is_skew = bool((gram - gram.diagonal().diag()).abs().max() > 1e-9 * gram.diagonal().min())
        self._halving = SkewHalving(self.steps) if self.is_skew else None
        self._moves: dict[tuple, tuple[Tensor, Tensor] | None] = {}

    def __repr__(self) -> str:
        return f"QuotientGrid({self.geometry}, shape={self.shape})"

    def __reduce__(self) -> tuple:
        arguments = (self.geometry, self.shape, self.steps, self.decks)
        return _rebuild, (arguments, {"origin": self.origin, "fibre": self.fibre})

    def sized(self, shape: tuple[int, ...]) -> Grid:
        """This domain, or that of its coarser ones which has these sizes."""
        domain: Grid = self
        while domain.shape != tuple(shape) and max(domain._sizes()) > max(shape):
            domain = domain.coarser()
        return domain if domain.shape == tuple(shape) else super().sized(shape)

    @shared()
    def coarser(self) -> "QuotientGrid":
        coarse = super().coarser()
        origin = self.origin if self.is_skew else coarse.origin
        options = {"origin": origin, "fibre": self.fibre}
        return QuotientGrid(self.geometry, coarse.shape, coarse.steps, self.decks, **options)

    def downsample(self, field: Tensor, rho: Representation, circular: bool = False) -> Tensor:
        if self._halving is None:
            return super().downsample(field, rho, circular)
        x = fold(field, rho)
        self.circles(tuple(x.shape[2:]), circular)  # refuses odd sizes
        return unfold(self._halving.down(x, partial(self.surround, rho=rho)), rho)

    def upsample(
        self, field: Tensor, rho: Representation, size: tuple[int, ...], circular: bool = False
    ) -> Tensor:
        if self._halving is None:
            return super().upsample(field, rho, size, circular)
        return unfold(self._halving.up(fold(field, rho), partial(self.surround, rho=rho)), rho)

    def downsample_by_content(
        self, field: Tensor, rho: Representation, circular: bool = False
    ) -> tuple[Tensor, Tensor]:
        if self._halving is None:
            return super().downsample_by_content(field, rho, circular)
        coarse, phase = self._halving.down_by_content(fold(field, rho), partial(self.surround, rho=rho))
        return unfold(coarse, rho), phase

    def upsample_by_content(
        self,
        field: Tensor,
        rho: Representation,
        size: tuple[int, ...],
        phase: Tensor,
        circular: bool = False,
    ) -> Tensor:
        if self._halving is None:
            return super().upsample_by_content(field, rho, size, phase, circular)
        around = partial(self.surround, rho=rho)
        return unfold(self._halving.up_by_content(fold(field, rho), phase, around), rho)

    def content_axes(self, circular: bool) -> list[bool]:
        # on an axis that a seam mirrors, the mirror images of every other sample are the ones between
        return [
            closes and axis not in self._mirrored
            for axis, closes in enumerate(super().content_axes(circular))
        ]

    def _as_crossed(self, deck: Deck) -> Deck:
        """With the turns of the decks that mirrored axes lead over, so that mirrors are flips of samples."""
        A, left = deck.matrix, list(self.decks)
        while True:
            # of the axes that are turned over, one that no other deck turns again
            over = [d for d in left if A[d.axis, d.axis] < 0]
            beyond = next((d for d in over if all(o.matrix[d.axis, d.axis] > 0 for o in over)), None)
            if beyond is None:
                return Deck(A, deck.shift)
            left.remove(beyond)
            A = A @ beyond.matrix

    def half_shifts(self, size: tuple[int, ...]) -> list[bool]:
        # a mirror turns the shift by half round into that by half back, the same where the axis just closes
        plain = {deck.axis for deck in self.decks if deck.order == 1}
        return [axis in self._mirrored & plain and length % 4 == 2 for axis, length in enumerate(size)]

    def surround(self, field: Tensor, widths: list[int], rho: Representation | None = None) -> Tensor:
        continuation = self._continuations["scalar" if rho is None else rho.name]
        field = continuation.across(field, widths)
        rest = [0 if axis in continuation.axes else width for axis, width in enumerate(widths)]
        return super().surround(field, rest, rho) if any(rest) else field

    def act(
        self,
        g: Tensor,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        """The field moved by an isometry: samples permuted, where it permutes them, else interpolated."""
        domain = self.sized(tuple(f.shape[-self.dim :]))
        if domain is not self:
            return domain.act(g, f, field, interpolation=interpolation)
        self.geometry.expect_symmetry(g)
        move = self._permutation(g)
        if move is None or interpolation is not None:
            return super().act(g, f, field, interpolation=interpolation)
        index, h = move
        rho = self.representation(field)
        moved = f.flatten(-self.dim)[..., index.to(f.device)]  # (*batch, [fibre,] p)
        matrix = rho.inverse(h).to(f)  # (p, d, d)
        turned = torch.einsum("pij,...jp->...ip", matrix, moved if rho.has_axis else moved[..., None, :])
        return turned.reshape(f.shape)

    def symmetries(self) -> list[Symmetry]:
        """Those shifts by whole samples along the axes that close, and mirrors, that permute the samples."""
        n, moves = self.dim, {}
        for axis, closes in enumerate(self.periodic):
            size = self._sizes()[axis]
            for count in (1, 3, size // 2, size) if closes else ():
                step = tuple(count if a == axis else 0 for a in range(n))
                moves[f"shift {step}"] = Deck(torch.eye(n), count * self.steps[axis]).affine
        centre = self._first() if self.is_skew else self.points.flatten(0, -2).mean(0)
        for axis in range(n):
            A = torch.diag(1 - 2 * torch.eye(n, dtype=torch.float64)[axis])
            moves[f"mirror of axis {axis}"] = Deck(A, centre - A @ centre).affine
        turns = self.geometry.structure.components if self.geometry.structure.is_finite else []
        for A in turns:
            is_diagonal = bool((A - A.diagonal().diag()).abs().max() < 1e-9)
            if not is_diagonal or (self.is_skew and float(A.trace()) == -n):  # beside mirrors of axes
                moves[turn_name(A)] = Deck(A, centre - A @ centre).affine
        for name, other in itertools.pairwise(list(moves)):
            moves[f"{name}, {other}"] = moves[name] @ moves[other]
        found = [self.symmetry_of(g, name) for name, g in moves.items() if not self._is_identity(g)]
        return [g for g in found if g.permutes]

    def symmetry_of(self, g: Float[Tensor, "d d"], name: str = "g") -> Symmetry:
        g = g.to(torch.float64)
        return Symmetry(name, g, self._permutation(g) is not None, self._in_group(g[:-1, :-1]))

    def _in_group(self, A: Tensor) -> bool:
        """Whether the structure group holds the turn A of the frames."""
        return bool((self.geometry.structure.components - A).abs().amax((1, 2)).min() < 1e-9)

    def _is_identity(self, g: Tensor) -> bool:
        index, h = self._permutation(g) or (torch.empty(0), torch.empty(0))
        stays = torch.equal(index, torch.arange(self.points[..., 0].numel()))
        return stays and bool((h - torch.eye(self.dim)).abs().max() < 1e-9)

    def _permutation(self, g: Tensor) -> tuple[Tensor, Tensor] | None:
        """For each p the sample q and the h of ``g^{-1} s(p) = s(q) h``; None if g permutes no samples."""
        key = tuple(g.flatten().tolist())
        if key not in self._moves:
            if len(self._moves) >= REMEMBERED:
                self._moves.clear()
            self._moves[key] = self._permuted(g.to(torch.float64)) if self._keeps_decks(g) else None
        return self._moves[key]

    def _keeps_decks(self, g: Tensor) -> bool:
        """Whether points that are one stay one: ``g gamma p = g p`` on M, frames too."""
        some = torch.arange(1, 1 + 3 * self.dim, dtype=torch.float64).sqrt().view(3, self.dim)
        p = self._first() + (some % 1 * torch.tensor(self._sizes())) @ self.steps
        u = self.geometry.frames(p)
        here = self.geometry.act(g, u)
        for deck in self.decks:
            there = self.geometry.act(g @ deck.affine, u)
            apart = self.geometry.coordinates(here, there.point).norm(dim=-1)
            if bool((apart > 1e-9 * self.geometry.length).any()) or bool(
                ((here.basis - there.basis).abs() > 1e-9).any()
            ):
                return False
        return True

    def _permuted(self, g: Tensor) -> tuple[Tensor, Tensor] | None:
        frames = self.frames.flat
        u = self.geometry.act(torch.linalg.inv(g), frames)
        position = (u.point - self._first()) @ torch.linalg.inv(self.steps)
        sizes = torch.tensor(self._sizes())
        inside = ((position.round() >= 0) & (position.round() < sizes)).all()
        if not inside or bool(((position - position.round()).abs() > 1e-6).any()):
            return None
        strides = torch.tensor([int(sizes[axis + 1 :].prod()) for axis in range(self.dim)])
        index = (position.round().long() * strides).sum(-1)
        return index, self.geometry.gauge(frames.at(index), u)


def turn_name(A: Float[Tensor, "n n"]) -> str:
    """An orthogonal matrix, for people: in the plane by its angle."""
    if len(A) != 2:
        return f"x -> {torch.round(A, decimals=3).tolist()} x"
    angle = math.degrees(math.atan2(A[1, 0], A[0, 0]))
    if torch.linalg.det(A) > 0:
        return f"turn {angle % 360:.4g}"
    return f"mirror at {(angle / 2) % 180:.4g} degrees"


def _rebuild(arguments: tuple, options: dict) -> QuotientGrid:
    return QuotientGrid(*arguments, **options)
