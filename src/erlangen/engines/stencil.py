"""The generic engine: any samples of any space, by one sparse operator for each basis function."""

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.engine import Engine, Filters, fold, unfold
from erlangen.engines.folding import Folded, Mixed, Stencil, folded
from erlangen.engines.table import Table
from erlangen.operators import operator


@runtime_checkable
class Operator(Protocol):
    """``y[s] = S_s x`` for the scalar operators ``S_s = sum_e weights[s, e]`` from q_e to p_e."""

    def __call__(self, x: Float[Tensor, "q m"], like: Tensor) -> Float[Tensor, "s p m"]: ...


class SparseOperator:
    """An index and weights, by rows and transposed."""

    def __init__(self, entries: Folded) -> None:
        row, column, weights, _, rows, columns = entries
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

    def __call__(self, x: Tensor, like: Tensor) -> Tensor:
        return stencil_apply(x.contiguous(), *(table.like(like) for table in self.tables))

    def transposed(self, y: Float[Tensor, "s p m"], like: Tensor) -> Float[Tensor, "q m"]:
        """``x = sum_s S_s^T y[s]``."""
        return stencil_adjoint(y.contiguous(), *(table.like(like) for table in self.tables))


class StencilEngine(Engine):
    r"""Layers see basis functions, never nodes.

    Quadrature, kernels and transport are folded into scalar sparse operators, see `folded`.

    Args:
        basis: the kernels.
        stencil: its entries, or blocks of them, by rows.
        shape: the space axes of the result.
        operator: what the folded entries become.
    """

    def __init__(
        self,
        basis: Mixed,
        stencil: Stencil | Iterable[Stencil],
        shape: tuple[int, ...],
        operator: Callable[[Folded], Operator] = SparseOperator,
    ) -> None:
        self.basis, self.shape = basis, shape
        self.rho_in, self.rho_out = basis.rho_in, basis.rho_out
        self.smoothness = basis.smoothness
        entries = folded(basis, [stencil] if isinstance(stencil, Stencil) else stencil)
        self.operator = operator(entries)
        self.mix = Table(entries.mix)
        # white noise through each pair of operators
        gram = entries.weights @ entries.weights.T / entries.rows
        power = torch.einsum("bsik,st,btik->b", entries.mix, gram, entries.mix)
        self.power = power / basis.rho_out.dim

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        return self._mixed(field, self._matrix(coefficients, groups))

    def filters(self, coefficients: Tensor, groups: int = 1, bias: Tensor | None = None) -> Filters:
        return Filters((self._matrix(coefficients, groups),))

    def filtered(self, field: Tensor, filters: Filters, groups: int = 1) -> Tensor:
        return self._mixed(field, *filters.tensors)

    def _matrix(self, coefficients: Tensor, groups: int) -> Float[Tensor, "g o i c k s"]:
        """What fibre values of channels see of each other, by each operator."""
        grouped = coefficients.unflatten(0, (groups, -1))
        return torch.einsum("gocb,bsik->goicks", grouped, self.mix.like(coefficients))

    def _mixed(self, field: Tensor, matrix: Float[Tensor, "g o i c k s"]) -> Tensor:
        batch, groups = field.shape[0], len(matrix)
        x = fold(field, self.rho_in, groups).flatten(2).to(matrix.dtype)  # (n, g k c, q)
        y = self.operator(x.flatten(0, 1).T, matrix)  # (s, p, n g k c)
        channels = x.shape[1] // (groups * self.rho_in.dim)
        y = y.unflatten(2, (batch, groups, self.rho_in.dim, channels))
        z = torch.einsum("goicks,spngkc->npgio", matrix, y).contiguous()  # channels innermost
        return unfold(z.flatten(2).movedim(2, 1).unflatten(2, self.shape), self.rho_out, groups)


def _offsets(sorted_or_not: Tensor, count: int) -> Tensor:
    """Where each row starts among the entries, and the end."""
    counts = torch.bincount(sorted_or_not, minlength=count)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


@operator("erlangen::stencil_apply")
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


@operator("erlangen::stencil_adjoint")
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


@torch.library.register_fake("erlangen::stencil_apply")
def _(x, column, row_offsets, weights, row, column_offsets, weights_t):  # noqa: ANN001, ANN202
    return x.new_empty(weights.shape[0], row_offsets.shape[0] - 1, x.shape[1])


@torch.library.register_fake("erlangen::stencil_adjoint")
def _(y, column, row_offsets, weights, row, column_offsets, weights_t):  # noqa: ANN001, ANN202
    return y.new_empty(column_offsets.shape[0] - 1, y.shape[2])


def _keep_tables(ctx, inputs, output):  # noqa: ANN001, ANN202
    ctx.save_for_backward(*inputs[1:])


def _apply_backward(ctx, grad):  # noqa: ANN001, ANN202
    return (stencil_adjoint(grad, *ctx.saved_tensors), *[None] * 6)


def _adjoint_backward(ctx, grad):  # noqa: ANN001, ANN202
    return (stencil_apply(grad.contiguous(), *ctx.saved_tensors), *[None] * 6)


stencil_apply.differentiate(_apply_backward, _keep_tables)
stencil_adjoint.differentiate(_adjoint_backward, _keep_tables)
stencil_apply.map(along=1, out=2)
stencil_adjoint.map(along=2, out=1)
