"""Straight lines of coordinates: frames, coordinates and lengths along them, to second order."""

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.spaces.metric import inverse, orthonormal
from erlangen.spaces.metric_field import MetricField


def carried_straight(field: MetricField, u: Frame, q: Float[Tensor, "*#batch n"]) -> Frame:
    """Along the straight line of coordinates, by the mean of the connection at both ends."""
    u, q = field.aligned(u, q)
    d = q - u.point
    half = (field.along(u.point, d) + field.along(q, d)) / 4
    one = torch.eye(field.dim).to(half)
    E = inverse(one + half) @ (one - half) @ u.basis
    return field.decks.home(Frame(q, orthonormal(field(q), E)))


def seen_straight(field: MetricField, u: Frame, q: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*batch n"]:
    """``d + Gamma(d, d) / 2`` for the difference of coordinates d; far away bent by no more than d / 2."""
    u, q = field.aligned(u, q)
    d = q - u.point
    bend = (field.along(u.point, d) @ d[..., None])[..., 0] / 2
    straight, bent = (inverse(u.basis) @ torch.stack([d, bend], -1)).unbind(-1)
    size = [x.norm(dim=-1, keepdim=True).clamp_min(1e-300) for x in (straight, bent)]
    return straight + bent * (size[0] / (2 * size[1])).clamp(max=1)


def straight_lengths(
    field: MetricField, p: Float[Tensor, "k n"], q: Float[Tensor, "l n"], i: Tensor, j: Tensor
) -> Float[Tensor, "*e"]:
    """The lengths, at p, of the differences of coordinates between the points p_i and q_j."""
    g = field(p)
    short, g, p = field.decks.translations(g)[i], g[i], field.home(p)[i]
    d = field.decks.nearest_image(g, p, field.home(q)[j], short) - p
    return (d[..., None, :] @ g @ d[..., None])[..., 0, 0].clamp_min(0).sqrt()
