"""Structure groups: the compact groups H of orthogonal matrices that turn frames."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.arguments import Dimension, Rotations, check_fields, checked, shown
from erlangen.groups.lie import MatrixGroup
from erlangen.groups.naming import name_of

TOLERANCE = 1e-8  # absolute: two orthogonal matrices closer than this are the same element


@dataclass(frozen=True, eq=False)
class StructureGroup:
    r"""A compact group ``H`` inside O(n): a Lie algebra and one matrix for each component.

    ``H = { exp(sum_a t_a X_a) c }`` with ``X_a`` in ``algebra`` and ``c`` in ``components``. A
    finite group has an empty algebra, and its components are its elements.

    Shapes: algebra ``(a, n, n)``, antisymmetric; components ``(c, n, n)``, orthogonal, the
    identity first.
    """

    algebra: Float[Tensor, "a n n"]
    components: Float[Tensor, "c n n"]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "name", name_of(self.algebra, self.components))

    @classmethod
    def refusal(cls, name: str, value: object) -> str:
        """What an argument is told that should be a structure group."""
        return (
            f"{name} is {shown(value)}, expected a structure group, which turns frames: such as "
            "space.structure, or er.groups.StructureGroup.cyclic(4)"
        )

    def __repr__(self) -> str:
        return self.name

    @property
    def dim(self) -> int:
        """The dimension n of the space that H turns."""
        return self.components.shape[-1]

    @property
    def is_finite(self) -> bool:
        """Whether H has finitely many elements."""
        return len(self.algebra) == 0

    @property
    def has_all_turns(self) -> bool:
        """Whether SO(n) lies in H, so that any oriented frame is as good as another."""
        return len(self.algebra) == self.dim * (self.dim - 1) // 2

    @property
    def has_mirrors(self) -> bool:
        """Whether some elements reverse orientation."""
        return bool((torch.linalg.det(self.components) < 0).any())

    def sample(self, count: int = 8, seed: int = 0) -> Float[Tensor, "k n n"]:
        """Elements to test an invariance on: all of a finite group, else `count` random ones.

        A few random elements of a connected compact group generate a dense subgroup of it, so a
        (continuous) function that they leave alone, H leaves alone.
        """
        if self.is_finite:
            return self.components
        generator = torch.Generator().manual_seed(seed)
        t = 2 * math.pi * torch.rand(count, len(self.algebra), generator=generator, dtype=torch.float64)
        turns = torch.matrix_exp(torch.einsum("ka,aij->kij", t, self.algebra))
        return (turns[:, None] @ self.components).flatten(0, 1)  # (count * c, n, n)

    def contains(self, h: Float[Tensor, "*batch n n"], tolerance: float = 1e-6) -> Bool[Tensor, "*batch"]:
        """Whether H holds each of the matrices, to a tolerance."""
        off = (h.mT @ h - torch.eye(self.dim).to(h)).abs().amax((-2, -1))
        if self.has_all_turns:
            return (off < tolerance) & (self.has_mirrors | (torch.linalg.det(h) > 0))
        if self.is_finite:
            return (h[..., None, :, :] - self.components.to(h)).abs().amax((-2, -1)).amin(-1) < tolerance
        return (off < tolerance) & (MatrixGroup(self.algebra, self.components).defect(h) < tolerance)

    def nearest(self, h: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
        """The element of a finite group nearest to each matrix; other groups leave matrices as they are."""
        if not self.is_finite:
            return h
        off = (h[..., None, :, :] - self.components.to(h)).square().sum((-2, -1))
        return self.components.to(h)[off.argmin(-1)]

    def is_same(self, other: "StructureGroup") -> bool:
        """Whether the other has the same elements, to rounding."""
        alike = self.algebra.shape == other.algebra.shape and self.components.shape == other.components.shape
        if not alike or self.name != other.name:
            return False
        if self.is_finite:  # the elements, in any order
            off = (self.components[:, None] - other.components).abs().amax((-2, -1)).amin(1)
        else:  # the turns; with these, mirrors are known by the name
            one, two = (torch.linalg.pinv(X) @ X for X in (self.algebra.flatten(1), other.algebra.flatten(1)))
            off = (one - two).abs()
        return float(off.max()) < math.sqrt(TOLERANCE)

    @staticmethod
    @checked
    def trivial(n: Dimension) -> "StructureGroup":
        """The group that turns nothing."""
        return StructureGroup(_no_algebra(n), _identity(n)[None])

    @staticmethod
    @checked
    def finite(generators: Iterable[Tensor]) -> "StructureGroup":
        """The finite group that the given orthogonal matrices generate (their closure under @)."""
        generators = [g.to(torch.float64) for g in generators]
        n = generators[0].shape[-1]
        elements = _closure(_identity(n)[None], generators)
        return StructureGroup(_no_algebra(n), elements)

    @staticmethod
    @checked
    def cyclic(order: Rotations) -> "StructureGroup":
        """C_N: the turns of the plane by multiples of 2 pi / N, counter-clockwise."""
        return StructureGroup(_no_algebra(2), turn(2 * math.pi * torch.arange(order).double() / order))

    @staticmethod
    @checked
    def dihedral(order: Rotations) -> "StructureGroup":
        """D_N: C_N with the mirrors; element ``s N + r`` is ``r^r m^s``, with ``m: y -> -y``."""
        turns = StructureGroup.cyclic(order).components
        mirror = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
        return StructureGroup(_no_algebra(2), torch.cat([turns, turns @ mirror]))

    @staticmethod
    @checked
    def special_orthogonal(n: Dimension) -> "StructureGroup":
        """SO(n): all turns."""
        return StructureGroup(_antisymmetric(n), _identity(n)[None])

    @staticmethod
    @checked
    def orthogonal(n: Dimension) -> "StructureGroup":
        """O(n): all turns and mirrors."""
        mirror = _identity(n)
        mirror[-1, -1] = -1.0
        return StructureGroup(_antisymmetric(n), torch.stack([_identity(n), mirror]))


def turn(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 2 2"]:
    """The counter-clockwise turn of the plane by `angle` radians, in float64."""
    angle = angle.to(torch.float64)
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def _identity(n: int) -> Tensor:
    return torch.eye(n, dtype=torch.float64)


def _no_algebra(n: int) -> Tensor:
    return torch.zeros(0, n, n, dtype=torch.float64)


def _antisymmetric(n: int) -> Tensor:
    """The basis E_ij - E_ji, i > j, of so(n)."""
    i, j = torch.tril_indices(n, n, offset=-1)
    basis = torch.zeros(len(i), n, n, dtype=torch.float64)
    index = torch.arange(len(i))
    basis[index, i, j], basis[index, j, i] = 1.0, -1.0
    return basis


def _closure(elements: Tensor, generators: list[Tensor], most: int = 1000) -> Tensor:
    """All products of the generators, each once."""
    frontier = elements
    while len(frontier):
        products = torch.cat([frontier @ g for g in generators])
        frontier = products[:0]
        for product in products:
            if (elements - product).abs().amax((-2, -1)).min() > TOLERANCE:
                elements = torch.cat([elements, product[None]])
                frontier = torch.cat([frontier, product[None]])
        if len(elements) > most:
            raise ValueError(
                f"these matrices generate more than {most} elements; expected a finite group. "
                "Give the closure's Lie algebra instead: StructureGroup(algebra, components)"
            )
    return elements
