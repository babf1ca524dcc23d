"""Deck transformations ``x -> A x + period e_axis``: what glues a chart to itself."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame

Deck = tuple[int, float, Tensor]  # axis, period, A


def image(deck: Deck, x: Tensor, times: int) -> Tensor:
    """x once round an axis, or once back."""
    axis, period, A = deck
    shift = torch.zeros_like(x)
    shift[..., axis] = times * period
    power = torch.linalg.matrix_power(A, times).to(x)
    return (power @ x[..., None])[..., 0] + shift


def _power(A: Tensor, k: Tensor) -> Tensor:
    """A^k for whole numbers k of any shape."""
    values, index = torch.unique(k, return_inverse=True)
    powers = torch.stack([torch.linalg.matrix_power(A, int(value)) for value in values])
    return powers.to(k)[index]


def glued(decks: Sequence[Deck], u: Frame) -> Frame:
    """The frame of the cover, brought to where axes with a period lie in [0, period)."""
    point, basis = u.point, u.basis.expand(*u.point.shape[:-1], -1, -1)
    for axis, period, A in decks:
        turns = torch.floor(point[..., axis] / period)
        turns = turns + (point[..., axis] - turns * period >= period)  # a rounding below zero
        if bool((turns != 0).any()):
            power = _power(A, -turns)
            shift = torch.zeros_like(point)
            shift[..., axis] = turns * period
            point, basis = (power @ (point - shift)[..., None])[..., 0], power @ basis
    return Frame(point, basis)


def nearest_image(
    decks: Sequence[Deck], g: Float[Tensor, "*#batch n n"], p: Float[Tensor, "*#batch n"], q: Tensor
) -> Float[Tensor, "*batch n"]:
    """The image of q nearest to p, both at home, as the metric g measures it."""
    nearest, best = q, torch.full(torch.broadcast_shapes(p.shape, q.shape)[:-1], math.inf).to(q)
    for copies in itertools.product((0, 1, -1), repeat=len(decks)):
        candidate = q
        for deck, copy in reversed(list(zip(decks, copies, strict=True))):
            candidate = image(deck, candidate, copy)
        d = candidate - p
        length = (d[..., None, :] @ g @ d[..., None])[..., 0, 0]
        closer = length < best * (1 - 1e-12)  # ties are ties but for rounding
        nearest = torch.where(closer[..., None], candidate, nearest)
        best = torch.where(closer, length, best)
    return nearest
