"""Denoise signals on the hyperbolic plane; learned at the centre of the disc, tried near its edge.

Bumps of unit height lie somewhere on H^2, under noise; a network learns to give the bumps alone. Those of
training lie about the origin. Moved far away by an isometry, the same network finds them as well, since
correlations commute with SO+(1,2). The same layers on the flat picture of the plane, the Poincare disc, see
the moved bumps shrink, and fail.

    python examples/hyperbolic_denoising.py [steps]
"""

import math
import sys

import torch
from torch import nn

import erlangen as er
from erlangen.domains import Samples

BOOST = torch.linalg.matrix_exp(1.2 * torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]]).double())


def sunflower(count: int, radius: float) -> torch.Tensor:
    """Points of a disc of H^2, each with the same area about it."""
    i = torch.arange(count).double() + 0.5
    height, angle = 1 + (math.cosh(radius) - 1) * i / count, i * math.pi * (3 - 5**0.5)
    out = torch.sqrt(height**2 - 1)
    return torch.stack([height, out * angle.cos(), out * angle.sin()], -1)


def bumps(points: torch.Tensor, count: int, moved: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy signals and clean ones, three bumps each, ``(count, 1, points)``."""
    centres = er.groups.SO(1, 2).sample(3 * count, radius=1.0, seed=int(torch.randint(10**6, ())))[..., 0]
    centres = centres @ BOOST.T if moved else centres
    cosh = centres[:, :1] * points[:, 0] - centres[:, 1:] @ points[:, 1:].T
    clean = torch.exp(-torch.acosh(cosh.clamp_min(1.0)) ** 2 / 0.1).view(count, 3, -1).sum(1, keepdim=True).float()
    return clean + 0.5 * torch.randn_like(clean), clean


def main(steps: int = 200) -> dict[str, tuple[float, float]]:
    torch.manual_seed(0)
    points = sunflower(900, 2.4)
    area = torch.full((900,), 2 * math.pi * (math.cosh(2.4) - 1) / 900)
    flat = points[:, 1:] / (1 + points[:, :1])  # the Poincare disc, and its own measure
    shrunk = area * ((1 - flat.square().sum(-1)) / 2) ** 2
    errors = {}
    for name, domain, radius in (
        ("hyperbolic", Samples(er.Hyperbolic(), points, area), 0.7),
        ("flat picture", Samples(er.Euclidean(2, "roto-translations"), flat, shrunk), 0.35),
    ):
        layers = [er.nn.Correlation(domain, a, b, radius=radius) for a, b in ((1, 8), (8, 8), (8, 1))]
        net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        for _ in range(steps):
            noisy, clean = bumps(points, 16, moved=False)
            loss = (net(noisy) - clean).square().mean()
            optimizer.zero_grad(), loss.backward(), optimizer.step()
        with torch.no_grad():
            tries = [bumps(points, 64, moved) for moved in (False, True)]
            errors[name] = tuple(float((net(x) - y).norm() / y.norm()) for x, y in tries)
        print(f"{name:13} error at the centre {errors[name][0]:.1%}, moved by 1.2: {errors[name][1]:.1%}")
    return errors


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
