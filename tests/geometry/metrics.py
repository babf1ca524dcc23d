"""Metrics that the tests share."""

import math

import torch

TURN = 2 * math.pi


def flat(x):
    return torch.eye(x.shape[-1], dtype=x.dtype).expand(*x.shape, -1)


def polar(x):
    r = x[..., 0]
    return torch.diag_embed(torch.stack([torch.ones_like(r), r**2], -1))


def torus(x):
    """The torus of revolution R = 2, r = 0.7: longitude, then the angle round the tube."""
    a = (2 + 0.7 * torch.cos(x[..., 1])) ** 2
    return torch.diag_embed(torch.stack([a, torch.full_like(a, 0.49)], -1))


def in_space(x):
    rho = 2 + 0.7 * torch.cos(x[..., 1])
    return torch.stack(
        [rho * torch.cos(x[..., 0]), rho * torch.sin(x[..., 0]), 0.7 * torch.sin(x[..., 1])], -1
    )


def bump(x):
    """The plane, stretched about (9, -7), so far from the origin that it is flat there to rounding."""
    far = (x - torch.tensor([9.0, -7.0]).to(x)).square().sum(-1)
    return (1 + torch.exp(-far))[..., None, None] * flat(x)


def stereographic(x):
    return (4 / (1 + x.square().sum(-1)) ** 2)[..., None, None] * flat(x)


def bent(x):
    """Other coordinates of a torus of periods (2 pi, 2 pi)."""
    return torch.stack([x[..., 0] + 0.3 * torch.sin(x[..., 1]), x[..., 1] + 0.2 * torch.sin(x[..., 0])], -1)


def in_bent(metric):
    """The same metric in those coordinates: ``J^T g(bent(x)) J``."""

    def pulled_back(x):
        one = torch.ones_like(x[..., 0])
        rows = [[one, 0.3 * torch.cos(x[..., 1])], [0.2 * torch.cos(x[..., 0]), one]]
        J = torch.stack([torch.stack(row, -1) for row in rows], -2)
        return J.mT @ metric(bent(x)) @ J

    return pulled_back
