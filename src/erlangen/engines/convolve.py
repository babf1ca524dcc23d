"""torch's convolutions of any dimension, in the memory format and with the gradient that are fast."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.operators import followed, in_func, in_trace

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
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
    """``conv{1,2,3}d``, channels last; learned depthwise ones on the plane with a faster gradient."""
    n = filters.dim() - 2
    x = in_format(x, FORMATS[n])
    depthwise = n == 2 and groups == x.shape[1] == len(filters) and x.device.type == "cpu" and dilation == 1
    if depthwise and filters.requires_grad and bias is None and not followed():
        return _Depthwise2d.apply(x, filters, stride, tuple(padding))
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


class _Depthwise2d(torch.autograd.Function):
    """Depthwise conv2d whose weight gradient is taken three columns of the filter at a time.

    The CPU library has a fast kernel for that gradient up to a filter width of three, and one many
    times slower beyond it. One image at a time, so that the pieces stay small.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Tensor, stride: int, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, filters)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, filters, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, filters = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        grad_x = grad_filters = None
        if ctx.needs_input_grad[0]:
            grad_x = _gradient(x, filters, grad, ctx.stride, ctx.padding, [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            whole = torch.compiler.is_compiling()  # where the batch may be any, nothing loops over it
            images = [(x, grad)] if whole else zip(x.split(1), grad.split(1), strict=True)
            parts = [_filter_gradient(*one, filters, ctx.stride, ctx.padding) for one in images]
            grad_filters = torch.stack(parts).sum(0)
        return grad_x, grad_filters, None, None


def _filter_gradient(
    x: Tensor, grad: Tensor, filters: Tensor, stride: int, padding: tuple[int, int]
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
    padding: tuple[int, int],
    mask: list[bool],
) -> Any:
    return torch.ops.aten.convolution_backward(
        grad, x, filters, None, [stride] * 2, padding, [1, 1], False, [0, 0], x.shape[1], mask
    )
