"""The one interface of every engine."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.groups import Representation
from erlangen.operators import in_func, in_trace


class Filters(NamedTuple):
    """What an engine makes of coefficients once, when they do not change any more.

    Attributes:
        tensors: real ones, in the dtype of the coefficients.
        bias: as the engine adds it on the way; None where nothing is added.
    """

    tensors: tuple[Tensor, ...]
    bias: Tensor | None = None


class Engine(ABC):
    r"""Correlates fields with kernels ``sum_b w_b psi_b`` of one basis, on one domain.

    Attributes:
        basis: the psi_b, frame components ``(..., n)`` to ``(..., b, d_out, d_in)``.
        rho_in: the type of field that comes in.
        rho_out: the type that goes out.
        power: ``(b,)``, the summed squared weights of each basis function for one output value: what
            an initialization divides by.
        smoothness: ``(b,)``, the relative amplitude that each coefficient should start with.
        by_channels: whether its work goes by the channels that come out, so that a few of them at a time
            are no more work than all at once.
        adds_bias: whether `filters` takes a bias, for which no further pass over the field is needed.
    """

    basis: Any  # a function, which each engine asks for more
    rho_in: Representation
    rho_out: Representation
    power: Float[Tensor, "b"]
    smoothness: Float[Tensor, "b"]
    adds_bias: bool = False
    by_channels: bool = False

    @abstractmethod
    def apply(
        self,
        field: Float[Tensor, "batch channel *space"],
        coefficients: Float[Tensor, "out channel_per_group b"],
        groups: int = 1,
    ) -> Float[Tensor, "batch out *space"]:
        """The field ``sum_c sum_b w[o, c, b] (psi_b * f_c)``; fibre axes come after the channels."""

    def filters(
        self,
        coefficients: Float[Tensor, "out channel_per_group b"],
        groups: int = 1,
        bias: Float[Tensor, "out"] | None = None,
    ) -> Filters:
        """What `filtered` takes; an engine that makes nothing of coefficients keeps them."""
        return Filters((coefficients,), bias)

    def filtered(
        self, field: Float[Tensor, "batch channel *space"], filters: Filters, groups: int = 1
    ) -> Float[Tensor, "batch out *space"]:
        """`apply`, and the bias added, with what `filters` made of both."""
        return self.apply(field, filters.tensors[0], groups)

    def __deepcopy__(self, memo: object) -> "Engine":
        return self


def fold(field: Tensor, rho: Representation, groups: int = 1) -> Tensor:
    """``(batch, channel, [fibre,] *space)`` to ``(batch, group fibre channel, *space)``.

    Channels innermost, so that a field in torch's channels_last format is folded without a copy: as it lies
    there, or by way of ``(batch, *space, ...)``, which copies others into that format.
    """
    if not rho.has_axis:
        return field
    # as convolutions leave it; traces ask no strides, and torch.func.vmap hides an axis
    is_free = groups == 1 and not (torch.compiler.is_compiling() or in_func() or in_trace())
    if is_free and isinstance(field, Tensor) and field.stride()[1:3] == (1, field.shape[1]):
        if field.shape[0] > 1:
            return field.transpose(1, 2).flatten(1, 2)
        if not (torch.is_grad_enabled() and field.requires_grad):  # a gradient would be copied
            # the stride of one image torch leaves to chance, but goes by it
            whole, strides = (1, field.shape[1] * field.shape[2], *field.shape[3:]), field.stride()[3:]
            return field.as_strided(whole, (field.numel(), 1, *strides), field.storage_offset())
    last = field.movedim(1, -1).movedim(1, -2)  # (batch, *space, fibre, channel)
    if groups > 1:
        last = last.unflatten(-1, (groups, -1)).movedim(-2, -3).flatten(-3, -2)
    return last.flatten(-2).movedim(-1, 1)


def unfold(field: Tensor, rho: Representation, groups: int = 1) -> Tensor:
    """The way back from `fold`."""
    if not rho.has_axis:
        return field
    if groups == 1 and not torch.compiler.is_compiling():  # which would ask how sizes divide strides
        return field.unflatten(1, (rho.dim, -1)).transpose(1, 2)
    last = field.movedim(1, -1)  # (batch, *space, group fibre channel)
    if groups == 1:
        last = last.unflatten(-1, (rho.dim, -1))
    else:
        last = last.unflatten(-1, (groups, rho.dim, -1)).movedim(-3, -2).flatten(-2)
    return last.movedim(-1, 1).movedim(-1, 2)
