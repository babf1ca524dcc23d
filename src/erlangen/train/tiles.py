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

if TYPE_CHECKING:
    from erlangen.train.predictor import Predictor

TILE = 1024  # pixels; what is larger is cut
Span = tuple[slice, slice]  # what a tile sees, and what of the image it answers for


@torch.no_grad()
def answer(model: "Predictor", image: Float[Tensor, "batch 3 height width"], tile: int = TILE) -> Tensor:
    """The network's logits, in tiles where the image is larger than one; computed where the network is.

    Those of networks in half precision come as float32, as probabilities and masks want them.
    """
    keep_freed_memory()
    model.eval()
    image = image.to(model.mean.device)
    if max(image.shape[-2:]) <= tile or not isinstance(model.net, UNet):
        logits = model(image)
    else:
        logits = in_tiles(model, image, tile, model.net)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).cpu()


def in_tiles(
    net: torch.nn.Module, image: Float[Tensor, "batch channel height width"], tile: int, unet: UNet
) -> Tensor:
    """``net(image)``, computed on tiles of about `tile` pixels and what surrounds them.

    Args:
        net: what to apply; `unet` or something pointwise around it.
        image: of any size.
        tile: the side of what each tile answers for.
        unet: says how far it sees.

    Raises:
        ValueError: for networks that see beyond the edges, or choose a phase for the whole image.
    """
    if unet.options.exact_shifts or unet.options.circular:
        raise ValueError(
            "this network treats images as periodic, so that every pixel sees the other side; expected "
            'padding_mode="zeros" to work in tiles; predict the whole image'
        )
    if tile < 1:
        raise ValueError(f"tile is {tile}, expected at least 1 pixel")
    step, reach = 2 ** len(unet.down), unet.receptive_radius
    tiles = []
    for rows, height in spans(image.shape[-2], tile, step, reach):
        for columns, width in spans(image.shape[-1], tile, step, reach):
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
