"""Squares turned about their centres, as tensors, and how alike logits turn with them."""

from collections.abc import Sequence
from functools import reduce
from itertools import permutations, product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from erlangen.engines.table import Table

INSIDE = 0.8  # of the radius of a crop's disc: nearer to its border a turn brings in what the crop had not
REACH = 10  # samples, beyond which the inverse of a cubic B-spline's samples is below 1e-5
CONSTANT = {"dtype": torch.float64, "device": "cpu"}  # whatever is usual where this is imported
SPLINE = Table(torch.tensor([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]], **CONSTANT) / 6)
INVERSE = Table(3**0.5 * (3**0.5 - 2) ** torch.arange(-REACH, REACH + 1, **CONSTANT).abs())
BEGINNINGS = Table(torch.tensor([[[-1]], [[1]]], **CONSTANT))  # of two pairs of four pixels


def turned_squares(x: Tensor, angles: Tensor, side: int) -> Tensor:
    """The squares of a side in the middle of larger ones, each turned counter-clockwise by its own angle.

    Cubic B-splines through the pixels, 0 beyond them: waves of six pixels come out right to 0.2 %. A spline's
    four weights on an axis, `SPLINE` by powers of how far behind a pixel a place is, are read as two pairs,
    each at a place between two pixels.

    Args:
        x: ``(batch, channel, n, n)``.
        angles: ``(batch,)``, in radians.
        side: of the result, at most n.

    Returns:
        ``(batch, channel, side, side)``.

    Reference: Unser, Aldroubi & Eden 1993 (the coefficients); Ruijters et al. 2008 (the pairs).
    """
    n = x.shape[-1]
    place = _places(angles.to(x), n, side)
    pixel = place.floor()
    powers = (place - pixel)[..., None] ** torch.arange(4, device=x.device)
    weights = torch.einsum("kp, bsap -> bksa", SPLINE.like(x), powers)  # of the pixels at -1, 0, 1, 2
    pairs = weights[:, 0::2] + weights[:, 1::2]
    places = weights[:, 1::2] / pairs + (pixel[:, None] + BEGINNINGS.like(x))
    column, row = (places * (2 / n) + (1 / n - 1)).unbind(-1)
    grid = torch.stack(torch.broadcast_tensors(column[:, None], row[:, :, None]), -1)
    read = F.grid_sample(_spline_coefficients(x), grid.view(-1, 4 * side, side, 2), align_corners=False)
    shares = pairs[:, None, ..., 0] * pairs[:, :, None, :, 1]
    return (read.unflatten(2, (4, side)) * shares.view(-1, 1, 4, side, side)).sum(2)


def _spline_coefficients(x: Tensor) -> Tensor:
    """Those of the B-splines whose sum goes through the pixels."""
    inverse, y = INVERSE.like(x), F.pad(x, [REACH] * 4, mode="replicate").flatten(0, 1)[:, None]
    y = F.conv2d(F.conv2d(y, inverse.view(1, 1, -1, 1)), inverse.view(1, 1, 1, -1))
    return y.view_as(x)


def nearest_squares(x: Tensor, angles: Tensor, side: int) -> Tensor:
    """The same, of the nearest pixel: what classes are turned by."""
    n = x.shape[-1]
    column, row = _places(angles, n, side).round().long().clamp(0, n - 1).unbind(-1)
    index = (n * row + column)[:, None].expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(-1, index).unflatten(-1, (side, side))


def _places(angles: Tensor, n: int, side: int) -> Tensor:
    """Where turned pixels come from, in pixels of the larger square: ``(batch, side^2, 2)``, column, row.

    Rows count downwards: column + i row, from the centre, is turned by ``e^(i angle)``.
    """
    along = torch.arange(side, device=angles.device, dtype=angles.dtype) - (side - 1) / 2
    square = torch.complex(*torch.broadcast_tensors(along, along[:, None])).flatten()
    turn = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turn[:, None] * square) + (n - 1) / 2


