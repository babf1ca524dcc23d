"""Atlases: the same answers as without charts, and what does not fit together."""

import math

import pytest
import torch
from atlases import from_sphere, in_plane, inverted, on_chart, on_sphere, sphere, strip, torus_of_charts
from metrics import TURN, flat, in_space, polar, stereographic, torus

import erlangen as er
from erlangen.geometry import Frame
from erlangen.geometry.derivative import partials

S2 = er.Sphere()
CHART = er.Chart(torus, 2, periods=(TURN, TURN), steps=12)


def pushed(f, u):
    """A frame seen through a map."""
    point, derivative = partials(f, u.point)
    return Frame(point, derivative.movedim(0, -1) @ u.basis)


def some_frames(atlas, count=30, length=2.5, seed=0):
    torch.manual_seed(seed)
    p = torch.randn(count, 3).double()
    u = atlas.frames(from_sphere(p / p.norm(dim=-1, keepdim=True)))
    v = torch.randn(count, 2).double()
    return u, length * torch.rand(count, 1).double() * v / v.norm(dim=-1, keepdim=True)


def test_the_sphere_from_two_charts_carries_as_the_sphere():
    u, v = some_frames(sphere())
    expected = S2.carry(pushed(on_sphere, u), v)
    off = []
    for steps in (8, 16):
        arrived = pushed(on_sphere, sphere(steps=steps).carry(u, v))
        off.append(max(float((a - b).abs().max()) for a, b in zip(arrived, expected, strict=True)))
    assert bool((sphere().carry(u, v).point[:, 0] != u.point[:, 0]).any())  # some came to the other chart
    assert off[1] < 1e-4
    assert off[1] < off[0] / 10  # of fourth order


def test_logarithms_on_the_sphere():
    space = sphere(steps=10)
    u, v = some_frames(space, count=10, length=2.0)
    x, y = on_sphere(u.point), S2.carry(pushed(on_sphere, u), v).point
    q = from_sphere(y)
    found = pushed(on_sphere, Frame(u.point, space.log(u.point, q)[..., None])).basis[..., 0]
    torch.testing.assert_close(found, S2.log(x, y), rtol=0, atol=1e-4)
    torch.testing.assert_close(space.distance(u.point, q), S2.distance(x, y), rtol=0, atol=1e-4)


def test_a_point_has_one_frame_however_it_is_written():
    space = sphere()
    x = torch.tensor([0.9, -0.3]).double()
    p, q = space.point(x, 0), space.point(inverted(x), 1)
    assert torch.equal(space.home(p), space.home(q))
    one, other = pushed(on_sphere, space.frames(p)), pushed(on_sphere, space.frames(q))
    torch.testing.assert_close(one.basis, other.basis, rtol=0, atol=1e-12)
    torch.testing.assert_close(space.seen_in(p, 1), inverted(x))
    assert bool(space.seen_in(space.point(torch.zeros(2).double()), 1).isnan().all())


def circle(t):
    """A small circle on the sphere, across the equator, once round."""
    c, s = torch.cos(TURN * t + 0.1), torch.sin(TURN * t + 0.1)
    height = math.sqrt(0.5)
    return height * torch.stack([torch.ones_like(c), c, s], -1)


def test_transport_along_curves():
    """Round a small circle that bounds the area A a vector turns by A."""
    w = torch.tensor([0.3, 0.4, 0.5]).double()
    space, start = sphere(), circle(torch.zeros(1).double())[0]
    w = w - (w @ start) * start
    x, derivative = partials(from_sphere, start)
    inner = derivative.mT @ w
    inner[0] = 0.0
    back = space.transport_along(lambda t: from_sphere(circle(t)), inner)
    found = pushed(on_sphere, Frame(x, back[:, None])).basis[:, 0]
    torch.testing.assert_close(found, S2.transport_along(circle, w), rtol=0, atol=1e-5)
    assert float((found - w).norm()) > 0.3
    polygon = from_sphere(circle(torch.linspace(0.0, 1.0, 49).double()))
    back = space.transport_along(polygon, inner)
    torch.testing.assert_close(
        pushed(on_sphere, Frame(x, back[:, None])).basis[:, 0], found, rtol=0, atol=1e-2
    )


