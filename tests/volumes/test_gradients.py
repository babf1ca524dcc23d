"""Correlations of volumes whose gradient is taken by planes, against torch's own."""

import pytest
import torch
import torch.nn.functional as F

from erlangen.engines import convolve as room
from erlangen.engines.convolve import convolve

CASES = {
    "five wide": (2, 3, (5, 6, 4), 5, 1, (2, 2, 2)),
    "three wide": (1, 2, (4, 5, 6), 3, 1, (1, 1, 1)),
    "even, a stride": (1, 2, (6, 7, 4), 4, 2, (1, 2, 1)),
    "seven wide": (2, 1, (6, 5, 7), 7, 1, (3, 3, 3)),
    "at one point": (1, 3, (4, 3, 5), 1, 1, (0, 0, 0)),
    "no padding": (1, 2, (5, 5, 6), 5, 1, (0, 0, 0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_gradients_of_depthwise_filters(name, piece, monkeypatch):
    monkeypatch.setattr(room, "PIECE", piece)
    batch, channels, size, width, stride, padding = CASES[name]
    torch.manual_seed(0)
    x = torch.randn(batch, channels, *size, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(channels, 1, *[width] * 3, dtype=torch.float64, requires_grad=True)
    ours = convolve(x, filters, stride, list(padding), 1, channels)
    theirs = F.conv3d(x, filters, None, stride, padding, 1, channels)
    torch.testing.assert_close(ours, theirs)
    g = torch.randn_like(ours)
    for a, b in zip(*(torch.autograd.grad(y, (x, filters), g) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_second_derivatives():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(2, 1, 5, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, f: convolve(x, f, 1, [2, 2, 2], 1, 2), (x, filters))
