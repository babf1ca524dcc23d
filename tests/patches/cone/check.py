"""The cone: what carrying does, the formula, and a network that does not mind a quarter turn of the paper."""

import math

import torch
from formula import off_the_formula

import erlangen as er
from erlangen.spaces import Cone

for cone, H in ((Cone(), "C4"), (Cone(1, 3), "C3"), (Cone(5, 6), "C6"), (Cone(2, 5), "C5")):
    assert str(cone.structure) == str(cone.holonomy()) == H

cone = Cone()
grid = cone.grid(5, 18)
u = cone.frames(grid.points)
v = 0.9 * torch.nn.functional.normalize(torch.randn(5, 18, 2).double(), dim=-1)
torch.testing.assert_close(cone.coordinates(u, cone.carry(u, v).point), v)

for fields in (("scalar", "scalar"), ("scalar", "regular"), ("regular", "scalar"), ("regular", "regular")):
    assert off_the_formula(grid, *fields, radius=0.9) < 1e-11


def quarter(p):
    """A right angle round the tip; the last quarter comes to lie on the first."""
    last = torch.atan2(p[..., 1], p[..., 0]) < -1e-9  # between pi and 3 pi / 2
    return torch.where(last[..., None], -p, torch.stack([-p[..., 1], p[..., 0]], -1))


net = er.models.UNet(grid, 1, 1, width=2, depth=0, radius=0.9).double()
f = torch.randn(1, 1, 5, 18).double()
net = er.verify.randomized(net, f)
assert math.isclose(float(grid.weights.sum()), 0.75 * math.pi * (3**2 - 1**2))
assert er.verify.isometry(net, quarter, f).defect < 1e-11
