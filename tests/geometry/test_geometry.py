"""The contract of every geometry: frames and how they are carried."""

import math
from functools import cache

import pytest
import torch
from metrics import TURN, in_bent, torus

import erlangen as er

GEOMETRIES = {
    "R1": lambda: er.Euclidean(1, "isometries"),
    "R2": lambda: er.Euclidean(2, "roto-translations"),
    "R3": lambda: er.Euclidean(3, "isometries"),
    "S2": lambda: er.Sphere(),
    "S2, O(2)": lambda: er.Sphere(symmetry="isometries"),
    "S2, the axis": lambda: er.Sphere(symmetry="axis"),
    "S3": lambda: er.Sphere(3),
    "moebius": lambda: er.Moebius(2.0, 1.0),
    "moebius, isometries": lambda: er.Moebius(2.0, 1.0, symmetry="isometries"),
    "klein": lambda: er.KleinBottle(2.0, 1.5),
    "cylinder": lambda: er.Cylinder(2.0, 1.0),
    "torus": lambda: er.FlatTorus((2.0, 3.0)),
    "SE(2)": lambda: er.GroupSpace(er.groups.SE(2)),
    "SU(2)": lambda: er.GroupSpace(er.groups.SU(2)),
    "H2": lambda: er.Hyperbolic(),
    "H3, O(3)": lambda: er.Hyperbolic(3, "isometries"),
    "RP2": lambda: er.ProjectivePlane(),
    "R3 x S2": lambda: er.PositionsAndDirections(),
    "torus, a chart": lambda: er.Chart(
        in_bent(torus), 2, periods=(TURN, TURN), steps=32, injectivity_radius=0.8
    ),
    "ellipsoid": lambda: er.Ellipsoid(steps=32),
    "S2 x S1": lambda: er.Product(er.Sphere(), er.FlatTorus((TURN,))),
    "H2, solved": lambda: er.HomogeneousSpace(er.groups.SO(1, 2), [1.0, 0.0, 0.0], linear),
    "S2, solved": lambda: er.HomogeneousSpace(er.groups.O(3), [0.0, 0.0, 1.0], linear),
    "RP2, solved": lambda: er.HomogeneousSpace(
        er.groups.SO(3), torch.eye(3)[2].outer(torch.eye(3)[2]).flatten(), pairs
    ),
}


def linear(g, p):
    return (g @ p[..., None])[..., 0]


def pairs(g, p):
    """The projection on a line, moved."""
    return (g @ p.unflatten(-1, (3, 3)) @ g.mT).flatten(-2)


NUMERICAL = (er.Chart, er.Implicit)  # geodesics by steps of Runge and Kutta


def exact(space):
    return 1e-5 if isinstance(space, NUMERICAL) else 1e-10


def some_points(space, count=40):
    if isinstance(space, er.Product):
        return torch.cat([some_points(space.one, count), some_points(space.other, count)], -1)
    if isinstance(space, er.Chart):
        return space.home(TURN * torch.rand(count, space.dim).double())
    if isinstance(space, er.Implicit):
        p = torch.randn(count, 3).double()
        return p / p.norm(dim=-1, keepdim=True) * torch.tensor([1.0, 1.2, 1.5])
    if isinstance(space, er.HomogeneousSpace):
        return space.orbit.point(space.group.sample(count, radius=1.5))
    if isinstance(space, er.Hyperbolic):
        x = torch.randn(count, space.dim).double()
        return torch.cat([(1 + x.square().sum(-1, keepdim=True)).sqrt(), x], -1)
    if isinstance(space, er.Sphere | er.ProjectivePlane):
        p = torch.randn(count, space.ambient).double()
        return space.home(p / p.norm(dim=-1, keepdim=True))
    if isinstance(space, er.GroupSpace):
        return space.group.exp(torch.randn(count, space.dim).double()).flatten(-2)
    if isinstance(space, er.FlatQuotient):
        p = space.home(3 * torch.randn(count, space.dim).double())
        inside = torch.tensor(space.widths).double().clamp_max(1e3)
        wide = torch.isinf(torch.tensor(space.widths))
        return torch.where(wide, p, (torch.rand(count, space.dim).double() - 0.5) * inside)
    return torch.randn(count, space.dim).double()


