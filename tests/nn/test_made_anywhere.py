"""Layers made, or first used, under inference mode or for another device: what they share trains after it."""

from contextlib import nullcontext
from functools import cache

import pytest
import torch

import erlangen as er

DOMAINS = {  # name: how it is made, the radius of kernels, the shape of a field
    "plane": (lambda: er.Plane(rotations=8), 2.0, (10, 10)),
    "strip": (lambda: er.Moebius(8.0, 6.0, symmetry="isometries").grid(8, 6), 1.5, (8, 6)),
    "Gauss-Legendre": (lambda: er.Sphere().grid(6, rotations=3), None, (6, 12)),
    "HEALPix": (lambda: er.Sphere().healpix(2, degrees=4, rotations=3), None, (48,)),
    "scattered": (lambda: er.Sphere().fibonacci(40, rotations=3), 1.0, (40,)),
    "masked": (
        lambda: er.Sphere().grid(6, rotations=3).masked(torch.arange(72).view(6, 12) > 9),
        1.0,
        (6, 12),
    ),
    "ellipsoid": (lambda: er.Ellipsoid((1.0, 1.2, 1.5)).grid(6, rotations=3, nodes=4), 0.8, (6, 12)),
}


def network(domain, radius: float | None) -> torch.nn.Module:
    kernel = {} if radius is None else {"radius": radius}
    both = {"in_field": domain.default_field, "out_field": domain.default_field}
    lift = er.nn.Correlation if domain.fibre is None else er.nn.Lift
    return torch.nn.Sequential(
        lift(domain, 1, 2, **kernel),
        er.nn.Norm(domain, 2),
        er.nn.ReLU(domain),
        er.nn.Correlation(domain, 2, 2, **kernel, **both),
        er.nn.Gated(domain, 2),
        er.nn.Down(domain),
        er.nn.Project(domain.coarser()) if domain.fibre is not None else torch.nn.Identity(),
    )


@cache
def field_and_answer(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a network that was made and used as usual."""
    make, radius, shape = DOMAINS[name]
    torch.manual_seed(0)
    net, f = network(make(), radius), torch.randn(2, 1, *shape)
    return f, net(f).detach()


@pytest.mark.parametrize("place", ["inference", "meta", "first forward"])
@pytest.mark.parametrize("name", DOMAINS)
def test_trains_afterwards(name, place):
    make, radius, _ = DOMAINS[name]
    f, expected = field_and_answer(name)
    domain = make()
    with {"inference": torch.inference_mode(), "meta": torch.device("meta")}.get(place, nullcontext()):
        network(domain, radius)
    torch.manual_seed(0)
    net = network(domain, radius)
    if place == "first forward":
        with torch.inference_mode():
            net.eval()(f)
    y = net.train()(f)
    y.square().sum().backward()
    assert torch.equal(y, expected)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
