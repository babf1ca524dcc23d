"""Atlases that the tests share, and the same spaces without one."""

from functools import cache

import torch
from metrics import TURN, flat, stereographic, torus

import erlangen as er

HALF = 1.5  # of the box about each pole


def inverted(x):
    return x / x.square().sum(-1, keepdim=True)


@cache
def sphere(**options):
    """Two stereographic charts, from the north pole and from the south pole."""
    cap = er.Chart(stereographic, 2, bounds=((-HALF, HALF),) * 2)
    return er.Atlas([cap, cap], {(0, 1): inverted, (1, 0): inverted}, **options)


def on_sphere(p):
    """From the atlas to the unit vectors."""
    x, square = p[..., 1:], p[..., 1:].square().sum(-1, keepdim=True)
    z = (1 - square) * (1 - 2 * p[..., :1])
    return torch.cat([2 * x, z], -1) / (1 + square)


def from_sphere(p):
    """From unit vectors to the atlas."""
    south = (p[..., 2:] < 0).to(p)
    return torch.cat([south, p[..., :2] / (1 + p[..., 2:].abs())], -1)


def arc(low):
    """Where an angle lies in the arc that begins at low."""
    return lambda t: low + torch.remainder(t - low, TURN)


@cache
def torus_of_charts(**options):
    """The torus of revolution from 2 x 2 rectangles of angles."""
    lows = [(-0.3 + i * TURN / 2, -0.4 + j * TURN / 2) for i in range(2) for j in range(2)]
    charts = [
        er.Chart(torus, 2, bounds=tuple((low, low + TURN / 2 + 0.9) for low in corner)) for corner in lows
    ]

    def phi(corner):
        one, other = (arc(low) for low in corner)
        return lambda x: torch.stack([one(x[..., 0]), other(x[..., 1])], -1)

    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    return er.Atlas(charts, {(a, b): phi(lows[b]) for a, b in pairs}, **options)


def on_chart(p):
    """From that atlas to the periodic chart."""
    return torch.remainder(p[..., 1:], TURN)


@cache
def strip(**options):
    """The flat Moebius strip (length 2, width 1) from two rectangles."""
    one = er.Chart(flat, 2, bounds=((-0.3, 1.3), (-0.5, 0.5)), steps=1)
    other = er.Chart(flat, 2, bounds=((0.7, 2.3), (-0.5, 0.5)), steps=1)
    mirror = torch.tensor([1.0, -1.0]).double()

    def there(x):
        shift = torch.tensor([2.0, 0.0]).double()
        return torch.where(x[..., :1] > 0.5, x, x * mirror.to(x) + shift.to(x))

    def back(x):
        shift = torch.tensor([2.0, 0.0]).double()
        return torch.where(x[..., :1] < 1.5, x, (x - shift.to(x)) * mirror.to(x))

    return er.Atlas([one, other], {(0, 1): there, (1, 0): back}, steps=2, **options)


def in_plane(p):
    """From that atlas to the flat strip's own coordinates."""
    return er.Moebius(2.0, 1.0).home(p[..., 1:])
