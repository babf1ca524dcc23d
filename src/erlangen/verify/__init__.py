"""The proof: how far a module is from commuting with the symmetries of its domain.

May import nn, domains and below, and figures for its pictures.
"""

from erlangen.verify.equivariance import equivariance
from erlangen.verify.gradient import gradient_error
from erlangen.verify.moved import moved_error
from erlangen.verify.randomize import randomized
from erlangen.verify.report import LayerRow, Report, Row

__all__ = ["LayerRow", "Report", "Row", "equivariance", "gradient_error", "moved_error", "randomized"]
