"""Derivatives of functions of points.

They are taken backward, twice, which leads forward: ``J^T w`` is linear in w, and its derivative by w along v
is ``J v``. Torch's own forward differentiation costs some milliseconds wherever a number meets a tensor, and
a second when it is first used; it is kept for what the other cannot do.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import grad
from torch.autograd.forward_ad import unpack_dual

Function = Callable[[Tensor], Tensor]
Curve = Callable[[Tensor], Sequence[Tensor]]


def partials(f: Function, x: Float[Tensor, "*batch n"]) -> tuple[Tensor, Tensor]:
    """f(x), and its derivatives by each coordinate (first axis)."""
    n = x.shape[-1]
    axes = torch.eye(n, dtype=x.dtype, device=x.device).view(n, *[1] * (x.dim() - 1), n)
    value = f(x)
    return value, _derivative(f, x.expand(n, *x.shape), axes.expand(n, *x.shape), value.requires_grad)


def directional(f: Function, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """f(x), and its derivative along v."""
    value = f(x)
    return value, _derivative(f, x, v, value.requires_grad)


def gradient(f: Function, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch k n"]:
    """The derivatives of a few outputs ``(..., k)``, backward, one by one."""
    try:
        is_recorded = torch.is_grad_enabled() and f(x).requires_grad
        with torch.inference_mode(False), torch.enable_grad():
            here = _leaf(x)
            G = torch.stack([_pulled(y, here, is_recorded) for y in f(here).unbind(-1)], -2)
    except RuntimeError:
        return partials(f, x)[1].movedim(0, -1)
    return G if bool(G.isfinite().all()) else partials(f, x)[1].movedim(0, -1)


def jet(f: Curve, t: Float[Tensor, "*batch"], order: int) -> list[Float[Tensor, "*batch k"]]:
    """``f, f', f'', ...`` up to the order, for k functions of one number, each the derivative of the last."""
    try:
        is_recorded = torch.is_grad_enabled() and torch.stack(tuple(f(t)), -1).requires_grad
        with torch.inference_mode(False), torch.enable_grad():
            # without calls of our own from here on: geodesics come here at every step
            here = t if t.requires_grad else t.detach().clone().requires_grad_()
            if unpack_dual(t).tangent is not None:
                return _forward_jet(f, t, order)
            rows = [tuple(f(here))]
            for k in range(1, order + 1):
                recorded = is_recorded or k < order
                rows.append(())
                for y in rows[-2]:
                    slope = torch.zeros_like(here)
                    if y.requires_grad:
                        slope = grad(y.sum(), here, retain_graph=True, create_graph=recorded)[0]
                    rows[-1] += (slope,)
    except RuntimeError:
        return _forward_jet(f, t, order)
    found = torch.stack(sum(rows, ()), -1).unflatten(-1, (order + 1, -1))
    found = found if is_recorded else found.detach()
    return list(found.unbind(-2)) if bool(found.isfinite().all()) else _forward_jet(f, t, order)


def _pulled(y: Tensor, x: Tensor, is_recorded: bool) -> Tensor:
    """The derivative of the sum of y by x."""
    if not y.requires_grad:  # the same everywhere
        return torch.zeros_like(x)
    return grad(y.sum(), x, retain_graph=True, create_graph=is_recorded, materialize_grads=True)[0]


def _derivative(f: Function, x: Tensor, v: Tensor, is_recorded: bool) -> Tensor:
    """The derivative of f along v; recorded for further ones, if f(x) is."""
    try:
        derivative = _twice_backward(f, x, v, is_recorded)
    except RuntimeError:  # torch.func is at work on x, or f has no second derivative
        return _forward(f, x, v)
    # a branch that torch.where did not take may have given 0 times infinity: forward it is left out
    return derivative if bool(derivative.isfinite().all()) else _forward(f, x, v)


def _twice_backward(f: Function, x: Tensor, v: Tensor, is_recorded: bool) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        x = _leaf(x)
        y = f(x)
        w = torch.zeros_like(y).requires_grad_()
        return _pulled(_pulled(w * y, x, True) * v, w, is_recorded)


def _leaf(x: Tensor) -> Tensor:
    """What to differentiate by: x itself where it is recorded, else a copy."""
    if unpack_dual(x).tangent is not None:
        raise RuntimeError("x is a dual number, which a copy is not, expected none: use torch.func.jvp")
    return x.contiguous() if x.requires_grad else x.detach().clone().requires_grad_()


def _forward(f: Function, x: Tensor, v: Tensor) -> Tensor:
    _warm()
    return torch.func.jvp(f, (x.contiguous(),), (v.contiguous(),))[1]


def _forward_jet(f: Curve, t: Tensor, order: int) -> list[Tensor]:
    def derivative(g: Function) -> Function:
        return lambda t: _forward(g, t, torch.ones_like(t))

    fields: list[Function] = [lambda t: torch.stack(tuple(f(t)), -1)]
    for _ in range(order):
        fields.append(derivative(fields[-1]))
    return [g(t) for g in fields]


@cache
def _warm() -> None:
    """The first forward differentiation, which has torch warn of its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))
