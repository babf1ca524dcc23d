"""Charts: geodesics and frames against what is known of them, coordinates, curvature, bad input."""

import math
import warnings

import pytest
import torch
from atlases import sphere
from metrics import TURN, bent, flat, in_bent, in_space, polar, stereographic, torus

import erlangen as er
from erlangen.geometry import Frame

TORUS = er.Chart(torus, 2, periods=(TURN, TURN))


def some_frames(count, seed=0):
    """Frames along the coordinates of the torus, and steps of length 0.6."""
    torch.manual_seed(seed)
    x, v = TURN * torch.rand(count, 2).double(), torch.randn(count, 2).double()
    E = torch.linalg.inv(torch.linalg.cholesky(torus(x))).mT
    return Frame(x, E), 0.6 * v / v.norm(dim=-1, keepdim=True)


def test_geodesics_and_frames_on_the_torus_are_as_exact_as_promised():
    u, v = some_frames(5000)
    exact = er.Chart(torus, 2, periods=(TURN, TURN), steps=64).carry(u, v)
    for steps, most in ((4, 3e-6), (8, 2e-7)):
        found = er.Chart(torus, 2, periods=(TURN, TURN), steps=steps).carry(u, v)
        off = (in_space(found.point) - in_space(exact.point)).norm(dim=-1).max()
        assert 1e-9 < float(off) < most
        assert float((found.basis - exact.basis).abs().max()) < most
        identity = found.basis.mT @ torus(found.point) @ found.basis
        torch.testing.assert_close(identity, torch.eye(2).double().expand_as(identity), rtol=0, atol=1e-12)


def test_meridians_are_geodesics():
    u = Frame(torch.tensor([0.3, 0.5]).double(), torch.diag(torch.tensor([1.0, 1 / 0.7])).double())
    arrived = TORUS.carry(u, torch.tensor([0.0, 0.7]).double())
    torch.testing.assert_close(arrived.point, torch.tensor([0.3, 1.5]).double(), rtol=0, atol=1e-7)


def test_coordinates_undo_carry_across_the_seams():
    u, v = some_frames(200)
    arrived = TORUS.carry(u, v)
    assert bool(((arrived.point >= 0) & (arrived.point < TURN)).all())
    torch.testing.assert_close(TORUS.coordinates(u, arrived.point), v, rtol=0, atol=1e-9)


