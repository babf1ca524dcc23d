"""R^n, moved by translations, by rotations as well, or by all isometries."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from erlangen.arguments import Dimension, Range, Rotations, Size, checked
from erlangen.domains import Domain, Grid
from erlangen.geometry import Frame, Geometry
from erlangen.groups import MatrixGroup, StructureGroup, fibre_of, semidirect
from erlangen.groups.families import affine
from erlangen.spaces.scattered import scattered

Spacing = Annotated[float, Range(above=0, kind="a positive length")]
VOLUMES = (
    "in volumes a fibre is all of a finite H = er.groups.StructureGroup.finite(er.groups.cube().components): "
    "er.Euclidean(3, structure=H).grid(8, 8, 8); or "
)
Motions = Literal["translations", "roto-translations", "isometries"]


class Euclidean(Geometry):
    r"""R^n. Carrying walks straight on: ``carry((x, E), v) = (x + E v, E)``.

    Args:
        n: the dimension.
        symmetry: "translations" (any kernel), "roto-translations" (H = SO(n)) or "isometries"
            (H = O(n)).
        structure: a structure group of your own between those, such as C_8 on the plane.
    """

    @checked
    def __init__(
        self,
        n: Dimension,
        symmetry: Motions = "translations",
        *,
        structure: StructureGroup | None = None,
    ) -> None:
        self.dim = self.ambient = n
        self.structure = structure or structure_of(symmetry, n)
        self.group = affine_group(self.structure)
        self.origin = torch.zeros(n, dtype=torch.float64)

    def __repr__(self) -> str:
        return f"Euclidean({self.dim}), H = {self.structure}"

    @property
    def sampling(self) -> str:
        return f".grid({', '.join(['32'] * self.dim)})"

    @property
    def lifting(self) -> str:
        if self.dim == 2:
            return "build it with rotations=8: er.Plane(rotations=8), or "
        if self.dim == 3 and (len(self.structure.components) == 1 or not self.structure.is_finite):
            return VOLUMES
        return super().lifting

    def frame(self, p: Tensor) -> Tensor:
        identity = torch.eye(self.dim, dtype=p.dtype, device=p.device)
        return identity.expand(*p.shape[:-1], -1, -1)

    def carry(self, u: Frame, v: Tensor) -> Frame:
        point = u.point + u.tangent(v)
        return Frame(point, u.basis.expand(*point.shape[:-1], -1, -1))

    def coordinates(self, u: Frame, q: Tensor) -> Tensor:
        return (u.basis.mT @ (q - u.point)[..., None])[..., 0]

    def chord(self, radius: float) -> float:
        return radius

    def act(self, g: Tensor, u: Frame) -> Frame:
        """``x -> A x + b`` for ``g = [[A, b], [0, 1]]``."""
        return affine_image(g, u)

    def expect_symmetry(self, g: Tensor) -> None:
        super().expect_symmetry(g)
        expect_affine(g)

    def mover(self, u: Frame) -> Tensor:
        return affine(u.basis, u.point)

    def equivariant_to(self, structure: StructureGroup) -> str:
        return str(affine_group(structure))

    samples = scattered

    @checked
    def grid(
        self,
        *shape: Size,
        spacing: Spacing | Sequence[Spacing] = 1.0,
        rotations: Rotations | None = None,
        reflections: bool | None = None,
        mask: Tensor | None = None,
    ) -> Domain:
        """A grid of samples centred at zero; array axis i is coordinate i. (Periodic ones: FlatTorus.)

        Args:
            shape: the number of samples on each axis.
            spacing: between neighbours, one length for all axes or one for each.
            rotations: N samples of the fibre SO(2) or O(2), where that is H; where H is trivial on the plane,
                N names a larger group, C_N, or D_N with `reflections`, as on `er.Plane`. None for scalar
                fields, or for all of a finite H.
            reflections: whether the fibre has mirrors; None where H says so.
            mask: as in `Domain.masked`.
        """
        space = self
        if rotations is not None and self.dim == 2 and self.structure.name == "trivial":
            space = Euclidean(2, structure=turns(rotations, reflections))
        fibre = fibre_of(space.structure, rotations, reflections)
        steps = torch.diag(torch.tensor(_lengths(spacing, self.dim), dtype=torch.float64))
        return Grid(space, shape, steps, fibre=fibre).masked(mask)


def _lengths(spacing: float | Sequence[float], n: int) -> list[float]:
    """One for each axis."""
    if not isinstance(spacing, Sequence):
        return [spacing] * n
    if len(spacing) != n:
        raise ValueError(
            f"spacing is {tuple(spacing)}, expected one length, or {n}, one for each axis, such as "
            f"{(3.0, *[1.0] * (n - 1))}"
        )
    return list(spacing)


def affine_image(g: Tensor, u: Frame) -> Frame:
    """``x -> A x + b`` on frames of R^n, for ``g = [[A, b], [0, 1]]``."""
    g = g.to(u.point)
    A, b = g[..., :-1, :-1], g[..., :-1, -1]
    return Frame((A @ u.point[..., None])[..., 0] + b, A @ u.basis)


def expect_affine(g: Tensor) -> None:
    """ValueError unless the last row is (0, ..., 0, 1)."""
    if not torch.equal(g[..., -1, :], torch.eye(g.shape[-1]).to(g)[-1]):
        raise ValueError(
            f"the last row of g is {g[..., -1, :].tolist()}, expected (0, ..., 0, 1): g = [[A, b], [0, 1]]"
        )


def affine_group(structure: StructureGroup) -> MatrixGroup:
    """``x -> A x + b`` with A in the structure group."""
    n = structure.dim
    names = {(0, 1): f"T({n})"}
    turns = n * (n - 1) // 2
    names = {(turns, 2): f"E({n})", (turns, 1): f"SE({n})", **names}
    counts = (len(structure.algebra), len(structure.components))
    name = names.get(counts, "") if counts != (0, 2) or n == 1 else ""
    return semidirect(MatrixGroup(structure.algebra, structure.components), name or f"R^{n} with {structure}")


def turns(rotations: int, reflections: bool | None = False) -> StructureGroup:
    """C_N, or D_N with reflections."""
    return (StructureGroup.dihedral if reflections else StructureGroup.cyclic)(rotations)


def structure_of(symmetry: str, n: int) -> StructureGroup:
    """The stabilizer of the origin of R^n under the named group."""
    if symmetry == "translations":
        return StructureGroup.trivial(n)
    if symmetry == "isometries":
        return StructureGroup.orthogonal(n)
    if symmetry == "roto-translations":
        return StructureGroup.special_orthogonal(n) if n > 1 else StructureGroup.trivial(1)
    raise ValueError(
        f'symmetry is {symmetry!r}, expected "translations", "roto-translations" or "isometries"'
    )
