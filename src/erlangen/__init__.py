"""Erlangen: equivariant neural networks by cross-correlation, on every space people have signals on.

Move a kernel over a space and correlate: `Plane`, `Sphere`, `Moebius`, ... are the spaces, `nn` and
`models` the layers and networks, `correlate` the formula itself, `verify` the proof, `fit` and `predict`
the main job.
"""

from typing import Any

from erlangen import domains, figures, geometry, groups, harmonics, kernels, models, nn, verify
from erlangen.formula import convolve, correlate
from erlangen.nn.equivariant import on
from erlangen.spaces import (
    Atlas,
    Chart,
    Cylinder,
    Deck,
    Ellipsoid,
    Euclidean,
    FlatQuotient,
    FlatTorus,
    GroupSpace,
    HomogeneousSpace,
    Hyperbolic,
    Implicit,
    KleinBottle,
    MappingTorus,
    Moebius,
    Plane,
    PositionsAndDirections,
    Product,
    ProjectivePlane,
    Sphere,
    SurfaceOfRevolution,
)
from erlangen.version import __version__ as __version__

# the main job needs Pillow and others: imported when it is used
_TRAIN = ("fit", "load", "predict", "save")
# what is asked of a network that is done: the first layer does not need it
_DONE = {"freeze": ".nn.freeze"}

__all__ = [
    "Atlas",
    "Chart",
    "Cylinder",
    "Deck",
    "Ellipsoid",
    "Euclidean",
    "FlatQuotient",
    "FlatTorus",
    "GroupSpace",
    "HomogeneousSpace",
    "Hyperbolic",
    "Implicit",
    "KleinBottle",
    "MappingTorus",
    "Moebius",
    "Plane",
    "PositionsAndDirections",
    "Product",
    "ProjectivePlane",
    "Sphere",
    "SurfaceOfRevolution",
    "convolve",
    "correlate",
    "domains",
    "figures",
    "fit",
    "freeze",
    "geometry",
    "groups",
    "harmonics",
    "kernels",
    "load",
    "models",
    "nn",
    "on",
    "predict",
    "save",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _DONE:
        return getattr(importlib.import_module(_DONE[name], __name__), name)
    if name != "train" and name not in _TRAIN:
        raise AttributeError(f"module 'erlangen' has no attribute {name!r}")
    try:
        train = importlib.import_module("erlangen.train")
    except ImportError as error:
        raise ImportError(
            f'erlangen.{name} needs {error.name}; pip install "erlangen[train]"', name=error.name
        ) from error
    return train if name == "train" else getattr(train, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
