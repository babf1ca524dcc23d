"""The generic engine: any samples of any space, by one sparse operator for each basis function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.engines.engine import Engine, fold, unfold
from erlangen.engines.table import Table
from erlangen.groups import Representation


@dataclass(frozen=True, eq=False)
class Stencil:
    r"""The sum ``(k * f)(p) = sum_e a_e K(v_e) rho_in(h_e)^{-1} f(q_e)`` over the entries e of each p.

    Attributes:
        row: p_e, the sample that receives, sorted.
        column: q_e, the sample that gives.
        v: ``(e, n)``, where the kernel is evaluated, in components of the frame s(p).
        h: ``(e, n, n)``, with ``carry(s(p), v) = s(q) h``.
        a: ``(e,)``, the measure.
        rows: the number of samples that receive.
        columns: the number that give.
    """

    row: Int[Tensor, "e"]
    column: Int[Tensor, "e"]
    v: Float[Tensor, "e n"]
    h: Float[Tensor, "e n n"]
    a: Float[Tensor, "e"]
    rows: int
    columns: int


class Mixed(Protocol):
    """Kernels ``psi_b(v) = sum_a g_a(v) mix_ba``: what the engine asks of a basis."""

    @property
    def rho_in(self) -> Representation: ...

    @property
    def rho_out(self) -> Representation: ...

    @property
    def mix(self) -> Float[Tensor, "b a d_out d_in"]: ...

    @property
    def smoothness(self) -> Float[Tensor, "b"]: ...

    def scalars(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch a"]: ...


class Operator(Protocol):
    """``y[s] = S_s x`` for the scalar operators ``S_s = sum_e weights[s, e]`` from q_e to p_e."""

    def __call__(self, x: Float[Tensor, "q m"], like: Tensor) -> Float[Tensor, "s p m"]: ...


class SparseOperator:
    """An index and weights, by rows and transposed."""

    def __init__(self, stencil: Stencil, weights: Float[Tensor, "s e"]) -> None:
        order = torch.argsort(stencil.column, stable=True)
        self.tables = [
            Table(table)
            for table in (
                stencil.column,
                _offsets(stencil.row, stencil.rows),
                weights,
                stencil.row[order],
                _offsets(stencil.column, stencil.columns),
                weights[:, order],
            )
        ]

    def __call__(self, x: Tensor, like: Tensor) -> Tensor:
        return stencil_apply(x.contiguous(), *(table.like(like) for table in self.tables))


class StencilEngine(Engine):
    r"""Layers see basis functions, never nodes.

    With ``psi_b(v) = sum_a g_a(v) mix_ba`` and ``rho_in(h)^{-1} = sum_t tau_t(h) D_t`` the sum over
    entries is ``sum_{a,t} (mix_ba D_t) S_{at} f`` with the scalar sparse operators
    ``S_at = sum_e a_e g_a(v_e) tau_t(h_e)`` from q_e to p_e.

    Args:
        basis: the kernels.
        stencil: the entries.
        shape: the space axes of the result.
        operator: makes the operators from the stencil and the weights of its entries.
    """

    def __init__(
        self,
        basis: Mixed,
        stencil: Stencil,
        shape: tuple[int, ...],
        operator: Callable[[Stencil, Tensor], Operator] = SparseOperator,
    ) -> None:
        self.rho_in, self.rho_out, self.shape = basis.rho_in, basis.rho_out, shape
        self.smoothness = basis.smoothness
        constants, transport = expand_transport(basis.rho_in, stencil.h)  # (t, d, d), (e, t)
        scalars = basis.scalars(stencil.v) * stencil.a[:, None]  # (e, a)
        weights = torch.einsum("ea,et->ate", scalars, transport).flatten(0, 1)  # (s, e)
        mix = torch.einsum("baij,tjk->batik", basis.mix, constants).flatten(1, 2)  # (b, s, i, k)
        self.operator = operator(stencil, weights)
        self.mix = Table(mix)
        gram = weights @ weights.T / stencil.rows  # white noise through each pair of operators
        self.power = torch.einsum("bsik,st,btik->b", mix, gram, mix) / basis.rho_out.dim

    def apply(self, field: Tensor, coefficients: Tensor, groups: int = 1) -> Tensor:
        batch = field.shape[0]
        x = fold(field, self.rho_in, groups).flatten(2).to(coefficients.dtype)  # (n, g k c, q)
        y = self.operator(x.flatten(0, 1).T, coefficients)  # (s, p, n g k c)
        channels = x.shape[1] // (groups * self.rho_in.dim)
        y = y.unflatten(2, (batch, groups, self.rho_in.dim, channels))
        grouped = coefficients.unflatten(0, (groups, -1))
        matrix = torch.einsum("gocb,bsik->goicks", grouped, self.mix.like(coefficients))
        z = torch.einsum("goicks,spngkc->ngiop", matrix, y)
        return unfold(z.flatten(1, 3).unflatten(2, self.shape), self.rho_out, groups)


def expand_transport(
    rho: Representation, h: Float[Tensor, "e n n"], tolerance: float = 1e-10
) -> tuple[Tensor, Tensor]:
    """Matrices D_t and functions tau_t with ``rho(h)^{-1} = sum_t tau_t(h) D_t`` on the given h."""
    matrices = rho.inverse(h).flatten(1)  # (e, d d)
    _, s, V = torch.linalg.svd(matrices.T @ matrices / len(matrices))
    constants = V[s > tolerance]
    return constants.unflatten(1, (rho.dim, rho.dim)), matrices @ constants.T


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
