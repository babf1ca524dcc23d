"""Layers on lattices in torch's own words: what is left of them when filters are made.

They are traced by `torch.fx`: no branch depends on a size. Where the samples of a coarser grid fall depends
on whether a size is even; here that is a number, ``size % 2``, and both cases are one formula.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from erlangen.engines import fold, unfold
from erlangen.engines.convolve import CONVOLUTIONS
from erlangen.engines.finer import along_fibre
from erlangen.engines.halving import gaussian
from erlangen.groups import Representation

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Convolution(nn.Module):
    """A convolution of fields whose fibre lies among the channels.

    Args:
        filters, bias: of the convolution.
        groups: of channels, and of the convolution.
        padding: on both sides of each axis, in its mode.
        rho_in, rho_out: what the fibre is.
    """

    def __init__(
        self,
        filters: Tensor,
        bias: Tensor | None,
        groups: tuple[int, int],
        padding: Sequence[int],
        modes: Sequence[str],
        dilation: int,
        rho_in: Representation,
        rho_out: Representation,
    ) -> None:
        super().__init__()
        n, out = filters.dim() - 2, len(filters)
        self.rho_in, self.rho_out, (self.groups, of_all) = rho_in, rho_out, groups
        one = set(modes) if any(padding) else {"zeros"}
        self.pads = [] if len(one) == 1 else list(zip(padding, modes, strict=True))
        self.conv = CONVS[n](
            filters.shape[1] * of_all,
            out,
            tuple(filters.shape[2:]),
            padding=0 if self.pads else tuple(padding),
            dilation=dilation,
            groups=of_all,
            bias=bias is not None,
            padding_mode=one.pop() if len(one) == 1 else "zeros",
            device=filters.device,
            dtype=filters.dtype,
        )
        self.conv.weight = nn.Parameter(filters.clone())
        if bias is not None:
            self.conv.bias = nn.Parameter(bias.clone())

    def forward(self, field: Tensor) -> Tensor:
        x = fold(field, self.rho_in, self.groups)
        for axis, (width, mode) in enumerate(self.pads):
            widths = [0] * (2 * (len(self.pads) - 1 - axis)) + [width, width]
            x = F.pad(x, widths + [0] * (2 * axis), "constant" if mode == "zeros" else mode)
        return unfold(self.conv(x), self.rho_out, self.groups)


class Correlated(nn.Module):
    """Convolutions one after the other: by themselves, and with the norm behind them.

    Args:
        own, both: without that norm, and with it.
        partner: the norm.
    """

    def __init__(self, own: nn.Module, both: nn.Module | None, partner: tuple[nn.Module, ...]) -> None:
        super().__init__()
        self.own, self.both, self.partner = own, both, partner

    def forward(self, field: Tensor) -> Tensor:
        return self.own(field)

    def normed(self, field: Tensor, norm: nn.Module) -> Tensor:
        if self.both is not None and self.partner[0] is norm:
            return self.both(field)
        return norm(self(field))


class Line(nn.Module):
    """``scale x + shift``, of each channel: a norm by statistics that stay."""

    def __init__(self, scale: Tensor, shift: Tensor | None, axes: int) -> None:
        super().__init__()
        shape = (-1, *[1] * (axes - 2))
        self.scale = nn.Parameter(scale.view(shape))
        self.shift = None if shift is None else nn.Parameter(shift.view(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale if self.shift is None else x * self.scale + self.shift


class Finer(nn.Module):
    """A function at more samples of the fibre: ``down function(up x)``; without matrices of each value."""

    up: Tensor
    down: Tensor

    def __init__(self, function: Callable[[Tensor], Tensor], matrices: tuple[Tensor, Tensor] | None) -> None:
        super().__init__()
        self.function, self.is_finer = function, matrices is not None
        if matrices is not None:
            self.register_buffer("up", matrices[0])
            self.register_buffer("down", matrices[1])

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_finer:
            return self.function(x)
        return along_fibre(self.down, self.function(along_fibre(self.up, x)))


class Powers(nn.Module):
    """``sum_k w_k x^k``, by Horner."""

    def __init__(self, weight: Tensor, axes: int) -> None:
        super().__init__()
        rows = weight.view(*weight.shape, *[1] * (axes - 2))
        self.rows = nn.ParameterList([nn.Parameter(row.clone()) for row in rows])

    def forward(self, x: Tensor) -> Tensor:
        *others, last = self.rows
        total = last * x
        for row in reversed(others):
            total = (total + row) * x
        return total


class Limited(nn.Module):
    """A field, no larger than that: over fibre and space, each channel by itself; then another layer."""

    def __init__(self, limit: float, axes: int, then: nn.Module) -> None:
        super().__init__()
        self.square, self.over, self.then = limit**2, tuple(range(2, axes)), then

    def forward(self, x: Tensor) -> Tensor:
        square = x.square().mean(self.over, keepdim=True).clamp_min(self.square)
        return self.then(x * (self.square / square).sqrt())


class Gate(nn.Module):
    """``x sigmoid(a mean x + b rms x + c)``, along the fibre; without invariants no mean."""

    def __init__(self, weight: Tensor, axes: int, rho: Representation) -> None:
        super().__init__()
        rows = weight.view(3, -1, *[1] * (axes - 2))
        self.a, self.b, self.c = (nn.Parameter(row.clone()) for row in rows)
        self.rho = rho

    def forward(self, x: Tensor) -> Tensor:
        along = self.rho.has_axis
        power = x.square().mean(2, keepdim=True) if along else x.square()
        gate = self.b * torch.sqrt(power + 1e-12) + self.c
        if self.rho.has_invariants:
            gate = gate + self.a * (x.mean(2, keepdim=True) if along else x)
        return x * torch.sigmoid(gate)


class Halved(nn.Module):
    """Every second sample of the blurred field: five weights about each, the first is zero at even sizes."""

    lines: Tensor

    def __init__(self, rho: Representation, closes: Sequence[bool], like: Tensor) -> None:
        super().__init__()
        self.rho, self.closes = rho, tuple(closes)
        whole, half = gaussian(0, like), F.pad(gaussian(1, like), (1, 0))
        self.register_buffer("lines", torch.stack([half, whole]))

    def forward(self, field: Tensor) -> Tensor:
        x = fold(field, self.rho)
        n, kernel = len(self.closes), self._line(x, 0)
        for axis in range(1, n):
            kernel = kernel.unsqueeze(-1) * self._line(x, axis)
        kernel = kernel[None, None]
        beside = [0 if closes else 2 for closes in self.closes]
        seen = torch.ones_like(x[:1, :1])
        for axis, closes in enumerate(self.closes):
            pads = [0] * (2 * (n - 1 - axis)) + [2, 2] + [0] * (2 * axis)
            x, seen = (F.pad(y, pads, "circular") if closes else y for y in (x, seen))
        channels = x.shape[1]
        filters = kernel.expand([channels] + [-1] * (n + 1))
        y = CONVOLUTIONS[n](x, filters, None, 2, beside, 1, channels)
        return unfold(y / CONVOLUTIONS[n](seen, kernel, None, 2, beside), self.rho)

    def _line(self, x: Tensor, axis: int) -> Tensor:
        return self.lines[x.shape[2 + axis] % 2]


class Doubled(nn.Module):
    """Linear interpolation: from three coarse samples two fine ones; of odd sizes the last is left out."""

    def __init__(self, rho: Representation, closes: Sequence[bool]) -> None:
        super().__init__()
        self.rho, self.closes = rho, tuple(closes)

    def forward(self, field: Tensor, size: Any, phase: None = None) -> Tensor:
        x, n = fold(field, self.rho), len(self.closes)
        for axis, closes in enumerate(self.closes):
            dim, whole = 2 + axis, [slice(None)] * (2 + axis)
            pads = [0] * (2 * (n - 1 - axis)) + [1, 1] + [0] * (2 * axis)
            wide = F.pad(x, pads, "circular" if closes else "replicate")
            before, after = (wide[(*whole, part)] for part in (slice(None, -2), slice(2, None)))
            quarter = (1 - size[axis] % 2) * 0.25
            pair = [x + quarter * (before - x), x + (0.5 - quarter) * (after - x)]
            x = torch.stack(pair, dim + 1).flatten(dim, dim + 1)[(*whole, slice(0, size[axis]))]
        return unfold(x, self.rho)


class Largest(nn.Module):
    """The maximum over three samples on each axis."""

    def __init__(self, rho: Representation, closes: Sequence[bool]) -> None:
        super().__init__()
        self.rho, self.closes = rho, tuple(closes)
        kinds = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
        self.pool = kinds[len(closes)](3, 1, tuple(int(not c) for c in closes))

    def forward(self, field: Tensor) -> Tensor:
        x, n = fold(field, self.rho), len(self.closes)
        for axis, closes in enumerate(self.closes):
            if closes:
                x = F.pad(x, [0] * (2 * (n - 1 - axis)) + [1, 1] + [0] * (2 * axis), "circular")
        return unfold(self.pool(x), self.rho)


class AlongFibre(nn.Module):
    """The mean along the fibre, or the maximum at more samples of it."""

    up: Tensor

    def __init__(self, reduction: str, up: Tensor | None) -> None:
        super().__init__()
        self.reduction, self.is_finer = reduction, up is not None
        if up is not None:
            self.register_buffer("up", up)

    def forward(self, x: Tensor) -> Tensor:
        if self.reduction == "mean":
            return x.mean(2)
        return (along_fibre(self.up, x) if self.is_finer else x).amax(2)


class OverSpace(nn.Module):
    """The mean or the maximum over space."""

    def __init__(self, reduction: str) -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2)
        return x.mean(2) if self.reduction == "mean" else x.amax(2)
