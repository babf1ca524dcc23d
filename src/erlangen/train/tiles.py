"""Large photographs in tiles, with the answer of the whole.

A tile may start only at multiples of 2^depth, and be as long as the image modulo 2^depth: then its coarse
grids, centred at every level, are parts of the image's own.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.models import UNet
from erlangen.train.device import keep_freed_memory
from erlangen.train.room import pixels_that_fit

if TYPE_CHECKING:
    from erlangen.train.predictor import Predictor

TILE = 1024  # pixels of a side: images of so many at most are taken whole without asking for memory
PIECES = 64  # of an axis, at most
Span = tuple[slice, slice]  # what a tile sees, and what of the image it answers for


@torch.no_grad()
def answer(
    model: "Predictor", image: Float[Tensor, "batch 3 height width"], tile: int | None = None
) -> Tensor:
    """The network's logits, computed where the network is: of the whole, or in tiles that memory holds.

    Those of networks in half precision come as float32, as probabilities and masks want them.

    Args:
        model: in eval mode or not, it is put there.
        image: of any size.
        tile: what is larger is cut into tiles of about so many pixels; None for what memory holds.
    """
    keep_freed_memory()
    model.eval()
    image = image.to(model.mean.device)
    parts = [_answered(model, part, tile) for part in image.split(_at_once(model, image, tile))]
    logits = torch.cat(parts) if parts[1:] else parts[0]
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).cpu()


def _at_once(model: "Predictor", image: Tensor, tile: int | None) -> int:
    """How many of the images."""
    count, each = len(image), image[:1].numel() // 3
    if tile is not None or count < 2 or count * each <= TILE**2:
        return max(count, 1)
    most = pixels_that_fit(model, image.device)
    return count if most is None else min(max(most // each, 1), count)


def _answered(model: "Predictor", image: Tensor, tile: int | None) -> Tensor:
    """The logits, be it in tiles."""
    height, width = image.shape[-2:]
    if not isinstance(model.net, UNet) or (tile is not None and max(height, width) <= tile):
        return model(image)
    if tile is not None:
        return in_tiles(model, image, tile, model.net)
    circular = model.net.options.exact_shifts or model.net.options.circular  # every pixel sees the other side
    most = (
        None if circular or len(image) * height * width <= TILE**2 else pixels_that_fit(model, image.device)
    )
    if most is None or len(image) * height * width <= most:
        return model(image)
    return in_tiles(model, image, tiling((height, width), model.net, most // max(len(image), 1)), model.net)


def tiling(shape: tuple[int, int], unet: UNet, pixels: int) -> tuple[int, int]:
    """The sides of tiles that see at most so many pixels each, and all together the fewest.

    Strips are best where a whole row fits: they overlap along one axis only.
    """
    step = 2 ** len(unet.down)
    halo = -(-unet.receptive_radius // step) * step

    def of(length: int, pieces: int) -> tuple[int, int, int]:
        side = -(-length // (pieces * step)) * step
        return side, min(length, side + 2 * halo + length % step), length + 2 * halo * (pieces - 1)

    cuts = [[of(length, pieces) for pieces in range(1, PIECES + 1)] for length in shape]
    both = [(a[2] * b[2], a[0], b[0]) for a in cuts[0] for b in cuts[1] if a[1] * b[1] <= pixels]
    return min(both)[1:] if both else (max(halo, step), max(halo, step))


def in_tiles(
    net: torch.nn.Module,
    image: Float[Tensor, "batch channel height width"],
    tile: int | tuple[int, int],
    unet: UNet,
) -> Tensor:
    """``net(image)``, computed on tiles of about `tile` pixels and what surrounds them.

    Args:
        net: what to apply; `unet` or something pointwise around it.
        image: of any size.
        tile: the side of what each tile answers for, or its height and width.
        unet: says how far it sees.

    Raises:
        ValueError: for networks that see beyond the edges, or choose a phase for the whole image.
    """
    if unet.options.exact_shifts or unet.options.circular:
        raise ValueError(
            "this network treats images as periodic, so that every pixel sees the other side; expected "
            'padding_mode="zeros" to work in tiles; predict the whole image'
        )
    high, wide = (tile, tile) if isinstance(tile, int) else tile
    if min(high, wide) < 1:
        raise ValueError(f"tile is {tile}, expected at least 1 pixel")
    step, reach = 2 ** len(unet.down), unet.receptive_radius
    tiles = []
    for rows, height in spans(image.shape[-2], high, step, reach):
        for columns, width in spans(image.shape[-1], wide, step, reach):
            y = net(image[..., rows, columns])
            tiles.append((height, width, y[..., within(height, rows), within(width, columns)]))
    result = tiles[0][2].new_empty(*tiles[0][2].shape[:-2], *image.shape[-2:])
    for height, width, y in tiles:
        result[..., height, width] = y
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
