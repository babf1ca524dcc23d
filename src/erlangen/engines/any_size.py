r"""Half the samples and back at sizes that nobody knows yet: what is compiled or exported for any.

Where the coarse samples fall depends on whether a size is even. While a network is traced for any size that
is no question which Python may ask, or the answer would hold for sizes like the one at hand only. So here it
is a number, ``size % 2``, and both cases are one formula: the lines of weights for both, chosen by it.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Size = int | torch.SymInt
Closes = bool | torch.SymInt  # 0 or 1, where it depends on a size


def rest(size: Size, stride: int) -> int | None:
    """``size % stride``; None where that differs between the sizes that are traced for."""
    if not torch.compiler.is_compiling():
        return size % stride  # type: ignore[return-value]
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return next((r for r in range(stride) if statically_known_true(size % stride == r)), None)


def is_known(sizes: Sequence[Size], stride: int = 2) -> bool:
    """Whether Python may ask where the samples fall that a stride keeps."""
    return not torch.compiler.is_compiling() or all(rest(size, stride) is not None for size in sizes)


def even(size: Size) -> Closes:
    """Whether a size is even; 1 or 0 where that is a number."""
    known = rest(size, 2)
    return 1 - size % 2 if known is None else known == 0  # type: ignore[return-value]


def chosen(tables: Tensor, index: Size) -> Tensor:
    """``tables[index]``, where the index may be a number that nobody knows yet."""
    one_hot = (torch.arange(len(tables), device=tables.device) == index).to(tables.dtype)  # type: ignore[union-attr]
    return torch.tensordot(one_hot, tables, 1)


def filters(tensors: Sequence[Tensor], stride: int, sizes: Sequence[Size]) -> tuple[Tensor, int]:
    """The filters of a strided correlation in one window, and how far that reaches to both sides.

    Args:
        tensors: ``(o, i, *k)``, for first outputs on samples and halfway between, on each axis in turn.
        stride: of all axes.
        sizes: of the field.
    """
    if any(0 in tensor.shape[2:] for tensor in tensors):
        raise ValueError(
            f"kernel_size=1 with stride={stride} is to be compiled or exported for any size, and at some the "
            "coarse samples fall between the fine ones, where a kernel at one point sees nothing; take "
            "kernel_size=3, or sizes that are constants"
        )
    n = len(sizes)
    firsts = list(itertools.product(range(stride), repeat=n))  # twice where the first outputs lie
    by_first = [tensors[sum((t % 2) << (n - 1 - axis) for axis, t in enumerate(twice))] for twice in firsts]
    lengths = [list(zip(twice, y.shape[2:], strict=True)) for twice, y in zip(firsts, by_first, strict=True)]
    reach = max((t + k - 1) // 2 for pairs in lengths for t, k in pairs)
    every = [_windowed(y, pairs, reach) for y, pairs in zip(by_first, lengths, strict=True)]
    index: Size = 0
    for size in sizes:
        index = index * stride + (size - 1) % stride
    return chosen(torch.stack(every), index), reach


def _windowed(y: Tensor, lengths: Sequence[tuple[int, int]], reach: int) -> Tensor:
    """Filters with zeros around, so that they see as far from a sample on every side."""
    before = [reach - (k - 1 - t) // 2 for t, k in lengths]
    sides = [(b, 2 * reach + 1 - k - b) for b, (_, k) in zip(before, lengths, strict=True)]
    return F.pad(y, [width for pair in reversed(sides) for width in pair])


def downsample(
    x: Tensor,
    periodic: Sequence[Closes],
    surround: Callable[[Tensor, list[int]], Tensor],
    halved: Sequence[bool],
    weights: Callable[[int, Tensor], Tensor],
    blur: Callable[[Tensor, Sequence[Tensor], list[int], list[int]], Tensor],
) -> Tensor:
    """`halving.downsample`: as many weights about every second sample; of even sizes the first is zero."""
    sizes = x.shape[2:]
    both = torch.stack([weights(0, x), F.pad(weights(1, x), (1, 0))])
    width = both.shape[1] // 2
    lines = [
        chosen(both, 1 - s % 2) if half else x.new_ones(1) for s, half in zip(sizes, halved, strict=True)
    ]
    x = surrounded(x, [width if half else 0 for half in halved], periodic, surround)
    beyond = [width if half and closes is False else 0 for half, closes in zip(halved, periodic, strict=True)]
    y = blur(x, lines, [2 if half else 1 for half in halved], beyond)
    for axis, (half, closes) in enumerate(zip(halved, periodic, strict=True)):
        if half and closes is not True:  # what is seen of the weights
            there = torch.ones(width, dtype=x.dtype, device=x.device) * closes
            seen = torch.cat([there, x.new_ones(sizes[axis]), there])  # type: ignore[list-item]
            mass = F.conv1d(seen.view(1, 1, -1), lines[axis].view(1, 1, -1), stride=2)
            y = y / mass.view(-1, *[1] * (len(sizes) - 1 - axis))
    return y


def upsample(
    x: Tensor,
    size: Sequence[Size],
    periodic: Sequence[Closes],
    surround: Callable[[Tensor, list[int]], Tensor],
    halved: Sequence[bool],
) -> Tensor:
    """`halving.upsample`: two fine samples for each coarse one; of odd sizes the last is left out."""
    x = surrounded(x, [int(half) for half in halved], periodic, surround, nearest=True)
    for axis in [axis for axis, half in enumerate(halved) if half]:
        dim, count = 2 + axis, x.shape[2 + axis] - 2
        quarter = (1 - size[axis] % 2) * 0.25
        before, here, after = (x.narrow(dim, start, count) for start in range(3))
        pair = [here + quarter * (before - here), here + (0.5 - quarter) * (after - here)]  # type: ignore[operator]
        x = torch.stack(pair, dim + 1).flatten(dim, dim + 1)
        # cut by what is too much, which leaves `size`, as an expression too
        x = F.pad(x, [0, 0] * (x.dim() - 1 - dim) + [0, size[axis] - 2 * count])  # type: ignore[list-item]
    return x


def spread(
    x: Tensor,
    size: Sequence[Size],
    periodic: Sequence[Closes],
    surround: Callable[[Tensor, list[int]], Tensor],
    weights: Callable[[int, Tensor], Tensor],
    transposed: Callable[..., Tensor],
) -> Tensor:
    """`halving.spread`, one axis after the other; of odd sizes the last sample is left out."""
    if not all(isinstance(closes, bool) for closes in periodic):
        raise ValueError(
            "axes of band-limited fields that close at even sizes only were to be compiled for sizes of any "
            'kind, expected ones that always close or never; take resampling="gaussian"'
        )
    both = torch.stack([weights(0, x), F.pad(weights(1, x), (1, 0))])
    n, width = len(size), both.shape[1] // 2
    for axis, closes in enumerate(periodic):
        more = width // 2 + 1 if closes else 0
        x = surround(x, [more if a == axis else 0 for a in range(n)]) if closes else x
        line = chosen(both, 1 - size[axis] % 2).view([-1 if a == axis else 1 for a in range(n)])
        one = [int(a == axis) for a in range(n)]
        options = [1 + a for a in one], [width * a for a in one], one
        y = transposed(x, line.expand(x.shape[1], 1, *line.shape), None, *options, x.shape[1])
        ones = x.new_ones(1, 1, *[x.shape[2 + axis] if a == axis else 1 for a in range(n)])
        y = y / transposed(ones, line[None, None], None, *options, 1)
        least = size[axis] - 2 * (x.shape[2 + axis] - 2 * more)  # 0, or -1 of odd sizes
        x = F.pad(y, [0, 0] * (n - 1 - axis) + [-2 * more, least - 2 * more])  # type: ignore[list-item]
    return x


def surrounded(
    x: Tensor,
    widths: Sequence[int],
    periodic: Sequence[Closes],
    surround: Callable[[Tensor, list[int]], Tensor],
    *,
    nearest: bool = False,
    otherwise: float = 0.0,
) -> Tensor:
    """So many more samples at both ends of each axis: from across where it closes.

    Where an axis may close or not, those hold `otherwise` in the second case; and with `nearest` the last
    sample does in every case but the first. Axes that don't close get none, without `nearest`.
    """
    around = [w if closes is True else 0 for w, closes in zip(widths, periodic, strict=True)]
    x = surround(x, around) if any(around) else x
    for axis, (width, closes) in enumerate(zip(widths, periodic, strict=True)):
        if width and closes is not True and (nearest or closes is not False):
            x = _either(x, 2 + axis, width, closes, nearest, otherwise)
    return x


def _either(x: Tensor, dim: int, width: int, closes: Any, nearest: bool, otherwise: float) -> Tensor:
    """More samples at both ends of one axis, from across or not, as a number says."""
    last = x.shape[dim] - width
    first, end = x.narrow(dim, 0, width), x.narrow(dim, last, width)
    low, high = (first, end) if nearest else [torch.full_like(y, otherwise) for y in (first, end)]
    if closes is not False:
        across = torch.ones((), device=x.device) * closes > 0
        low, high = torch.where(across, end, low), torch.where(across, first, high)
    return torch.cat([low, x, high], dim)
