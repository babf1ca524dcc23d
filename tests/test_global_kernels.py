"""The spectral engine against the formula summed literally, between all types of fields."""

import math

import pytest
import torch
from spaces import field_shape
from test_engines import literal_kernel

import erlangen as er
from erlangen.domains import KernelSpec

FIELDS = ["scalar", "regular", "vector", "sign"]


@pytest.mark.parametrize("in_field", FIELDS)
@pytest.mark.parametrize("out_field", FIELDS)
def test_engine_is_the_formula(in_field, out_field):
    ball = er.Sphere().grid(3, 6, rotations=4)
    engine = ball.engine(KernelSpec(in_field, out_field, radius=math.inf, rings=2))
    f = torch.randn(1, 2, *field_shape(ball, in_field), dtype=torch.float64)
    w = torch.randn(2, 2, len(engine.power), dtype=torch.float64)
    y = engine.apply(f, w)
    expected = torch.zeros_like(y)
    for o in range(2):
        for c in range(2):
            kernel = literal_kernel(engine.basis, w[o, c], in_field, out_field)
            expected[:, o] += er.correlate(ball, kernel, f[:, c], in_field=in_field, out_field=out_field)
    assert float(expected.abs().max()) > 1e-2
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
