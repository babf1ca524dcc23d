"""The fibre of a cube: any rotation turns what is in the band; a cube's turns turn networks exactly."""

import torch
from formula import off_the_formula

import erlangen as er
from erlangen.domains import Grid, Samples
from erlangen.groups import SO, CubeFibre

fibre = CubeFibre()
h, g = SO(3).exp(torch.randn(2, 8, 3).double())
band = fibre.lowpass(1)
torch.testing.assert_close(fibre.regular(h @ g) @ band, fibre.regular(h) @ fibre.regular(g) @ band)
torch.testing.assert_close(fibre.regular(fibre.elements[3]).sum(0), torch.ones(24).double())

space = er.Euclidean(3, "roto-translations")
pair = Grid(space, (2, 1, 1), torch.eye(3), fibre=fibre)
for fields in (("scalar", "regular"), ("regular", "scalar")):
    assert off_the_formula(pair, *fields, radius=1.5, rings=2) < 1e-11

cloud = Samples(space, torch.rand(9, 3), torch.ones(9), fibre=fibre)
for out_field in ("scalar", "regular"):
    layer = er.nn.Correlation(cloud, 1, 2, radius=2.0, in_field="regular", out_field=out_field)
    assert er.verify.gauge(layer.double(), turns="any").defect < 1e-11

grid = Grid(space, (3, 3, 3), torch.eye(3), fibre=fibre)
net = er.models.UNet(grid, 1, 1, width=2, depth=0, kernel_size=3).double()
f = torch.randn(1, 1, 3, 3, 3).double()
net = er.verify.randomized(net, f)
for turn in er.groups.cube().components[[5, 17]]:
    moved = torch.block_diag(turn, torch.eye(1).double())
    torch.testing.assert_close(net(grid.act(moved, f)), grid.act(moved, net(f)))
