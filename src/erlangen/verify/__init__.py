"""The proof: how far a module is from commuting with the symmetries of its domain.

May import nn, domains and below, and figures for its pictures.
"""

from erlangen.verify.budget import budget
from erlangen.verify.budget_table import Budget, Line, Part
from erlangen.verify.equivariance import Constant, equivariance
from erlangen.verify.gradient_error import gradient_error
from erlangen.verify.manifold import Defect, Refinement, gauge, isometry, loop_bound, refinement
from erlangen.verify.quadrature_error import quadrature_error
from erlangen.verify.randomize import randomized
from erlangen.verify.report import LayerRow, Report, Row

__all__ = [
    "Budget",
    "Constant",
    "Defect",
    "LayerRow",
    "Line",
    "Part",
    "Refinement",
    "Report",
    "Row",
    "budget",
    "equivariance",
    "gauge",
    "gradient_error",
    "isometry",
    "loop_bound",
    "quadrature_error",
    "randomized",
    "refinement",
]
