"""Erlangen: equivariant neural networks by cross-correlation, on every space people have signals on.

Move a kernel over a space and correlate: `Plane`, `Sphere`, `Moebius`, ... are the spaces, `nn` and `models` the
layers and networks, `correlate` the formula itself, `verify` the proof, `fit` and `predict` the main job.
"""

from erlangen import figures, groups, kernels, models, nn, verify
from erlangen.correlation import convolve, correlate
from erlangen.spaces import (
    Cylinder,
    Euclidean,
    FlatQuotient,
    FlatTorus,
    GroupSpace,
    Moebius,
    Plane,
    Sphere,
)

__all__ = [
    "Cylinder",
    "Euclidean",
    "FlatQuotient",
    "FlatTorus",
    "GroupSpace",
    "Moebius",
    "Plane",
    "Sphere",
    "convolve",
    "correlate",
    "figures",
    "groups",
    "kernels",
    "models",
    "nn",
    "verify",
]
__version__ = "0.1.0"
