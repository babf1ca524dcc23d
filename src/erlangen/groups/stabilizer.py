"""The stabilizer of a point: elements of the group that moves a space, and how they turn frames."""

from dataclasses import dataclass

import torch
from torch import Tensor

from erlangen.groups.lie import MatrixGroup
from erlangen.groups.structure import StructureGroup


@dataclass(frozen=True, eq=False, repr=False)
class Stabilizer(MatrixGroup):
    """H, the elements of G that keep a point, and its isotropy representation on the tangent vectors there.

    Its name, which is what it prints as, says how it acts.

    Attributes:
        turns: matrices ``(a, n, n)`` that span the Lie algebra of the image.
        jumps: the matrices ``(c, n, n)`` of an element of each component of the image.
        root: a basis ``(n, n)`` of tangent vectors, orthonormal in an inner product that H leaves alone;
            None if there is none, since H moves tangent vectors without bound.
        is_infinite: whether there are infinitely many components (`components` then holds some).

    Example:
        >>> import erlangen as er
        >>> H = er.Sphere().stabilizer()
        >>> H, H.size, H.isotropy.dim
        (SO(2), 3, 2)
    """

    turns: Tensor = None  # type: ignore[assignment]
    jumps: Tensor = None  # type: ignore[assignment]
    root: Tensor | None = None
    is_infinite: bool = False

    @property
    def isotropy(self) -> StructureGroup:
        """H as it turns tangent vectors, in the basis `root`.

        Raises:
            ValueError: if it moves them without bound.
        """
        if self.root is None:
            raise ValueError(f"the stabilizer {self} moves tangent vectors without bound")
        return in_basis(self.turns, self.jumps, self.root)


def in_basis(turns: Tensor, jumps: Tensor, root: Tensor) -> StructureGroup:
    """The structure group with that Lie algebra and those components, in another basis."""
    return StructureGroup(*(torch.linalg.solve(root, matrices @ root) for matrices in (turns, jumps)))
