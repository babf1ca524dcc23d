"""Gradients are as equivariant as outputs, or training breaks what the network promises."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Move = Callable[[Tensor], Tensor]


def gradient_error(module: nn.Module, x: Tensor, move_in: Move, move_out: Move) -> float:
    r"""How far the gradients of ``L(x) = <c, N(x)>`` are from those of ``<g c, N(g x)>``, relative.

    Parameters must have the same gradient, the input the moved one; c is a fixed random field.
    The larger of both errors, in the Euclidean norm over all entries.
    """
    moved_x = move_in(x)
    with torch.no_grad():
        y = module(x)
    generator = torch.Generator().manual_seed(0)
    c = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y)
    parameters = [p for p in module.parameters() if p.requires_grad]
    input_grad, grads = _gradients(module, x, c, parameters)
    moved_input_grad, moved_grads = _gradients(module, moved_x, move_out(c), parameters)
    errors = [_relative(moved_input_grad, move_in(input_grad))]
    if parameters:
        errors.append(_relative(moved_grads, grads))
    return max(errors)


def _gradients(
    module: nn.Module, x: Tensor, c: Tensor, parameters: list[nn.Parameter]
) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_(True)
        loss = (module(x) * c).sum()
        grad_x, *rest = torch.autograd.grad(loss, [x, *parameters], allow_unused=True)
    flat = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, rest, strict=True)]
    return grad_x, torch.cat([g.flatten() for g in flat]) if flat else grad_x.new_zeros(1)


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp_min(torch.finfo(b.dtype).tiny))
