"""The hexagonal torus: distances, the formula, and a network that commutes with turns by 60 degrees."""

import math

import torch
from formula import off_the_formula

import erlangen as er
from erlangen.spaces import HexagonalTorus

torus = HexagonalTorus(8.0)
grid = torus.grid(8, 8)
assert str(torus.holonomy()) == "trivial"
assert math.isclose(float(grid.weights.sum()), 64 * math.sqrt(0.75))
six = grid.points[[1, 0, 7, 7, 0, 1], [0, 1, 1, 0, 7, 7]]  # as far as each other
torch.testing.assert_close(torus.distance(grid.points[0, 0], six), torch.ones(6).double())

small = torus.grid(4, 4)
for fields in (("scalar", "scalar"), ("scalar", "regular"), ("regular", "scalar"), ("regular", "regular")):
    assert off_the_formula(small, *fields, radius=2.5) < 1e-11

net = er.models.UNet(grid, 1, 1, width=2, depth=1, radius=1.9).double()
f = torch.randn(1, 1, 8, 8).double()
net = er.verify.randomized(net, f)
turn = torch.block_diag(torus.structure.components[1], torch.eye(1))
torch.testing.assert_close(net(grid.act(turn, f)), grid.act(turn, net(f)))
