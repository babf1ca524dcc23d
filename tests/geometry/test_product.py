"""Products are moved by what moves their factors."""

import pytest
import torch

import erlangen as er

TURN = 2 * torch.pi


def space():
    return er.Product(er.Sphere(), er.FlatTorus((TURN,)))


def move(turn, shift):
    g = torch.eye(5, dtype=torch.float64)
    g[:3, :3] = er.groups.SO(3).exp(torch.tensor(turn).double())
    g[3, 4] = shift
    return g


def test_the_group_is_that_of_the_factors():
    product = er.Product(er.Euclidean(2, "isometries"), er.Hyperbolic())
    assert str(product.group) == "E(2) x SO+(1,2)"
    assert str(product.stabilizer()) == "SO(2) x O(2)"
    H = product.stabilizer()
    assert bool((product.group.defect(torch.cat([H.exp(torch.eye(2).double()), H.components])) < 1e-9).all())
    assert space().stabilizer().is_infinite
    with pytest.raises(ValueError, match=r"Sphere.* x Moebius.* names no group of matrices"):
        er.Product(er.Sphere(), er.Moebius()).stabilizer()


def test_frames_move_many_at_a_time_and_one_by_one():
    product = space()
    p, _ = product.own_samples(20)
    u = product.frames(p)
    g = torch.stack([move([0.3, 0.1, -0.2], 1.0), move([0.0, 1.0, 0.0], 2.0)])
    many = product.act(g[:, None], u)
    for number, each in enumerate(g):
        moved = product.act(each, u)
        torch.testing.assert_close(many.point[number], moved.point)
        torch.testing.assert_close(many.basis[number], moved.basis)
    s = product.section(p)
    torch.testing.assert_close(product.home(product.act(s, product.frames(product.origin)).point), p)


def test_kernels_move_over_products():
    product = space()
    p = torch.tensor([0.6, 0.0, 0.8, 2.0], dtype=torch.float64)
    kernel = er.kernels.moved(product, lambda q: torch.exp(3 * q[..., 2]) * torch.cos(q[..., 3]), p)
    expected = torch.exp(torch.tensor(3.0)).double()
    torch.testing.assert_close(kernel(p[None])[0], expected)


def test_the_symmetries_of_samples_are_found():
    product = space()
    grid = product.grid(er.Sphere().grid(3, 4), er.FlatTorus((TURN,)).grid(4))
    layer = er.nn.Correlation(grid, 1, 1, radius=2.0).double()
    assert layer.equivariant_to == "SO(3) x T(1)"
    found = grid.symmetries()
    names = [symmetry.name for symmetry in found]
    assert "shift (1.571)" in names
    assert "turn 90 about axis 2, shift (3.142)" in names
    x = torch.randn(1, 1, 3, 4, 4).double()
    report = er.verify.equivariance(layer, x, grid, found[::5], show=False)
    assert report.worst < 1e-13


def test_what_is_no_symmetry_of_both_is_refused():
    grid = space().grid(er.Sphere().grid(4), er.FlatTorus((TURN,)).grid(4))
    f = torch.ones(4, 8, 4)
    mixed = move([0.0, 0.0, 0.0], 1.0)
    mixed[0, 3] = 0.1
    for g, words in (
        (torch.eye(4).double(), "expected 5 x 5"),
        (mixed, "g mixes the factors"),
        (torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0])).double(), "g is no symmetry of Sphere"),
    ):
        with pytest.raises(ValueError, match=words):
            grid.act(g, f)
