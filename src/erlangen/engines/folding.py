"""The entries of a correlation between samples, folded into sparse operators: what its engine keeps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.groups import Representation

ENOUGH = 1 << 14  # entries from which the transport's matrices are found
UNUSED = 1e-12
ROOM = 1 << 19  # numbers held between nodes and samples, about
EMPTY = 16  # pairs of nodes and samples for each entry, up to which a product of all pairs is less work


@dataclass(frozen=True, eq=False)
class Stencil:
    r"""The sum ``(k * f)(p) = sum_e a_e K(v_e) rho_in(h_e)^{-1} f(q_e)`` over the entries e of each p.

    Attributes:
        row: p_e, the sample that receives, sorted.
        column: q_e, the sample that gives.
        v: ``(j, n)``, where the kernel is evaluated, in components of the frame s(p); j = e without `node`.
        h: ``(e, n, n)``, with ``carry(s(p), v) = s(q) h``; None where only scalars come in.
        a: ``(e,)``, the measure.
        rows: the number of samples that receive.
        columns: the number that give.
        node: ``(e,)``, where many entries share a v: the row of v of each; None, each has its own.
    """

    row: Int[Tensor, "e"]
    column: Int[Tensor, "e"]
    v: Float[Tensor, "j n"]
    h: Float[Tensor, "e n n"] | None
    a: Float[Tensor, "e"]
    rows: int
    columns: int
    node: Int[Tensor, "e"] | None = None


@runtime_checkable
class Mixed(Protocol):
    """Kernels ``psi_b(v) = sum_a g_a(v) mix_ba``: what a stencil asks of a basis."""

    @property
    def rho_in(self) -> Representation: ...

    @property
    def rho_out(self) -> Representation: ...

    @property
    def mix(self) -> Float[Tensor, "b a d_out d_in"]: ...

    @property
    def smoothness(self) -> Float[Tensor, "b"]: ...

    def scalars(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch a"]: ...


class Folded(NamedTuple):
    """Scalar operators from sample `column` to sample `row`, by rows, and the matrices that mix them."""

    row: Int[Tensor, "e"]
    column: Int[Tensor, "e"]
    weights: Float[Tensor, "s e"]
    mix: Float[Tensor, "b s i k"]
    rows: int
    columns: int


def folded(basis: Mixed, blocks: Iterable[Stencil], tolerance: float = 1e-10) -> Folded:
    r"""The scalar operators ``S_at`` of a stencil given in blocks of rows, one entry for a pair of samples.

    With ``psi_b(v) = sum_a g_a(v) mix_ba`` and ``rho_in(h)^{-1} = sum_t tau_t(h) D_t`` the sum over
    entries is ``sum_{a,t} (mix_ba D_t) S_{at} f``, ``S_at = sum_e a_e g_a(v_e) tau_t(h_e)``. Entries between
    the same two samples are added up: fixed nodes that are interpolated have many. Where all kernels are
    made of fewer combinations of operators, these are kept: isotropic ones need no harmonics.
    """
    constants, mix, used, size = None, torch.empty(0), None, (0, 0)
    rows, columns, weights = [], [], []
    for block in blocks:
        if constants is None:
            constants = transport_matrices(basis.rho_in, block.h, tolerance)
            mix, used = without_unused(torch.einsum("baij,tjk->batik", basis.mix, constants).flatten(1, 2))
        size = block.rows, block.columns
        row, column, values = _added_up(block, basis.scalars(block.v), _turns(basis.rho_in, block, constants))
        values = values.T if used is None else used @ values.T
        rows.append(row)
        columns.append(column)
        weights.append(values)
    if constants is None:
        raise ValueError("a stencil without rows, expected at least one sample")
    return Folded(torch.cat(rows), torch.cat(columns), torch.cat(weights, 1), mix, *size)


def without_unused(mix: Float[Tensor, "b s i k"]) -> tuple[Tensor, Tensor | None]:
    """The matrices that mix the combinations ``(t, s)`` of operators in use, and these; None for all."""
    rows = mix.transpose(1, -1).flatten(0, -2)  # (b k i, s)
    power, directions = torch.linalg.eigh(rows.T @ rows)
    used = directions.T[power > UNUSED * power[-1]]
    if len(used) == mix.shape[1]:
        return mix, None
    return torch.einsum("bsik,ts->btik", mix, used), used


def transport_matrices(
    rho: Representation, h: Float[Tensor, "e n n"] | None, tolerance: float
) -> Float[Tensor, "t d d"]:
    """Matrices D_t that span all ``rho(h)^{-1}``: those of a regular field's samples, else orthonormal."""
    if h is None:  # scalars
        return torch.ones(1, rho.dim, rho.dim, dtype=torch.float64)
    if rho.fibre is not None:
        return rho.matrix(rho.fibre.elements)
    spread = h if len(h) <= ENOUGH else h[:: len(h) // ENOUGH]
    matrices = rho.inverse(spread).flatten(1)  # (e, d d)
    _, s, V = torch.linalg.svd(matrices.T @ matrices / len(matrices))
    return V[s > tolerance].unflatten(1, (rho.dim, rho.dim))


def transport_functions(
    rho: Representation, h: Float[Tensor, "e n n"], constants: Float[Tensor, "t d d"]
) -> Float[Tensor, "e t"]:
    """The tau_t with ``rho(h)^{-1} = sum_t tau_t(h) D_t``."""
    if rho.fibre is not None:
        return rho.fibre.interpolate(h.mT)
    return rho.inverse(h).flatten(1) @ constants.flatten(1).T


def _turns(
    rho: Representation, block: Stencil, constants: Float[Tensor, "t d d"]
) -> Float[Tensor, "e t"] | None:
    return None if block.h is None else transport_functions(rho, block.h, constants)


def _added_up(
    block: Stencil, scalars: Float[Tensor, "j a"], tau: Float[Tensor, "e t"] | None
) -> tuple[Int[Tensor, "p"], Int[Tensor, "p"], Float[Tensor, "p at"]]:
    """The rows and columns of a block's pairs of samples, and ``sum_e a_e g_a(v_e) tau_t(h_e)`` of each."""
    pairs, index = torch.unique(block.row * block.columns + block.column, return_inverse=True)
    row, column = pairs // block.columns, pairs % block.columns
    if tau is not None and block.node is not None:
        place = torch.arange(len(pairs)) - torch.searchsorted(row, row)  # among those of its row
        most = int(place.max()) + 1
        if int(row[-1] - row[0] + 1) * len(scalars) * most <= EMPTY * len(block.row):
            return row, column, _by_nodes(block, scalars, tau, row, place, index, most)
    values = (scalars if block.node is None else scalars[block.node]) * block.a[:, None]  # (e, a)
    if tau is not None:
        values = (values[:, :, None] * tau[:, None, :]).flatten(1)  # (e, a t)
    return row, column, values.new_zeros(len(pairs), values.shape[1]).index_add_(0, index, values)


def _by_nodes(
    block: Stencil,
    scalars: Float[Tensor, "j a"],
    tau: Float[Tensor, "e t"],
    row: Int[Tensor, "p"],
    place: Int[Tensor, "p"],
    index: Int[Tensor, "e"],
    most: int,
) -> Float[Tensor, "p at"]:
    """The same where entries share nodes: turns by node and sample, times the kernels at nodes.

    Some rows at a time, so that what lies between nodes and samples that they do not see is small.
    """
    nodes, turns = len(scalars), tau.shape[1]
    weighted = tau * block.a[:, None]
    many = max(1, ROOM // (nodes * most * turns))
    starts = torch.arange(int(row[0]), int(row[-1]) + 1, many)
    ends = torch.cat([starts[1:], row[-1:] + 1])
    parts = []
    for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
        e, p = (slice(*torch.searchsorted(r, torch.tensor([first, last])).tolist()) for r in (block.row, row))
        where = ((block.row[e] - first) * nodes + block.node[e]) * most + place[index[e]]  # type: ignore[index]
        seen = tau.new_zeros((last - first) * nodes * most, turns).index_add_(0, where, weighted[e])
        summed = scalars.T @ seen.view(last - first, nodes, most * turns)  # (rows, a, q t)
        summed = summed.unflatten(-1, (most, turns)).transpose(1, 2)  # (rows, q, a, t)
        parts.append(summed[row[p] - first, place[p]].flatten(1))
    return torch.cat(parts)
