"""Domains: where signals are sampled. May import groups, geometry, kernels, harmonics and engines.

A `Domain` has a `Sampling` (points, weights, frames, a way to read between them) and types of field on it,
and hands out the engine that correlates there: the first of its table `engines` that serves the kernel.
`Grid` is a flat lattice (torch's convolutions), `QuotientGrid` one with seams, `Samples` any set of points.
Their `Quadrature` sums kernels with a radius, their `Spectral`, if they carry harmonics, those that reach all
round. `Masked` has gaps.
"""

from typing import TYPE_CHECKING

from erlangen.doors import doors

if TYPE_CHECKING:
    from erlangen.domains.builders import gather, weighted_sum
    from erlangen.domains.domain import Domain
    from erlangen.domains.grid import Grid
    from erlangen.domains.interpolation import Interpolation, lagrange
    from erlangen.domains.local import LocalPolynomials
    from erlangen.domains.masked import Masked
    from erlangen.domains.neighbours import nearest, within
    from erlangen.domains.quadrature import NodeQuadrature, Quadrature, WeightedSum
    from erlangen.domains.quotient_grid import QuotientGrid
    from erlangen.domains.relative import sample_below
    from erlangen.domains.samples import Samples
    from erlangen.domains.sampling import Sampling
    from erlangen.domains.spec import KernelSpec
    from erlangen.domains.spectral import Spectral
    from erlangen.domains.symmetry import Symmetry
else:
    __getattr__, __dir__ = doors(__name__)

__all__ = [
    "Domain",
    "Grid",
    "Interpolation",
    "KernelSpec",
    "LocalPolynomials",
    "Masked",
    "NodeQuadrature",
    "Quadrature",
    "QuotientGrid",
    "Samples",
    "Sampling",
    "Spectral",
    "Symmetry",
    "WeightedSum",
    "gather",
    "lagrange",
    "nearest",
    "sample_below",
    "weighted_sum",
    "within",
]