def some_steps(space, count=40):
    v = torch.randn(count, space.dim).double()
    length = torch.rand(count, 1).double() * min(0.99 * space.injectivity_radius, 2.0)
    return v / v.norm(dim=-1, keepdim=True) * length


@cache
def built(name):
    return GEOMETRIES[name]()


@pytest.fixture(params=GEOMETRIES, ids=str)
def space(request):
    return built(request.param)


def test_coordinates_undo_carry(space):
    u, v = space.frames(some_points(space)), some_steps(space)
    arrived = space.carry(u, v)
    most = 1e-8 if isinstance(space, NUMERICAL) else 1e-10
    torch.testing.assert_close(space.coordinates(u, arrived.point), v, rtol=0, atol=most)


def test_carry_knows_the_structure_group(space):
    u, v = space.frames(some_points(space)), some_steps(space)
    for h in space.structure.sample():
        one, other = space.carry(u.turn(h), v), space.carry(u, v @ h.T).turn(h)
        torch.testing.assert_close(one.point, other.point, rtol=0, atol=1e-11)
        torch.testing.assert_close(one.basis, other.basis, rtol=0, atol=1e-11)


def test_walking_in_two_steps_is_walking_in_one(space):
    u, v = space.frames(some_points(space)), some_steps(space)
    half = space.carry(space.carry(u, 0.3 * v), 0.7 * v)
    whole = space.carry(u, v)
    torch.testing.assert_close(half.point, whole.point, rtol=0, atol=exact(space))
    torch.testing.assert_close(half.basis, whole.basis, rtol=0, atol=exact(space))


def test_exp_log_and_transport_speak_of_tangent_vectors(space):
    p, v = some_points(space), some_steps(space)
    u = space.frames(p)
    tangent = u.tangent(v)
    q = space.exp(p, tangent)
    torch.testing.assert_close(space.log(p, q), tangent, rtol=0, atol=exact(space))
    # a geodesic carries its own velocity along: going on is walking twice as far
    onward = space.parallel_transport(p, 0.4 * tangent, 0.6 * tangent)
    torch.testing.assert_close(space.exp(space.exp(p, 0.4 * tangent), onward), q, rtol=0, atol=exact(space))


def test_density_is_the_jacobian_of_the_invariant_measure(space):
    """J(v) = |det of d(carry) in the frame that arrives|, by central differences."""
    u, v = space.frames(some_points(space, 6)), some_steps(space, 6)
    step, columns = 1e-5, []
    arrived = space.carry(u, v)
    for axis in torch.eye(space.dim).double():
        forward, back = space.carry(u, v + step * axis), space.carry(u, v - step * axis)
        difference = space.coordinates(arrived, forward.point) - space.coordinates(arrived, back.point)
        columns.append(difference / (2 * step))
    jacobian = torch.linalg.det(torch.stack(columns, -1)).abs()
    torch.testing.assert_close(
        space.density_at(u, v), jacobian, rtol=1e-6, atol=1e-5 if isinstance(space, NUMERICAL) else 1e-8
    )


def test_symmetries_commute_with_carry():
    turn = er.Plane().turn(40.0)
    turn[:2, 2] = torch.tensor([0.3, -1.2])
    rotation = torch.linalg.qr(torch.randn(3, 3).double()).Q
    shift = torch.eye(3).double()
    shift[0, 2] = 1.3
    cases = [
        (er.Euclidean(2, "isometries"), turn),
        (er.Sphere(symmetry="isometries"), rotation),
        (er.Moebius(2.0, 1.0), shift),
        (er.GroupSpace(er.groups.SE(2)), turn),
    ]
    for space, g in cases:
        u, v = space.frames(some_points(space)), some_steps(space)
        one, other = space.act(g, space.carry(u, v)), space.carry(space.act(g, u), v)
        torch.testing.assert_close(one.point, other.point, rtol=0, atol=1e-11)
        torch.testing.assert_close(one.basis, other.basis, rtol=0, atol=1e-11)