def test_one_metric_in_two_charts_is_one_geometry():
    other = er.Chart(in_bent(torus), 2, periods=(TURN, TURN), steps=32)
    fine = er.Chart(torus, 2, periods=(TURN, TURN), steps=32)
    x = TURN * torch.rand(50, 2).double()
    u = other.frames(x)
    v = 0.5 * torch.randn(50, 2).double()
    J = torch.stack([torch.autograd.functional.jacobian(bent, p) for p in x])
    seen = Frame(bent(x), J @ u.basis)
    torch.testing.assert_close(
        in_space(bent(other.carry(u, v).point)), in_space(fine.carry(seen, v).point), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(other.density_at(u, v), fine.density_at(seen, v), rtol=0, atol=1e-6)


def up(x):
    """From the plane to the sphere."""
    square = x.square().sum(-1, keepdim=True)
    return torch.cat([2 * x, 1 - square], -1) / (1 + square)


def test_the_sphere_in_stereographic_coordinates():
    chart, sphere = er.Chart(stereographic, 2, steps=32), er.Sphere()
    p, v = torch.rand(20, 2).double() - 0.5, 2 * torch.rand(20, 2).double() - 1
    u = chart.frames(p)
    J = torch.stack([torch.autograd.functional.jacobian(up, x) for x in p])
    one, other = chart.carry(u, v), sphere.carry(Frame(up(p), J @ u.basis), v)
    torch.testing.assert_close(up(one.point), other.point, rtol=0, atol=1e-6)
    torch.testing.assert_close(chart.density_at(u, v), sphere.density(v), rtol=0, atol=1e-6)
    K = chart.sectional(p, u.basis[..., 0], u.basis[..., 0] + 0.4 * u.basis[..., 1])
    torch.testing.assert_close(K, torch.ones_like(K), rtol=0, atol=1e-10)
    loops = sphere.curvature(other)  # from small loops
    torch.testing.assert_close(chart.curvature(u), loops, rtol=0, atol=1e-3)


def test_curvature_of_the_torus_is_the_textbook_one():
    u, _ = some_frames(30)
    c = torch.cos(u.point[:, 1])
    K = TORUS.curvature(u)[:, 0, 1, 0, 1]
    torch.testing.assert_close(K, c / (0.7 * (2 + 0.7 * c)), rtol=0, atol=1e-10)


def test_injectivity_radius_of_the_torus_is_half_of_its_tube():
    assert TORUS.injectivity_radius == pytest.approx(math.pi * 0.7, rel=1e-6)


def test_frames_on_the_flat_annulus_are_parallel():
    """Cholesky at each point would turn with the angle, and kernels with it."""
    chart = er.Chart(polar, 2, bounds=((0.5, 1.5), None), periods=(None, TURN))
    p = torch.tensor([0.6, 0.1]).double() + torch.rand(40, 2).double() * torch.tensor([0.8, 6.0]).double()
    u = chart.frames(p)
    r, c, s = p[:, 0], p[:, 1].cos(), p[:, 1].sin()
    J = torch.stack([torch.stack([c, -r * s], -1), torch.stack([s, r * c], -1)], -2)
    plane = J @ u.basis
    torch.testing.assert_close(plane, plane[:1].expand_as(plane), rtol=0, atol=1e-6)


def test_transport_along_a_parallel_of_the_torus_turns_by_the_curvature_inside():
    """Along the parallel at t, a vector turns by sin(t) 2 pi against the parallel's own frame."""
    height = 0.9

    def parallel(t):
        return torch.stack([TURN * t, height + 0 * t], -1)

    w = torch.tensor([0.0, 1 / 0.7]).double()
    back = TORUS.transport_along(parallel, w)
    angle = TURN * math.sin(height)
    rho = 2 + 0.7 * math.cos(height)
    found = torch.tensor([back[0] * rho, back[1] * 0.7])
    expected = torch.tensor([math.sin(angle), math.cos(angle)]).double()
    assert min((found - expected).abs().max(), (found - expected * torch.tensor([-1, 1])).abs().max()) < 1e-6


def test_another_metric_connection():
    """The plane in polar coordinates, where the frame (d_r, d_phi / r) counts as parallel."""

    def rigid(x):
        Gamma = torch.zeros(*x.shape[:-1], 2, 2, 2, dtype=x.dtype)
        Gamma[..., 1, 0, 1] = 1 / x[..., 0]  # nabla_r d_phi = d_phi / r
        return Gamma

    space = er.Chart(polar, 2, bounds=((0.5, 2.0), None), periods=(None, TURN), connection=rigid, steps=32)
    u = space.frames(torch.tensor([1.0, 1.0]).double())
    arrived = space.carry(u, torch.tensor([0.0, 2.0]).double())
    torch.testing.assert_close(arrived.point, torch.tensor([1.0, 3.0]).double(), rtol=0, atol=1e-9)
    assert str(space.holonomy()) == "trivial"


def test_symmetries_enlarge_the_holonomy():
    def mirror(x):
        return torch.stack([x[..., 0], TURN - x[..., 1]], -1)

    assert str(er.Chart(torus, 2, periods=(TURN, TURN), symmetry=[mirror]).structure) == "O(2)"
    assert str(er.Chart(flat, 2, periods=(1.0, 1.0), symmetry=[torch.neg]).structure) == "C2"


def test_a_logarithm_that_may_not_be_the_shortest_is_announced():
    p, q = torch.tensor([1.0, 1.0]).double(), torch.tensor([1.0, 1.0 + math.pi - 0.1]).double()
    space = er.Chart(torus, 2, periods=(TURN, TURN), injectivity_radius=1.0)
    with pytest.warns(UserWarning, match="perhaps not the shortest"):
        space.log(p, q)
    cap = er.Chart(stereographic, 2, injectivity_radius=3.0, steps=4)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="no geodesic was found"):
        cap.log(torch.zeros(2).double(), torch.tensor([10.0, 0.0]).double())


@pytest.mark.parametrize(
    ("space", "place"),
    [
        (lambda: TORUS, lambda x: x),
        (er.Ellipsoid, lambda x: er.Ellipsoid().project(torch.cat([x, torch.ones(len(x), 1).to(x)], -1), 10)),
        (lambda: sphere(steps=8), lambda x: sphere().point(x / 4)),
    ],
    ids=["chart", "implicit", "atlas"],
)
def test_points_in_float32_are_as_good_as_others(space, place):
    """What is integrated is integrated in float64, whatever was given."""
    space = space()
    torch.manual_seed(0)
    p, q = (place(x) for x in (0.3 + torch.rand(2, 5, 2)).double())
    p, q = p.float(), q.float()
    v = space.log(p.double(), q.double()).float()

    def results(to):
        p_, q_, v_ = p.to(to), q.to(to), v.to(to)
        u = space.frames(p_)
        arrived = space.carry(u, torch.full((5, 2), 0.1, dtype=to))
        yield from (*u, *arrived, space.exp(p_, v_), space.log(p_, q_), space.coordinates(u, q_))
        yield from (space.distance(p_, q_), space.parallel_transport(p_, v_, v_))
        yield space.transport_along(torch.stack([p_[0], q_[0]]), v_[0])

    for single, double in zip(results(torch.float32), results(torch.float64), strict=True):
        assert single.dtype == torch.float64
        torch.testing.assert_close(single, double)


