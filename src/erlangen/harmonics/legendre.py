"""The transform of fields on rings against tables, and its adjoint; the only loops over numbers here.

Two operators, each the other's gradient: a Fourier transform on every ring, and one batched matrix product
for each frequency along the fibre and each block of orders. They take a field as its parts (C_0,) C_1, S_1,
... (see `Frequencies`), and give or take the columns ``c^n``, n ascending.
"""

import torch
from torch import Tensor

from erlangen.harmonics.fibres import columns_of
from erlangen.harmonics.tables import orders_of_blocks, parity
from erlangen.operators import operator


@operator("erlangen::project")
def project(
    x: Tensor,
    tables: list[Tensor],
    weights: Tensor | None,
    orders: list[int],
    degrees: int,
    phase: float,
    doubled: bool,
) -> Tensor:
    r"""``c^n_lm = sum_jk w_j W^n_lm(theta_j) e^{-i m phi_k} F^n_jk``, with ``F^n = C_n - i S_n``, m >= 0.

    Shapes: ``(q, part, j, k)`` real to ``(l, m, q, n)`` complex; zero where l < m.

    Args:
        x: the parts of a field, ascending in n.
        tables: of `parity_tables` for n = 0 and of `spin_tables` for the others, one after another.
        weights: ``(j)``, or None for 1.
        orders: the n >= 0 that occur.
        degrees: the bandwidth.
        phase: the longitude of the first samples.
        doubled: weigh each number as synthesis does: its gradient. For n = 0 each m > 0 stands for -m too;
            for n > 0 the two columns hold m = 0 twice, and each takes half of it.
    """
    count = len(x)
    result = x.new_zeros(degrees, degrees, count, len(columns_of(orders)), dtype=x.dtype.to_complex())
    if count == 0:
        return result  # Fourier transforms of nothing are refused
    zero = len(columns_of(orders)) // 2
    for n, part, found in _by_order(tables, orders, degrees):
        if n == 0:
            # scalars: w_lm is even or odd at the equator, so half of the rings and two sums will do
            parts = _rings(x[:, part], weights, degrees)
            for m0, m1, table in found:
                # tables are real: real and imaginary parts are columns of one product
                y = torch.bmm(table, _real(parts[m0:m1].flatten(0, 1)))  # (m group, r, q re)
                y = torch.view_as_complex(y.view(m1 - m0, 2, -1, count, 2))
                _turn(y, m0, -phase, *((1, 2) if doubled else (1, 1)))
                for rows, here in _rows(result[..., zero], y, m0, m1):
                    rows.copy_(here)
        else:
            # w^-n(theta) = (-1)^(l + m) w^n(pi - theta): one table, and rings from the other pole for -n
            parts = _spin_rings(x[:, part], x[:, part + 1], weights, degrees)
            places = _place(orders, n)
            for m0, m1, table in found:
                y = torch.bmm(table, _real(parts[m0:m1]))  # (m, l, which q re)
                here, other = torch.view_as_complex(y.view(m1 - m0, -1, 2, count, 2)).unbind(2)
                other *= _alternating(other)
                for place, columns in zip(places, (torch.conj_physical(here), other), strict=True):
                    _turn(columns, m0, -phase, *((0.5, 1) if doubled else (1, 1)))
                    result[m0:, m0:m1, :, place] = columns.transpose(0, 1)
            # of m = 0 one is the other's, to the last bit: eigenvalues that are 0 would show else
            here, opposite = places
            result[:, 0, :, opposite] = (-1) ** n * torch.conj_physical(result[:, 0, :, here])
    return result


