"""The transform of real fields on rings against one table, and its adjoint; the only loops over numbers here.

Two operators, each the other's gradient: a Fourier transform on every ring, the even and odd part at the
equator, and one batched matrix product for each block of orders.
"""

import torch
from torch import Tensor

from erlangen.harmonics.tables import orders_of_blocks, parity


@torch.library.custom_op("erlangen::project", mutates_args=())
def project(
    x: Tensor,
    tables: list[Tensor],
    weights: Tensor | None,
    mirrors: int,
    degrees: int,
    phase: float,
    factor: float,
) -> Tensor:
    r"""``c_lm = sum_jk w_j W_lm(theta_j) e^{-i m phi_k} x_jk``, times `factor` where m > 0.

    Shapes: ``(q, j, k)`` real to ``(mirror, l, m, q)`` complex, m >= 0; zero where l < m.
    """
    y = _folded(x, weights, factor)  # (q, part, j, k)
    parts = torch.fft.rfft(y)[..., :degrees].permute(3, 1, 2, 0).contiguous()
    _turn(parts, -phase, factor)
    real = torch.view_as_real(parts).flatten(0, 1).flatten(2)  # (m part, j, q re)
    result = parts.new_empty(mirrors, degrees, degrees, x.shape[0])
    for mirror, m0, m1, table in _blocks(tables, mirrors, degrees):
        y = torch.bmm(table, real[2 * m0 : 2 * m1])  # (m part, r, q re)
        y = torch.view_as_complex(y.view(m1 - m0, 2, y.shape[1], -1, 2))
        for rows, here in _rows(result[mirror], y, m0, m1, mirror):
            rows.copy_(here)
        result[mirror, :m0, m0:m1] = 0
    return result


