"""Half the samples and back, on lattices: centred at every size, or in the phase that the content chooses."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.engines import any_size
from erlangen.engines.convolve import CONVOLUTIONS, FORMATS, in_format
from erlangen.engines.lattice import centred, pad
from erlangen.engines.lines import filter_of, inverse_shares, line, multiplied

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
Surround = Callable[[Tensor, list[int]], Tensor]  # more samples at both ends of each axis, from across


def gaussian(odd_offset: int, like: Tensor) -> Tensor:
    """The Gaussian's weights at whole (0) or half (1) samples from its centre."""
    return line("gaussian", odd_offset, like)


def circular(x: Tensor, widths: Sequence[int]) -> Tensor:
    """The field with so many more samples at both ends of each axis, from its other end."""
    return pad(x, widths, ["circular"] * len(widths))


def downsample(
    x: Float[Tensor, "batch channel *space"],
    periodic: Sequence[bool],
    surround: Surround = circular,
    halved: Sequence[bool] | None = None,
    kind: str = "gaussian",
) -> Float[Tensor, "batch channel *half"]:
    r"""Every second sample of the blurred field, placed symmetrically about the centre.

    Where the coarse samples fall (on samples if the size is odd, between two if it is even) the
    blur is evaluated. Its weights sum to one over the samples that there are: beyond an end of the
    field it is divided by its visible mass.

    Args:
        x: the field, fibre folded into the channels.
        periodic: the axes whose last sample is next to the first.
        surround: what lies beyond their ends.
        halved: the axes to do this on; None for all.
        kind: the blur, "gaussian" or "band-limited".
    """
    sizes = x.shape[2:]
    halved = [True] * len(sizes) if halved is None else halved
    if torch.compiler.is_compiling() and not any_size.is_known(sizes):
        return any_size.downsample(x, periodic, surround, halved, partial(line, kind), blurred)
    odds, strides, around, beyond = [], [], [], []
    for length, half, closes in zip(sizes, halved, periodic, strict=True):
        odd_offset = int((length - 1) % 2)  # of the first sample, in halves: a number, traced too
        odds.append(odd_offset if half else None)
        strides.append(2 if half else 1)
        width = (len(line(kind, odd_offset, x)) - 1 - odd_offset) // 2 if half else 0
        around.append(width if closes else 0)
        beyond.append(0 if closes else width)
    if any(around):
        x = surround(x, around)
    y = correlated(x, filter_of(kind, odds, x), strides, beyond)
    return shared_out(
        y, sizes, kind, [odd if width else None for odd, width in zip(odds, beyond, strict=True)], 2
    )


def shared_out(
    y: Tensor, sizes: Sequence[int], kind: str, odd_offsets: Sequence[int | None], stride: int
) -> Tensor:
    """Divided by what a filter sees of the axes that are open; None for the others."""
    shares = inverse_shares(sizes, kind, odd_offsets, stride, y)
    return y if shares is None else y * shares


def upsample(
    x: Float[Tensor, "batch channel *space"],
    size: Sequence[int],
    periodic: Sequence[bool],
    surround: Surround = circular,
    halved: Sequence[bool] | None = None,
) -> Tensor:
    """Linear interpolation to the finer grid that `downsample` came from, axis by axis.

    Raises:
        ValueError: if no axis of that size has this coarse grid.
    """
    halved = [True] * len(size) if halved is None else halved
    if torch.compiler.is_compiling() and not any_size.is_known(size):
        return any_size.upsample(x, size, periodic, surround, halved)
    around = []
    for fine, coarse, half, closes in zip(size, x.shape[2:], halved, periodic, strict=True):
        if half and (fine + 1) // 2 != coarse:
            raise ValueError(
                f"an axis of {coarse} samples cannot become {fine}, expected {2 * coarse - 1} or {2 * coarse}"
            )
        around.append(int(closes and half))
    if any(around):
        x = surround(x, around)
    for odd in (False, True):  # odd sizes keep the corners, even ones the edges of the pixels
        # an axis that keeps its size keeps its samples either way
        target = list(x.shape[2:])
        for axis, (fine, more) in enumerate(zip(size, around, strict=True)):
            if int(fine % 2) == odd:
                target[axis] = fine + 4 * more
        if target != list(x.shape[2:]):
            x = F.interpolate(x, size=target, mode=LINEAR[len(size)], align_corners=odd)
    for axis, more in enumerate(around):
        if more:
            x = x.narrow(2 + axis, 2, size[axis])
    return x