def test_parallel_transport_of_a_vector():
    space = sphere(steps=10)
    u, v = some_frames(space, count=10, seed=1)
    w = u.tangent(torch.randn(10, 2).double())
    moved = space.parallel_transport(u.point, u.tangent(v), w)
    end = space.exp(u.point, u.tangent(v))
    seen = pushed(on_sphere, Frame(end, moved[..., None])).basis[..., 0]
    x, V = pushed(on_sphere, Frame(u.point, torch.stack([u.tangent(v), w], -1)))
    torch.testing.assert_close(seen, S2.parallel_transport(x, V[..., 0], V[..., 1]), rtol=0, atol=1e-4)


def test_curvature_and_density():
    space = sphere(steps=10)
    u, v = some_frames(space, count=8)
    K = space.curvature(u)[:, 0, 1, 0, 1]
    torch.testing.assert_close(K, torch.ones_like(K), rtol=0, atol=1e-9)
    torch.testing.assert_close(space.density_at(u, v), S2.density(v), rtol=0, atol=1e-4)
    assert space.injectivity_radius == pytest.approx(math.pi)


def test_the_torus_from_four_charts_is_the_periodic_chart():
    space = torus_of_charts(steps=12)
    torch.manual_seed(0)
    u = space.frames(space.point(0.2 + 3 * torch.rand(20, 2).double(), 0))
    v = torch.randn(20, 2).double()
    v = 1.9 * torch.rand(20, 1).double() * v / v.norm(dim=-1, keepdim=True)
    one, other = space.carry(u, v), CHART.carry(Frame(on_chart(u.point), u.basis[:, 1:]), v)
    assert len(one.point[:, 0].unique()) > 2
    torch.testing.assert_close(in_space(on_chart(one.point)), in_space(other.point), rtol=0, atol=2e-6)
    torch.testing.assert_close(one.basis[:, 1:], other.basis, rtol=0, atol=2e-6)
    torch.testing.assert_close(space.coordinates(u, one.point), v, rtol=0, atol=1e-9)
    assert len(space.circuits()) == 2  # of sixteen pieces of overlaps
    assert space.injectivity_radius == pytest.approx(CHART.injectivity_radius, rel=0.02)


def test_the_moebius_strip_from_two_charts_is_the_flat_one():
    space, expected = strip(), er.Moebius(2.0, 1.0)
    torch.manual_seed(0)
    x = torch.stack([2 * torch.rand(30), torch.rand(30) - 0.5], -1).double()
    u = space.frames(from_plane(x))
    v = (torch.rand(30, 2).double() - 0.5) * torch.tensor([3.0, 0.3])
    one, other = space.carry(u, v), expected.carry(Frame(x, u.basis[:, 1:]), v)
    torch.testing.assert_close(in_plane(one.point), other.point, rtol=0, atol=1e-12)
    assert torch.equal(space.contains(one.point), expected.contains(other.point))
    assert not bool(space.contains(one.point).all())
    h = space.holonomy()
    torch.testing.assert_close(h.circuit_turns[0], torch.diag(torch.tensor([1.0, -1.0])).double())
    assert space.injectivity_radius == pytest.approx(1.0, rel=1e-3)


def from_plane(x):
    return torch.cat([(x[:, :1] > 1).double(), x], -1)


CAP = er.Chart(stereographic, 2, bounds=((-1.5, 1.5),) * 2)
ANNULUS = er.Chart(polar, 2, bounds=((0.5, 1.5), None), periods=(None, TURN))
SQUARE = er.Chart(flat, 2, bounds=((0.0, 2.0), (0.0, 1.0)))


def beside(step):
    """Two unit squares, side by side or somewhat higher."""
    shift = torch.tensor(step).double()
    return {(0, 1): lambda x: x - shift.to(x), (1, 0): lambda x: x + shift.to(x)}


def both(phi, back=None):
    return {(0, 1): phi, (1, 0): back or phi}


def same(x):
    return x


