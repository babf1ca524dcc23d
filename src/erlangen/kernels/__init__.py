"""Kernels: functions on the tangent space that the structure group leaves alone. May import groups
and geometry.

`KernelBasis` is what layers learn in: radial functions (`Rings`, or on square lattices `Solved`) times
angular harmonics, with the coefficients that solve ``K(h v) = rho_out(h) K(v) rho_in(h)^{-1}``. `defect` and
`symmetrize` treat the kernels that a user writes, `transported` and `moved` carry them over a space.
"""

from typing import Any

from erlangen.kernels.basis import KernelBasis
from erlangen.kernels.directions import sphere_rule, spherical_harmonics
from erlangen.kernels.invariance import defect, symmetrize
from erlangen.kernels.rings import Polar, Rings
from erlangen.kernels.transport import moved, transported

__all__ = [
    "KernelBasis",
    "Polar",
    "Rings",
    "Smooth",
    "Solved",
    "defect",
    "moved",
    "sphere_rule",
    "spherical_harmonics",
    "symmetrize",
    "transported",
]


def __getattr__(name: str) -> Any:
    if name not in ("Smooth", "Solved"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from erlangen.kernels import smooth, solved  # where a layer asks for them

    return getattr(smooth if name == "Smooth" else solved, name)
