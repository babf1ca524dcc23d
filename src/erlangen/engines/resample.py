"""Half the samples and back, on lattices: centred at every size, or in the phase that the content chooses."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from erlangen.engines.centred import centred
from erlangen.engines.convolve import convolve
from erlangen.engines.lattice import pad

BLUR = 0.9  # standard deviation of the anti-aliasing Gaussian, in samples
REACH = 2.5  # samples
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def downsample(
    x: Float[Tensor, "batch channel *space"], periodic: Sequence[bool]
) -> Float[Tensor, "batch channel *half"]:
    r"""Every second sample of the blurred field, placed symmetrically about the centre.

    Where the coarse samples fall (on samples if the size is odd, between two if it is even) the
    Gaussian is evaluated. Its weights sum to one over the samples that there are: beyond an end of the
    field it is divided by its visible mass.

    Args:
        x: the field, fibre folded into the channels.
        periodic: the axes whose last sample is next to the first.
    """
    sizes = x.shape[2:]
    offsets = [centred(length, 2)[1] for length in sizes]  # twice the first sample
    lines = [gaussian(twice % 2, x) for twice in offsets]
    widths = [(len(line) - 1 - twice) // 2 for line, twice in zip(lines, offsets, strict=True)]
    if any(periodic):
        modes = ["circular" if p else "zeros" for p in periodic]
        around = [w if p else 0 for w, p in zip(widths, periodic, strict=True)]
        x = pad(x, around, modes)
    beyond = [0 if p else w for w, p in zip(widths, periodic, strict=True)]
    y = _blur(x, lines, 2, beyond)
    for axis, (line, width) in enumerate(zip(lines, beyond, strict=True)):
        if width:
            ones = line.new_ones(1, 1, sizes[axis])
            mass = F.conv1d(ones, line.view(1, 1, -1), stride=2, padding=width)
            y = y * mass.reciprocal().view(-1, *[1] * (len(sizes) - 1 - axis))
    return y


def upsample(
    x: Float[Tensor, "batch channel *space"], size: Sequence[int], periodic: Sequence[bool]
) -> Tensor:
    """Linear interpolation to the finer grid that `downsample` came from, axis by axis.

    Raises:
        ValueError: if no axis of that size has this coarse grid.
    """
    n = len(size)
    for fine, coarse in zip(size, x.shape[2:], strict=True):
        if centred(fine, 2)[0] != coarse:
            raise ValueError(
                f"an axis of {coarse} samples cannot become {fine}, expected {2 * coarse - 1} or {2 * coarse}"
            )
    if any(periodic):
        x = pad(x, [int(p) for p in periodic], ["circular" if p else "zeros" for p in periodic])
    finer = [s + 4 * p for s, p in zip(size, periodic, strict=True)]
    for odd in (False, True):  # odd sizes keep the corners, even ones the edges of the pixels
        target = [f if f % 2 == odd else here for f, here in zip(finer, x.shape[2:], strict=True)]
        if target != list(x.shape[2:]):
            x = _interpolate(x, target, odd)
    for axis in range(n):
        if periodic[axis]:
            x = x.narrow(2 + axis, 2, size[axis])
    return x


def _interpolate(x: Tensor, target: Sequence[int], odd: bool) -> Tensor:
    """Linear interpolation; an axis that keeps its size keeps its samples under either convention."""
    return F.interpolate(x, size=list(target), mode=LINEAR[x.dim() - 2], align_corners=odd)


def _blur(x: Tensor, lines: Sequence[Tensor], stride: int, padding: list[int]) -> Tensor:
    """Each channel correlated with the product of one line of weights for each axis."""
    kernel = lines[0]
    for line in lines[1:]:
        kernel = kernel[..., None] * line
    filters = kernel.expand(x.shape[1], 1, *kernel.shape)
    return convolve(x, filters, stride, padding, 1, x.shape[1])


def gaussian(odd_offset: int, like: Tensor) -> Tensor:
    """The blur's weights at whole (0) or half (1) samples from its centre."""
    most = math.ceil(REACH - odd_offset / 2) - 1
    offsets = torch.arange(-most - odd_offset, most + 1, device=like.device) + odd_offset / 2
    weights = torch.exp(-offsets.to(torch.float64).square() / (2 * BLUR**2))
    return (weights / weights.sum()).to(like.dtype)


def downsample_by_content(
    x: Float[Tensor, "batch channel *space"],
) -> tuple[Tensor, Int[Tensor, "batch n"]]:
    r"""Every second sample of the blurred periodic field, in the phase that holds the most energy.

    A shift of the field by one sample shifts the phase, so that nothing is lost: the coarse field
    shifts by whole samples. The phase is returned, for `upsample_by_content`.

    Reference: Chaman & Dokmanic 2021 (adaptive polyphase sampling).
    """
    sizes = x.shape[2:]
    if any(size % 2 for size in sizes):
        raise ValueError(
            f"exact_shifts halves periodic axes of {tuple(sizes)} samples, expected even sizes; "
            "choose sizes divisible by 2^depth"
        )
    n = len(sizes)
    line = gaussian(0, x)
    x = pad(x, [len(line) // 2] * n, ["circular"] * n)
    x = _blur(x, [line] * n, 1, [0] * n)
    for axis in range(n):  # (batch, channel, half, 2, half, 2, ...)
        x = x.unflatten(2 + 2 * axis, (-1, 2))
    halves, phases = [2 + 2 * i for i in range(n)], [3 + 2 * i for i in range(n)]
    x = x.permute(0, *phases, 1, *halves).flatten(1, n)  # (batch, 2^n, channel, *half)
    energy = x.to(torch.float64).square().flatten(2).sum(2)
    best = energy.argmax(1)  # the phases in binary, the first axis highest
    chosen = x[torch.arange(len(x), device=x.device), best]
    bits = [(best >> (n - 1 - axis)) & 1 for axis in range(n)]
    return chosen, torch.stack(bits, 1)


def upsample_by_content(x: Float[Tensor, "batch channel *space"], phase: Int[Tensor, "batch n"]) -> Tensor:
    """Linear interpolation on a periodic grid twice as fine, whose samples of that phase are given."""
    n = x.dim() - 2
    for axis in range(n):
        dim = 2 + axis
        between = (x + x.roll(-1, dim)) / 2
        x = torch.stack([x, between], dim + 1).flatten(dim, dim + 1)  # in phase 0
        size = x.shape[dim]
        index = torch.arange(size, device=x.device) - phase[:, axis, None]  # (batch, size)
        index = (index % size).view(-1, *[1] * (dim - 1), size, *[1] * (n - 1 - axis))
        x = x.take_along_dim(index, dim)
    return x
