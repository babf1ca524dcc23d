"""Samples of S^2, as data: nodes and weights, of which `er.Sphere` makes domains.

`latitudes` are rings of equal length and `RingSamples` the domain on them; `healpix`, `icosahedron` and
`fibonacci` are points, `PointSamples` the domain on those; `Harmonic` is what both have from their
harmonics, `Coefficients` the domain of fields that stay harmonics; `voronoi` weighs any points. May import
domains and below.
"""

from erlangen.spaces.spherical.coefficients import Coefficients
from erlangen.spaces.spherical.fibonacci import fibonacci
from erlangen.spaces.spherical.healpix import healpix
from erlangen.spaces.spherical.icosahedron import icosahedron
from erlangen.spaces.spherical.latitudes import KINDS, Latitudes, rings_of_kind
from erlangen.spaces.spherical.latlon import recognized
from erlangen.spaces.spherical.points import PointSamples, halved
from erlangen.spaces.spherical.rings import RingInterpolation, RingSamples, rings
from erlangen.spaces.spherical.voronoi import expect_areas, voronoi_areas

__all__ = [
    "KINDS",
    "Coefficients",
    "Latitudes",
    "PointSamples",
    "RingInterpolation",
    "RingSamples",
    "expect_areas",
    "fibonacci",
    "halved",
    "healpix",
    "icosahedron",
    "recognized",
    "rings",
    "rings_of_kind",
    "voronoi_areas",
]
