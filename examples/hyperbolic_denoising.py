"""Denoise bumps on the hyperbolic plane; learned at the centre of the disc, tried near its edge.

Moved by an isometry they are found as well, since correlations commute with SO+(1,2). The same layers on the
flat picture of the plane, the Poincare disc, see the moved bumps shrink, and fail.
"""

import math

import torch
from torch import Tensor, nn

import erlangen as er

COUNT, RADIUS = 900, 2.4
BOOST = er.groups.SO(1, 2).exp(torch.tensor([1.2, 0.0, 0.0]).double())


def sunflower() -> Tensor:
    """Points of a disc of H^2, each with the same area about it."""
    i = torch.arange(COUNT).double() + 0.5
    height, angle = 1 + (math.cosh(RADIUS) - 1) * i / COUNT, i * math.pi * (3 - 5**0.5)
    out = (height**2 - 1).sqrt()
    return torch.stack([height, out * angle.cos(), out * angle.sin()], -1)


def bumps(points: Tensor, count: int, moved: bool) -> tuple[Tensor, Tensor]:
    """Noisy signals and clean ones of three bumps each, ``(count, 1, points)``."""
    g = er.groups.SO(1, 2).sample(3 * count, radius=1.0, seed=int(torch.randint(10**6, ())))
    centres = (BOOST @ g if moved else g)[..., 0]
    cosh = centres[:, :1] * points[:, 0] - centres[:, 1:] @ points[:, 1:].T
    clean = torch.exp(-10 * cosh.clamp_min(1.0).acosh() ** 2).float().view(count, 3, -1).sum(1, keepdim=True)
    return clean + 0.5 * torch.randn_like(clean), clean


def main(steps: int = 200) -> dict[str, list[float]]:
    torch.manual_seed(0)
    points, found = sunflower(), {}
    area = torch.full((COUNT,), 2 * math.pi * (math.cosh(RADIUS) - 1) / COUNT)
    flat = points[:, 1:] / (1 + points[:, :1])  # the Poincare disc, with the areas of the picture
    shrunk = area * ((1 - flat.square().sum(-1)) / 2) ** 2
    picture = er.domains.Samples(er.Euclidean(2, "roto-translations"), flat, shrunk)
    for domain, radius in ((er.domains.Samples(er.Hyperbolic(), points, area), 0.7), (picture, 0.35)):
        k = [er.nn.Correlation(domain, a, b, radius=radius) for a, b in ((1, 8), (8, 8), (8, 1))]
        normed = [nn.Sequential(layer, er.nn.Norm(domain, 8), nn.ReLU()) for layer in k[:2]]
        net = nn.Sequential(*normed, k[2])
        optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
        for _ in range(steps):
            x, y = bumps(points, 16, moved=False)
            optimizer.zero_grad()
            (net(x) - y).square().mean().backward()
            optimizer.step()
        tries = (bumps(points, 64, moved) for moved in (False, True))
        errors = [float((net.eval()(x) - y).detach().norm() / y.norm()) for x, y in tries]
        found[type(domain.geometry).__name__] = errors
    return found


if __name__ == "__main__":
    print("errors at the centre and moved:", main())  # noqa: T201
