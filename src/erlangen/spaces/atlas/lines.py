"""Straight lines of coordinates, and how long they are."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.spaces.atlas.cover import Cover

# of Gauss, on [0, 1]
NODES = (
    (0.046910077030668, 0.1184634425280945),
    (0.2307653449471585, 0.2393143352496833),
    (0.5, 0.2844444444444444),
    (0.7692346550528415, 0.2393143352496833),
    (0.953089922969332, 0.1184634425280945),
)


def length(cover: Cover, b: int, x: Float[Tensor, "k n"], y: Float[Tensor, "k n"]) -> Float[Tensor, "k"]:
    """Of the lines from x to y in chart b."""
    d, total = y - x, torch.zeros_like(x[..., 0])
    for t, weight in NODES:
        g = cover.charts[b].metric(x + t * d)
        total = total + weight * torch.einsum("ki,kij,kj->k", d, g, d).clamp_min(0.0).sqrt()
    return total


def lengths(cover: Cover, p: Float[Tensor, "k m"], q: Float[Tensor, "s m"]) -> Float[Tensor, "k s"]:
    """Of the lines from p to q the shortest, in whichever chart that is; inf where none holds both."""
    best = torch.full((len(p), len(q)), torch.inf, dtype=p.dtype)
    for b in range(len(cover.charts)):
        x, y = cover.seen_in(b, p), cover.seen_in(b, q)
        i, j = (cover.inside(b, x)[:, None] & cover.inside(b, y)).nonzero().unbind(-1)
        best[i, j] = torch.minimum(best[i, j], length(cover, b, x[i], y[j]))
    return best


def length_of(cover: Cover, polygon: Float[Tensor, "k m"]) -> float:
    """Of the lines from point to point."""
    return float(lengths(cover, polygon[:-1], polygon[1:]).diagonal().sum())
