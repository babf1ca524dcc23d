"""The Fourier engine: the formula, the answers of the lattice engine, gradients, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from formula import off_the_formula

import erlangen as er
from erlangen.domains import KernelSpec
from erlangen.engines import fourier

grid = er.FlatTorus((7.0, 6.0), symmetry="isometries").grid(7, 6)
for fields in (("scalar", "scalar"), ("scalar", "regular"), ("regular", "scalar"), ("regular", "regular")):
    assert off_the_formula(grid, *fields, radius=2.5, engine=fourier) < 1e-11

for more in ({}, {"depthwise": True}):
    spec = KernelSpec("regular", "regular", radius=2.5, rings=3, **more)
    ours, theirs = grid.engine(replace(spec, engine=fourier)), grid.engine(spec)
    torch.testing.assert_close(ours.power, theirs.power)
    groups = 4 if more else 2
    f = torch.randn(2, 4, len(grid.fibre), 7, 6, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 4 // groups, len(ours.power), dtype=torch.float64, requires_grad=True)
    answers = [engine.apply(f, w, groups) for engine in (ours, theirs)]
    torch.testing.assert_close(*answers)
    pushed = [torch.autograd.grad(y.square().sum(), (f, w)) for y in answers]
    torch.testing.assert_close(*pushed)

hexagonal = er.FlatTorus(lattice=torch.tensor([[6.0, 0.0], [3.0, 27.0**0.5]])).grid(6, 6)
ours, theirs = (
    er.nn.Correlation(hexagonal, 2, 3, radius=2.5, engine=engine) for engine in (fourier, "lattice")
)
theirs.load_state_dict(ours.state_dict())
f = torch.randn(1, 2, 6, 6)
torch.testing.assert_close(ours(f), theirs(f))

with pytest.raises(ValueError, match="expected a grid without edges, mirrors and strides"):
    er.nn.Correlation(er.Moebius(7.0, 6.0).grid(7, 6), 1, 1, radius=2.5, engine=fourier)
