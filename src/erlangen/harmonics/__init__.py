"""Harmonics of the sphere and of SO(3): one recursion, one transform. May import groups, geometry."""

from erlangen.harmonics.antipodal import Antipodal, AntipodalKernels, antipodal
from erlangen.harmonics.fibres import Frequencies, columns_of, frequencies
from erlangen.harmonics.global_kernels import GlobalKernels
from erlangen.harmonics.lebedev import lebedev
from erlangen.harmonics.parallels import Parallels, doubled, gauss_legendre
from erlangen.harmonics.transform import (
    HarmonicTransform,
    Transform,
    at_least_single,
    power_spectrum,
    precise,
    resampled,
    synthesized_at,
)
from erlangen.harmonics.wigner import wigner

__all__ = [
    "Antipodal",
    "AntipodalKernels",
    "Frequencies",
    "GlobalKernels",
    "HarmonicTransform",
    "Parallels",
    "Transform",
    "antipodal",
    "at_least_single",
    "columns_of",
    "doubled",
    "frequencies",
    "gauss_legendre",
    "lebedev",
    "power_spectrum",
    "precise",
    "resampled",
    "synthesized_at",
    "wigner",
]
