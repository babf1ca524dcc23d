"""Large photographs and volumes in tiles, with the answer of the whole.

A tile may start only at multiples of 2^depth, and be as long as the image modulo 2^depth: then its coarse
grids, centred at every level, are parts of the image's own.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.models import UNet
from erlangen.train.device import keep_freed_memory
from erlangen.train.room import samples_that_fit

if TYPE_CHECKING:
    from erlangen.train.predictor import Predictor

TILE = 1024  # pixels of a side: images of so many at most are taken whole without asking for memory
PIECES = {2: 64, 3: 32}  # of an axis, at most, in the plane and in space
Span = tuple[slice, slice]  # what a tile sees, and what of the image it answers for


@torch.no_grad()
def answer(
    model: "Predictor", image: Float[Tensor, "batch channels *space"], tile: int | None = None
) -> Tensor:
    """The network's logits, computed where the network is: of the whole, or in tiles that memory holds.

    Those of networks in half precision come as float32, as probabilities and masks want them.

    Args:
        model: in eval mode or not, it is put there.
        image: of any size.
        tile: what is larger is cut into tiles whose sides are about so long; None for what memory holds.
    """
    if image.dim() == 4:  # kept pieces of tiles of volumes, which differ in shape, would add up
        keep_freed_memory()
    model.eval()
    image = image.to(model.mean.device)
    parts = [_answered(model, part, tile) for part in image.split(_at_once(model, image, tile))]
    logits = torch.cat(parts) if parts[1:] else parts[0]
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).cpu()


def _at_once(model: "Predictor", image: Tensor, tile: int | None) -> int:
    """How many of the images."""
    count, each = len(image), image.shape[2:].numel()
    if tile is not None or count < 2 or count * each <= TILE**2:
        return max(count, 1)
    most = _most(model, image)
    return count if most is None else min(max(most // each, 1), count)


def _answered(model: "Predictor", image: Tensor, tile: int | None) -> Tensor:
    """The logits, be it in tiles."""
    shape = tuple(image.shape[2:])
    if not isinstance(model.net, UNet) or (tile is not None and max(shape) <= tile):
        return model(image)
    if tile is not None:
        return in_tiles(model, image, tile, model.net)
    circular = model.net.options.exact_shifts or model.net.options.circular  # every pixel sees the other side
    all_of_it = len(image) * math.prod(shape)
    most = None if circular or all_of_it <= TILE**2 else _most(model, image)
    if most is None or all_of_it <= most:
        return model(image)
    return in_tiles(model, image, tiling(shape, model.net, most // max(len(image), 1)), model.net)


def _most(model: "Predictor", image: Tensor) -> int | None:
    """Samples that memory holds the answer to."""
    return samples_that_fit(model, image.shape[1], image.dim() - 2, image.device)


def tiling(shape: Sequence[int], unet: UNet, samples: int) -> tuple[int, ...]:
    """The sides of tiles that see at most so many samples each, and all together the fewest.

    Strips are best where a whole row fits: they overlap along one axis only.
    """
    step = 2 ** len(unet.down)
    halo = -(-unet.receptive_radius // step) * step

    def of(length: int, pieces: int) -> tuple[int, int, int]:
        side = -(-length // (pieces * step)) * step
        return side, min(length, side + 2 * halo + length % step), length + 2 * halo * (pieces - 1)

    cuts = [
        list(dict.fromkeys(of(length, pieces) for pieces in range(1, PIECES[len(shape)] + 1)))
        for length in shape
    ]
    fitting = [
        (math.prod(total for _, _, total in tile), *(side for side, _, _ in tile))
        for tile in product(*cuts)
        if math.prod(seen for _, seen, _ in tile) <= samples
    ]
    return min(fitting)[1:] if fitting else (max(halo, step),) * len(shape)


def in_tiles(
    net: torch.nn.Module,
    image: Float[Tensor, "batch channel *space"],
    tile: int | Sequence[int],
    unet: UNet,
) -> Tensor:
    """``net(image)``, computed on tiles of about `tile` samples and what surrounds them.

    Args:
        net: what to apply; `unet` or something pointwise around it.
        image: of any size.
        tile: the side of what each tile answers for, or one for each axis.
        unet: says how far it sees.

    Raises:
        ValueError: for networks that see beyond the edges, or choose a phase for the whole image.
    """
    if unet.options.exact_shifts or unet.options.circular:
        raise ValueError(
            "this network treats images as periodic, so that every pixel sees the other side; expected "
            'padding_mode="zeros" to work in tiles; predict the whole image'
        )
    shape = image.shape[2:]
    sides = [tile] * len(shape) if isinstance(tile, int) else tile
    if min(sides) < 1:
        raise ValueError(f"tile is {tile}, expected at least 1 pixel")
    step, reach = 2 ** len(unet.down), unet.receptive_radius
    result = image.new_empty(0)
    for axes in product(*(spans(n, side, step, reach) for n, side in zip(shape, sides, strict=True))):
        seen, inner = zip(*axes, strict=True)
        y = net(image[(..., *seen)])
        if not result.numel():
            result = y.new_empty(*y.shape[: -len(shape)], *shape)
        result[(..., *inner)] = y[(..., *map(within, inner, seen))]
    return result


def within(inner: slice, outer: slice) -> slice:
    """The inner span as the tile counts."""
    return slice(inner.start - outer.start, inner.stop - outer.start)


def spans(length: int, tile: int, step: int, reach: int) -> Iterator[Span]:
    """The tiles of one axis."""
    tile = -(-tile // step) * step
    halo = -(-reach // step) * step
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        first = max(start - halo, 0)
        last = stop + halo + length % step
        yield slice(first, last if last < length else length), slice(start, stop)
