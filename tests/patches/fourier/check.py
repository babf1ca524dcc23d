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

with pytest.raises(ValueError, match="expected a grid without edges, mirrors and strides"):
    er.Moebius(7.0, 6.0).grid(7, 6).engine(KernelSpec(radius=2.5, rings=3, engine=fourier))
