"""Photographs: the plane, sampled at the pixels of images of any size."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Rotations, Size, checked
from erlangen.domains import Symmetry
from erlangen.groups import fibre_of
from erlangen.spaces.centred import CentredGrid, cosine_and_sine
from erlangen.spaces.euclidean import Euclidean, Motions, structure_of, turns

# images: columns are x to the right, rows are -y
PIXELS = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)


class Plane(CentredGrid):
    r"""The plane in pixels: columns are x to the right, rows are -y, the image's centre is the origin.

    It is a domain, as all that layers take: samples of a space. The space itself, with `exp`, `log`,
    `holonomy` and the rest, is ``er.Plane().geometry``, an `er.Euclidean`.

    A turn by +90 degrees is ``torch.rot90(f, 1, (-2, -1))``. With `rotations` the structure group is
    C_N (with `reflections` D_N), and regular fields have N (2 N) values at each pixel; without, fields
    are scalar and kernels isotropic.

    Args:
        rotations: N, the turns by 2 pi / N in the fibre; multiples of 4 hold the pixel grid's turns.
        reflections: whether flips belong to the fibre.
        symmetry: "translations" allows any kernel; without it and without rotations, "isometries".
        shape: (height, width), or None for any.
    """

    @checked
    def __init__(
        self,
        rotations: Rotations | None = None,
        reflections: bool = False,
        *,
        symmetry: Motions | None = None,
        shape: tuple[Size, Size] | None = None,
    ) -> None:
        if rotations is not None and symmetry is not None:
            raise ValueError(
                f"rotations={rotations} and symmetry={symmetry!r}: expected one of them; "
                "rotations=N already names the symmetry"
            )
        if reflections and rotations is None:
            raise ValueError(
                "reflections=True without rotations, expected rotations=N beside it; "
                "isotropic kernels (Plane()) are mirror-symmetric anyway"
            )
        self.rotations, self.reflections, self.symmetry = rotations, reflections, symmetry
        if rotations is None:
            structure = structure_of(symmetry or "isometries", 2)
        else:
            structure = turns(rotations, reflections)
        options = {"rotations": rotations, "reflections": reflections, "symmetry": symmetry}
        fibre = fibre_of(structure, rotations)
        super().__init__(Euclidean(2, structure=structure), shape, PIXELS, fibre, options)

    def turn(self, degrees: float) -> Float[Tensor, "3 3"]:
        """The turn about the image's centre, counter-clockwise."""
        c, s = cosine_and_sine(degrees)
        return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)

    def flip(self) -> Float[Tensor, "3 3"]:
        """The mirror m: y -> -y, which turns an image upside down."""
        return torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))

    def shift(self, right: float, up: float) -> Float[Tensor, "3 3"]:
        """The shift by so many pixels to the right and up."""
        g = torch.eye(3, dtype=torch.float64)
        g[0, 2], g[1, 2] = right, up
        return g

    def symmetries(self) -> list[Symmetry]:
        """The pixel grid's turns and flips, angles in between, and shifts by whole pixels."""
        named = {f"turn {degrees}": self.turn(degrees) for degrees in (90, 180, 270)}
        for degrees in (0, 90, 180, 270):
            named[f"flip, turn {degrees}" if degrees else "flip"] = self.turn(degrees) @ self.flip()
        named |= {f"turn {degrees:g}": self.turn(degrees) for degrees in (5, 15, 22.5, 30, 45, 77)}
        shifts = ((1, 0), (0, 1), (3, -2))
        named |= {f"shift ({right}, {up})": self.shift(right, up) for right, up in shifts}
        return [self.symmetry_of(g, name) for name, g in named.items()]
