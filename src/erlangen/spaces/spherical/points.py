"""Any points of S^2 with their areas, and the harmonics that they carry."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Samples
from erlangen.domains.resampling import thinned
from erlangen.domains.samples import expect_own
from erlangen.engines import Scattered
from erlangen.geometry import Geometry
from erlangen.groups import Fibre
from erlangen.spaces.spherical.harmonic import SphereHarmonics


def point_samples(
    geometry: Geometry,
    points: Float[Tensor, "*space 3"],
    weights: Float[Tensor, "*space"],
    *,
    fibre: Fibre | None = None,
    degrees: int | None = None,
    recipe: "partial[Any] | None" = None,
    coarse_recipe: "partial[Any] | None" = None,
) -> Samples:
    """The domain on any points of S^2: HEALPix, icosahedral, Fibonacci, a user's own.

    Args:
        geometry: the sphere.
        points, weights, fibre, recipe, coarse_recipe: as in `Samples`.
        degrees: the bandwidth L that fields are taken to have: nonlinearities and resampling go by
            harmonics then, as they do on rings. None: global kernels take what the points carry well,
            found when first asked for, and nothing else goes by harmonics.
    """
    options: dict[str, Any] = {"fibre": fibre, "degrees": degrees}
    if recipe is None:
        expect_own(geometry, points, weights)
        recipe = partial(point_samples, geometry, points, weights, coarse_recipe=coarse_recipe, **options)
    make = partial(_transform, points, weights, degrees)
    shape, is_band_limited = tuple(weights.shape), degrees is not None
    spectral = SphereHarmonics(geometry, shape, fibre, make, is_band_limited=is_band_limited)
    if is_band_limited:
        spectral.transform.prepare(spectral.frequencies("scalar"))  # or refuses
    coarse_recipe = coarse_recipe or partial(_thinned, geometry, points, weights, **options)
    options = {"fibre": fibre, "spectral": spectral, "recipe": recipe, "coarse_recipe": coarse_recipe}
    return Samples(geometry, points, weights, **options)


def _transform(points: Tensor, weights: Tensor, degrees: int | None) -> Scattered:
    x, y, z = points.flatten(0, -2).unbind(-1)
    rho = torch.hypot(x, y)
    theta, phi = torch.atan2(rho, z), torch.where(rho == 0, 0.0, torch.atan2(y, x))
    return Scattered.of(theta, phi, weights, degrees)


def _thinned(
    geometry: Geometry, points: Tensor, weights: Tensor, *, fibre: Fibre | None, degrees: int | None
) -> Samples:
    points = points.flatten(0, -2)
    index, weights = thinned(geometry, points, weights.flatten())
    return point_samples(geometry, points[index], weights, fibre=fibre, degrees=halved(degrees))


def halved(degrees: int | None) -> int | None:
    """The bandwidth on half the samples."""
    return None if degrees is None else -(-degrees // 2)


def half_way_round(longitudes: int) -> int:
    """Half as many samples on a ring; an even number, so that meridians go on beyond the poles."""
    return 2 * -(-longitudes // 4)
