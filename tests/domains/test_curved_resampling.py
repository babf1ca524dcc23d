"""Down and up on charts, ellipsoids, scattered points: means, transport, frames, isometries, refinement."""

import math
import pickle
import sys
from functools import cache

import pytest
import torch
from paths import ROOT

import erlangen as er
from erlangen.domains import NodeQuadrature
from erlangen.geometry import Frame

sys.path.insert(0, str(ROOT / "tests" / "geometry"))
from metrics import TURN, bent, in_bent, in_space, polar, torus
from spaces import sphere_and_circle

FIELDS = ("scalar", "vector", "sign", "regular")
AREA = 4 * math.pi**2 * 2 * 0.7


@cache
def surface():
    return er.Chart(torus, 2, periods=(TURN, TURN), steps=4)


@cache
def grid(size=8, rotations=4, nodes=4, pooling=0.8):
    return surface().grid(2 * size, size, rotations=rotations, nodes=nodes, pooling=pooling)


@cache
def tube():
    """The torus as an equation."""
    start = torch.tensor([2.7, 0.0, 0.0]).double()
    return er.Implicit(tube_equation, start, extent=6.0, steps=2)


def tube_equation(x):
    return (torch.hypot(x[..., 0], x[..., 1]) - 2).square() + x[..., 2].square() - 0.49


def full_of_holes(x):
    return x[..., 2] + 0 * torch.sqrt(torch.cos(40 * x[..., 0]) - 0.98)


@cache
def scattered(count=160):
    return tube().samples(tube().spread_points(count), rotations=4, nodes=4)


@cache
def spheroid():
    return er.Ellipsoid((1.0, 1.0, 1.4), steps=4).grid(8, rotations=4, nodes=4)


def annulus(boundary):
    chart = er.Chart(polar, 2, bounds=((0.5, 1.5), None), periods=(None, TURN), steps=4)
    return chart.grid(8, 24, boundary=boundary, nodes=4)


DOMAINS = {
    "torus": grid,
    "spheroid": spheroid,
    "scattered": scattered,
    "annulus": lambda: annulus("zero"),
    "annulus, mirrors": lambda: annulus("reflect"),
    "sphere x circle": cache(lambda: sphere_and_circle(4, 6)),
}


def wave(x):
    return torch.sin(x[..., 0]) * torch.cos(x[..., 1]) + torch.cos(2 * x[..., 0] + x[..., 1])


def noise(domain, field, channels=2):
    rho, draw = domain.representation(field), torch.Generator().manual_seed(0)
    axes = [rho.dim] if rho.has_axis else []
    x = torch.randn(1, channels, *axes, *domain.shape, generator=draw, dtype=torch.float64)
    if rho.fibre is not None:  # what the samples of the fibre hold
        x = torch.einsum("ij,bcj...->bci...", rho.fibre.lowpass(rho.fibre.default_band), x)
    return x


def in_frames(f, domain, field, h):
    """The same field in the frames s(p) h."""
    rho = domain.representation(field)
    if not rho.has_axis:
        return f * rho.inverse(h)[..., 0, 0]
    return torch.einsum("...ij,bcj...->bci...", rho.inverse(h), f)


def turns(domain):
    draw = torch.Generator().manual_seed(1)
    t = 7 * torch.randn(*domain.shape, 1, 1, generator=draw, dtype=torch.float64)
    return torch.matrix_exp(t * domain.geometry.structure.algebra[0])


@pytest.mark.parametrize("name", DOMAINS)
def test_constants_stay(name):
    domain = DOMAINS[name]()
    coarse = domain.coarser()
    assert coarse.weights.numel() < domain.weights.numel()
    ones, few = torch.ones(1, 1, *domain.shape).double(), torch.ones(1, 1, *coarse.shape).double()
    torch.testing.assert_close(er.nn.Down(domain, "scalar")(ones), few, rtol=0, atol=1e-12)
    torch.testing.assert_close(er.nn.Up(domain, "scalar")(few, domain.shape), ones, rtol=0, atol=1e-9)