@operator("erlangen::synthesize")
def synthesize(
    c: Tensor,
    tables: list[Tensor],
    weights: Tensor | None,
    orders: list[int],
    rings: int,
    longitudes: int,
    phase: float,
    doubled: bool,
) -> Tensor:
    r"""``F^n_jk = w_j sum_lm c^n_lm W^n_lm(theta_j) e^{i m phi_k}``, all m: those below 0 from ``c^{-n}``.

    Shapes: ``(l, m, q, n)`` complex to ``(q, part, j, k)`` real. Arguments as in `project`; not `doubled`,
    each number counts once: the gradient of that.
    """
    degrees, _, count, _ = c.shape
    zero = len(columns_of(orders)) // 2
    x = c.new_empty(count, len(columns_of(orders)), rings, longitudes, dtype=c.dtype.to_real())
    if count == 0:
        return x
    for n, part, found in _by_order(tables, orders, degrees):
        if n == 0:
            parts = c.new_empty(degrees, 2, (rings + 1) // 2, count)
            for m0, m1, table in found:
                y = c.new_empty(m1 - m0, 2, table.shape[1], count)
                y[:, :, -1] = 0  # of one parity there may be a row less; NaN there times zero would be NaN
                for rows, here in _rows(c[..., zero], y, m0, m1):
                    here.copy_(rows)
                torch.bmm(table.mT, _real(y.flatten(0, 1)), out=_real(parts[m0:m1].flatten(0, 1)))
            # irfft takes m > 0 twice, for m and for -m; where each number counts once, half of it goes in
            _turn(parts, 0, phase, *((1, 1) if doubled else (1, 0.5)))
            _from_rings(parts, weights, x[:, part])
        else:
            parts = c.new_empty(degrees, rings, 2, count)
            places = _place(orders, n)
            for m0, m1, table in found:
                y = c.new_empty(m1 - m0, degrees - m0, 2, count)
                for which, place in enumerate(places):
                    y[:, :, which] = c[m0:, m0:m1, :, place].transpose(0, 1)
                y[:, :, 1] *= _alternating(y)
                torch.bmm(table.mT, _real(y), out=_real(parts[m0:m1]))
            _turn(parts, 0, phase, *((0.5, 1) if doubled else (1, 1)))
            _from_spin_rings(parts, weights, x[:, part], x[:, part + 1])
    return x


def _place(orders: list[int], n: int) -> tuple[int, int]:
    """Where the columns n and -n are."""
    columns = columns_of(orders)
    return columns.index(n), columns.index(-n)


def _by_order(
    tables: list[Tensor], orders: list[int], degrees: int
) -> list[tuple[int, int, list[tuple[int, int, Tensor]]]]:
    """Each n, where its parts begin, and the blocks of its orders m with their tables."""
    blocks, found, part = orders_of_blocks(degrees), [], 0
    for i, n in enumerate(orders):
        own = tables[i * len(blocks) : (i + 1) * len(blocks)]
        found.append((n, part, [(*block, table) for block, table in zip(blocks, own, strict=True)]))
        part += 2 if n else 1
    return found


def _real(z: Tensor) -> Tensor:
    """Complex numbers ``(batch, row, *column)`` as a matrix of pairs."""
    return torch.view_as_real(z).flatten(2)


def _rings(x: Tensor, weights: Tensor | None, degrees: int) -> Tensor:
    """Orders 0 <= m < `degrees` on the northern rings, of the even and the odd part, ``(m, group, j, q)``."""
    rings = x.shape[1]
    half, odd = (rings + 1) // 2, rings % 2  # a ring on the equator is its own mirror image: all even
    y = x.new_empty(len(x), 2, half, x.shape[2])
    north, south = x[:, : half - odd], _mirrored(x[:, half:])
    torch.add(north, south, out=y[:, 0, : half - odd])
    torch.sub(north, south, out=y[:, 1, : half - odd])
    if odd:
        y[:, 0, half - 1] = x[:, half - 1]
        y[:, 1, half - 1] = 0
    if weights is not None:
        y *= weights[:half, None]
    spectrum = torch.fft.rfft(y)
    # orders come first, since the products are batched over them: as one gather of rows of the transpose
    m = torch.arange(degrees, device=x.device)[:, None]
    rows = torch.arange(2 * half, device=x.device) * spectrum.shape[3] + m
    return _transposed(spectrum.flatten(1)).index_select(0, rows.flatten()).view(degrees, 2, half, -1)


def _from_rings(parts: Tensor, weights: Tensor | None, x: Tensor) -> None:
    """The way back, written to x ``(q, j, k)``."""
    degrees, _, half, count = parts.shape
    rings, longitudes = x.shape[1:]
    spectrum = parts.new_empty(count, 2, half, longitudes // 2 + 1)
    spectrum[..., :degrees] = parts.permute(3, 1, 2, 0)
    spectrum[..., degrees:] = 0
    y = torch.fft.irfft(spectrum, n=longitudes, norm="forward")
    if weights is not None:
        y *= weights[:half, None]
    odd = rings % 2
    even, other = y[:, :, : half - odd].unbind(1)
    torch.add(even, other, out=x[:, : half - odd])
    x[:, half:] = _mirrored(even - other)
    if odd:
        x[:, half - 1] = y[:, 0, half - 1]


def _spin_rings(C: Tensor, S: Tensor, weights: Tensor | None, degrees: int) -> Tensor:
    """Orders -m of F^-n, which are conjugate to F^n's, and m from the other pole, ``(m, j, which, q)``."""
    z = torch.complex(C, S)  # F^-n = C + i S: one complex transform holds n and -n
    if weights is not None:
        z *= weights[:, None]
    rings, longitudes = z.shape[1:]
    j, m = torch.arange(rings, device=z.device), torch.arange(degrees, device=z.device)[:, None]
    here, other = j * longitudes + -m % longitudes, j.flip(0) * longitudes + m
    rows = torch.stack([here, other], -1)
    return _transposed(torch.fft.fft(z).flatten(1)).index_select(0, rows.flatten()).view(*rows.shape, -1)


def _from_spin_rings(parts: Tensor, weights: Tensor | None, C: Tensor, S: Tensor) -> None:
    """The way back, written to C and S ``(q, j, k)``."""
    degrees, rings, _, count = parts.shape
    longitudes = C.shape[2]
    spectrum = parts.new_empty(count, rings, longitudes)
    here = torch.conj_physical(parts[:, :, 0]).permute(2, 1, 0)
    other = _mirrored(parts[:, :, 1]).permute(2, 1, 0)
    # F^-n takes its orders m > 0 from the column -n, those below 0 from n, and m = 0 from both
    spectrum[..., 1:degrees] = other[..., 1:]
    spectrum[..., degrees : longitudes - degrees + 1] = 0
    spectrum[..., longitudes - degrees + 1 :] = here[..., 1:].flip(-1)
    spectrum[..., 0] = here[..., 0] + other[..., 0]
    z = torch.fft.ifft(spectrum, norm="forward")
    if weights is not None:
        z *= weights[:, None]
    C.copy_(z.real)
    S.copy_(z.imag)


def _transposed(x: Tensor) -> Tensor:
    """Of two axes: much faster than a permutation of three."""
    return x.T.contiguous()


def _mirrored(x: Tensor) -> Tensor:
    """Rings, axis 1, from the other pole: what `flip` does, in a fifth of the time."""
    return x.index_select(1, torch.arange(x.shape[1] - 1, -1, -1, device=x.device))


def _rows(c: Tensor, y: Tensor, m0: int, m1: int) -> list[tuple[Tensor, Tensor]]:
    """Where the rows of a product belong among the coefficients: views of c ``(l, m, q)`` and y."""
    pairs = []
    # degrees of one parity are every other row, and begin at the same one for every other order
    for m in range(min(2, m1 - m0)):
        for group in range(2):
            rows = c[m0 + parity(m, group) :: 2, m0 + m : m1 : 2]
            pairs.append((rows, y[m::2, group, : len(rows)].transpose(0, 1)))
    return pairs


def _alternating(y: Tensor) -> Tensor:
    """``(-1)^{l + m}`` for y ``(m, l, *rest)``, both from the same number on."""
    m, l = (torch.arange(count, device=y.device) for count in y.shape[:2])
    return (1 - 2 * ((m[:, None] + l) % 2)).to(y.real.dtype)[..., None]


def _turn(c: Tensor, m0: int, phase: float, zero: float, more: float) -> None:
    """``c[m - m0]`` times ``e^{i m phase}``, and the two factors for m = 0 and m > 0, in place."""
    if phase:
        m = torch.arange(m0, m0 + len(c), dtype=torch.float64, device=c.device) * phase
        c *= torch.polar(torch.ones_like(m), m).to(c.dtype).view(-1, *[1] * (c.dim() - 1))
    first = 1 if m0 == 0 else 0
    if zero != 1:
        c[:first] *= zero
    if more != 1:
        c[first:] *= more


@torch.library.register_fake("erlangen::project")
def _(x, tables, weights, orders, degrees, phase, doubled):  # noqa: ANN001, ANN202
    return x.new_empty(degrees, degrees, x.shape[0], x.shape[1], dtype=x.dtype.to_complex())


@torch.library.register_fake("erlangen::synthesize")
def _(c, tables, weights, orders, rings, longitudes, phase, doubled):  # noqa: ANN001, ANN202
    return c.new_empty(c.shape[2], c.shape[3], rings, longitudes, dtype=c.dtype.to_real())


def _keep_project(ctx, inputs, output):  # noqa: ANN001, ANN202
    x, tables, weights, ctx.orders, _, ctx.phase, ctx.doubled = inputs
    ctx.save_for_backward(weights, *tables)
    ctx.rings, ctx.longitudes = x.shape[2:]


def _project_backward(ctx, grad):  # noqa: ANN001, ANN202
    weights, *tables = ctx.saved_tensors
    x = synthesize(grad, tables, weights, ctx.orders, ctx.rings, ctx.longitudes, ctx.phase, ctx.doubled)
    return x, [None] * len(tables), *[None] * 5


def _keep_synthesize(ctx, inputs, output):  # noqa: ANN001, ANN202
    c, tables, weights, ctx.orders, _, _, ctx.phase, ctx.doubled = inputs
    ctx.save_for_backward(weights, *tables)
    ctx.degrees = len(c)


def _synthesize_backward(ctx, grad):  # noqa: ANN001, ANN202
    weights, *tables = ctx.saved_tensors
    c = project(grad, tables, weights, ctx.orders, ctx.degrees, ctx.phase, ctx.doubled)
    return c, [None] * len(tables), *[None] * 6


project.differentiate(_project_backward, _keep_project)
synthesize.differentiate(_synthesize_backward, _keep_synthesize)
project.map(along=0, out=2)
synthesize.map(along=2, out=0)
