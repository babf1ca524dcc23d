"""Frames: a point, and a way to look from it."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Frame(NamedTuple):
    r"""A frame ``u`` of an n-dimensional space: a point and a basis of its tangent space.

    The structure group acts from the right, on the basis: ``u h = (p, E h)``. The columns of
    ``basis`` are the axes of the frame in the coordinates of ``point``, so a kernel that sees
    components ``v`` sees the tangent vector ``E v``.

    Shapes: point ``(..., m)``, basis ``(..., m, n)``.
    """

    point: Float[Tensor, "*#batch m"]
    basis: Float[Tensor, "*#batch m n"]

    @property
    def flat(self) -> "Frame":
        """The same frames along one axis, ``(k,)``."""
        return Frame(self.point.flatten(0, -2), self.basis.flatten(0, -3))

    def turn(self, h: Float[Tensor, "*#batch n n"]) -> "Frame":
        """The frame ``u h``: the same point, seen with the axes mixed by ``h``."""
        return Frame(self.point, self.basis @ h)

    def at(self, index: object) -> "Frame":
        """The frames at ``index`` of the batch."""
        return Frame(self.point[index], self.basis[index])  # type: ignore[index]

    def tangent(self, v: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*#batch m"]:
        """The tangent vector ``E v`` whose components in this frame are ``v``."""
        return (self.basis @ v[..., None])[..., 0]


def broadcast(u: Frame, x: Float[Tensor, "*#batch k"]) -> tuple[Frame, Float[Tensor, "*batch k"]]:
    """Frames, and points or components, with the batch axes of both.

    By tensors: the first call of `torch.broadcast_shapes` loads symbolic algebra, for half a second.
    """
    shape = torch.broadcast_tensors(u.point[..., 0], x[..., 0])[0].shape
    return Frame(u.point.expand(*shape, -1), u.basis.expand(*shape, -1, -1)), x.expand(*shape, -1)
