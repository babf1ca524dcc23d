"""Fields on space and directions: coefficients in spherical harmonics of the direction, at each sample."""

import math
from functools import cache, partial

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.engines import Resolution
from erlangen.engines.finer import Function, along_fibre, at_more
from erlangen.engines.table import Table
from erlangen.groups import Representation
from erlangen.harmonics import lebedev
from erlangen.harmonics.lebedev import ORBITS
from erlangen.kernels.directions import spherical_harmonics
from erlangen.kernels.solve import turned
from erlangen.operators import in_func, in_trace
from erlangen.shared import shared


def harmonics(degree: int, n: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch k"]:
    """All ``Y_c(n)`` of degrees up to that, ``(degree + 1)^2``, of mean square one; the first is one."""
    return torch.cat([spherical_harmonics(3, l)(n) for l in range(degree + 1)], -1)


@cache
def coefficients(degree: int) -> Representation:
    r"""Functions ``F(n) = sum_c F_c Y_c(n)`` of a direction by their F_c: ``(rho(h) F)(n) = F(h^{-1} n)``."""
    blocks = tuple(2 * l + 1 for l in range(degree + 1))
    return Representation("regular", sum(blocks), partial(_turned, degree), blocks=blocks)


def _turned(degree: int, h: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch k k"]:
    flat = h.reshape(-1, 3, 3).to(torch.float64)
    D = [turned(3, l, flat) for l in range(degree + 1)]
    size = (degree + 1) ** 2
    whole, start = flat.new_zeros(len(flat), size, size), 0
    for block in D:
        end = start + block.shape[-1]
        whole[:, start:end, start:end] = block
        start = end
    return whole.view(*h.shape[:-2], size, size)


class Directions(Resolution):
    """``up``: the values at directions that a cube's turns exchange; ``down``: the coefficients again.

    A function of each value there commutes with all turns and mirrors of the cube; with others the less what
    aliases, the finer.

    Args:
        degree: of the functions.
        factor: how many times as high a degree the directions integrate, and three more.
    """

    def __init__(self, degree: int, factor: float) -> None:
        exact = min(math.ceil(2 * degree * factor) + 3, max(ORBITS))
        n, w = lebedev(exact)
        Y = harmonics(degree, n)
        self.all, self.lowpass = Table(Y), Table((Y * w[:, None]).T)

    def up(self, field: Tensor) -> Tensor:
        """``(batch, channel, (degree + 1)^2, *space)`` to ``(batch, channel, directions, *space)``."""
        return along_fibre(self.all.like(field), field)

    def down(self, field: Tensor) -> Tensor:
        return along_fibre(self.lowpass.like(field), field)

    def pointwise(self, field: Tensor, function: Function) -> Tensor:
        """``down(function(up(field)))``, of which only the field is kept; on a CPU piece by piece."""
        if torch.compiler.is_compiling() or in_func() or in_trace():
            return super().pointwise(field, function)
        last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, j, channel)
        y = at_more(last.flatten(0, -3), self.all.like(field), self.lowpass.like(field), function)
        return y.view(last.shape).movedim(-2, 1).movedim(-1, 1)


@cache
def directions(degree: int, factor: float) -> Directions:
    """Made once."""
    with shared():
        return Directions(degree, factor)
