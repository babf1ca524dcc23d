"""Samples of S^2, as data: nodes and weights, of which `er.Sphere` makes domains.

`RingGrid` are rings of equal length and `ring_samples` makes the domain on them; `healpix`, `icosahedron` and
`fibonacci` are points, `point_samples` makes the domain on those, and on a new grid's; `SphereHarmonics` is
what both have from their harmonics, `Coefficients` the domain of fields that stay harmonics; `voronoi` weighs
any points. May import domains and below.
"""

from erlangen.spaces.spherical.coefficients import Coefficients
from erlangen.spaces.spherical.fibonacci import fibonacci
from erlangen.spaces.spherical.harmonic import SphereHarmonics
from erlangen.spaces.spherical.healpix import healpix
from erlangen.spaces.spherical.icosahedron import icosahedron
from erlangen.spaces.spherical.latitudes import Latitudes, rings_of_kind
from erlangen.spaces.spherical.latlon import recognized
from erlangen.spaces.spherical.points import halved, point_samples
from erlangen.spaces.spherical.ring_samples import RingGrid, RingInterpolation, RingQuadrature, ring_samples
from erlangen.spaces.spherical.voronoi import expect_areas, voronoi_areas

__all__ = [
    "Coefficients",
    "Latitudes",
    "RingGrid",
    "RingInterpolation",
    "RingQuadrature",
    "SphereHarmonics",
    "expect_areas",
    "fibonacci",
    "halved",
    "healpix",
    "icosahedron",
    "point_samples",
    "recognized",
    "ring_samples",
    "rings_of_kind",
    "voronoi_areas",
]
