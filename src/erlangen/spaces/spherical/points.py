"""Any points of S^2 with their areas, and the harmonics that they carry."""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Samples
from erlangen.engines import Scattered
from erlangen.geometry import Geometry
from erlangen.groups import Fibre
from erlangen.spaces.spherical.harmonic import Harmonic


class PointSamples(Harmonic, Samples):
    """Any points of S^2: HEALPix, icosahedral, Fibonacci, a user's own.

    Args:
        geometry, points, weights, fibre, recipe, coarse_recipe: as in `Samples`.
        degrees: the bandwidth L that fields are taken to have: nonlinearities and resampling go by
            harmonics then, as they do on rings. None: global kernels take what the points carry well,
            found when first asked for, and nothing else goes by harmonics.
    """

    def __init__(
        self,
        geometry: Geometry,
        points: Float[Tensor, "*space 3"],
        weights: Float[Tensor, "*space"],
        *,
        fibre: Fibre | None = None,
        degrees: int | None = None,
        recipe: "partial[Any] | None" = None,
        coarse_recipe: "partial[Any] | None" = None,
    ) -> None:
        super().__init__(geometry, points, weights, fibre=fibre, recipe=recipe, coarse_recipe=coarse_recipe)
        self._asked = degrees
        if degrees is not None:
            self.transform.prepare(self._known["scalar"])  # or refuses

    def _as_made(self) -> tuple:
        if self.recipe is not None:
            return super()._as_made()
        options = {"fibre": self.fibre, "degrees": self._asked}
        return _rebuild, (partial(PointSamples, self.geometry, self.points, self.weights, **options),)

    def _make_transform(self) -> Scattered:
        x, y, z = self.points.flatten(0, -2).unbind(-1)
        rho = torch.hypot(x, y)
        theta, phi = torch.atan2(rho, z), torch.where(rho == 0, 0.0, torch.atan2(y, x))
        return Scattered.of(theta, phi, self.weights, self._asked)

    @property
    def is_band_limited(self) -> bool:
        return self._asked is not None

    def _thinned(self) -> "PointSamples":
        fewer = super()._thinned()
        return PointSamples(
            self.geometry, fewer.points, fewer.weights, fibre=self.fibre, degrees=halved(self._asked)
        )


def halved(degrees: int | None) -> int | None:
    """The bandwidth on half the samples."""
    return None if degrees is None else -(-degrees // 2)


def half_way_round(longitudes: int) -> int:
    """Half as many samples on a ring; an even number, so that meridians go on beyond the poles."""
    return 2 * -(-longitudes // 4)


def _rebuild(recipe: "partial[PointSamples]") -> PointSamples:
    return recipe()
