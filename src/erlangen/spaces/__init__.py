"""The spaces, each one small file: how it carries frames, and the grids it has.

May import groups, geometry, kernels, engines and domains. To add a space, write such a file.
"""

from erlangen.spaces.euclidean import Euclidean
from erlangen.spaces.group import GroupSpace
from erlangen.spaces.plane import Plane
from erlangen.spaces.quotient import Cylinder, FlatQuotient, FlatTorus, Gluing, Moebius
from erlangen.spaces.sphere import Sphere

__all__ = [
    "Cylinder",
    "Euclidean",
    "FlatQuotient",
    "FlatTorus",
    "Gluing",
    "GroupSpace",
    "Moebius",
    "Plane",
    "Sphere",
]
