"""Groups: what turns frames (structure groups, their sampled fibres) and what moves spaces (Lie groups).

Imports nothing of the library. Everything is a matrix: elements are ``(..., d, d)``, composition is ``@``.
"""

from erlangen.groups.fibre import CircleFibre, Fibre, FiniteFibre
from erlangen.groups.lie import SE, MatrixGroup
from erlangen.groups.representation import (
    Representation,
    determinant,
    regular,
    standard,
    trivial,
)
from erlangen.groups.structure import StructureGroup

__all__ = [
    "SE",
    "CircleFibre",
    "Fibre",
    "FiniteFibre",
    "MatrixGroup",
    "Representation",
    "StructureGroup",
    "determinant",
    "regular",
    "standard",
    "trivial",
]
