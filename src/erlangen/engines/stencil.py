"""The generic engine: any samples of any space, by one sparse operator for each basis function."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from erlangen.engines.engine import Engine, fold, unfold
from erlangen.engines.entries import Stencil
from erlangen.engines.folding import folded
from erlangen.engines.table import Table
from erlangen.kernels import KernelBasis


class StencilEngine(Engine):
    r"""Layers see basis functions, never nodes.

    Quadrature, kernels and transport are folded into scalar sparse operators (see `folded`), which are kept
    as an index and weights, by rows and transposed.

    Args:
        basis: the kernels.
        stencil: its entries, or blocks of them, by rows.
        shape: the space axes of the result.
    """

    def __init__(
        self, basis: KernelBasis, stencil: Stencil | Iterable[Stencil], shape: tuple[int, ...]
    ) -> None:
        self.rho_in, self.rho_out, self.shape = basis.rho_in, basis.rho_out, shape
        self.smoothness = basis.smoothness
        row, column, weights, mix, rows, columns = folded(
            basis, [stencil] if isinstance(stencil, Stencil) else stencil
        )
        order = torch.argsort(column, stable=True)
        self.tables = [
            Table(table)
            for table in (
                column,
                _offsets(row, rows),
                weights,
                row[order],
                _offsets(column, columns),
                weights[:, order],
            )
        ]
        self.mix = Table(mix)
        gram = weights @ weights.T / rows  # white noise through each pair of operators
        self.power = torch.einsum("bsik,st,btik->b", mix, gram, mix) / basis.rho_out.dim

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        batch = field.shape[0]
        x = fold(field, self.rho_in, groups).flatten(2).to(coefficients.dtype)  # (n, g k c, q)
        tables = [table.like(coefficients) for table in self.tables]
        y = stencil_apply(x.flatten(0, 1).T.contiguous(), *tables)  # (s, p, n g k c)
        channels = x.shape[1] // (groups * self.rho_in.dim)
        y = y.unflatten(2, (batch, groups, self.rho_in.dim, channels))
        grouped = coefficients.unflatten(0, (groups, -1))
        matrix = torch.einsum("gocb,bsik->goicks", grouped, self.mix.like(coefficients))
        z = torch.einsum("goicks,spngkc->ngiop", matrix, y)
        return unfold(z.flatten(1, 3).unflatten(2, self.shape), self.rho_out, groups)


def _offsets(sorted_or_not: Tensor, count: int) -> Tensor:
    """Where each row starts among the entries, and the end."""
    counts = torch.bincount(sorted_or_not, minlength=count)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


@torch.library.custom_op("erlangen::stencil_apply", mutates_args=())
def stencil_apply(
    x: Tensor,
    column: Tensor,
    row_offsets: Tensor,
    weights: Tensor,
    row: Tensor,
    column_offsets: Tensor,
    weights_t: Tensor,
) -> Tensor:
    """``y[s] = S_s x``: ``(q, m)`` to ``(s, p, m)``."""
    return torch.stack([_bags(column, x, row_offsets, w) for w in weights])


@torch.library.custom_op("erlangen::stencil_adjoint", mutates_args=())
def stencil_adjoint(
    y: Tensor,
    column: Tensor,
    row_offsets: Tensor,
    weights: Tensor,
    row: Tensor,
    column_offsets: Tensor,
    weights_t: Tensor,
) -> Tensor:
    """``x = sum_s S_s^T y[s]``: ``(s, p, m)`` to ``(q, m)``."""
    total = _bags(row, y[0], column_offsets, weights_t[0])
    for part, w in zip(y[1:], weights_t[1:], strict=True):
        total += _bags(row, part, column_offsets, w)
    return total


def _bags(index: Tensor, x: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(
        index,
        x.contiguous(),
        offsets,
        mode="sum",
        per_sample_weights=weights,
        include_last_offset=True,
    )


@stencil_apply.register_fake
def _(x, column, row_offsets, weights, row, column_offsets, weights_t):  # noqa: ANN001, ANN202
    return x.new_empty(weights.shape[0], row_offsets.shape[0] - 1, x.shape[1])


@stencil_adjoint.register_fake
def _(y, column, row_offsets, weights, row, column_offsets, weights_t):  # noqa: ANN001, ANN202
    return y.new_empty(column_offsets.shape[0] - 1, y.shape[2])


def _keep_tables(ctx, inputs, output):  # noqa: ANN001, ANN202
    ctx.save_for_backward(*inputs[1:])


def _apply_backward(ctx, grad):  # noqa: ANN001, ANN202
    return (stencil_adjoint(grad, *ctx.saved_tensors), *[None] * 6)


def _adjoint_backward(ctx, grad):  # noqa: ANN001, ANN202
    return (stencil_apply(grad.contiguous(), *ctx.saved_tensors), *[None] * 6)


stencil_apply.register_autograd(_apply_backward, setup_context=_keep_tables)
stencil_adjoint.register_autograd(_adjoint_backward, setup_context=_keep_tables)
