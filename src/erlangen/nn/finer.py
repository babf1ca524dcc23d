"""The fibre, sampled more finely: the way there, the way back, and a ReLU in between."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.engines import Table
from erlangen.groups import Fibre

CHUNK = 1 << 18  # values of a finer field that stay in the processor's cache


class Finer:
    r"""``up``: a band-limited function at `factor` times as many samples; ``down``: its band-limited part.

    The finer samples come in an order of their own: the fibre's own samples first, which `up` leaves as
    they are.
    """

    def __init__(self, fibre: Fibre, factor: int) -> None:
        N = len(fibre)
        up = fibre.interpolate(fibre.finer(factor).elements)  # (factor N, N)
        own = (up - 1).abs().amin(1) < 1e-12
        up = torch.cat([torch.eye(N, dtype=torch.float64), up[~own]])
        self.between = Table(up[N:])
        self.lowpass = Table((up @ fibre.lowpass(fibre.default_band)).T / factor)

    def up(self, field: Tensor) -> Tensor:
        """``(batch, channel, N, *space)`` to ``(batch, channel, factor N, *space)``."""
        return torch.cat([field, along_fibre(self.between.like(field), field)], 2)

    def down(self, field: Tensor) -> Tensor:
        """The band-limited part of a function on the finer fibre."""
        return along_fibre(self.lowpass.like(field), field)

    def relu(self, field: Tensor) -> Tensor:
        """``down(relu(up(field)))``; on a CPU without ever holding the finer field."""
        if field.device.type != "cpu" or torch.compiler.is_compiling():
            return self.down(torch.relu(self.up(field)))
        last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, j, channel)
        flat = last.reshape(-1, *last.shape[-2:])
        y = _FinerReLU.apply(flat, self.between.like(field), self.lowpass.like(field))
        return y.view(last.shape).movedim(-2, 1).movedim(-1, 1)


def along_fibre(matrix: Float[Tensor, "i j"], field: Float[Tensor, "batch channel j *space"]) -> Tensor:
    """``sum_j matrix[i, j] F(c, j, p)``, with channels innermost, as convolutions leave them."""
    last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, j, channel)
    return (matrix @ last).movedim(-2, 1).movedim(-1, 1)


class _FinerReLU(torch.autograd.Function):
    """``lowpass relu([x; between x])`` on ``(p, N, channel)``, piece by piece, recomputed backward."""

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(ctx: Any, x: Tensor, between: Tensor, lowpass: Tensor) -> Tensor:
        ctx.save_for_backward(x, between, lowpass)
        N = x.shape[1]
        y = torch.empty_like(x)
        for here, there in zip(*_pieces(x, y, between), strict=True):
            torch.matmul(lowpass[:, :N], torch.relu(here), out=there)
            finer = (between @ here).relu_()
            there.baddbmm_(lowpass[:, N:].expand(len(here), -1, -1), finer)
        return y

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, between, lowpass = ctx.saved_tensors
        if torch.is_grad_enabled():  # second derivatives: by the plain formula
            y = lowpass @ torch.relu(torch.cat([x, between @ x], -2))
            return *torch.autograd.grad(y, x, grads[0], create_graph=True), None, None
        N = x.shape[1]
        grad = grads[0].contiguous()
        grad_x = torch.empty_like(x)
        own, finer, back = (m.T.contiguous() for m in (lowpass[:, :N], lowpass[:, N:], between))
        pieces = zip(*_pieces(x, grad, between), _pieces(grad_x, grad_x, between)[0], strict=True)
        for here, g, there in pieces:
            torch.matmul(own, g, out=there)
            _stop(there, here)
            inner = torch.matmul(finer, g)
            _stop(inner, between @ here)
            there.baddbmm_(back.expand(len(here), -1, -1), inner)
        return grad_x, None, None


def _stop(grad: Tensor, x: Tensor) -> None:
    """No gradient where the ReLU was shut, in place."""
    torch.ops.aten.threshold_backward.grad_input(grad, x, 0.0, grad_input=grad)


def _pieces(x: Tensor, y: Tensor, between: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    size = max(1, CHUNK // (len(between) * x.shape[2]))
    return x.split(size), y.split(size)