def test_once_round_the_strip_mirrors_the_frame():
    strip = er.Moebius(2.0, 1.0)
    u = strip.frames(torch.tensor([0.5, 0.2]).double())
    for _ in range(4):
        u = strip.carry(u, torch.tensor([0.5, 0.0]).double())
    torch.testing.assert_close(u.point, torch.tensor([0.5, -0.2]).double())
    h = strip.gauge(strip.frames(u.point), u)
    torch.testing.assert_close(h, torch.diag(torch.tensor([1.0, -1.0])).double())
    assert str(strip.structure) == "Z2: reflection of axis 1"
    assert str(er.Cylinder().structure) == str(er.FlatTorus().structure) == "trivial"


def test_round_an_octant_the_frame_turns_by_its_area():
    sphere = er.Sphere()
    x, y, z = torch.eye(3).double()
    u = start = sphere.frames(z)
    for q in (x, y, z):
        u = sphere.carry(u, sphere.coordinates(u, q))
    h = sphere.gauge(start, u)
    expected = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double()  # area pi / 2, counter-clockwise
    torch.testing.assert_close(h, expected, rtol=0, atol=1e-12)


def test_density_of_se2_is_the_textbook_one():
    space = er.GroupSpace(er.groups.SE(2))
    v = torch.randn(50, 3).double()
    t = v[:, 2]
    torch.testing.assert_close(space.density(v), (2 - 2 * torch.cos(t)) / t**2, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: er.Euclidean(0), "n is 0, expected a whole number of at least 1"),
        (lambda: er.Euclidean(2, "all"), 'expected "translations"'),
        (lambda: er.Sphere(1), "expected at least 2"),
        (lambda: er.Sphere(symmetry="all"), 'expected "rotations"'),
        (lambda: er.Moebius(-1.0), "expected a positive length"),
        (lambda: er.Moebius(symmetry="all"), 'expected "isometries" or None'),
        (lambda: er.Moebius().grid(4), "expected 2 positive sizes"),
        (lambda: er.Sphere(3).grid(4), "has no natural grid"),
        (lambda: er.Sphere().grid(0), "latitudes is 0, expected a whole number"),
        (lambda: er.Sphere().grid(1), "expected at least 2 rings"),
        (lambda: er.Sphere().grid(4, 7), "of an even number of samples"),
        (lambda: er.Euclidean(2).grid(4), "expected 2 positive sizes"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_north_pole_has_the_frame_of_the_first_axes():
    for n in (2, 3):
        pole = torch.eye(n + 1).double()[-1]
        torch.testing.assert_close(er.Sphere(n).frame(pole), torch.eye(n + 1).double()[:, :-1])


def test_a_point_is_a_point_wherever_it_is_written():
    strip = er.Moebius(2.0, 1.0)
    p, q = torch.tensor([0.1, 0.2]).double(), torch.tensor([0.2, 0.3]).double()
    expected = strip.log(p, q)
    torch.testing.assert_close(strip.log(p, q + torch.tensor([4.0, 0.0]).double()), expected)
    round_once = torch.tensor([2.2, -0.3]).double()
    torch.testing.assert_close(strip.log(p, round_once), expected)


@pytest.mark.parametrize("n", [2, 3])
def test_single_precision_at_the_poles(n):
    sphere, pole = er.Sphere(n), torch.eye(n + 1)[-1]
    east = torch.eye(n + 1)[0]
    assert torch.isfinite(sphere.frame(pole)).all()
    torch.testing.assert_close(sphere.log(pole, pole), torch.zeros(n + 1))
    torch.testing.assert_close(sphere.log(east, east), torch.zeros(n + 1))
    torch.testing.assert_close(sphere.exp(pole, 0.5 * math.pi * east), east, rtol=0, atol=1e-6)


def test_measures():
    torch.testing.assert_close(er.Sphere().grid(8).weights.sum(), torch.tensor(4 * math.pi).double())
    torch.testing.assert_close(er.Moebius(2.0, 1.5).grid(9, 4).weights.sum(), torch.tensor(3.0).double())
    assert float(er.Plane(shape=(3, 4)).weights.sum()) == 12.0