def test_means_keep_the_integral_and_cross_out_the_finest_pattern():
    for domain in (grid(12), spheroid()):
        coarse, p = domain.coarser(), domain.points
        f = torch.exp(torch.sin(p[..., 0]) + torch.cos(p[..., 1] - p[..., 0]))
        g = er.nn.Down(domain, "scalar")(f[None, None])[0, 0]
        assert 1e-6 < abs(float((g * coarse.weights).sum() / (f * domain.weights).sum()) - 1) < 3e-3
    plain = surface().grid(24, 12, nodes=6)
    checkers = (torch.arange(24) % 2 * 2.0 - 1)[:, None] * (torch.arange(12) % 2 * 2.0 - 1)
    assert float(er.nn.Down(plain, "scalar")(checkers[None, None].double()).abs().max()) < 0.1


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", ["torus", "scattered"])
def test_down_and_up_do_not_see_the_frames(field, name):
    domain = DOMAINS[name]()
    h, x = turns(domain), noise(domain, field)
    other = domain.reframed(h)
    y = er.nn.Down(domain, field)(x)
    found = er.nn.Down(other, field)(in_frames(x, domain, field, h))
    torch.testing.assert_close(found, y, rtol=0, atol=1e-8)
    z = er.nn.Up(domain, field)(y, domain.shape)
    found = er.nn.Up(other, field)(y, domain.shape)
    torch.testing.assert_close(found, in_frames(z, domain, field, h), rtol=0, atol=1e-8)
    assert float(z.std()) > 0.05


@pytest.mark.parametrize("field", FIELDS)
def test_down_and_up_of_what_frames_see(field):
    """A function, its gradient and its slope along the frames: of the coarse and of the fine samples."""
    fine = grid(16, nodes=6, pooling=0.5)
    coarse = fine.coarser()

    def sampled(domain):
        E, x = domain.frames.basis, domain.points
        d = torch.stack([torch.cos(x[..., 0]), -torch.sin(x[..., 1])], -1)  # of sin x + cos y
        value = torch.sin(x[..., 0]) + torch.cos(x[..., 1])
        if field in ("scalar", "sign"):
            return value[None, None]
        slope = (E.mT @ d[..., None])[..., 0]  # components of the gradient
        if field == "vector":
            return slope.movedim(-1, 0)[None, None]
        along = slope @ domain.fibre.elements[..., 0].T
        return (value[..., None] + along).movedim(-1, 0)[None, None]

    one, other = sampled(fine), sampled(coarse)
    up = er.nn.Up(fine, field)(other, fine.shape)
    assert float((up - one).norm() / one.norm()) < 0.02
    down = er.nn.Down(fine, field)(one)
    assert float((down - other).norm() / other.norm()) < 0.08


@pytest.mark.parametrize("field", FIELDS)
def test_shifts_round_the_axis_are_exact(field):
    down, up = er.nn.Down(grid(), field), er.nn.Up(grid(), field)
    x = noise(grid(), field)
    y = down(x)
    torch.testing.assert_close(down(x.roll(4, -2)), y.roll(2, -2), rtol=0, atol=1e-12)
    z = up(y, grid().shape)
    torch.testing.assert_close(up(y.roll(2, -2), grid().shape), z.roll(4, -2), rtol=0, atol=1e-12)


def network(domain, model=er.models.UNet, **options):
    torch.manual_seed(0)
    net = model(domain, 1, 1, 2, 1, radius=0.7, **options).double()
    x = torch.randn(4, 1, *domain.shape, generator=torch.Generator().manual_seed(2)).double()
    return er.verify.randomized(net, x).requires_grad_(False), x[:1]


def test_networks_on_the_torus_commute_with_shifts_round_the_axis():
    net, x = network(grid())
    y = net(x)
    assert float(y.std()) > 1e-3
    torch.testing.assert_close(net(x.roll(2, -2)), y.roll(2, -2), rtol=0, atol=1e-10)
    net, x = network(grid(), er.models.Classifier)
    torch.testing.assert_close(net(x.roll(6, -2)), net(x), rtol=0, atol=1e-10)
    assert float((net(x.flip(-1)) - net(x)).abs().max()) > 1e-5