def inconsistency(logits: Tensor, angles: Tensor) -> Tensor:
    r"""How far logits of turned crops are from turned logits: the mean of ``(f(g x) - g f(x))^2``.

    Over the inner discs of crops x and their turns g, and over channels. Where a whole photograph has its
    logits, these are to stay as they are.

    Args:
        logits: ``(batch, channel, side, side)`` or ``(batch, channel)``, the last n those of the first n
            crops, turned.
        angles: ``(n,)``, by how many radians, counter-clockwise; n is at most half of the batch.
    """
    n = len(angles)
    upright, _, there = logits.split([n, len(logits) - 2 * n, n])
    if logits.dim() == 2:
        return (there - upright).square().mean()
    disc = inscribed_disc(*logits.shape[-2:], share=INSIDE, device=logits.device).to(logits)
    apart = there - turned_squares(upright, angles, logits.shape[-1])
    return (disc * apart.square()).mean() / disc.mean()


def inscribed_disc(*sides: int, share: float = 1.0, device: torch.device | None = None) -> Tensor:
    """The pixels that every turn of the image about its centre keeps inside; of so much of their radius.

    Of three sides a ball.
    """
    axes = [torch.arange(side, device=device) - (side - 1) / 2 for side in sides]
    spread = [x.view(-1, *[1] * (len(sides) - 1 - k)) for k, x in enumerate(axes)]
    return reduce(torch.hypot, spread) <= share * min(sides) / 2


def lattice_turns(steps: Sequence[float]) -> list[list[tuple[int, bool]]]:
    """The turns of a lattice that exchange axes of equal steps only, as `permuted` takes them.

    For each axis the one that is read along it, and whether backwards. In the plane these are the quarter
    turns as ``torch.rot90`` counts them; in space 24, 8 or 4, the identity first.
    """
    if len(steps) == 2:
        return [
            [(0, False), (1, False)],
            [(1, True), (0, False)],
            [(0, True), (1, True)],
            [(1, False), (0, True)],
        ]
    n = len(steps)
    found = []
    for order, signs in product(permutations(range(n)), product((False, True), repeat=n)):
        crossings = sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n))
        keeps = all(steps[a] == steps[b] for a, b in enumerate(order))
        if (crossings + sum(signs)) % 2 == 0 and keeps:
            found.append(list(zip(order, signs, strict=True)))
    return found


def turned_about(
    x: Float[Tensor, "channel *space"], degrees: float, axis: int
) -> tuple[Float[Tensor, "channel *space"], Bool[Tensor, "*space"]]:
    """A volume turned about an axis through its middle, and the cylinder about it that every turn keeps.

    From axis + 1 towards axis + 2 (cyclic), by the cubic splines of `turned_squares`, 0 beyond the edges, and
    bytes by the nearest; quarter turns permute voxels.
    """
    order = [0, axis + 1, (axis + 1) % 3 + 1, (axis + 2) % 3 + 1]
    back = [order.index(i) for i in range(4)]
    planes = x.permute(order)  # (channel, along the axis, two more)
    quarters = degrees / 90
    if quarters == round(quarters):
        planes = planes.rot90(round(quarters), (2, 3))
    else:
        planes = _turned_planes(planes, degrees)
    disc = inscribed_disc(*planes.shape[2:]).expand(planes.shape[1:])
    return planes.permute(back), disc.permute([i - 1 for i in back[1:]])


def _turned_planes(planes: Tensor, degrees: float) -> Tensor:
    """Each plane turned counter-clockwise about its middle, on as many samples as before."""
    height, width = planes.shape[2:]
    side = max(height, width)
    side += (side - height) % 2 if (side - height) % 2 == (side - width) % 2 else 0
    high, wide = side - height, side - width
    around = (wide // 2, wide - wide // 2, high // 2, high - high // 2)
    whole = F.pad(planes, around).flatten(0, 1)[None]
    angle = torch.tensor([degrees], dtype=torch.float64).deg2rad()
    turned = nearest_squares if whole.dtype == torch.uint8 else turned_squares
    square = turned(whole, angle, side)[0].unflatten(0, planes.shape[:2])
    return square[..., high // 2 : high // 2 + height, wide // 2 : wide // 2 + width]
