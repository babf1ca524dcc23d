"""The hexagonal torus: the plane by the lattice that a sixth of a turn keeps."""

import torch

from erlangen.arguments import Length, Rotations, checked
from erlangen.groups import StructureGroup
from erlangen.spaces.flat_quotient import FlatQuotient, FlatTorus


@checked
def HexagonalTorus(side: Length = 1.0, *, rotations: Rotations = 6) -> FlatQuotient:
    r"""``R^2 / (Z a + Z b)`` with a and b of one length, 60 degrees apart.

    Shifts and turns by 60 degrees move it. With ``rotations=6`` kernels and fields see to it that layers
    commute with both, on every grid of as many samples along a as along b.

    Args:
        side: the length of a and b.
        rotations: H = C_rotations: 6, 3, 2 or 1.
    """
    if 6 % rotations:
        raise ValueError(
            f"rotations is {rotations}, expected 1, 2, 3 or 6: other turns do not keep the lattice"
        )
    lattice = side * torch.tensor([[1.0, 0.0], [0.5, 0.75**0.5]], dtype=torch.float64)
    return FlatTorus(lattice=lattice, structure=StructureGroup.cyclic(rotations))
