"""Groups: what turns frames (structure groups, their sampled fibres) and what moves spaces (Lie groups).

Imports nothing of the library. Everything is a matrix: elements are ``(..., d, d)``, composition is ``@``.
"""

from erlangen.groups.circle import PlaneFibre
from erlangen.groups.families import (
    GL,
    SE,
    SIM,
    SL,
    SO,
    SU,
    E,
    O,
    T,
    cube,
    cyclic,
    dihedral,
    finite,
    heisenberg,
    icosahedron,
    product,
    scalings,
    semidirect,
)
from erlangen.groups.fibre import CircleFibre, Fibre, FiniteFibre, same_fibre
from erlangen.groups.fibre_choice import fibre_of
from erlangen.groups.lie import MatrixGroup
from erlangen.groups.logarithm import matrix_log
from erlangen.groups.representation import (
    Representation,
    determinant,
    regular,
    standard,
    traceless,
    trivial,
)
from erlangen.groups.stabilizer import Stabilizer
from erlangen.groups.structure import StructureGroup

__all__ = [
    "GL",
    "SE",
    "SIM",
    "SL",
    "SO",
    "SU",
    "CircleFibre",
    "E",
    "Fibre",
    "FiniteFibre",
    "MatrixGroup",
    "O",
    "PlaneFibre",
    "Representation",
    "Stabilizer",
    "StructureGroup",
    "T",
    "cube",
    "cyclic",
    "determinant",
    "dihedral",
    "fibre_of",
    "finite",
    "heisenberg",
    "icosahedron",
    "matrix_log",
    "product",
    "regular",
    "same_fibre",
    "scalings",
    "semidirect",
    "standard",
    "traceless",
    "trivial",
]
