"""Kernels: functions on the tangent space that the structure group leaves alone. May import groups
and geometry.

`KernelBasis` is what layers learn in: radial rings times angular harmonics, with the coefficients
that solve ``K(h v) = rho_out(h) K(v) rho_in(h)^{-1}``. `defect` and `symmetrize` treat the kernels
that a user writes, `transported` and `moved` carry them over a space.
"""

from erlangen.kernels.basis import KernelBasis
from erlangen.kernels.directions import sphere_rule, spherical_harmonics
from erlangen.kernels.invariance import defect, symmetrize
from erlangen.kernels.rings import Rings
from erlangen.kernels.transport import moved, transported

__all__ = [
    "KernelBasis",
    "Rings",
    "defect",
    "moved",
    "sphere_rule",
    "spherical_harmonics",
    "symmetrize",
    "transported",
]
