"""The metric of triangles by the lengths of their edges: areas, angles, and each laid out in the plane."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Triangles:
    r"""Triangles by their sides. Each half-edge sees its own triangle above it: itself along the first axis.

    All is of one degree in the lengths, and square roots are of even degree, so that a unit of length twice
    as long changes no bit but the exponents.

    Attributes:
        lengths: ``(f, 3)``, side i from corner i to the next.
    """

    lengths: Float[Tensor, "f 3"]

    @cached_property
    def area(self) -> Float[Tensor, "f"]:
        """By Heron's formula, from the longest side down, which loses no digits (Kahan)."""
        a, b, c = self.lengths.sort(1, descending=True).values.unbind(1)
        square = (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))
        return square.clamp_min(0).sqrt() / 4

    @cached_property
    def apex(self) -> Float[Tensor, "h 2"]:
        """The corner across from each half-edge, in its frame: ``((a^2 + c^2 - b^2) / 2 a, 2 A / a)``."""
        a, b, c = self.lengths, self.lengths.roll(-1, 1), self.lengths.roll(1, 1)
        x = ((a - b) * (a + b) + c * c) / (2 * a)
        y = 2 * self.area[:, None] / a
        return torch.stack([x, y], -1).flatten(0, 1)

    @cached_property
    def angle(self) -> Float[Tensor, "h"]:
        """At the corner where each half-edge begins."""
        return torch.atan2(self.apex[:, 1], self.apex[:, 0])

    @cached_property
    def corner(self) -> Float[Tensor, "h 2"]:
        """Where each half-edge begins, in the layout of its face: that of the face's first half-edge."""
        zero = torch.zeros_like(self.lengths[:, :1])
        first, second = torch.cat([zero, zero], 1), torch.cat([self.lengths[:, :1], zero], 1)
        return torch.stack([first, second, self.apex[::3]], 1).flatten(0, 1)

    @cached_property
    def direction(self) -> Float[Tensor, "h 2"]:
        """The unit vector along each half-edge, in the layout of its face."""
        corner = self.corner.view(-1, 3, 2)
        along = (corner.roll(-1, 1) - corner).flatten(0, 1)
        return along / along.norm(dim=-1, keepdim=True)

    @cached_property
    def height(self) -> Float[Tensor, "f"]:
        """The least height, above the longest side."""
        return 2 * self.area / self.lengths.amax(1)


def sides(vertices: Float[Tensor, "v d"], faces: Tensor) -> Float[Tensor, "f 3"]:
    """The lengths of the sides of triangles in space."""
    p = vertices[faces]
    return (p.roll(-1, 1) - p).norm(dim=-1)
