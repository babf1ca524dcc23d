"""The fibre, sampled more finely: the way there, the way back, and a function of each value in between."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.table import Table
from erlangen.groups import Fibre
from erlangen.operators import followed, in_func, in_trace
from erlangen.shared import shared

CHUNK = 1 << 18  # values of a finer field that stay in the processor's cache
FEW = 10  # channels, up to which one large matrix on fibre and channels is faster than many small ones


class Resolution(ABC):
    """More samples of a field than its domain has, for what would alias on those."""

    @abstractmethod
    def up(self, field: Tensor) -> Tensor:
        """The band-limited field at more samples."""

    @abstractmethod
    def down(self, field: Tensor) -> Tensor:
        """The band-limited part of a field at more samples, on the domain's own."""

    def largest(self, field: Float[Tensor, "batch channel fibre *space"]) -> Tensor:
        """``max_h up(field)(h)``."""
        return self.up(field).amax(2)

    def pointwise(self, field: Tensor, function: "Function") -> Tensor:
        """``down(function(up(field)))``."""
        return self.down(function.of(self.up(field)))

    def quadratic(self, field: Tensor, a: Float[Tensor, "channel"], b: Float[Tensor, "channel"]) -> Tensor:
        """``down(a up(field) + b up(field)^2)``."""
        finer = self.up(field)  # samples, of fewer axes than coefficients have
        a, b = (w.view(-1, *[1] * (finer.dim() - 2)) for w in (a, b))
        return self.down((a + b * finer) * finer)


class FinerFibre(Resolution):
    r"""``up``: a band-limited function at `factor` times as many samples; ``down``: its band-limited part.

    The finer samples come in an order of their own: the fibre's own samples first, which `up` leaves as
    they are.
    """

    def __init__(self, fibre: Fibre, factor: float) -> None:
        N, factor = len(fibre), math.ceil(factor)  # the own samples are among the finer ones
        self.factor = factor
        up = fibre.interpolate(fibre.finer(factor).elements)  # (factor N, N)
        own = (up - 1).abs().amin(1) < 1e-12
        up = torch.cat([torch.eye(N, dtype=torch.float64), up[~own]])
        self.between, self.all = Table(up[N:]), Table(up)
        self.lowpass = Table((up @ fibre.lowpass(fibre.default_band)).T / factor)
        self._wide: dict[int, tuple[Table, Table, Table]] = {}  # by channels

    def up(self, field: Tensor) -> Tensor:
        """``(batch, channel, N, *space)`` to ``(batch, channel, factor N, *space)``."""
        return torch.cat([field, along_fibre(self.between.like(field), field)], 2)

    def down(self, field: Tensor) -> Tensor:
        """The band-limited part of a function on the finer fibre."""
        return along_fibre(self.lowpass.like(field), field)

    def largest(self, field: Tensor) -> Tensor:
        """``max_h up(field)(h)``; without a gradient, on a CPU, piece by piece."""
        recorded = torch.compiler.is_compiling() or followed()
        wanted = torch.is_grad_enabled() and field.requires_grad
        if recorded or wanted or field.device.type != "cpu":
            return super().largest(field)
        last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, j, channel)
        rows, between = last.flatten(0, -3), self.between.like(field)
        y = rows.amax(1)  # (p, channel)
        size = max(1, CHUNK // (len(between) * max(rows.shape[2], 1)))
        for here, there in zip(rows.split(size), y.split(size), strict=True):
            finer = here.movedim(1, 2).flatten(0, 1) @ between.T  # (p channel, i)
            torch.maximum(there, finer.amax(1).view(there.shape), out=there)
        return y.view(last.shape[:-2] + last.shape[-1:]).movedim(-1, 1)

    def pointwise(self, field: Tensor, function: "Function") -> Tensor:
        """``down(function(up(field)))``, of which only the field is kept; on a CPU piece by piece."""
        if torch.compiler.is_compiling() or in_func() or in_trace():
            return super().pointwise(field, function)
        last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, j, channel)
        here, channels = field.device.type == "cpu", last.shape[-1]
        if here and channels <= FEW:
            between, every, down = self._wide.get(channels) or self._of_all_channels(channels)
            rows = last.flatten(-2).flatten(0, -2)
        else:
            between, every, down, rows = self.between, self.all, self.lowpass, last.flatten(0, -3)
        wanted = torch.is_grad_enabled() and field.requires_grad
        small = self.factor * field.numel() <= CHUNK and not torch.is_autocast_enabled("cpu")
        if here and small and not wanted:  # fewer operations than piece by piece
            y = _times(down.like(field), function.into(_times(every.like(field), rows)))
        else:
            up = between if here else every
            y = _Finer.apply(rows, up.like(field), down.like(field), function)
        return y.view(last.shape).movedim(-2, 1).movedim(-1, 1)

    def _of_all_channels(self, channels: int) -> tuple[Table, Table, Table]:
        """The matrices `between`, `all` and `lowpass` on fibre and channels, kept."""
        each = torch.eye(channels, dtype=torch.float64)
        with shared():
            tables = self.between, self.all, self.lowpass
            wide = [Table(torch.kron(m.value.contiguous(), each)) for m in tables]
        return self._wide.setdefault(channels, (wide[0], wide[1], wide[2]))


