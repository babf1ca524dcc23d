"""What lies close by on a chart, to second order: frames, coordinates, distances, without a geodesic."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.geometry import Frame
from erlangen.spaces.metric import inverse, orthonormal

if TYPE_CHECKING:
    from erlangen.spaces.chart import Chart


def carried_straight(chart: "Chart", u: Frame, q: Float[Tensor, "*#batch n"]) -> Frame:
    """Along the straight line of coordinates, by the mean of the connection at both ends."""
    u, q = chart._aligned(u, q)
    d = q - u.point
    half = (chart._along(u.point, d) + chart._along(q, d)) / 4
    one = torch.eye(chart.dim).to(half)
    return chart.glue(Frame(q, orthonormal(chart.metric(q), inverse(one + half) @ (one - half) @ u.basis)))


def seen_straight(chart: "Chart", u: Frame, q: Float[Tensor, "*#batch n"]) -> Float[Tensor, "*batch n"]:
    """``d + Gamma(d, d) / 2`` for the difference of coordinates d; far away bent by no more than d / 2."""
    u, q = chart._aligned(u, q)
    d = q - u.point
    bend = (chart._along(u.point, d) @ d[..., None])[..., 0] / 2
    straight, bent = chart.components(u, torch.stack([d, bend], -1)).unbind(-1)
    size = [x.norm(dim=-1, keepdim=True).clamp_min(1e-300) for x in (straight, bent)]
    return straight + bent * (size[0] / (2 * size[1])).clamp(max=1)


def straight_lengths(
    chart: "Chart", p: Float[Tensor, "k n"], q: Float[Tensor, "l n"], i: Tensor, j: Tensor
) -> Float[Tensor, "*e"]:
    """The lengths, at p, of the differences of coordinates between the points p_i and q_j."""
    g = chart.metric(p)
    short, g, p = chart.decks.translations(g)[i], g[i], chart.home(p)[i]
    d = chart.decks.nearest_image(g, p, chart.home(q)[j], short) - p
    return (d[..., None, :] @ g @ d[..., None])[..., 0, 0].clamp_min(0).sqrt()