def test_networks_on_the_spheroid_commute_with_turns_of_it():
    net, x = network(spheroid())
    y = net(x)
    torch.testing.assert_close(net(x.roll(2, -1)), y.roll(2, -1), rtol=0, atol=1e-9)


def test_networks_do_not_see_the_frames():
    net, _ = network(grid())
    assert er.verify.gauge(net, turns="fibre").defect < 1e-6
    assert er.verify.gauge(net, turns="any").defect > 1e-5  # a ReLU aliases
    net, _ = network(grid(), nonlinearity="gated")
    assert er.verify.gauge(net, turns="any").defect < 1e-6


def test_isometries_of_networks():
    net, _ = network(grid(12, 4, 6))
    exact = er.verify.isometry(net, lambda x: x + torch.tensor([TURN / 12, 0.0]).to(x), wave)
    assert exact.defect < 1e-7
    between = er.verify.isometry(net, lambda x: x + torch.tensor([TURN / 30, 0.0]).to(x), wave)
    assert 1e-6 < between.defect < 0.2  # of a coarse grid of 6 samples round the tube


def test_networks_are_refined_with_at_least_second_order():
    domains = [grid(n, None, 4, 1.2) for n in (8, 16, 32)]
    net, _ = network(domains[0])
    found = er.verify.refinement(net, domains, wave)
    assert found.order > 2
    assert found.errors[1] < 0.1


def test_means_in_two_charts_and_on_an_equation_are_one():
    other = er.Chart(in_bent(torus), 2, periods=(TURN, TURN), steps=4)
    domains = [grid(16, None, 6), other.grid(32, 16, nodes=6, pooling=0.8)]
    places = [lambda x: x, bent]
    expected = None
    for domain, where in zip(domains, places, strict=True):
        g = er.nn.Down(domain, "scalar")(wave(where(domain.points))[None, None])
        coarse = domain.coarser()
        mean = wave(where(coarse.points)) - g[0, 0]
        if expected is None:
            expected = coarse, mean
        else:
            u = Frame(where(coarse.points), torch.eye(2).double().expand(*coarse.shape, 2, 2))
            u = surface().frames(surface().home(u.point))
            there = expected[0].seen_from(u, expected[1])
            assert float((mean - there).norm() / there.norm()) < 0.08


def test_scattered_points_weigh_what_is_next_to_them():
    for count, most in ((160, 2e-2), (640, 4e-3)):
        domain = scattered(count)
        assert float(domain.weights.sum()) == pytest.approx(AREA, rel=most)
    coarse = scattered().coarser()
    assert isinstance(coarse.quadrature, NodeQuadrature)
    assert coarse.shape == (40,)
    assert coarse.quadrature.pooling == pytest.approx(2 * scattered().quadrature.pooling)
    assert float(coarse.weights.sum()) == pytest.approx(float(scattered().weights.sum()))


def test_frames_on_an_equation_are_orthonormal_and_of_one_side():
    p = tube().found_points(400)
    E = tube().frame(p)
    one = torch.eye(2).double().expand(len(p), 2, 2)
    torch.testing.assert_close(E.mT @ E, one, rtol=0, atol=1e-12)
    outward = tube().gradient(p).mT
    side = torch.linalg.det(torch.cat([outward, E], -1)).sign()
    assert int(side.unique().numel()) == 1
    far = tube().nearby(tube().frames(p[:1]), p)  # beyond a right angle as well
    torch.testing.assert_close(far.basis.mT @ far.basis, one, rtol=0, atol=1e-12)
    torch.testing.assert_close(tube().gradient(p) @ far.basis, torch.zeros(len(p), 1, 2).double())


@pytest.mark.parametrize("space", [surface, tube], ids=["chart", "equation"])
def test_coordinates_nearby_are_right_to_third_order(space):
    geometry = space()
    p = tube().found_points(40)[:40]
    if space is surface:
        p = torch.stack([torch.atan2(p[:, 1], p[:, 0]), p[:, 2]], -1)
    u = geometry.frames(geometry.home(p))
    v = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).double()
    v, errors = v / v.norm(dim=-1, keepdim=True), []
    for r in (0.2, 0.1):
        q = geometry.carry(u, r * v).point
        errors.append(float((geometry.coordinates_nearby(u, q) - r * v).norm(dim=-1).max()))
    assert errors[1] < 3e-4
    assert math.log2(errors[0] / errors[1]) > 2.5
    i = torch.arange(40)
    rough = geometry.distance_nearby_of_pairs(u.point, q, i, i)
    torch.testing.assert_close(rough, torch.full_like(rough, 0.1), rtol=0.08, atol=0)


