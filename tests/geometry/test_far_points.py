"""Ways to points far from the origin of a homogeneous space, and what is said of those not in it."""

import math

import pytest
import torch

import erlangen as er
from erlangen import groups


def linear(g, p):
    return (g @ p[..., None])[..., 0]


def affine(g, p):
    return linear(g[..., :-1, :-1], p) + g[..., :-1, -1]


def places_and_directions(g, p):
    return torch.cat([affine(g, p[..., :3]), linear(g[..., :3, :3], p[..., 3:])], -1)


def congruent(n):
    return lambda g, p: (g @ p.unflatten(-1, (n, n)) @ g.mT).flatten(-2)


def half_plane(g, p):
    """``(a z + b) / (c z + d)``, z = x + i y."""
    (a, b), (c, d) = (row.unbind(-1) for row in g.unbind(-2))
    x, y = p.unbind(-1)
    size = (c * x + d) ** 2 + (c * y) ** 2
    return torch.stack([((a * x + b) * (c * x + d) + a * c * y * y) / size, y / size], -1)


def disc(g, p):
    """The same, seen in the unit disc."""
    (a, b), (c, d) = (row.unbind(-1) for row in g.unbind(-2))
    z = torch.complex(*p.unbind(-1))
    w = 1j * (1 + z) / (1 - z)
    w = (a * w + b) / (c * w + d)
    return torch.view_as_real((w - 1j) / (w + 1j))


def upper(unit=1.0):
    return er.HomogeneousSpace(groups.SL(2), torch.tensor([0.0, unit], dtype=torch.float64), half_plane)


def hyperboloid(n):
    return er.HomogeneousSpace(groups.SO(1, n), torch.eye(n + 1)[0], linear)


def circle(r, count, unit=1.0):
    """Points of the half plane at the distance r from i, all round it."""
    g = groups.SO(2).sample(count, seed=int(r))
    return unit * half_plane(g, torch.tensor([0.0, math.exp(r)], dtype=torch.float64).expand(count, 2))


def sheet(r, n, count):
    e = torch.nn.functional.normalize(torch.randn(count, n, dtype=torch.float64), dim=1)
    return torch.cat([torch.full((count, 1), math.cosh(r), dtype=torch.float64), math.sinh(r) * e], -1)


def expect_ways(space, points, lengths=None, tolerance=1e-9):
    v = space.log_origin(points)
    size = points.abs().amax(-1, keepdim=True)
    off = (space.orbit.point(space.exp_origin(v)) - points) / size
    assert float(off.abs().max()) < tolerance
    if lengths is not None:
        assert float((v.norm(dim=-1) / lengths - 1).abs().max()) < 10 * tolerance


@pytest.mark.parametrize(("r", "unit"), [(3.0, 1.0), (5.0, 1e3), (4.0, 1e-3), (10.0, 1.0)])
def test_points_of_the_half_plane_are_found(r, unit):
    expect_ways(upper(unit), circle(r, 60, unit), r * unit, 1e-9)


def test_there_is_no_end_to_the_half_plane():
    assert math.isinf(upper().injectivity_radius)


@pytest.mark.parametrize("n", [2, 3])
def test_points_of_the_hyperboloid_are_found(n):
    expect_ways(hyperboloid(n), sheet(5.0, n, 30), 5.0, 1e-10)
    expect_ways(hyperboloid(n), sheet(10.0, n, 30), 10.0, 1e-6)  # cosh 10 = 1e4, of 16 digits
    expect_ways(hyperboloid(n), sheet(5.0, n, 30).float().double(), 5.0, 1e-3)  # rounded off the space


@pytest.mark.parametrize("n", [2, 3])
def test_points_of_euclidean_space_are_found(n):
    space = er.HomogeneousSpace(groups.SE(n), torch.zeros(n), affine)
    for r in (1e-6, 1e3, 1e6):
        p = r * torch.randn(20, n, dtype=torch.float64)
        expect_ways(space, p, p.norm(dim=-1), 1e-10)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("n", "condition"),
    [(2, 1e8), *(pytest.param(*case, marks=SLOW) for case in ((2, 1e4), (3, 1e4), (3, 1e8)))],
)
def test_positive_matrices_of_any_condition_are_found(n, condition):
    space = er.HomogeneousSpace(groups.GL(n), torch.eye(n).flatten(), congruent(n))
    q = torch.linalg.qr(torch.randn(15, n, n, dtype=torch.float64))[0]
    values = torch.logspace(0, math.log10(condition), n, dtype=torch.float64)
    logarithm = values.log().norm()
    lengths = space.log_origin(
        torch.diag(torch.full((n,), math.e, dtype=torch.float64)).flatten()
    ).norm() / math.sqrt(n)
    expect_ways(space, (q * values @ q.mT).flatten(-2), logarithm * lengths, 1e-6)