@torch.library.custom_op("erlangen::synthesize", mutates_args=())
def synthesize(
    c: Tensor,
    tables: list[Tensor],
    weights: Tensor | None,
    rings: int,
    longitudes: int,
    phase: float,
    factor: float,
) -> Tensor:
    r"""``x_jk = w_j Re sum_lm (1 or 2) c_lm W_lm(theta_j) e^{i m phi_k}``, times `factor` where m > 0.

    The 2 where m > 0 stands for the negative orders. Shapes: ``(mirror, l, m, q)`` to ``(q, j, k)``.
    """
    mirrors, degrees, _, count = c.shape
    half = (rings + 1) // 2
    parts = c.new_empty(degrees, 2, half, count)
    real = torch.view_as_real(parts).flatten(0, 1).flatten(2)
    for mirror, m0, m1, table in _blocks(tables, mirrors, degrees):
        y = c.new_empty(m1 - m0, 2, table.shape[1], count)
        y[:, :, -1] = 0  # of one parity there may be a row less
        for rows, here in _rows(c[mirror], y, m0, m1, mirror):
            here.copy_(rows)
        y = torch.view_as_real(y).flatten(0, 1).flatten(2)
        into = real[2 * m0 : 2 * m1]
        if mirror:
            into.baddbmm_(table.mT, y)
        else:
            torch.bmm(table.mT, y, out=into)
    _turn(parts, phase, factor)
    spectrum = c.new_empty(count, 2, half, longitudes // 2 + 1)
    spectrum[..., :degrees] = parts.permute(3, 1, 2, 0)
    spectrum[..., degrees:] = 0
    y = torch.fft.irfft(spectrum, n=longitudes, norm="forward")
    return _unfolded(y, weights, factor, rings)


def _folded(x: Tensor, weights: Tensor | None, factor: float) -> Tensor:
    """The even and the odd part at the equator, ``(q, part, j, k)``, of the north; times both factors."""
    half, odd = (x.shape[1] + 1) // 2, x.shape[1] % 2
    y = x.new_empty(len(x), 2, half, x.shape[2])
    north, south = x[:, : half - odd], x[:, half:].flip(1)
    torch.add(north, south, out=y[:, 0, : half - odd])
    torch.sub(north, south, out=y[:, 1, : half - odd])
    if odd:
        y[:, 0, half - 1] = x[:, half - 1]
        y[:, 1, half - 1] = 0
    return _scaled(y, weights, factor)


def _unfolded(y: Tensor, weights: Tensor | None, factor: float, rings: int) -> Tensor:
    """The way back from both parts, ``(q, j, k)``."""
    half, odd = y.shape[2], rings % 2
    y = _scaled(y, weights, factor)
    x = y.new_empty(len(y), rings, y.shape[3])
    even, other = y[:, :, : half - odd].unbind(1)
    torch.add(even, other, out=x[:, : half - odd])
    x[:, half:] = (even - other).flip(1)
    if odd:
        x[:, half - 1] = y[:, 0, half - 1]
    return x


def _scaled(y: Tensor, weights: Tensor | None, factor: float) -> Tensor:
    """All orders times the factor, in place; what m = 0 has too much `_turn` takes back."""
    if weights is not None:
        y *= weights[: y.shape[2], None] * factor
    elif factor != 1:
        y *= factor
    return y


def _blocks(tables: list[Tensor], mirrors: int, degrees: int) -> list[tuple[int, int, int, Tensor]]:
    blocks = orders_of_blocks(degrees) * mirrors
    count = len(blocks) // mirrors
    return [(i // count, *block, table) for i, (block, table) in enumerate(zip(blocks, tables, strict=True))]


def _rows(c: Tensor, y: Tensor, m0: int, m1: int, mirror: int) -> list[tuple[Tensor, Tensor]]:
    """Where the rows of a product belong among the coefficients: views of c ``(l, m, q)`` and y."""
    pairs = []
    for m in range(min(2, m1 - m0)):
        for group in range(2):
            rows = c[m0 + parity(m, group, mirror) :: 2, m0 + m : m1 : 2]
            pairs.append((rows, y[m::2, group, : len(rows)].transpose(0, 1)))
    return pairs


def _turn(parts: Tensor, phase: float, factor: float) -> None:
    """``parts[m]`` times ``e^{i m phase}``, and m = 0 divided by the factor, in place."""
    if factor != 1:
        parts[0] /= factor
    if phase:
        m = torch.arange(len(parts), dtype=torch.float64, device=parts.device) * phase
        parts *= torch.polar(torch.ones_like(m), m).to(parts.dtype)[:, None, None, None]


@project.register_fake
def _(x, tables, weights, mirrors, degrees, phase, factor):  # noqa: ANN001, ANN202
    return x.new_empty(mirrors, degrees, degrees, x.shape[0], dtype=x.dtype.to_complex())


@synthesize.register_fake
def _(c, tables, weights, rings, longitudes, phase, factor):  # noqa: ANN001, ANN202
    return c.new_empty(c.shape[3], rings, longitudes, dtype=c.dtype.to_real())


def _keep_project(ctx, inputs, output):  # noqa: ANN001, ANN202
    x, tables, weights, _, _, ctx.phase, ctx.factor = inputs
    ctx.save_for_backward(weights, *tables)
    ctx.rings, ctx.longitudes = x.shape[1:]


def _project_backward(ctx, grad):  # noqa: ANN001, ANN202
    weights, *tables = ctx.saved_tensors
    # the m < 0 that synthesis adds are not there: half of m > 0
    x = synthesize(grad, tables, weights, ctx.rings, ctx.longitudes, ctx.phase, ctx.factor / 2)
    return x, [None] * len(tables), *[None] * 5


def _keep_synthesize(ctx, inputs, output):  # noqa: ANN001, ANN202
    c, tables, weights, _, _, ctx.phase, ctx.factor = inputs
    ctx.save_for_backward(weights, *tables)
    ctx.mirrors, ctx.degrees = c.shape[:2]


def _synthesize_backward(ctx, grad):  # noqa: ANN001, ANN202
    weights, *tables = ctx.saved_tensors
    c = project(grad, tables, weights, ctx.mirrors, ctx.degrees, ctx.phase, 2 * ctx.factor)
    return c, [None] * len(tables), *[None] * 5


project.register_autograd(_project_backward, setup_context=_keep_project)
synthesize.register_autograd(_synthesize_backward, setup_context=_keep_synthesize)
