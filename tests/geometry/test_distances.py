"""Distances, logarithms and their gradients to rounding: points that are equal, close, far, opposite."""

import math
import warnings

import pytest
import torch
from atlases import strip
from called import called

import erlangen as er

ROUNDING = {torch.float32: 1e-6, torch.float64: 4e-15}


def unit(*shape, seed=0):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x / x.norm(dim=-1, keepdim=True)


def beside(p, t, seed=1):
    """Points at the distance t from those of a sphere."""
    w = unit(*p.shape, seed=seed)
    w = w - (w * p).sum(-1, keepdim=True) * p
    return math.cos(t) * p + math.sin(t) * w / w.norm(dim=-1, keepdim=True)


def half_angle(p, q):
    """The angle, in float64, of vectors given to any precision."""
    p, q = (x.double() / x.double().norm(dim=-1, keepdim=True) for x in (p, q))
    return 2 * torch.atan2((p - q).norm(dim=-1), (p + q).norm(dim=-1))


def gradients(f, p, q):
    p, q = p.clone().requires_grad_(), q.clone().requires_grad_()
    f(p, q).sum().backward()
    return p.grad, q.grad


@pytest.mark.parametrize("t", [1e-6, 1e-4, 3e-3, 0.5, 2.0, math.pi - 1e-3, math.pi - 1e-5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_distances_on_spheres_are_right_to_rounding(n, dtype, t):
    sphere, p = er.Sphere(n), unit(100, n + 1)
    p, q = p.to(dtype), beside(p, t).to(dtype)
    bar = max(ROUNDING[dtype], 4e-16 / t)  # of the oracle, which makes unit vectors of its own
    true = half_angle(p, q)
    for found in (sphere.distance(p, q), sphere.log(p, q).norm(dim=-1)):
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), true, rtol=bar, atol=0)
    if n == 2:
        plane = er.ProjectivePlane()
        true = torch.minimum(true, half_angle(p, -q))
        for sign in (1, -1):
            torch.testing.assert_close(plane.distance(p, sign * q).double(), true, rtol=2 * bar, atol=2e-16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("space", [er.Sphere(2), er.Sphere(3), er.ProjectivePlane()], ids=str)
def test_gradients_on_spheres_are_finite_everywhere_and_right_where_there_is_one(space, dtype):
    p = unit(50, space.ambient).to(dtype)
    for q in (p, -p, p.roll(1, 0), beside(p.double(), 1e-6).to(dtype), -beside(p.double(), 1e-3).to(dtype)):
        for f in (space.distance, space.log):
            assert all(bool(x.isfinite().all()) for x in gradients(f, p, q))
    q = p.roll(1, 0)
    slope, _ = gradients(space.distance, p, q)
    along = slope - (slope * p).sum(-1, keepdim=True) * p
    away = -space.log(p, q) / space.distance(p, q)[:, None]
    torch.testing.assert_close(along, away, rtol=0, atol=20 * ROUNDING[dtype])
    for x in gradients(space.distance, p, p):
        assert float((x - (x * p).sum(-1, keepdim=True) * p).abs().max()) == 0


def on_sheet(x):
    return torch.cat([torch.hypot(x.norm(dim=-1), torch.ones(()).double())[..., None], x], -1)


def hyperbolic_distance(p, q):
    """From all coordinates but the first, with fifty digits."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(50):
        x, y = ([mp.mpf(float(value)) for value in z[1:]] for z in (p, q))
        heights = [mp.sqrt(1 + sum(a * a for a in z)) for z in (x, y)]
        cosine = heights[0] * heights[1] - sum(a * b for a, b in zip(x, y, strict=True))
        return float(mp.acosh(max(cosine, mp.mpf(1))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 3])
def test_distances_in_hyperbolic_space_are_right_to_rounding(n, dtype):
    space, rounding = er.Hyperbolic(n), ROUNDING[dtype]
    direction, aside = unit(6, n), unit(6, n, seed=1)
    for r in (0.0, 1e-3, 0.7, 1.5, 6.0, 14.0):
        for t in (1e-6, 1e-3, 0.4, 3.0, 16.0):
            x = math.sinh(r) * direction
            for y in (math.sinh(r + t) * direction, -math.sinh(t) * direction, x + math.sinh(t) * aside):
                p, q = on_sheet(x).to(dtype), on_sheet(y).to(dtype)
                found = space.distance(p, q).double()
                torch.testing.assert_close(found, space.distance(q, p).double(), rtol=1e-2, atol=1e-2)
                true = [hyperbolic_distance(a, b) for a, b in zip(p, q, strict=True)]
                true = torch.tensor(true, dtype=torch.float64)
                # what the rounding of directions does far out, where circles are long
                turned = (r > 1) * rounding * torch.minimum(p[:, 0], q[:, 0]).double()
                inherent = 4 * turned * torch.exp(-true / 2) + 4 * turned**2
                assert bool(((found - true).abs() <= 8 * rounding * true + inherent).all())


@pytest.mark.parametrize("r", [0.0, 0.4, 3.0, 8.0])
def test_gradients_in_hyperbolic_space_are_finite_and_right(r):
    space = er.Hyperbolic(2)
    x = math.sinh(r) * unit(5, 2)
    for dtype in (torch.float32, torch.float64):
        p = on_sheet(x).to(dtype)
        for f in (space.distance, space.log):
            assert all(bool(g.isfinite().all()) for g in gradients(f, p, p.clone()))
        assert all(float(g.abs().max()) == 0 for g in gradients(space.distance, p, p.clone()))
    y = x + 0.3 * math.cosh(r) * unit(5, 2, seed=1)
    f = lambda a, b: space.distance(on_sheet(a), on_sheet(b))  # noqa: E731
    # hypot at zero has no slope of its own, so that the origin itself moves by as little
    assert torch.autograd.gradcheck(f, (x.clone().requires_grad_(), y.clone().requires_grad_()), rtol=1e-4)


GROUPS = {
    "SO(2)": er.groups.SO(2),
    "SO(3)": er.groups.SO(3),
    "SO(4)": er.groups.SO(4),
    "SE(2)": er.groups.SE(2),
    "SE(3)": er.groups.SE(3),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", GROUPS)
def test_logarithms_of_groups_have_gradients_at_half_turns_too(name, dtype):
    """Along the group: ``log(g exp(w)) = log(g) + J^{-1} w``."""
    group = GROUPS[name]
    turn = next(
        i for i, X in enumerate(group.generators) if float(torch.linalg.eigvals(X).imag.abs().max()) > 0.5
    )
    for angle in (0.0, 1e-6, 1.0, math.pi - 1e-4, math.pi):
        v = torch.zeros(group.dim, dtype=torch.float64)
        v[turn] = angle
        g = group.exp(v).to(dtype)
        w = torch.zeros(group.dim, dtype=dtype, requires_grad=True)
        found = torch.autograd.functional.jacobian(
            lambda w, g=g: group.log_or_nan(g @ group.exp(w)), w.detach()
        )
        log = group.log_or_nan(g).double()
        expected = torch.linalg.inv(group.right_jacobian(log))
        bar = 2e-5 if dtype == torch.float32 else 1e-12
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=bar)
        space = er.GroupSpace(group)
        p, q = space.origin.to(dtype), g.flatten()
        assert all(bool(x.isfinite().all()) for x in gradients(space.distance, p, q))


def test_second_derivatives_of_logarithms_are_right():
    group = er.groups.SO(3)
    v = torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64, requires_grad=True)
    f = lambda v: group.log_or_nan(group.exp(v)).square().sum()  # noqa: E731
    hessian = torch.autograd.functional.hessian(f, v)
    torch.testing.assert_close(hessian, 2 * torch.eye(3).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "space",
    [er.FlatTorus((1.0, 2.0)), er.KleinBottle(), er.Euclidean(2), er.PositionsAndDirections()],
    ids=str,
)
def test_the_slope_of_no_distance_is_zero(space):
    p = space.origin.double() + (0 if space.dim > 3 else 0.1)
    q = p.clone().requires_grad_()
    distance = space.distance(p, q)
    distance.backward()
    assert float(distance.detach()) == 0
    assert float(q.grad.abs().max()) == 0


def test_gradients_at_opposite_directions_are_finite():
    space = er.PositionsAndDirections()
    q = torch.tensor([1.0, 2.0, 0.0, 0.0, 0.0, -1.0]).double().requires_grad_()
    space.distance(space.origin, q).backward()
    assert bool(q.grad.isfinite().all())


def ellipsoid_pole(z):
    return torch.tensor([0.0, 0.0, z], dtype=torch.float64)


def on_ellipsoid(space, *x):
    return space.project(torch.tensor(x, dtype=torch.float64), 20)


def test_antipodes_to_which_no_way_is_found_are_named():
    space = er.Ellipsoid((1.0, 1.2, 1.5), steps=2)
    ball = er.Implicit(lambda x: x.square().sum(-1) - 1e-8, torch.tensor([0.0, 0.0, 1e-4]))
    north, south = ellipsoid_pole(1.5), ellipsoid_pole(-1.5)
    for where, p, q in ((space, north, south), (ball, ball.point, -ball.point)):
        with pytest.raises(ValueError, match=r"no geodesic was found to 1 of 1 points, the first being \["):
            where.log(p, q)
        assert bool(where.distance(p, q).isnan())
    q = torch.stack([on_ellipsoid(space, 0.3, 0.1, 1.4), south, on_ellipsoid(space, 0.1, 0.1, 1.4), south])
    with pytest.raises(
        ValueError, match=r"to 2 of 4 points, the first being number 1 \[.*go there in shorter"
    ):
        space.log(north, q)
    pair = er.Product(space, er.FlatTorus((2.0,)), measure="tangent")
    with pytest.raises(ValueError, match=r"to 1 of 1 points"):
        pair.log(torch.cat([north, torch.zeros(1).double()]), torch.cat([south, torch.ones(1).double()]))
    mirrors = er.GroupSpace(er.groups.O(2))
    with pytest.raises(ValueError, match=r"to 1 of 1 points"):
        mirrors.log(mirrors.origin, torch.tensor([1.0, 0.0, 0.0, -1.0]).double())


@pytest.mark.parametrize("aside", [1e-3, 0.3])
def test_near_antipodes_a_way_is_a_way_or_is_refused(aside):
    space = er.Ellipsoid((1.0, 1.2, 1.5), steps=8)
    p, q = ellipsoid_pole(1.5), on_ellipsoid(space, aside, 0.3 * aside, -1.5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            v = space.log(p, q)
    except ValueError as error:
        assert "no geodesic was found to 1 of 1 points" in str(error)  # noqa: PT017
        return
    torch.testing.assert_close(space.exp(p, v), q, rtol=0, atol=1e-6)
    assert float(v.norm()) >= float((p - q).norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("signs", [(-1.0, -1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0)])
def test_logarithms_of_exact_half_turns_have_gradients(signs, dtype):
    group, g = er.groups.SO(3), torch.diag(torch.tensor(signs, dtype=dtype))
    found = torch.autograd.functional.jacobian(
        lambda w: group.log(g @ group.exp(w)), torch.zeros(3, dtype=dtype)
    )
    v = group.log(g)
    assert float(v.norm()) == pytest.approx(math.pi, rel=1e-6)
    expected = torch.linalg.inv(group.right_jacobian(v.double()))
    torch.testing.assert_close(
        found.double(), expected, rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-12
    )


@pytest.mark.parametrize(
    "space",
    [er.SurfaceOfRevolution(), er.Ellipsoid(), strip()],
    ids=["chart", "equation", "atlas"],
)
def test_what_all_frames_agree_on_carries_none_from_the_origin(space, monkeypatch):
    u = space.frames(space.origin.expand(4, -1))
    directions = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, -1.0], [-0.8, 0.6]]).double()
    q = space.carry(u, 0.3 * space.length * directions).point
    p, w = u.point, u.tangent(directions.flip(-1))
    v = space.log(p, q)
    u = space.frames(q)
    back = u.tangent(space.coordinates(u, p))
    carried = space.carry(space.frames(p), space.components(space.frames(p), v[..., None])[..., 0])
    w_there = carried.tangent(space.components(space.frames(p), w[..., None])[..., 0])
    monkeypatch.setattr(type(space), "frame", None)
    torch.testing.assert_close(space.exp(p, v), q, rtol=0, atol=1e-9)
    torch.testing.assert_close(space.log(q, p), back, rtol=0, atol=1e-9)
    torch.testing.assert_close(space.distance(p, q), space.distance(q, p), rtol=0, atol=1e-6)
    torch.testing.assert_close(space.parallel_transport(p, v, w), w_there, rtol=0, atol=1e-9)
    any_one = space.any_frame(q)
    g = space.gauge(u, any_one)
    torch.testing.assert_close(g.mT @ g, torch.eye(2).double().expand_as(g), rtol=0, atol=1e-12)
    assert any_one.point.dtype == torch.float64


def test_from_pole_to_pole_of_an_ellipsoid_no_way_is_found_and_that_is_said():
    pole = torch.tensor([0.0, 0.0, 1.5])
    with pytest.raises(
        ValueError, match=r"no geodesic was found to 1 of 1 points.* go there in shorter steps"
    ):
        er.Ellipsoid((1.0, 1.2, 1.5)).log(pole, -pole)


def test_exp_makes_few_calls():
    space = er.SurfaceOfRevolution()
    p, v = torch.tensor([[0.3, 1.0], [0.2, -0.4]]).double()
    space.exp(p, v)
    calls = called(lambda: space.exp(p, v)).total()
    assert 0 < calls <= 1322 // 3  # 64 places of Runge and Kutta, six calls at each
