"""Lattices on flat quotients: what lies beyond a seam is what the cover says."""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.domains.grid import Grid
from erlangen.domains.interpolation import Interpolation
from erlangen.domains.spec import Field, KernelSpec, Way
from erlangen.domains.symmetry import Symmetry
from erlangen.engines import Continuation, Engine, Halving, LatticeEngine, SkewHalving, centred
from erlangen.geometry import Deck, Geometry
from erlangen.groups import Fibre, Representation, StructureGroup
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
        self.elements = StructureGroup.finite([deck.matrix for deck in decks]).components
        # what they do to the places of samples, in their own axes
        places = self.steps @ self.elements.mT @ torch.linalg.inv(self.steps)
        off = (places - torch.eye(self.dim).to(places)).abs().amax(0)
        turned, mixed = (
            torch.maximum(x.amax(0), x.amax(1)) > 1e-9 for x in (off, off - off.diagonal().diag())
        )
        shifts = torch.stack([deck.shift for deck in decks if deck.order == 1] or [torch.zeros(self.dim)])
        plain = ((shifts.to(places) @ torch.linalg.inv(self.steps)).abs() > 0.5).any(0)
        self._turned, self._halved = turned.tolist(), (turned & ~mixed & plain).tolist()
        self.is_skew = not _is_diagonal(self.steps @ self.steps.T)
        self.halving = SkewHalving(self.steps) if self.is_skew else Halving()
        self._moves: dict[tuple, tuple[Tensor, Tensor] | None] = {}
        self._of_shape: dict[tuple[int, ...], QuotientGrid] = {}
        self._continuation: Continuation | None = None
        self._turns = self._turns_of_fields() if any(self._turned) or self.is_skew else {}

    def _turns_of_fields(self) -> dict[str, list[list[list[float]] | None]]:
        """Rows of rho(h)^{-1} of each type of field, h what decks turn frames by; None for the identity."""
        fields: list[Field] = ["scalar", "vector", "sign"]
        if self.dim == 2:
            fields.append("spin2")
        if self.fibre is not None:
            fields.append("regular")
        found = {}
        for rho in map(self.representation, fields):
            matrices = rho.inverse(self.elements)
            one = torch.eye(matrices.shape[-1]).to(matrices)
            found[rho.name] = [None if torch.equal(m, one) else m.tolist() for m in matrices]
        return found

    def __repr__(self) -> str:
        return f"QuotientGrid({self.geometry}, shape={self.shape})"

    def __reduce__(self) -> tuple:
        arguments = (self.geometry, self.shape, self.steps, self.decks)
        return _rebuild, (arguments, {"origin": self.origin, "fibre": self.fibre})

    def sized(self, shape: tuple[int, ...]) -> Grid:
        """This domain, or that of its coarser ones which has these sizes."""
        found = self._with(tuple(shape))
        return super().sized(shape) if found is None else found

    def _with(self, shape: tuple[int, ...]) -> "QuotientGrid | None":
        """The lattice of these sizes, that some axes halved, some times, lead to."""
        if shape not in self._of_shape:
            grid = self
            while grid.shape != shape:
                more = [here > there for here, there in zip(grid.sizes, shape, strict=True)]
                if not any(more):
                    return None
                grid = grid.halved(more)
            self._of_shape[shape] = grid
        return self._of_shape[shape]

    def coarser(self) -> "QuotientGrid":
        return self._half_of([True] * self.dim)

    def _half_of(self, axes: Sequence[bool]) -> "QuotientGrid":
        if self.is_skew and not all(self.periodic):
            raise ValueError(
                f"axis {self.periodic.index(False)} of {self} has ends and other axes are not perpendicular, "
                "expected axes that all close, or perpendicular ones: else no coarser grid is known"
            )
        pairs = zip(self.sizes, axes, strict=True)
        return self._with(tuple(-(-size // 2) if on else size for size, on in pairs))  # type: ignore[return-value]

    @shared()
    def halved(self, axes: Sequence[bool]) -> "QuotientGrid":
        """Every other sample of some axes: about the centre or, on lattices askew, from the first one."""
        sizes = self.sizes
        found = [centred(size, 2) if on else (size, 0) for size, on in zip(sizes, axes, strict=True)]
        first = torch.tensor([0.0 if self.is_skew else twice / 2 for _, twice in found]).double()
        steps = torch.tensor([1.0 + on for on in axes]).double()[:, None] * self.steps
        return QuotientGrid(
            self.geometry,
            [size for size, _ in found],
            steps,
            self.decks,
            origin=self.first + first @ self.steps,
            fibre=self.fibre,
        )

    def content_axes(self, circular: bool) -> list[bool]:
        # on an axis that a seam mirrors, the mirror images of every other sample are the ones between
        return [
            closes and not turned
            for turned, closes in zip(self._turned, super().content_axes(circular), strict=True)
        ]

    def half_shifts(self, size: tuple[int, ...]) -> list[bool]:
        # a mirror turns the shift by half round into that by half back, the same where the axis just closes
        return [halved and length % 4 == 2 for halved, length in zip(self._halved, size, strict=True)]

    def surround(
        self, field: Tensor, widths: list[int], rho: Representation | None = None, groups: int = 1
    ) -> Tensor:
        if not self._turns:
            return super().surround(field, widths, rho)
        sizes = tuple(field.shape[2:])
        over = [axis for axis, width in enumerate(widths) if width > sizes[axis] and not self.is_skew]
        if over:
            raise ValueError(
                f"the kernel reaches {widths[over[0]]} samples beyond an axis of {sizes[over[0]]}, more than "
                "once round; take a smaller kernel"
            )
        continuation = self._with(sizes).continued(widths)  # type: ignore[union-attr]
        return continuation.across(field, widths, self._turns["scalar" if rho is None else rho.name], groups)

    def beyond(self, rho: Representation) -> Callable[[Tensor, list[int], int], Tensor] | None:
        if not self._turns:  # from the other end
            return None
        return lambda field, widths, groups: self.surround(field, widths, rho, groups)

    def continued(self, widths: Sequence[int]) -> Continuation:
        """What lies so far beyond the ends of axes, and what lies beyond any that were asked for before.

        Raises:
            ValueError: for decks that do not carry samples to samples.
        """
        known = self._continuation
        margins = [0] * self.dim if known is None else known.margins
        if known is None or any(width > margin for width, margin in zip(widths, margins, strict=True)):
            known = self._continuation = self._seen([max(pair) for pair in zip(widths, margins, strict=True)])
        return known

    @shared()
    def _seen(self, margins: Sequence[int]) -> Continuation:
        ends = zip(self.sizes, margins, strict=True)
        axes = [torch.arange(-margin, size + margin).double() for size, margin in ends]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) @ self.steps + self.first
        u = self.geometry.glue(self.geometry.frames(places))  # type: ignore[attr-defined]
        index = self._index(u.point)
        if index is None:
            raise ValueError(
                f"the decks of {self.geometry} do not carry samples of {self.sizes} to each other, "
                "expected sizes that do: the same on sides that they turn into each other, even ones"
            )
        off = (self.elements - u.basis[..., None, :, :]).abs().amax((-2, -1))
        return Continuation(index, off.argmin(-1), margins)

    def prepare(self, way: Way, rho: Representation) -> None:
        super().prepare(way, rho)
        sizes = zip(self.periodic, self.sizes, strict=True)
        if self._turns and not any(closes and size % 2 for closes, size in sizes):
            most = self.halving.most
            others = [not phased for phased in self.content_axes(False)]
            for axes in ([False] * self.dim, others, [True] * self.dim):
                self._half_of(axes).continued([most if closes else 0 for closes in self.periodic])

    def made(self, spec: KernelSpec) -> Engine:
        engine = super().made(spec)
        if self._turns and isinstance(engine, LatticeEngine):
            margins = zip(engine.margins(self.sizes), self.periodic, strict=True)
            self.continued([margin if closes else 0 for margin, closes in margins])
        return engine

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
            size = self.sizes[axis]
            for count in (1, 3, size // 2, size) if closes else ():
                step = tuple(count if a == axis else 0 for a in range(n))
                moves[f"shift {step}"] = Deck(torch.eye(n), count * self.steps[axis]).affine
        centre = self.first if self.is_skew else self.points.flatten(0, -2).mean(0)
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
        p = self.first + (some % 1 * torch.tensor(self.sizes)) @ self.steps
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
        index = self._index(u.point)
        return None if index is None else (index, self.geometry.gauge(frames.at(index), u))

    def _index(self, p: Float[Tensor, "*batch n"]) -> Int[Tensor, "*batch"] | None:
        """The numbers of the samples at points, if there is one at each."""
        position = (p - self.first) @ torch.linalg.inv(self.steps)
        place, sizes = position.round().long(), torch.tensor(self.sizes)
        if bool(((place < 0) | (place >= sizes)).any()) or bool(((position - place).abs() > 1e-6).any()):
            return None
        strides = torch.tensor([int(sizes[axis + 1 :].prod()) for axis in range(self.dim)])
        return (place * strides).sum(-1)


def _is_diagonal(A: Float[Tensor, "n n"]) -> bool:
    return bool((A - A.diagonal().diag()).abs().max() <= 1e-9 * A.diagonal().abs().min())


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
