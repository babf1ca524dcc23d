"""Squares turned about their centres, as tensors, and how alike logits turn with them."""

import torch
import torch.nn.functional as F
from torch import Tensor

INSIDE = 0.8  # of the radius of a crop's disc: nearer to its border a turn brings in what the crop had not
POLE = 3**0.5 - 2  # by which the inverse of a cubic B-spline's samples falls off
REACH = 10  # samples, beyond which it is below 1e-5


def turned_squares(x: Tensor, angles: Tensor, side: int) -> Tensor:
    """The squares of a side in the middle of larger ones, each turned counter-clockwise by its own angle.

    Cubic B-splines through the pixels, 0 beyond them: waves of six pixels come out right to 0.2 %.
    A spline's four weights on an axis are read as two pairs, each a place between two pixels.

    Args:
        x: ``(batch, channel, n, n)``.
        angles: ``(batch,)``, in radians.
        side: of the result, at most n.

    Returns:
        ``(batch, channel, side, side)``.

    Reference: Unser, Aldroubi & Eden 1993 (the coefficients); Ruijters et al. 2008 (the pairs).
    """
    n, batch = x.shape[-1], len(x)
    place = _places(angles, n, side)
    low = place.floor()
    t = place - low
    s = 1 - t
    outer = torch.stack([s**3, t**3]) / 6  # at -1 and 2
    inner = 2 / 3 - torch.stack([t, s]).square() * (2 - torch.stack([t, s])) / 2  # at 0 and 1
    pairs = inner + outer  # (2, batch, side^2, axis)
    places = low + torch.stack([-outer[0] / pairs[0], 1 + outer[1] / pairs[1]])
    row, column = torch.broadcast_tensors(places[:, None, ..., 0], places[None, ..., 1])
    grid = (2 * torch.stack([column, row], -1) + 1) / n - 1
    read = F.grid_sample(
        _spline_coefficients(x).repeat(4, 1, 1, 1), grid.view(-1, side, side, 2).to(x), align_corners=False
    )
    weight = (pairs[:, None, ..., 0] * pairs[None, ..., 1]).view(4, batch, 1, side, side).to(x)
    return (weight * read.view(4, batch, -1, side, side)).sum(0)


def _spline_coefficients(x: Tensor) -> Tensor:
    """Those of the B-splines whose sum goes through the pixels."""
    far = torch.arange(-REACH, REACH + 1, device=x.device).abs()
    inverse = (-6 * POLE / (1 - POLE**2) * POLE**far).to(x)
    y = F.pad(x.flatten(0, 1)[:, None], [REACH] * 4, mode="replicate")
    y = F.conv2d(F.conv2d(y, inverse.view(1, 1, -1, 1)), inverse.view(1, 1, 1, -1))
    return y.view_as(x)


def nearest_squares(x: Tensor, angles: Tensor, side: int) -> Tensor:
    """The same, of the nearest pixel: what classes are turned by."""
    n = x.shape[-1]
    nodes = _places(angles, n, side).round().long().clamp(0, n - 1)
    index = (n * nodes[..., 0] + nodes[..., 1])[:, None].expand(-1, x.shape[1], -1)
    return x.flatten(2).gather(-1, index).unflatten(-1, (side, side))


def _places(angles: Tensor, n: int, side: int) -> Tensor:
    """Where turned pixels come from, in pixels of the larger square: ``(batch, side^2, 2)``, row, column."""
    along = torch.arange(side, device=angles.device, dtype=angles.dtype) - (side - 1) / 2
    y, x = (t.flatten() for t in torch.meshgrid(along, along, indexing="ij"))
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    return torch.stack([sin * x + cos * y, cos * x - sin * y], -1) + (n - 1) / 2


def inconsistency(logits: Tensor, angles: Tensor) -> Tensor:
    r"""How far logits of turned crops are from turned logits: the mean of ``(f(g x) - g f(x))^2``.

    Over the inner discs of crops x and their turns g, and over channels. Where a whole photograph has its
    logits, these are to stay as they are.

    Args:
        logits: ``(2 n, channel, side, side)`` or ``(2 n, channel)``, the second half those of the first
            half's crops, turned.
        angles: ``(n,)``, by how many radians, counter-clockwise.
    """
    upright, there = logits.chunk(2)
    if logits.dim() == 2:
        return (there - upright).square().mean()
    disc = inscribed_disc(*logits.shape[-2:], share=INSIDE, device=logits.device).to(logits)
    apart = there - turned_squares(upright, angles, logits.shape[-1])
    return (disc * apart.square()).mean() / disc.mean()


def inscribed_disc(
    height: int, width: int, *, share: float = 1.0, device: torch.device | None = None
) -> Tensor:
    """The pixels that every turn of the image about its centre keeps inside; of so much of their radius."""
    y = torch.arange(height, device=device) - (height - 1) / 2
    x = torch.arange(width, device=device) - (width - 1) / 2
    return torch.hypot(y[:, None], x[None, :]) <= share * min(height, width) / 2