def test_products_are_near_where_their_factors_are():
    space = er.Product(surface(), er.FlatTorus((2.0,)), measure="tangent")
    u = Frame(torch.tensor([[1.0, 2.0, 1.9]]).double(), torch.eye(3).double()[None])
    q = torch.tensor([[1.0, 2.1, 0.1]]).double()
    v = space.coordinates_nearby(u, q)
    torch.testing.assert_close(v[0, 1:], torch.tensor([0.1, 0.2]).double(), rtol=0, atol=1e-6)
    index = torch.zeros(1, dtype=torch.long)
    d = space.distance_nearby_of_pairs(u.point, q, index, index)
    assert float(d) == pytest.approx(math.hypot(0.07, 0.2))


def test_frames_lie_along_coordinates_where_h_holds_all_turns():
    torch.testing.assert_close(grid().frames.basis[..., 1, 0], torch.zeros(grid().shape).double())
    assert surface().structure.has_all_turns
    flat = annulus("zero").frames  # here they must be parallel
    assert not annulus("zero").geometry.structure.has_all_turns
    assert float(flat.basis[..., 1, 0].abs().max()) > 0.5


def test_embedded_and_intrinsic_means_agree():
    """The same function on the chart and on scattered points of the equation."""
    chart, points = grid(16, None, 6), scattered(640)
    space = tube().samples(points.points, nodes=6, pooling=0.8)
    f, g = (
        er.nn.Down(d, "scalar")(torch.sin(x)[..., 0][None, None])[0, 0]
        for d, x in ((chart, in_space(chart.points)), (space, space.points))
    )
    coarse, there = chart.coarser(), space.coarser().points
    t = torch.atan2(there[:, 2], torch.hypot(there[:, 0], there[:, 1]) - 2)
    u = surface().frames(surface().home(torch.stack([torch.atan2(there[:, 1], there[:, 0]), t], -1)))
    expected = coarse.seen_from(u, f)
    assert float((g - expected).norm() / expected.norm()) < 0.03


def test_pickles_keep_what_was_asked():
    for domain in (spheroid(), er.SurfaceOfRevolution(steps=2).grid(8, 8, nodes=4, pooling=0.9)):
        again = pickle.loads(pickle.dumps(domain))
        assert again.quadrature.pooling == domain.quadrature.pooling
        assert again.coarser().quadrature.pooling == domain.coarser().quadrature.pooling
        torch.testing.assert_close(again.frames.basis, domain.frames.basis)


def test_only_coarser_domains_move_with_a_network():
    net = torch.nn.Sequential(er.nn.Project(grid()), er.nn.Down(grid(12), "scalar"))
    with pytest.raises(ValueError, match="expected a module on one domain"):
        er.on(net, grid(16))
    ball = er.Sphere().grid(16)
    below = er.on(er.nn.Correlation(ball, 1, 1, to=ball.coarser()), er.Sphere().grid(24))
    assert below(torch.randn(1, 1, 24, 48)).shape == (1, 1, 12, 24)
    moved = er.on(network(grid())[0], grid(12))
    assert [d.domain.shape for d in moved.down] == [(24, 12)]
    assert moved.mix[0].domain is grid(12).coarser()


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: grid(4).coarser(), "expected 2 sizes of at least 4"),
        (
            lambda: er.nn.Pool(grid(), "max", "scalar")(torch.zeros(1, 1, 16, 8)),
            'pool by reduction="mean"',
        ),
        (lambda: surface().grid(8, 8, pooling=0.0), "pooling is 0.0, expected a positive length"),
        (
            lambda: er.Implicit(full_of_holes, torch.zeros(3), extent=2.0).spread_points(20),
            "take another extent",
        ),
    ],
)
def test_refusals(run, message):
    with pytest.raises(ValueError, match=message):
        run()