def blurred(x: Tensor, lines: Sequence[Tensor], strides: list[int], padding: list[int]) -> Tensor:
    """Each channel correlated with the product of one line of weights for each axis."""
    return correlated(x, multiplied(lines), strides, padding)


def correlated(x: Tensor, kernel: Float[Tensor, "*taps"], strides: list[int], padding: list[int]) -> Tensor:
    """Each channel correlated with the same filter."""
    filters, n = kernel.expand(x.shape[1], 1, *kernel.shape), kernel.dim()
    return CONVOLUTIONS[n](in_format(x, FORMATS[n]), filters, None, strides, padding, 1, x.shape[1])


def spread(
    x: Float[Tensor, "batch channel *space"],
    size: Sequence[int],
    periodic: Sequence[bool],
    surround: Surround = circular,
    kind: str = "band-limited",
) -> Tensor:
    """To the finer grid by the weights that `downsample` took, each sample to those that it came from.

    They are divided by what each finer sample receives, so that constants stay.
    """
    if not any_size.is_known(size):
        return any_size.spread(x, size, periodic, surround, partial(line, kind), TRANSPOSED[len(size)])
    n, odds = len(size), []
    for fine, coarse in zip(size, x.shape[2:], strict=True):
        if centred(fine, 2)[0] != coarse:
            raise ValueError(
                f"an axis of {coarse} samples cannot become {fine}, expected {2 * coarse - 1} or {2 * coarse}"
            )
        odds.append(int(centred(fine, 2)[1] % 2))
    lines = [line(kind, odd, x) for odd in odds]
    around = [len(w) // 4 + 1 if closes else 0 for w, closes in zip(lines, periodic, strict=True)]
    if any(around):
        x = surround(x, around)
    kernel, x = filter_of(kind, odds, x), in_format(x, FORMATS[n])
    y = TRANSPOSED[n](
        x,
        kernel.expand(x.shape[1], 1, *kernel.shape),
        None,
        2,
        [(len(w) - 1) // 2 for w in lines],
        0,
        x.shape[1],
    )
    for axis, more in enumerate(around):
        if more:
            y = 2 * y.narrow(2 + axis, 2 * more, size[axis])  # both phases sum to a half
    open_odds = [None if more else odd for odd, more in zip(odds, around, strict=True)]
    return shared_out(y, x.shape[2:], kind, open_odds, -2)


def low_passed(
    x: Float[Tensor, "batch channel *space"], periodic: Sequence[bool], surround: Surround = circular
) -> Tensor:
    """Twice the Gaussian of `downsample`, at every sample; beyond an end divided by what is visible of it."""
    n, one = x.dim() - 2, x.new_ones(1)
    for axis, closes in enumerate(periodic):
        weights, size = line("low-pass", 0, x), x.shape[2 + axis]
        width = len(weights) // 2
        if closes:  # at most once round
            less = max(0, width - size)
            width, weights = width - less, weights[less : len(weights) - less]
            x = surround(x, [width if a == axis else 0 for a in range(n)])
        lines = [weights / weights.sum() if a == axis else one for a in range(n)]
        y = blurred(x, lines, [1] * n, [width if a == axis and not closes else 0 for a in range(n)])
        x = shared_out(y, y.shape[2:], "low-pass", [None if a != axis or closes else 0 for a in range(n)], 1)
    return x


def smoothed(
    x: Float[Tensor, "batch channel *space"], periodic: Sequence[bool], surround: Surround = circular
) -> Tensor:
    """A product of cubic B-splines at every sample; beyond an end divided by what is visible of it."""
    sizes, n = x.shape[2:], x.dim() - 2
    if any(periodic):
        x = surround(x, [int(closes) for closes in periodic])
    y = correlated(x, filter_of("spline", [0] * n, x), [1] * n, [int(not closes) for closes in periodic])
    return shared_out(y, sizes, "spline", [None if closes else 0 for closes in periodic], 1)


def downsample_by_content(
    x: Float[Tensor, "batch channel *space"],
    axes: Sequence[bool] | None = None,
    periodic: Sequence[bool] | None = None,
    surround: Surround = circular,
    half_shifts: Sequence[bool] | None = None,
) -> tuple[Tensor, Int[Tensor, "batch n"]]:
    r"""Every second sample of the blurred periodic field, in the phase that holds the most energy.

    A shift of the field by one sample shifts the phase, so that nothing is lost: the coarse field
    shifts by whole samples. The phase is returned, for `upsample_by_content`.

    Args:
        x: the field, fibre folded into the channels.
        axes: those that have a phase; the others are halved about their centre. None for all.
        periodic: the axes that close; None for those that have a phase.
        surround: what lies beyond the ends of axes that close.
        half_shifts: the other axes whose phase is a shift by half of the axis, made before they are halved.

    Reference: Chaman & Dokmanic 2021 (adaptive polyphase sampling).
    """
    n = x.dim() - 2
    axes = [True] * n if axes is None else list(axes)
    others = [not phased for phased in axes]
    sizes = [size for size, phased in zip(x.shape[2:], axes, strict=True) if phased]
    if any(size % 2 for size in sizes):
        raise ValueError(
            f"exact_shifts halves periodic axes of {tuple(sizes)} samples, expected even sizes; "
            "choose sizes divisible by 2^depth"
        )
    phase = x.new_zeros(x.shape[0], n, dtype=torch.long)
    if any(others):
        half = [axis for axis, shifts in enumerate(half_shifts or ()) if shifts]
        every = [downsample(y, periodic or axes, surround, others) for y in half_shifted(x, half)]
        x = strongest(torch.stack(every, 1), half, phase)
    blur, one = line("gaussian", 0, x), x.new_ones(1)
    x = surround(x, [len(blur) // 2 if phased else 0 for phased in axes])
    x = blurred(x, [blur if phased else one for phased in axes], [1] * n, [0] * n)
    where = [axis for axis, phased in enumerate(axes) if phased]
    for number, axis in enumerate(where):  # (batch, channel, half, 2, half, 2, size, ...)
        x = x.unflatten(2 + axis + number, (-1, 2))
    phases = [3 + axis + number for number, axis in enumerate(where)]
    space = [dim for dim in range(2, x.dim()) if dim not in phases]
    x = x.permute(0, *phases, 1, *space).flatten(1, len(phases)) if where else x[:, None]
    return strongest(x, where, phase), phase


def half_shifted(x: Float[Tensor, "batch channel *space"], axes: Sequence[int]) -> list[Tensor]:
    """The field, shifted by half of an axis or not for each of some axes, the last one changing first."""
    shifted = []
    for bits in itertools.product((0, 1), repeat=len(axes)):
        steps = [bit * (x.shape[2 + axis] // 2) for bit, axis in zip(bits, axes, strict=True)]
        shifted.append(x.roll(steps, [2 + axis for axis in axes]) if any(bits) else x)
    return shifted


def strongest(
    x: Float[Tensor, "batch phases channel *space"], axes: Sequence[int], phase: Int[Tensor, "batch n"]
) -> Float[Tensor, "batch channel *space"]:
    """The phase of some axes that holds the most energy (in binary, the first axis highest), noted down."""
    best = x.to(torch.float64).square().flatten(2).sum(2).argmax(1)
    for number, axis in enumerate(reversed(axes)):
        phase[:, axis] = (best >> number) & 1
    return x[torch.arange(x.shape[0], device=x.device), best]


def upsample_by_content(
    x: Float[Tensor, "batch channel *space"],
    phase: Int[Tensor, "batch n"],
    size: Sequence[int],
    axes: Sequence[bool] | None = None,
    periodic: Sequence[bool] | None = None,
    surround: Surround = circular,
    half_shifts: Sequence[bool] | None = None,
) -> Tensor:
    """The way back: the given samples are those of that phase, the others lie linearly between them."""
    n = x.dim() - 2
    axes = [True] * n if axes is None else list(axes)
    x = surround(x, [int(phased) for phased in axes])
    for axis in [axis for axis in range(n) if axes[axis]]:
        dim, fine = 2 + axis, 2 * (x.shape[2 + axis] - 2)
        between = (x + x.roll(-1, dim)) / 2
        x = torch.stack([x, between], dim + 1).flatten(dim, dim + 1)  # the first at -2, in phase 0
        index = torch.arange(2, 2 + fine, device=x.device) - phase[:, axis, None]  # (batch, fine)
        index = index.view(-1, *[1] * (dim - 1), fine, *[1] * (n - 1 - axis))
        x = x.take_along_dim(index, dim)
    if all(axes):
        return x
    whole = [given if phased else s for s, given, phased in zip(size, x.shape[2:], axes, strict=True)]
    x = upsample(x, whole, periodic or axes, surround, [not phased for phased in axes])
    return shifted_back(x, phase, half_shifts or ())


def shifted_back(
    x: Float[Tensor, "batch channel *space"], phase: Int[Tensor, "batch n"], half_shifts: Sequence[bool]
) -> Tensor:
    """The field, shifted by half of those axes whose phase says so."""
    for axis, shifts in enumerate(half_shifts):
        if shifts:
            back = phase[:, axis].bool().view(-1, *[1] * (x.dim() - 1))
            x = torch.where(back, x.roll(x.shape[2 + axis] // 2, 2 + axis), x)
    return x


class Halving:
    """Down and up, by samples or by content, as a part of a domain: of lattices whose axes are perpendicular.

    Attributes:
        beside: a sample and those next to it, in steps from it; None for three on each axis.
        kinds: the lines that it goes down and up by.
        most: how many samples about a field it sees.
    """

    beside: Sequence[tuple[int, ...]] | None = None
    most = 4
    kinds: tuple[str, ...] = ("gaussian", "band-limited")

    down = staticmethod(downsample)

    def up(
        self,
        x: Tensor,
        size: Sequence[int],
        periodic: Sequence[bool],
        surround: Surround,
        kind: str = "gaussian",
    ) -> Tensor:
        """Linear interpolation after a Gaussian, else by the weights that `down` took."""
        if kind == "gaussian":
            return upsample(x, size, periodic, surround)
        return spread(x, size, periodic, surround, kind)

    low_passed = staticmethod(low_passed)

    def down_by_content(
        self,
        x: Tensor,
        axes: Sequence[bool],
        periodic: Sequence[bool],
        surround: Surround,
        half_shifts: Sequence[bool],
    ) -> tuple[Tensor, Int[Tensor, "batch n"]]:
        """`downsample_by_content`."""
        return downsample_by_content(x, axes, periodic, surround, half_shifts)

    def up_by_content(
        self,
        x: Tensor,
        phase: Int[Tensor, "batch n"],
        size: Sequence[int],
        axes: Sequence[bool],
        periodic: Sequence[bool],
        surround: Surround,
        half_shifts: Sequence[bool],
    ) -> Tensor:
        """`upsample_by_content`."""
        return upsample_by_content(x, phase, size, axes, periodic, surround, half_shifts)
