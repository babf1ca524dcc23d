"""The spaces, each one small file: how it carries frames, and the grids it has.

May import groups, geometry, kernels, engines and domains. To add a space, write such a file.
"""

from typing import TYPE_CHECKING

from erlangen.doors import doors

if TYPE_CHECKING:
    from erlangen.geometry import Deck
    from erlangen.spaces.atlas import Atlas
    from erlangen.spaces.chart import Chart
    from erlangen.spaces.ellipsoid import Ellipsoid
    from erlangen.spaces.euclidean import Euclidean
    from erlangen.spaces.flat_quotient import Cylinder, FlatQuotient, FlatTorus, KleinBottle, Moebius
    from erlangen.spaces.group import GroupSpace
    from erlangen.spaces.homogeneous import HomogeneousSpace
    from erlangen.spaces.hyperbolic import Hyperbolic
    from erlangen.spaces.implicit import Implicit
    from erlangen.spaces.mesh import Mesh
    from erlangen.spaces.plane import Plane
    from erlangen.spaces.positions import PositionsAndDirections
    from erlangen.spaces.product import Product
    from erlangen.spaces.projective import ProjectivePlane
    from erlangen.spaces.revolution import MappingTorus, SurfaceOfRevolution
    from erlangen.spaces.sphere import Sphere
    from erlangen.spaces.volume import Volume
else:
    __getattr__, __dir__ = doors(__name__)

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
]
