"""Which samples are near: cell lists against all pairs."""

import math

import pytest
import torch

import erlangen as er
from erlangen.domains import nearest, within


def cloud(space, n):
    p = torch.randn(n, space.ambient, generator=torch.Generator().manual_seed(0)).double()
    return p / p.norm(dim=1, keepdim=True) if isinstance(space, er.Sphere) else p


@pytest.mark.parametrize("radius", [0.01, 0.3, 1.5, 3.2])
@pytest.mark.parametrize(
    "space",
    [er.Sphere(), er.Sphere(3), er.Euclidean(1), er.Euclidean(2, "isometries"), er.Euclidean(4)],
    ids=str,
)
def test_cells_find_the_pairs_that_a_search_of_all_finds(space, radius, monkeypatch):
    monkeypatch.setattr("erlangen.domains.neighbours.CHUNK", 500)
    p, q = cloud(space, 150), cloud(space, 260)[60:]
    d = space.distance(p[:, None], q[None])
    row, column = within(space, p, q, radius)
    expected = (d < radius).nonzero(as_tuple=True)
    assert torch.equal(row, expected[0])
    assert torch.equal(column, expected[1])
    assert len(row) > 0
    distance, index = nearest(space, p, q, 7)
    torch.testing.assert_close(distance, d.sort(1).values[:, :7])
    torch.testing.assert_close(d.gather(1, index), distance)


def test_spaces_whose_coordinates_say_nothing_are_searched_whole():
    space = er.FlatTorus((2.0, 2.0))
    p = torch.rand(50, 2).double() * 2
    row, column = within(space, p, p, 0.3)
    across = (p[row] - p[column]).abs().amax(-1) > 1
    assert bool(across.any()), "neighbours across the seam"
    assert torch.equal(nearest(space, p, p, 1)[1][:, 0], torch.arange(50))


def test_the_work_is_that_of_the_neighbourhoods(monkeypatch):
    """Distances are taken of a few times as many pairs as are near."""
    sphere, asked = er.Sphere(), []
    distance = sphere.distance
    sphere.distance = lambda p, q: (
        asked.append(torch.broadcast_shapes(p.shape, q.shape)[:-1]) or distance(p, q)
    )
    p = er.Sphere().fibonacci(4000).points
    row, _ = within(sphere, p, p, 0.1)
    assert len(row) < sum(map(math.prod, asked)) < 8 * len(row)
