"""The cubed sphere: areas, the formula, global layers, and a network under the turns of the cube."""

import math

import torch
from formula import off_the_formula

import erlangen as er
from erlangen.spaces import cubed_sphere

ball = cubed_sphere(4, rotations=3)
z = ball.points[..., 2]
assert math.isclose(float(ball.weights.sum()), 4 * math.pi)
assert math.isclose(float((ball.weights * z**2).sum()), 4 * math.pi / 3, rel_tol=0.01)
assert off_the_formula(ball, "scalar", "regular", radius=0.9) < 1e-11

smooth = cubed_sphere(6, degrees=8)
f = torch.randn(1, 1, 6, 6, 6).double()
f = smooth.synthesize(smooth.analyze(f))
everywhere = er.nn.Correlation(smooth, 1, 1).double()
turn = er.groups.SO(3).exp(torch.randn(3).double())
torch.testing.assert_close(everywhere(smooth.act(turn, f)), smooth.act(turn, everywhere(f)))

ball = cubed_sphere(4)
net = er.models.UNet(ball, 1, 1, width=2, depth=1, radius=0.9).double()
f = torch.randn(1, 1, 6, 4, 4).double()
net = er.verify.randomized(net, f)
for turn in er.groups.cube().components[[5, 17]]:
    torch.testing.assert_close(net(ball.act(turn, f)), ball.act(turn, net(f)))
