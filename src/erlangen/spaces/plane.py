"""Photographs: the plane, sampled at the pixels of images of any size."""

import math
from typing import NoReturn

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Rotations, Size, checked
from erlangen.domains import Grid, Interpolation, Symmetry
from erlangen.domains.spec import Field
from erlangen.domains.symmetry import keeps_fibre, respected
from erlangen.groups import fibre_of
from erlangen.spaces.euclidean import Euclidean, Motions, structure_of, turns

# images: columns are x to the right, rows are -y
PIXELS = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)


class Plane(Grid):
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
        fibre = fibre_of(structure, rotations)
        super().__init__(Euclidean(2, structure=structure), shape, PIXELS, fibre=fibre)
        self._readings: dict[tuple, tuple[Tensor, Tensor]] = {}

    def __repr__(self) -> str:
        options = [f"rotations={self.rotations}"] * (self.rotations is not None)
        options += ["reflections=True"] * self.reflections
        options += [f'symmetry="{self.symmetry}"'] * (self.symmetry is not None)
        options += [f"shape={self.shape}"] * (self.shape is not None)
        return f"Plane({', '.join(options)})"

    def __getattr__(self, name: str) -> NoReturn:
        # asked only of names that are not there
        here = f"{type(self).__name__!r} object has no attribute {name!r}"
        if not name.startswith("_") and hasattr(Euclidean, name):
            here += f": it is a domain, samples of a space; expected er.Plane().geometry.{name}, of the space"
        raise AttributeError(here, name=name, obj=self)

    def __reduce__(self) -> tuple:
        return _rebuild, (self.rotations, self.reflections, self.symmetry, self.shape)

    @property
    def recipe(self) -> dict:
        """The arguments that make this domain again, as plain values."""
        return {
            "rotations": self.rotations,
            "reflections": self.reflections,
            "symmetry": self.symmetry,
        }

    def sized(self, shape: tuple[int, ...]) -> "Plane":
        if self.shape is None:
            return Plane(self.rotations, self.reflections, symmetry=self.symmetry, shape=shape)  # type: ignore[arg-type]
        self.expect(shape)
        return self

    def coarser(self) -> Grid:
        """On images of any size the coarser images are such images again, in their own pixels."""
        return self if self.shape is None else super().coarser()

    def turn(self, degrees: float) -> Float[Tensor, "3 3"]:
        """The turn about the image's centre, counter-clockwise."""
        # exact zeros and ones at the pixel grid's own turns
        quarter = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}
        angle = math.radians(degrees)
        c, s = quarter.get(degrees % 360, (math.cos(angle), math.sin(angle)))
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

    def symmetry_of(self, g: Float[Tensor, "3 3"], name: str = "g") -> Symmetry:
        """An element under a name; quarter turns and flips permute the pixels of images of any size."""
        turn = g[:2, :2].to(torch.float64)
        permutes = is_grid_symmetry(g) and keeps_fibre(self.fibre, turn)
        return Symmetry(name, g, permutes, bool(respected(self.geometry.structure, self.fibre, turn)))

    def centre(self, field: Tensor) -> Tensor:
        """The disc inside the image, an eighth of its height or width from the edge."""
        height, width = field.shape[-2:]
        r = Plane(shape=(height, width)).points.norm(dim=-1)
        return (r <= 0.375 * min(height, width)).to(field.device)

    def act(
        self,
        g: Tensor,
        f: Tensor,
        field: Field = "scalar",
        *,
        interpolation: Interpolation | None = None,
    ) -> Tensor:
        r"""The field moved by an isometry of the plane: ``(g F)(u) = F(g^{-1} u)``.

        The pixel grid's own turns and flips permute the pixels (and exchange height and width);
        every other one interpolates, with zeros beyond the image.

        Args:
            g: ``[[A, b], [0, 1]]``, about the image's centre, in pixels.
            f: ``(*batch, [fibre,] height, width)``.
            field: its type.
            interpolation: how to read between the pixels; None takes 8 pixels on each axis.
        """
        g, rho = g.to(torch.float64), self.representation(field)
        self.geometry.expect_symmetry(g)
        if is_grid_symmetry(g):
            moved = permute_pixels(g, f)
            if not rho.has_axis:
                return moved * rho.matrix(g[:2, :2])[0, 0].to(f)
            return torch.einsum("ij,...jhw->...ihw", rho.matrix(g[:2, :2]).to(f), moved)
        # the plane is flat: every frame is turned by the same A, whatever the sample
        index, weight = self._moved_pixels(g, tuple(f.shape[-2:]), interpolation)
        values = f.reshape(-1, f.shape[-2] * f.shape[-1])  # (m, pixels)
        table = values.T.contiguous()
        moved = F.embedding_bag(index.to(f.device), table, mode="sum", per_sample_weights=weight.to(f)).T
        moved = moved.reshape(f.shape)
        matrix = rho.matrix(g[:2, :2]).to(f)
        if not rho.has_axis:
            return moved * matrix[0, 0]
        return torch.einsum("ij,...jhw->...ihw", matrix, moved)

    def _moved_pixels(
        self, g: Tensor, shape: tuple[int, ...], interpolation: Interpolation | None
    ) -> tuple[Tensor, Tensor]:
        """The pixels and weights that ``g^{-1} x`` is read from; the last few are remembered."""
        key = (tuple(g.flatten().tolist()), shape)
        if interpolation is None and key in self._readings:
            return self._readings[key]
        sized = self.sized(shape)
        inverse = torch.linalg.inv(g)
        points = sized.points.flatten(0, 1) @ inverse[:2, :2].T + inverse[:2, 2]
        found = (interpolation or sized.interpolated(8)).read(points)
        if interpolation is None:
            if sum(index.numel() for index, _ in self._readings.values()) > 4_000_000:
                self._readings.clear()
            self._readings[key] = found
        return found


def is_grid_symmetry(g: Float[Tensor, "3 3"]) -> bool:
    """Whether g permutes the pixels about the image's centre: a turn by 90 degrees or a flip."""
    whole = (g - g.round()).abs().max() < 1e-12
    return bool(whole) and bool((g[:2, 2] == 0).all())


def permute_pixels(g: Float[Tensor, "3 3"], f: Tensor) -> Tensor:
    """``f(g^{-1} x)`` for a symmetry of the pixel grid."""
    A = g[:2, :2].round()
    if torch.linalg.det(A) < 0:  # A = turn m, and m comes first
        f, A = f.flip(-2), A @ torch.diag(torch.tensor([1.0, -1.0]).double())
    quarters = round(math.degrees(math.atan2(float(A[1, 0]), float(A[0, 0]))) / 90) % 4
    return torch.rot90(f, quarters, (-2, -1))


def _rebuild(
    rotations: int | None, reflections: bool, symmetry: Motions | None, shape: tuple[int, int] | None
) -> Plane:
    return Plane(rotations, reflections, symmetry=symmetry, shape=shape)