MIRROR = torch.diag(torch.tensor([1.0, -1.0])).double()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: er.Chart(lambda x: flat(x)[..., 0], 2), r"expected \(..., 2, 2\)"),
        (
            lambda: er.Chart(lambda x: flat(x) + torch.triu(torch.ones(2, 2), 1).to(x) / 2, 2),
            "the metric is not symmetric",
        ),
        (lambda: er.Chart(lambda x: x[..., :1, None] * flat(x), 2), "not positive definite"),
        (
            lambda: er.Chart(
                lambda x: (2 + x[..., 1].sin())[..., None, None] * flat(x), 2, periods=(1.0, 1.0)
            ),
            "the gluing of axis 1 is no isometry",
        ),
        (
            lambda: er.Chart(
                lambda x: (2 + x[..., 1].sin())[..., None, None] * flat(x),
                2,
                periods=(1.0, None),
                glue={0: MIRROR},
            ),
            "the gluing of axis 0 is no isometry",
        ),
        (
            lambda: er.Chart(
                torus, 2, periods=(TURN, TURN), connection=lambda x: torch.zeros(*x.shape, 2, 2)
            ),
            "the connection is not metric",
        ),
        (lambda: er.Chart(flat, 2, periods=(1.0,)), r"periods is \(1.0,\), expected 2 entries"),
        (
            lambda: er.Chart(flat, 2, periods=1.0),
            "periods is 1.0, expected a sequence",
        ),
        (lambda: er.Chart(flat, [(0.0, 1.0), None]), "expected the number of coordinates"),
        (lambda: er.Chart(flat, 1, periods=(1.0,), bounds=((0.0, 1.0),)), "expected one of them at most"),
        (
            lambda: er.Chart(polar, 2, bounds=((0.5, 1.5), None)).transport_along(
                torch.tensor([[1.0, 0.0], [1.7, 0.0]]).double(), torch.ones(2).double()
            ),
            "the curve leaves the chart",
        ),
        (lambda: er.Chart(flat, 2).grid(8, 8), "expected bounds= or a period"),
        (lambda: er.Chart(flat, 2, periods=(1.0, 1.0)).grid(8), "expected 2 sizes"),
        (
            lambda: er.Chart(flat, 2, periods=(1.0, 1.0)).grid(8, 8, rotations=4),
            "where H = trivial in 2 dimensions, expected None",
        ),
        (
            lambda: er.nn.Lift(TORUS.grid(8, 8, rotations=4), 1, 1, radius=2.5),
            "beyond the injectivity radius",
        ),
        (lambda: er.Chart(flat, 2, periods=(1.0, 1.0)).grid(8, 8, boundary="no"), "boundary is 'no'"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: er.Implicit(lambda x: x.square().sum(-1) - 1, [1.0, 1.0, 0.0]),
            "expected a point of the surface",
        ),
        (lambda: er.Implicit(lambda x: x.square().sum(-1), [0.0, 0.0, 0.0]), "has not full rank"),
        (lambda: er.Ellipsoid((1.0, 2.0, 0.0)), "expected 3 entries, each a positive length"),
        (lambda: er.SurfaceOfRevolution(lambda t: (2 + t, t)), "is the profile closed or open"),
        (
            lambda: er.Product(er.Sphere(), er.Chart(flat, 1, periods=(1.0,))),
            "expected the same; give measure=",
        ),
    ],
)
def test_refusals_of_other_manifolds(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_unit_sphere_as_an_implicit_surface():
    space, sphere = er.Implicit(lambda x: x.square().sum(-1) - 1, [0.0, 0.0, 1.0], steps=32), er.Sphere()
    p = torch.nn.functional.normalize(torch.randn(20, 3).double(), dim=-1)
    u, v = sphere.frames(p), torch.randn(20, 2).double() / 2
    one, other = space.carry(u, v), sphere.carry(u, v)
    torch.testing.assert_close(one.point, other.point, rtol=0, atol=1e-6)
    torch.testing.assert_close(one.basis, other.basis, rtol=0, atol=1e-6)
    torch.testing.assert_close(space.density_at(u, v), sphere.density(v), rtol=0, atol=1e-6)
    K = space.curvature(u)[:, 0, 1, 0, 1]
    torch.testing.assert_close(K, torch.ones_like(K), rtol=0, atol=1e-12)
    assert bool((torch.linalg.det(torch.cat([space.frame(p), p[..., None]], -1)) > 0.99).all())
    assert space.injectivity_radius == pytest.approx(math.pi)


def test_a_surface_of_revolution_is_the_chart_of_its_profile():
    space = er.SurfaceOfRevolution()
    x = TURN * torch.rand(10, 2).double()
    torch.testing.assert_close(space.metric(x), torus(x), rtol=0, atol=1e-12)
