"""torch's convolutions of any dimension, in the memory format and with the gradient that are fast."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.operators import followed, in_func, in_trace

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
PIECE = 1 << 20  # values of planes that are worked on at a time
FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}


def convolve(
    x: Tensor,
    filters: Tensor,
    stride: int,
    padding: list[int],
    dilation: int,
    groups: int,
    bias: Tensor | None = None,
) -> Tensor:
    """``conv{1,2,3}d``, channels last; learned depthwise ones of two and three axes by a faster gradient."""
    n = filters.dim() - 2
    x = in_format(x, FORMATS[n])
    depthwise = n > 1 and groups == x.shape[1] == len(filters) and x.device.type == "cpu" and dilation == 1
    if depthwise and filters.requires_grad and bias is None and not followed():
        return _Depthwise.apply(x, filters, stride, tuple(padding))
    return CONVOLUTIONS[n](x, filters, bias, stride, padding, dilation, groups)


def in_format(x: Tensor, memory_format: torch.memory_format) -> Tensor:
    """x in a memory format, by its strides as well.

    The stride of a batch of one can be anything and still count as contiguous, but torch's convolutions
    choose their format by it.
    """
    compiled = torch.compiler.is_compiling()
    if not compiled and in_func():
        return x  # fields side by side, which torch.func.vmap hides, have no format
    x = x.contiguous(memory_format=memory_format)
    if compiled or in_trace():
        return x  # whose strides are no constants
    if x.shape[0] == 1 and x.stride(0) != x[0].numel():
        strides = (x[0].numel(), *x.stride()[1:])
        return x.as_strided(x.shape, strides)
    return x


class _Depthwise(torch.autograd.Function):
    """Depthwise conv2d and conv3d whose weight gradient is taken piece by piece.

    The CPU library has a fast kernel for that gradient up to a filter width of three, and one many
    times slower beyond it; so three columns of a filter are taken at a time. In three dimensions each tap
    along the first axis is a filter of the plane, and planes are its images. Few at a time, so that pieces
    stay small.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Tensor, stride: int, padding: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, filters)
        ctx.stride, ctx.padding = stride, padding
        return CONVOLUTIONS[len(padding)](x, filters, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, filters = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=FORMATS[x.dim() - 2])
        grad_x = grad_filters = None
        if ctx.needs_input_grad[0]:
            grad_x = _gradient(x, filters, grad, ctx.stride, ctx.padding, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            whole = torch.compiler.is_compiling()  # where the batch may be any, nothing loops over it
            images = [(x, grad)] if whole else zip(x.split(1), grad.split(1), strict=True)
            of = _filter_gradient if len(ctx.padding) == 2 else _filter_gradient_by_planes
            parts = [of(*one, filters, ctx.stride, ctx.padding) for one in images]
            grad_filters = torch.stack(parts).sum(0)
        return grad_x, grad_filters, None, None


def _filter_gradient_by_planes(
    x: Tensor, grad: Tensor, filters: Tensor, stride: int, padding: tuple[int, ...]
) -> Tensor:
    """The gradient of filters of three axes: for each tap along the first, that of a filter of the plane."""
    if torch.compiler.is_compiling():
        return _gradient(x, filters, grad, stride, padding, [False, True, False])[1]
    x = F.pad(x, (0, 0, 0, 0, padding[0], padding[0]))
    g = grad.transpose(1, 2).flatten(0, 1)  # (plane, channel, *plane)
    size = max(1, PIECE // max(g[0].numel(), 1)) if len(g) else 1
    last = stride * (grad.shape[2] - 1)
    taps = []
    for tap in range(filters.shape[2]):
        planes = x[:, :, tap : tap + last + 1 : stride].transpose(1, 2).flatten(0, 1)
        pieces = zip(planes.split(size), g.split(size), strict=True)
        parts = [_filter_gradient(*piece, filters[:, :, tap], stride, padding[1:]) for piece in pieces]
        taps.append(torch.stack(parts).sum(0))
    return torch.stack(taps, 2)


def _filter_gradient(
    x: Tensor, grad: Tensor, filters: Tensor, stride: int, padding: tuple[int, ...]
) -> Tensor:
    """The gradient with respect to the filters, three columns at a time."""
    width = filters.shape[-1]
    if width <= 3:
        return _gradient(x, filters, grad, stride, padding, [False, True, False])[1]
    x = F.pad(x, (padding[1], padding[1]))
    reach = stride * (grad.shape[-1] - 1)
    columns = []
    for first in range(0, width, 3):
        part = filters[..., first : first + 3]
        piece = x[..., first : first + reach + part.shape[-1]]
        mask = [False, True, False]
        columns.append(_gradient(piece, part, grad, stride, (padding[0], 0), mask)[1])
    return torch.cat(columns, -1)


def _gradient(
    x: Tensor,
    filters: Tensor,
    grad: Tensor,
    stride: int,
    padding: tuple[int, ...],
    mask: list[bool],
) -> Any:
    n = len(padding)
    return torch.ops.aten.convolution_backward(
        grad, x, filters, None, [stride] * n, padding, [1] * n, False, [0] * n, x.shape[1], mask
    )
