"""Sparse operators that turns about an axis leave alone: Fourier along the rings, a band across them."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.folding import Folded
from erlangen.engines.table import Table
from erlangen.harmonics import at_least_single
from erlangen.operators import operator


class RingOperator:
    r"""``y_s[i, l] = sum_{j, c} D_s[i, j, c] x[j, c + l]``: the same at every place l of a ring.

    By Fourier along the rings ``y_s^(i, k) = sum_j conj(D_s^(i, j, k)) x^(j, k)``, with j in a band about i.
    To rounding what the sparse operator of all samples gives, at a small part of its memory.

    Args:
        entries: those of the first sample of each ring; columns are ``j longitudes + c``.
        longitudes: the number of samples on each ring.
    """

    def __init__(self, entries: Folded, longitudes: int) -> None:
        ring, place = entries.column // longitudes, entries.column % longitudes
        most = entries.columns // longitudes
        first = torch.full((entries.rows,), most).scatter_reduce(0, entries.row, ring, "amin")
        last = torch.full((entries.rows,), -1).scatter_reduce(0, entries.row, ring, "amax")
        width = max(1, int((last - first).max()) + 1)
        cell = (entries.row * width + ring - first[entries.row]) * longitudes + place
        dense = entries.weights.new_zeros(entries.rows * width * longitudes)
        parts = []
        for w in entries.weights:
            line = dense.index_add(0, cell, w).view(entries.rows, width, longitudes)
            parts.append(torch.fft.rfft(line).conj().resolve_conj())
        table = torch.stack(parts).permute(1, 3, 0, 2).contiguous()  # (i, k, s, band)
        band = (first[:, None] + torch.arange(width)).clamp(max=most - 1)
        self.rings, self.longitudes = most, longitudes
        self.tables = [Table(band), Table(torch.view_as_real(table))]

    def __call__(self, x: Float[Tensor, "q m"], like: Tensor) -> Float[Tensor, "s p m"]:
        band, table = (table.like(at_least_single(like)) for table in self.tables)
        return ring_apply(at_least_single(x), band, table, self.rings, self.longitudes).to(x.dtype)


@operator("erlangen::ring_apply")
def ring_apply(x: Tensor, band: Tensor, table: Tensor, rings: int, longitudes: int) -> Tensor:
    """``(q, m)`` to ``(s, p, m)``."""
    if x.numel() == 0:  # Fourier transforms of nothing are refused
        return x.new_empty(table.shape[2], len(band) * longitudes, 0)
    spectrum = torch.fft.rfft(x.unflatten(0, (rings, longitudes)), dim=1)[band]  # (i, band, k, m)
    y = torch.view_as_complex(table) @ spectrum.transpose(1, 2)  # (i, k, s, m)
    y = torch.fft.irfft(y, n=longitudes, dim=1)  # (i, l, s, m)
    return y.permute(2, 0, 1, 3).flatten(1, 2).contiguous()


@operator("erlangen::ring_adjoint")
def ring_adjoint(y: Tensor, band: Tensor, table: Tensor, rings: int, longitudes: int) -> Tensor:
    """The transposed operator: ``(s, p, m)`` to ``(q, m)``."""
    if y.numel() == 0:
        return y.new_empty(rings * longitudes, 0)
    lines = y.unflatten(1, (-1, longitudes)).permute(1, 2, 0, 3)  # (i, l, s, m)
    spectrum = torch.fft.rfft(lines, dim=1)
    parts = torch.view_as_complex(table).mH @ spectrum  # (i, k, band, m)
    total = parts.new_zeros(rings, *parts.shape[1:2], parts.shape[3])
    total = total.index_add(0, band.flatten(), parts.transpose(1, 2).flatten(0, 1))
    return torch.fft.irfft(total, n=longitudes, dim=1).flatten(0, 1)


@torch.library.register_fake("erlangen::ring_apply")
def _(x: Tensor, band: Tensor, table: Tensor, rings: int, longitudes: int) -> Tensor:
    return x.new_empty(table.shape[2], band.shape[0] * longitudes, x.shape[1])


@torch.library.register_fake("erlangen::ring_adjoint")
def _(y: Tensor, band: Tensor, table: Tensor, rings: int, longitudes: int) -> Tensor:
    return y.new_empty(rings * longitudes, y.shape[2])


def _keep_tables(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:3])
    ctx.sizes = inputs[3:]


def _apply_backward(ctx: Any, grad: Tensor) -> tuple:
    return (ring_adjoint(grad, *ctx.saved_tensors, *ctx.sizes), *[None] * 4)


def _adjoint_backward(ctx: Any, grad: Tensor) -> tuple:
    return (ring_apply(grad, *ctx.saved_tensors, *ctx.sizes), *[None] * 4)


ring_apply.differentiate(_apply_backward, _keep_tables)
ring_adjoint.differentiate(_adjoint_backward, _keep_tables)
ring_apply.map(along=1, out=2)
ring_adjoint.map(along=2, out=1)
