"""Domains: where signals are sampled. May import groups, geometry, kernels and engines.

A `Domain` has points, weights and a fibre (`Sampled`), and hands out the engine that correlates on it.
`Grid` is a flat lattice (torch's convolutions), `QuotientGrid` one with seams, `Samples` any set of points
with weights (stencils).
"""

from erlangen.domains.builders import gather, weighted_sum
from erlangen.domains.domain import Domain
from erlangen.domains.gathered import Gathered
from erlangen.domains.grid import Grid
from erlangen.domains.interpolation import Interpolation, lagrange
from erlangen.domains.local import LocalPolynomials
from erlangen.domains.masked import Masked
from erlangen.domains.neighbours import nearest, within
from erlangen.domains.quotient import QuotientGrid
from erlangen.domains.sampled import Sampled
from erlangen.domains.samples import Samples
from erlangen.domains.spec import KernelSpec
from erlangen.domains.symmetry import Symmetry
from erlangen.domains.view import sample_below

__all__ = [
    "Domain",
    "Gathered",
    "Grid",
    "Interpolation",
    "KernelSpec",
    "LocalPolynomials",
    "Masked",
    "QuotientGrid",
    "Sampled",
    "Samples",
    "Symmetry",
    "gather",
    "lagrange",
    "nearest",
    "sample_below",
    "weighted_sum",
    "within",
]
