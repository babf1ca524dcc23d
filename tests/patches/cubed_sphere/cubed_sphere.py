"""The cubed sphere: a square grid on each face of a cube, seen from its middle."""

import math
from functools import partial

import torch
from torch import Tensor

from erlangen.arguments import Bandwidth, Rotations, Size, checked
from erlangen.domains import Samples
from erlangen.groups import fibre_of
from erlangen.groups.families import cube
from erlangen.spaces.sphere import Sphere
from erlangen.spaces.spherical import halved, point_samples


@checked
def cubed_sphere(
    size: Size, *, degrees: Bandwidth | None = None, rotations: Rotations | None = None
) -> Samples:
    """``6 size^2`` samples of the sphere; all 24 turns of the cube move samples to samples.

    Args:
        size: samples along the side of a face; space axes are ``(6, size, size)``.
        degrees, rotations: as in `er.Sphere().healpix`.

    Reference: Ronchi et al. 1996.
    """
    sphere, build = Sphere(), partial(cubed_sphere, rotations=rotations)
    return point_samples(
        sphere,
        *_points_and_areas(size),
        fibre=fibre_of(sphere.structure, rotations),
        degrees=degrees,
        recipe=partial(build, size, degrees=degrees),
        coarse_recipe=partial(build, size // 2, degrees=halved(degrees)),
    )


def _points_and_areas(size: int) -> tuple[Tensor, Tensor]:
    r"""``(x, y, 1) / sqrt(1 + x^2 + y^2)`` and turned, x and y tangents of even angles; the cells' areas.

    The rectangle from 0 to (x, y) has the area ``atan(x y / sqrt(1 + x^2 + y^2))``.
    """
    x = torch.tan(math.pi / 4 * torch.linspace(-1, 1, 2 * size + 1, dtype=torch.float64))
    x, y = torch.meshgrid(x, x, indexing="ij")  # edges and middles of cells, in turn
    corner = torch.atan(x * y / torch.sqrt(1 + x**2 + y**2))[::2, ::2]
    face = torch.stack([x, y, torch.ones_like(x)], -1)[1::2, 1::2]
    face = face / face.norm(dim=-1, keepdim=True)
    turns, one = cube().components, torch.eye(3, dtype=torch.float64)
    up = torch.stack([turns[turns[:, :, 2] @ axis > 0.5][0] for axis in (*one, *-one)])
    return torch.einsum("fij,xyj->fxyi", up, face), corner.diff(dim=0).diff(dim=1).expand(6, -1, -1)