def test_points_of_the_disc_are_found():
    space = er.HomogeneousSpace(groups.SL(2), torch.zeros(2), disc)
    t = torch.arange(30).double()
    expect_ways(space, math.tanh(4.0) * torch.stack([t.cos(), t.sin()], -1), None, 1e-9)


def test_a_few_bad_points_among_many_are_named():
    p = circle(3.0, 20)
    p[7], p[11] = torch.tensor([1.0, -1.0]), torch.tensor([2.0, 0.0])
    message = (
        r"to 2 points, the first being \(1, -1\); 2 of them not in the space, such as \(1, -1\), which SL"
    )
    with pytest.raises(ValueError, match=message):
        upper().log_origin(p)


SPD = er.HomogeneousSpace(groups.GL(2), torch.eye(2).flatten(), congruent(2))
ELSEWHERE = {
    "half plane, below": (upper(), [[3.0, -0.2]]),
    "half plane, the edge": (upper(), [[0.3, 0.0]]),
    "the other sheet": (hyperboloid(2), [[-math.cosh(1.0), math.sinh(1.0), 0.0]]),
    "outside of the cone": (hyperboloid(2), [[0.0, 1.0, 0.0]]),
    "a little off": (hyperboloid(2), [[1.0001, 0.0, 0.0]]),
    "indefinite": (SPD, [[1.0, 0.0, 0.0, -1.0]]),
    "singular": (SPD, [[1.0, 0.0, 0.0, 0.0]]),
    "not symmetric": (SPD, [[1.0, 1.0, 0.0, 1.0]]),
    "another radius": (er.HomogeneousSpace(groups.SO(3), torch.eye(3)[2] * 6371, linear), [[0, 7000.0, 0]]),
}


QUICK = ("half plane, below", "the other sheet", "a little off", "another radius")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=SLOW) for name in ELSEWHERE]
)
def test_points_that_are_not_in_the_space_are_said_to_be_so(name):
    space, points = ELSEWHERE[name]
    with pytest.raises(
        ValueError, match=r"1 of them not in the space, such as .* moves no nearer to the origin"
    ):
        space.log_origin(torch.tensor(points, dtype=torch.float64))


def test_points_that_no_exponential_reaches_are_said_to_be_in_the_space():
    """Of SL(2) on itself those of trace below -2."""
    space = er.HomogeneousSpace(
        groups.SL(2), torch.eye(2).flatten(), lambda g, p: (g @ p.unflatten(-1, (2, 2))).flatten(-2)
    )
    with pytest.raises(ValueError, match=r"1 of them in the space, such as \(-2, 0, 0, -0.5\).*no exp\(v\)"):
        space.log_origin(torch.tensor([[-2.0, 0.0, 0.0, -0.5], [2.0, 1.0, 0.0, 0.5]]).double())


def test_units_that_hide_the_stabilizer_are_refused():
    with pytest.raises(ValueError, match=r"at speeds from 1 to 4.1e\+13.*measure coordinates in other units"):
        upper(6371e3)


@pytest.mark.slow
@pytest.mark.parametrize("r", [8.0, 11.0, 14.0])
def test_points_close_to_the_edge_are_found(r):
    expect_ways(upper(), circle(r, 100), r, 1e-9)
    expect_ways(
        upper(), torch.tensor([[1e3, 1e-3], [1e6, 1.0], [0.0, 1e-8], [-5.0, 1e-5]], dtype=torch.float64)
    )


@pytest.mark.slow
def test_places_and_directions_far_away_are_found():
    space = er.HomogeneousSpace(groups.SE(3), torch.tensor([0.0, 0, 0, 0, 0, 1]), places_and_directions)
    for r in (30.0, 1e3, 1e6):
        e = torch.nn.functional.normalize(torch.randn(30, 3, dtype=torch.float64), dim=1)
        expect_ways(space, torch.cat([r * torch.randn(30, 3, dtype=torch.float64), e], -1), None, 1e-7)
