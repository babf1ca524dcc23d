"""Derivatives of functions of points."""

import warnings
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

Field = Callable[[Tensor], Tensor]


def partials(f: Field, x: Float[Tensor, "*batch n"]) -> tuple[Tensor, Tensor]:
    """f(x), and its derivatives by each coordinate (first axis), by forward differentiation."""
    n = x.shape[-1]
    every = x.expand(n, *x.shape).contiguous()
    along = (
        torch.eye(n, dtype=x.dtype, device=x.device)
        .view(n, *[1] * (x.dim() - 1), n)
        .expand_as(every)
        .contiguous()
    )
    value, derivative = directional(f, every, along)
    return value[0], derivative


def directional(f: Field, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """f(x), and its derivative along v, by forward differentiation."""
    _warm()
    result = torch.func.jvp(f, (x,), (v,))
    return result[0], result[1]


@cache
def _warm() -> None:
    """The first forward differentiation, which has torch warn of its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))
