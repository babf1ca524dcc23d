"""Engines: how a correlation is computed. They know tensors and tables, no space; may import
geometry, kernels and harmonics.

All answer ``apply(field, coefficients, groups)`` with ``sum_b w_b psi_b`` correlated with the field; in
two steps where coefficients stay, ``filters(coefficients, groups)`` once and
``filtered(field, filters, groups)``:

- `MaskedEngine`: another engine, where samples are missing;
- `PointEngine`: kernels at one point only, a matrix in channels and fibre;
- `LatticeEngine`: kernel nodes on the samples of a flat grid, by conv1d, conv2d, conv3d; on a quotient by way
  of its cover;
- `SpectralEngine`: the sphere and SO(3), by harmonics, of any points by `Scattered`; `AntipodalEngine`: the
  projective plane, through it;
- `StencilEngine`: any samples of any space, by one sparse operator for each basis function; on rings of equal
  length (`RingOperator`) by Fourier along them.
"""

from typing import TYPE_CHECKING

from erlangen.doors import doors

if TYPE_CHECKING:
    from erlangen.engines import halving
    from erlangen.engines.antipodal import AntipodalEngine, AntipodalResolution, Hemispheres
    from erlangen.engines.continuation import Continuation
    from erlangen.engines.engine import Engine, Filters, fold, unfold
    from erlangen.engines.finer import FinerFibre, Resolution
    from erlangen.engines.folding import Folded, Stencil
    from erlangen.engines.halving import Halving
    from erlangen.engines.lattice import LatticeEngine, centred
    from erlangen.engines.masked import MaskedEngine
    from erlangen.engines.point import PointEngine
    from erlangen.engines.ring_operator import RingOperator
    from erlangen.engines.scattered_harmonics import Reading, Scattered
    from erlangen.engines.skew import SkewHalving
    from erlangen.engines.spectral import FinerHarmonics, MatrixEngine, SpectralEngine
    from erlangen.engines.stencil import SparseOperator, StencilEngine
    from erlangen.engines.table import Table
else:
    __getattr__, __dir__ = doors(__name__)

__all__ = [
    "AntipodalEngine",
    "AntipodalResolution",
    "Continuation",
    "Engine",
    "Filters",
    "FinerFibre",
    "FinerHarmonics",
    "Folded",
    "Halving",
    "Hemispheres",
    "LatticeEngine",
    "MaskedEngine",
    "MatrixEngine",
    "PointEngine",
    "Reading",
    "Resolution",
    "RingOperator",
    "Scattered",
    "SkewHalving",
    "SparseOperator",
    "SpectralEngine",
    "Stencil",
    "StencilEngine",
    "Table",
    "centred",
    "fold",
    "halving",
    "unfold",
]
