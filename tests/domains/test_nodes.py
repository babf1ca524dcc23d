"""Sums over shared nodes: what is computed at once is what is computed entry by entry."""

from dataclasses import replace
from functools import partial

import pytest
import torch

import erlangen as er
from erlangen.domains.builders import gather
from erlangen.engines.folding import folded
from erlangen.geometry import Frame
from erlangen.spaces.chart_grid import turns_between
from erlangen.spaces.metric import inverse

TURN = 2 * torch.pi


def skew(x):
    """A metric whose axes are not perpendicular."""
    a, b = (2 + x[..., 1].cos()) ** 2, 0.3 * x[..., 0].sin()
    return torch.stack([torch.stack([a, b], -1), torch.stack([b, torch.ones_like(b)], -1)], -2)


CHARTS = {
    "closed": partial(er.Chart, skew, 2, periods=(TURN, TURN), steps=2),
    "with edges": partial(er.Chart, skew, 2, bounds=((0.0, 3.0), (0.0, 2.0)), steps=2),
}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_turns_on_a_surface_are_those_of_any_space(name, side):
    """Number by number as by matrices, in frames of either side."""
    space = CHARTS[name]()
    domain = space.grid(9, 8, nodes=4)
    p = domain.points.flatten(0, -2) + 0.05 * torch.rand(72, 2, dtype=torch.float64)
    u = Frame(p, space.frames(p).basis @ torch.diag(torch.tensor([1.0, side], dtype=torch.float64)))
    reading, frames = domain.interpolation, domain.frames.flat
    index, weight, h = reading.transported(space, frames, u)
    expected, share, E, sides = reading.carried(u)
    turns = turns_between(space.structure, inverse(frames.basis), expected, E, sides)
    torch.testing.assert_close(index, expected, rtol=0, atol=0)
    torch.testing.assert_close(weight, share, rtol=0, atol=0)
    torch.testing.assert_close(h, turns, rtol=0, atol=1e-13)
    assert float((torch.linalg.det(h) - side).abs().max()) < 1e-12


@pytest.mark.parametrize(("in_field", "out_field"), [("regular", "regular"), ("vector", "scalar")])
def test_entries_that_share_nodes_are_added_up_as_others(in_field, out_field):
    domain = CHARTS["closed"]().grid(9, 8, rotations=4, nodes=4)
    layer = er.nn.Correlation(domain, 1, 1, radius=0.8, in_field=in_field, out_field=out_field)
    basis = domain.basis(layer.spec)
    blocks = list(gather(domain.sampling, 0.8, count=4))
    each = [replace(block, v=block.v[block.node], node=None) for block in blocks]
    at_once, one_by_one = folded(basis, blocks), folded(basis, each)
    assert len(at_once.row) > 0
    for found, expected in zip(at_once[:4], one_by_one[:4], strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
