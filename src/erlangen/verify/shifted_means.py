"""A layer averaged over shifts by parts of a sample: what it would be if samples had no places."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.domains import Grid
from erlangen.engines import fold, unfold
from erlangen.engines.halving import circular
from erlangen.engines.lattice import pad
from erlangen.groups import Representation

AROUND = 16  # samples beyond the field with which it goes on before it is shifted
ROUND, SOFT = 0.85, 0.15  # the band that turns alike, of the shortest wave of the samples; over which it ends
Layer = Callable[..., Tensor]


class End(NamedTuple):
    """What a layer takes, or gives.

    Attributes:
        domain: a lattice.
        rho: the type of the fields there.
        share: how many of its samples a shift by one of the coarser ones is.
    """

    domain: Grid
    rho: Representation
    share: int = 1


def mean_over_shifts(layer: Layer, into: End, out: End, steps: int = 2) -> Layer:
    r"""``mean over d of T_{-d} L T_d``, d the shifts by ``i / steps`` of a coarser sample on every axis.

    T shifts the trigonometric polynomial through the samples. What aliases takes a phase from every d, and
    the mean of these is zero; so for a nonlinearity this is the function at `steps` times as many samples on
    each axis, cut back to the band, and for a halving the same one of what the coarser samples can hold.
    """

    def averaged(field: Tensor, *rest: object) -> Tensor:
        total = None
        for shift in itertools.product(range(steps), repeat=into.domain.dim):
            moved = _shifted(field, [i * into.share / steps for i in shift], into)
            y = _shifted(layer(moved, *rest), [-i * out.share / steps for i in shift], out)
            total = y if total is None else total + y
        return total / steps**into.domain.dim  # type: ignore[operator]

    return averaged


def cut_round(layer: Layer, out: End) -> Layer:
    """The layer, and of what it gives the waves that fit on the lattice in every direction."""

    def cut(field: Tensor, *rest: object) -> Tensor:
        x, widths, mean = _continued(layer(field, *rest), [True] * out.domain.dim, out)
        axes, sizes = tuple(range(2, x.dim())), tuple(x.shape[2:])
        X = torch.fft.rfftn(x, dim=axes)
        y = torch.fft.irfftn(X * round_band(sizes, out.domain.steps).to(x), s=sizes, dim=axes)
        return _inside(y + mean, widths, out)

    return cut


def waves(sizes: tuple[int, ...], steps: Float[Tensor, "n n"]) -> Float[Tensor, "*waves n"]:
    """The wave vectors of `torch.fft.rfftn`, in the coordinates of the space."""
    lines = [torch.fft.fftfreq(size, dtype=torch.float64) for size in sizes[:-1]]
    lines.append(torch.fft.rfftfreq(sizes[-1], dtype=torch.float64))
    index = torch.stack(torch.meshgrid(*lines, indexing="ij"), -1)
    return 2 * math.pi * index @ torch.linalg.inv(steps).T


def round_band(sizes: tuple[int, ...], steps: Float[Tensor, "n n"]) -> Float[Tensor, "*waves"]:
    """One for long waves, zero beyond the longest of the shortest that the axes resolve, softly."""
    most = math.pi / float(steps.norm(dim=1).max())
    beyond = (ROUND + SOFT / 2 - waves(sizes, steps).norm(dim=-1) / most) / SOFT
    return torch.sin(math.pi / 2 * beyond.clamp(0.0, 1.0)) ** 2


def _shifted(field: Tensor, shift: list[float], end: End) -> Tensor:
    """The field a part of a sample further on each axis."""
    if not any(shift):
        return field
    x, widths, mean = _continued(field, [s != 0 for s in shift], end)
    for axis, amount in enumerate(shift):
        if amount:
            x = _along(x, 2 + axis, amount)
    return _inside(x + mean, widths, end)


def _continued(field: Tensor, axes: list[bool], end: End) -> tuple[Tensor, list[int], Tensor]:
    """The field less its mean, as it goes on beyond some axes, falling to zero there; by how much; the mean.

    Axes that close on themselves are as they are.
    """
    domain, x = end.domain, fold(field, end.rho)
    sizes, twisted = x.shape[2:], _is_twisted(end)
    closed = [c and not twisted for c in domain.closed]
    widths = [
        min(AROUND, size - 1) if a and not c else 0 for a, c, size in zip(axes, closed, sizes, strict=True)
    ]
    across = [w if closes else 0 for w, closes in zip(widths, domain.closed, strict=True)]
    if any(across):
        x = domain.surround(x, across, end.rho)
    x = pad(x, [w - a for w, a in zip(widths, across, strict=True)], ["reflect"] * len(widths))
    mean = x.mean(tuple(range(2, x.dim())), keepdim=True)
    mean = mean if any(widths) else torch.zeros_like(mean)
    x = x - mean
    for axis, width in enumerate(widths):
        if width:
            x = x * _window(x.shape[2 + axis], width).to(x).view(-1, *[1] * (len(widths) - 1 - axis))
    return x, widths, mean


def _is_twisted(end: End) -> bool:
    """Whether fields go on beyond axes that close other than from their other end."""
    domain, one = end.domain, [int(closes) for closes in end.domain.closed]
    if not any(one) or domain.beyond(end.rho) is None:
        return False
    probe = torch.rand(1, end.rho.dim, *domain.sizes, generator=torch.Generator().manual_seed(0))
    return not torch.allclose(domain.surround(probe, one, end.rho), circular(probe, one))


def _inside(x: Tensor, widths: list[int], end: End) -> Tensor:
    for axis, width in enumerate(widths):
        x = x.narrow(2 + axis, width, x.shape[2 + axis] - 2 * width)
    return unfold(x, end.rho)


def _along(x: Tensor, axis: int, amount: float) -> Tensor:
    """A periodic field shifted along one axis."""
    size = x.shape[axis]
    turn = torch.exp(-2j * math.pi * amount * torch.fft.rfftfreq(size, dtype=torch.float64))
    X = torch.fft.rfft(x, dim=axis)
    return torch.fft.irfft(X * turn.to(X).view(-1, *[1] * (x.dim() - 1 - axis)), n=size, dim=axis)


def _window(size: int, width: int) -> Float[Tensor, "size"]:
    """One over the field and half of what lies beyond, falling to zero at the ends."""
    place = torch.arange(size, dtype=torch.float64)
    beyond = torch.minimum(place, size - 1 - place) + 0.5
    return torch.sin(math.pi / 2 * (2 * beyond / width).clamp(max=1.0)) ** 2
