"""Erlangen: equivariant neural networks by cross-correlation, on every space people have signals on.

Move a kernel over a space and correlate: `Plane`, `Sphere`, `Moebius`, ... are the spaces, `nn` and
`models` the layers and networks, `correlate` the formula itself, `verify` the proof, `fit` and `predict`
the main job.
"""

from typing import TYPE_CHECKING, Any

from erlangen.doors import doors
from erlangen.version import __version__ as __version__

if TYPE_CHECKING:
    from erlangen import (
        domains,
        engines,
        figures,
        geometry,
        groups,
        harmonics,
        kernels,
        models,
        nn,
        train,
        verify,
    )
    from erlangen.formula import convolve, correlate
    from erlangen.nn.equivariant import on
    from erlangen.nn.exported import export
    from erlangen.nn.freeze import freeze
    from erlangen.nn.to_plain import to_plain
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
        Mesh,
        Moebius,
        Plane,
        PositionsAndDirections,
        Product,
        ProjectivePlane,
        Sphere,
        SurfaceOfRevolution,
        Volume,
    )
    from erlangen.train import fit, load, predict, save
else:
    _open, __dir__ = doors(__name__)

    def __getattr__(name: str) -> Any:
        try:
            return _open(name)
        except ImportError as error:
            if name not in _TRAIN:
                raise
            raise ImportError(
                f'erlangen.{name} needs {error.name}; pip install "erlangen[train]"', name=error.name
            ) from error


# the main job needs Pillow and others
_TRAIN = ("train", "fit", "load", "predict", "save")

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
    "Mesh",
    "Moebius",
    "Plane",
    "PositionsAndDirections",
    "Product",
    "ProjectivePlane",
    "Sphere",
    "SurfaceOfRevolution",
    "Volume",
    "convolve",
    "correlate",
    "domains",
    "engines",
    "export",
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
    "to_plain",
    "train",
    "verify",
]