def along_fibre(matrix: Float[Tensor, "i j"], field: Float[Tensor, "batch channel j *space"]) -> Tensor:
    """``sum_j matrix[i, j] F(c, j, p)``, with channels innermost, as convolutions leave them."""
    last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, j, channel)
    return (matrix @ last).movedim(-2, 1).movedim(-1, 1)


class Function(NamedTuple):
    """A function of each value; its work in place; and a gradient times its slope at x, in place."""

    of: Callable[[Tensor], Tensor]
    into: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor], Tensor]


def _stop(grad: Tensor, x: Tensor) -> Tensor:
    """No gradient where the ReLU was shut."""
    return torch.ops.aten.threshold_backward.grad_input(grad, x, 0.0, grad_input=grad)


def _silu(x: Tensor) -> Tensor:
    return torch.nn.functional.silu(x, inplace=True)


def _silu_back(grad: Tensor, x: Tensor) -> Tensor:
    return torch.ops.aten.silu_backward.grad_input(grad, x, grad_input=grad)


RELU = Function(torch.relu, torch.relu_, _stop)
SILU = Function(torch.nn.functional.silu, _silu, _silu_back)
SQUARE = Function(torch.square, torch.square_, lambda grad, x: grad.mul_(x).mul_(2))


def at_more(
    x: Float[Tensor, "p n c"], up: Float[Tensor, "k n"], down: Float[Tensor, "n k"], function: Function
) -> Float[Tensor, "p n c"]:
    """``down function(up x)`` along axis 1, on a CPU without ever holding what is in between."""
    return _Finer.apply(x, up, down, function)


class _Finer(torch.autograd.Function):
    """``lowpass function(between x)``, recomputed backward; on a CPU piece by piece.

    A lowpass of more columns takes x itself first: ``lowpass function([x; between x])``.
    x is ``(p, N, channel)``; or ``(p, N channel)``, with matrices that leave channels alone.
    """

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(ctx: Any, x: Tensor, between: Tensor, lowpass: Tensor, function: Function) -> Tensor:
        ctx.save_for_backward(x, between, lowpass)
        ctx.function = function
        own, finer, size = _parts(x, between, lowpass)
        y = torch.empty_like(x)
        for here, there in zip(x.split(size), y.split(size), strict=True):
            _times(finer, function.into(_times(between, here)), there)
            if own is not None:
                _add_times(there, own, function.of(here))
        return y

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, between, lowpass = ctx.saved_tensors
        function = ctx.function
        own, finer, size = _parts(x, between, lowpass)
        if torch.is_grad_enabled():  # second derivatives: by the plain formula
            samples = _times(between, x) if own is None else torch.cat([x, _times(between, x)], 1)
            y = _times(lowpass, function.of(samples))
            return *torch.autograd.grad(y, x, grads[0], create_graph=True), None, None, None
        grad = grads[0].contiguous()
        grad_x = torch.empty_like(x)
        finer, back = finer.T, between.T
        pieces = zip(x.split(size), grad.split(size), grad_x.split(size), strict=True)
        for here, g, there in pieces:
            _times(back, function.back(_times(finer, g), _times(between, here)), there)
            if own is not None:
                there += function.back(_times(own.T, g), here)
        return grad_x, None, None, None


def _parts(x: Tensor, between: Tensor, lowpass: Tensor) -> tuple[Tensor | None, Tensor, int]:
    """The columns for x itself, if there are any, those for the samples between; and the rows of a piece."""
    own = lowpass.shape[1] - len(between)
    channels = x.shape[2] if x.dim() == 3 else 1
    size = max(1, CHUNK // (len(between) * channels) if x.device.type == "cpu" else len(x))
    return lowpass[:, :own] if own else None, lowpass[:, own:], size


def _times(matrix: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
    """The matrix applied along axis 1."""
    return torch.mm(x, matrix.T, out=out) if x.dim() == 2 else torch.matmul(matrix, x, out=out)


def _add_times(y: Tensor, matrix: Tensor, x: Tensor) -> None:
    """``y += matrix x`` along axis 1, in place."""
    if x.dim() == 2:
        y.addmm_(x, matrix.T)
    else:
        y.baddbmm_(matrix.expand(len(x), -1, -1), x)