def shifted(x):
    return x + torch.tensor([0.3, 0.0]).to(x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: er.Atlas([], {}), "expected one or more, all the same"),
        (lambda: er.Atlas([ANNULUS], {}), "chart 0 has the periods .* expected a box"),
        (lambda: er.Atlas([er.Chart(flat, 2)], {}), "expected a box"),
        (
            lambda: er.Atlas([CAP, CAP], {(0, 2): inverted}),
            "leads from chart 0 to chart 2, expected two of 0 to 1",
        ),
        (lambda: er.Atlas([CAP, CAP], {(0, 1): inverted}), "none back, expected both ways"),
        (lambda: er.Atlas([CAP, CAP], both(lambda x: x[..., :1])), r"gave shape \(2304, 1\)"),
        (lambda: er.Atlas([CAP, CAP], both(lambda x: x + 9)), "leads nowhere: of 2304 points"),
        (
            lambda: er.Atlas([CAP, CAP], both(lambda x: 1.1 * inverted(x))),
            r"charts 0 and 1 disagree where they overlap: at .* the transition phi is no isometry",
        ),
        (
            lambda: er.Atlas([CAP, CAP], both(inverted, lambda x: -inverted(x))),
            "the transition from chart 1 to 0 does not undo that from 0 to 1",
        ),
        (
            lambda: er.Atlas(
                [SQUARE] * 3,
                {(0, 1): same, (1, 0): same, (1, 2): same, (2, 1): same, (0, 2): shifted}
                | {(2, 0): lambda x: 2 * x - shifted(x)},
            ),
            "from chart 0 to 2 it matters whether the way leads over 1",
        ),
        (lambda: er.Atlas([SQUARE, SQUARE], beside([1.5, 0.5])), "lies in other charts in part only"),
        (lambda: er.Atlas([CAP, CAP], {}), r"no transitions lead from chart 0 to \[1\]"),
        (
            lambda: er.Atlas([SQUARE, SQUARE], beside([1.9995, 0.0])),
            "the charts overlap too little|leads nowhere",
        ),
        (lambda: sphere().frame(torch.tensor([2.0, 0.0, 0.0])), r"\(2, 0, 0\) lies in no chart of Atlas"),
        (lambda: sphere().frame(torch.tensor([0.5, 0.0, 0.0])), r"\(0.5, 0, 0\) lies in no chart"),
        (lambda: strip().frame(torch.tensor([0.0, 0.2, 0.7]).double()), r"\(0, 0.2, 0.7\) lies in no chart"),
        (
            lambda: strip().log(torch.tensor([0.0, 0.2, 0.1]), torch.tensor([0.0, 0.2, 0.7])),
            "lies in no chart",
        ),
        (
            lambda: strip().transport_along(
                lambda t: torch.stack([0 * t, 0.2 + 0 * t, t], -1), torch.tensor([0.0, 1.0, 0.0]).double()
            ),
            "the curve leaves the charts at its point 513",
        ),
        (
            lambda: strip().transport_along(
                lambda t: torch.stack([(t > 0.5).to(t), 0.2 + 1.4 * (t > 0.5), 0 * t], -1),
                torch.tensor([0.0, 1.0, 0.0]).double(),
            ),
            "the curve jumps at t = 0.5",
        ),
        (
            lambda: sphere().act(torch.eye(3), sphere().frames(sphere().origin)),
            "names no matrices that move it",
        ),
        (lambda: strip().grid(8), "expected 2 sizes of at least 4, of each chart's grid"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def smooth(p):
    x, y, z = p.unbind(-1)
    return (1 + x + 2 * y * z - z**2)[None, None]


def test_a_layer_on_two_charts_is_the_layer_on_the_sphere():
    """One metric in other charts: one answer, up to interpolation and quadrature."""
    ball = er.Sphere(measure="tangent")
    w = torch.randn(1, 1, 3).double()

    def layer(domain):
        found = er.nn.Correlation(domain, 1, 1, radius=0.7, rings=3, dtype=torch.float64)
        torch.nn.init.constant_(found.bias, 0.3)
        with torch.no_grad():
            found.weight.copy_(w)
        return found

    dense = ball.grid(48)
    expected = layer(dense)(smooth(dense.points)).detach()
    errors = []
    for size, nodes in ((8, 8), (16, 16)):
        grid = sphere().grid(size, size, nodes=nodes)
        p = on_sphere(grid.points)
        there = dense.to(ball.samples(p.flatten(0, -2)), expected)
        found = layer(grid)(smooth(p)).detach().flatten(2)
        errors.append(float((found - there).abs().max() / there.abs().max()))
    assert errors[1] < 1e-2
    assert errors[1] < errors[0] / 4  # of second order, or better


def test_networks_run_on_an_atlas():
    grid = sphere().grid(8, 8, rotations=4, nodes=4)
    net = er.models.UNet(grid, 1, 1, 2, 1, radius=0.9)
    assert net(smooth(on_sphere(grid.points)).float()).shape == (1, 1, 2, 8, 8)
