"""Lines of weights along an axis of a lattice: made once, and what of them lies on an open axis."""

import math
from collections.abc import Sequence
from functools import cache, reduce

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from erlangen.engines.table import Table
from erlangen.shared import shared

BLUR = 0.9  # standard deviation of the anti-aliasing Gaussian, in samples
REACH = 2.5  # samples
CUT, SLOPE = 0.45, 0.14  # where "band-limited" falls to a half, and how slowly, of the highest wave number
TAPS = 4  # of "band-limited" on either side
CROP = 1 << 18  # samples, up to which tables of whole fields are kept
LINES: dict[tuple[str, int], Table] = {}  # by kind, and by where they are centred; made at the first use
FILTERS: dict[tuple[str, tuple[int | None, ...]], Table] = {}


def line(kind: str, odd_offset: int, like: Tensor) -> Float[Tensor, "taps"]:
    """The weights of a kind at whole (0) or half (1) samples from their centre; their sum is one.

    "gaussian" is a blur, "band-limited" keeps what half of the samples can hold and little else, "low-pass"
    is the Gaussian twice, "spline" the samples of a cubic B-spline, which damp waves of all directions alike.
    """
    key = kind, odd_offset
    if key not in LINES:
        if torch.compiler.is_compiling():
            return KINDS[kind](odd_offset).to(like)
        _make(kind, like)
    return LINES[key].like(like)


def filter_of(kind: str, odd_offsets: Sequence[int | None], like: Tensor) -> Float[Tensor, "*taps"]:
    """The product of one `line` for each axis, of a single 1 where that is None: made once."""
    if torch.compiler.is_compiling():
        return multiplied([like.new_ones(1) if odd is None else line(kind, odd, like) for odd in odd_offsets])
    key = kind, tuple(odd_offsets)
    if key not in FILTERS:
        with shared():
            one = torch.ones(1, dtype=torch.float64)
            FILTERS[key] = Table(
                multiplied([one if odd is None else KINDS[kind](odd) for odd in odd_offsets])
            )
    return FILTERS[key].like(like)


def multiplied(lines: Sequence[Tensor]) -> Tensor:
    """The product of one line for each axis."""
    return reduce(lambda product, along: product[..., None] * along, lines)


def _make(kind: str, like: Tensor) -> None:
    """Both lines at once: what a compiled network has asked for stays so when another parity comes by."""
    for odd_offset in (0, 1):
        with shared():
            LINES[kind, odd_offset] = Table(KINDS[kind](odd_offset))
        LINES[kind, odd_offset].like(like)


def _gaussian(odd_offset: int) -> Tensor:
    most = math.ceil(REACH - odd_offset / 2) - 1
    offsets = torch.arange(-most - odd_offset, most + 1, dtype=torch.float64) + odd_offset / 2
    weights = torch.exp(-offsets.square() / (2 * BLUR**2))
    return weights / weights.sum()


def _low_pass(odd_offset: int) -> Tensor:
    once = _gaussian(odd_offset)
    return F.conv1d(once[None, None], once[None, None], padding=len(once) - 1).flatten()


def _band_limited(odd_offset: int) -> Tensor:
    r"""Weights h with ``sum_x h(x) cos(k x)`` nearest to ``erfc((k - CUT pi) / sqrt(2) SLOPE pi) / 2``.

    Least squares over all wave numbers k. Constants stay; and the way back, by the same weights, leaves
    lines straight: between whole samples both phases have one sum, between half ones the same centre.
    """
    x = torch.arange(TAPS + 1 - odd_offset, dtype=torch.float64) + odd_offset / 2  # the others mirror these
    k = torch.linspace(0, math.pi, 4001, dtype=torch.float64)
    twice = torch.where(x == 0, 1.0, 2.0)
    waves = torch.cos(k[:, None] * x) * twice
    target = torch.erfc((k / math.pi - CUT) / (SLOPE * 2**0.5)) / 2
    phases = x * torch.sin(math.pi * x) if odd_offset else torch.cos(math.pi * x)
    bound = torch.stack([twice, twice * phases])
    system = torch.cat(
        [torch.cat([waves.T @ waves, bound.T], 1), torch.cat([bound, bound.new_zeros(2, 2)], 1)]
    )
    half = torch.linalg.solve(system, torch.cat([waves.T @ target, target.new_tensor([1.0, 0.0])]))[: len(x)]
    return torch.cat([half.flip(0), half[1 - odd_offset :]])


def _spline(odd_offset: int) -> Tensor:
    r"""1/6, 2/3, 1/6: of all lines of three the one whose products have ``exp(-k^2 / 6)`` to order k^4."""
    if odd_offset:
        return torch.tensor([1.0, 23.0, 23.0, 1.0], dtype=torch.float64) / 48
    return torch.tensor([1.0, 4.0, 1.0], dtype=torch.float64) / 6


KINDS = {"gaussian": _gaussian, "band-limited": _band_limited, "low-pass": _low_pass, "spline": _spline}


def inverse_shares(
    sizes: Sequence[int], kind: str, odd_offsets: Sequence[int | None], stride: int, like: Tensor
) -> Tensor | None:
    """One over what a product of lines sees of axes that are open, wherever a stride lays it.

    Odd offsets are None for axes that close, and so is the result if all do. A negative stride is the way
    back: what each of the finer samples receives. Kept for sizes met before; whole fields of it only in
    training, where sizes are few.
    """
    known = not torch.compiler.is_compiling() and all(type(size) is int for size in sizes)
    if known and torch.is_grad_enabled() and math.prod(sizes) <= CROP:
        return _kept_product(tuple(sizes), kind, tuple(odd_offsets), stride, like.dtype, like.device)
    return _product(sizes, kind, odd_offsets, stride, like)


def _product(
    sizes: Sequence[int], kind: str, odd_offsets: Sequence[int | None], stride: int, like: Tensor
) -> Tensor | None:
    axes = zip(sizes, odd_offsets, range(len(sizes) - 1, -1, -1), strict=True)
    shares = [
        _inverse_share(size, kind, odd, stride, like).view(-1, *[1] * after)
        for size, odd, after in axes
        if odd is not None
    ]
    return reduce(torch.mul, shares) if shares else None


@cache  # for good, as below
def _kept_product(
    sizes: tuple[int, ...],
    kind: str,
    odd_offsets: tuple[int | None, ...],
    stride: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor | None:
    with shared():
        return _product(sizes, kind, odd_offsets, stride, torch.empty(0, dtype=dtype, device=device))


def _inverse_share(
    size: int, kind: str, odd_offset: int, stride: int, like: Tensor
) -> Float[Tensor, "1 1 n"]:
    if torch.compiler.is_compiling() or type(size) is not int:
        return _visible(size, line(kind, odd_offset, like), stride)
    return _kept(size, kind, odd_offset, stride, like.dtype, like.device)


@cache  # for good: a step that a GPU recorded reads them where they lie
def _kept(
    size: int, kind: str, odd_offset: int, stride: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    with shared(), torch.autocast("cpu", enabled=False):
        return _visible(size, line(kind, odd_offset, torch.empty(0, dtype=dtype)), stride).to(device)


def _visible(size: int, weights: Tensor, stride: int) -> Tensor:
    ones, width = weights.new_ones(1, 1, size), (len(weights) - 1) // 2
    if stride > 0:
        return F.conv1d(ones, weights.view(1, 1, -1), stride=stride, padding=width).reciprocal()
    return F.conv_transpose1d(ones, weights.view(1, 1, -1), stride=-stride, padding=width).reciprocal()
