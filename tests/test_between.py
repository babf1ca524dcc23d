"""Correlation between two domains: other samples of one space, and other spaces of one group."""

import math
from functools import partial

import pytest
import torch

import erlangen as er
from erlangen import groups
from erlangen.domains import KernelSpec, Samples, within
from erlangen.domains.relative import frames_over, relative


def cloud(space, count, radius=1.2, seed=0):
    """Random elements of the group, and where they take the origin; weights of all sizes."""
    g = space.group.sample(count, radius=radius, seed=seed)
    p = space.act(g, space.frames(space.origin)).point
    w = 0.5 + torch.rand(count, generator=torch.Generator().manual_seed(seed)).double()
    return Samples(space, p, w)


R3, S2, H2 = er.Euclidean(3, "roto-translations"), er.Sphere(), er.Hyperbolic()
LINES, SCREWS = er.PositionsAndDirections(), er.GroupSpace(groups.SE(3))
PAIRS = {
    # from, to, the group that turns kernels, the group of the layer
    "R3 to R3 x S2": (R3, LINES, "SO(2)", "SE(3)"),
    "R3 to SE(3)": (R3, SCREWS, "trivial", "SE(3)"),
    "R3 x S2 to SE(3)": (LINES, SCREWS, "trivial", "SE(3)"),
    "R3 x S2 to R3": (LINES, R3, "SO(2)", "SE(3)"),
    "S2 to SO(3)": (S2, er.GroupSpace(groups.SO(3)), "trivial", "SO(3)"),
    "SO(3) to S2": (er.GroupSpace(groups.SO(3)), S2, "trivial", "SO(3)"),
    "S2 to RP2": (S2, er.ProjectivePlane(), "SO(2)", "SO(3)"),
    "RP2 to S2": (er.ProjectivePlane(), S2, "SO(2)", "SO(3)"),
    "H2 to SO+(1,2)": (H2, er.GroupSpace(groups.SO(1, 2)), "trivial", "SO+(1,2)"),
    "R2 to SE(2)": (er.Euclidean(2, "roto-translations"), er.GroupSpace(groups.SE(2)), "trivial", "SE(2)"),
    "isometries to turns": (er.Euclidean(2, "isometries"), er.GroupSpace(groups.SE(2)), "trivial", "SE(2)"),
    "S2 to S2": (S2, S2, "SO(2)", "SO(3)"),
    "H2 to H2": (H2, H2, "SO(2)", "SO+(1,2)"),
}


@pytest.fixture(params=PAIRS, ids=str)
def pair(request):
    M, N, structure, name = PAIRS[request.param]
    return cloud(M, 40), cloud(N, 24, seed=1), structure, name


def random_field(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).double()


def combined(basis, w, v):
    return torch.einsum("b,...b->...", w, basis(v)[..., 0, 0])


def test_the_engine_is_the_formula(pair):
    source, target, structure, name = pair
    seen = relative(source.sampling, target.sampling)
    assert str(seen.structure) == structure
    layer = er.nn.Correlation(source, 2, 1, radius=1.4, rings=2, to=target, dtype=torch.float64)
    assert layer.equivariant_to == name
    assert f'equivariant_to="{name}"' in repr(layer)
    f = random_field(2, 2, 40)
    y = layer(f).detach()
    basis = er.kernels.KernelBasis.build(
        seen.structure,
        er.kernels.Rings(seen.geometry.dim, 1.4, 2),
        source.representation("scalar"),
        target.representation("scalar"),
    )
    expected = torch.zeros_like(y)
    for c in range(2):
        w = layer.weight.detach()[0, c]
        expected[:, 0] += er.correlate(source, partial(combined, basis, w), f[:, c], radius=1.4, to=target)
    assert y.std() > 1e-3
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-11 * float(y.abs().max()))


def test_layers_commute_with_the_group(pair):
    """The samples of both domains moved by a random element: the values stay."""
    source, target, _, _ = pair
    small = min(
        source.geometry.group, target.geometry.group, key=lambda group: (group.dim, len(group.components))
    )
    g = small.sample(1, radius=1.5, seed=7)[0]
    layer = er.nn.Correlation(source, 2, 3, radius=1.4, rings=2, to=target, dtype=torch.float64)
    moved = [
        Samples(d.geometry, d.geometry.act(g, d.geometry.frames(d.points)).point, d.weights)
        for d in (source, target)
    ]
    other = er.nn.Correlation(moved[0], 2, 3, radius=1.4, rings=2, to=moved[1], dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    f = random_field(1, 2, 40)
    y = layer(f).detach()
    assert y.std() > 1e-3
    torch.testing.assert_close(other(f).detach(), y, rtol=0, atol=1e-9 * float(y.abs().max()))


def test_a_lift_to_the_group_is_the_integral():
    """``(k * f)(g) = sum_q w_q k(g^-1 q) f(q)`` for any k, with the group's matrices and nothing else."""
    source, target = cloud(R3, 30), cloud(SCREWS, 12, seed=1)
    f = random_field(30)

    def k(v):
        return torch.exp(-v.square().sum(-1)) * (1 + v[..., 0] + v[..., 1] * v[..., 2])

    g = SCREWS.element(target.points)
    x = torch.cat([source.points, torch.ones(30, 1)], -1)
    seen = torch.einsum("pab,qb->pqa", torch.linalg.inv(g), x)[..., :3]
    expected = (k(seen) * source.weights * f).sum(-1)
    torch.testing.assert_close(er.correlate(source, k, f, to=target), expected)


def test_another_section_changes_nothing():
    """The frames over p' are determined up to H', which kernels do not see."""
    turn = groups.SE(3).exp(torch.tensor([0.0, 0, 0, 0.9, 0, 0], dtype=torch.float64))  # about z

    class Turned(er.PositionsAndDirections):
        def section(self, p):
            return super().section(p) @ turn

    source, target = cloud(R3, 40), cloud(LINES, 20, seed=1)
    other = Samples(Turned(), target.points, target.weights)
    u, w = (frames_over(d.geometry, R3, target.points).basis for d in (target, other))
    assert (u - w).abs().max() > 0.1
    layer = er.nn.Lift(source, 1, 2, radius=1.4, rings=2, to=target, dtype=torch.float64)
    twin = er.nn.Lift(source, 1, 2, radius=1.4, rings=2, to=other, dtype=torch.float64)
    twin.load_state_dict(layer.state_dict())
    f = random_field(1, 1, 40)
    torch.testing.assert_close(twin(f), layer(f), rtol=0, atol=1e-12)


def test_lifts_know_more_than_scalars():
    """Only H' constrains: more kernels on the way to a larger quotient."""
    R, lines, screws = (cloud(space, 20, seed=i) for i, space in enumerate((R3, LINES, SCREWS)))
    counts = [er.nn.Correlation(R, 1, 1, radius=2.0, to=to).weight.shape[-1] for to in (R, lines, screws)]
    assert counts[0] < counts[1] < counts[2]


def test_regular_fields_go_to_other_samples_of_one_space():
    source, target = er.Sphere().grid(5, 8, rotations=5), er.Sphere().grid(4, 6, rotations=5)
    f = random_field(2, 5, 5, 8)

    def k(v, h):
        return torch.exp(-4 * v.square().sum(-1)) * (1 + v[..., 0]) * (1 + h[..., 0, 0])

    y = er.correlate(source, k, f, radius=1.5, in_field="regular", out_field="regular", to=target)
    here = er.correlate(source, k, f, radius=1.5, in_field="regular", out_field="regular", to=source)
    same = er.correlate(source, k, f, radius=1.5, in_field="regular", out_field="regular")
    assert y.shape == (2, 5, 4, 6)
    torch.testing.assert_close(here, same, rtol=0, atol=0)
    layer = er.nn.Correlation(
        source, 2, 3, radius=1.5, in_field="regular", out_field="regular", to=target, dtype=torch.float64
    )
    assert layer(f[None]).shape == (1, 3, 5, 4, 6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: relative(cloud(R3, 9).sampling, cloud(S2, 9).sampling),
            "no kernels are known from .* expected one group",
        ),
        (
            lambda: er.nn.Correlation(cloud(R3, 9), 1, 1, radius=1.0, to=cloud(LINES, 9), out_field="vector"),
            r"fields are scalar, not scalar and vector; a lifted field is .* to=er.GroupSpace",
        ),
        (
            lambda: er.nn.Correlation(cloud(R3, 9), 1, 1, kernel_size=1, to=cloud(LINES, 9)),
            "a kernel from one domain to another has a width",
        ),
        (
            lambda: er.nn.Correlation(cloud(R3, 9), 1, 1, radius=1.0, to=cloud(LINES, 9), separable=True),
            "expected separable=False",
        ),
        (
            lambda: er.nn.Correlation(er.Plane(), 1, 1, 3, to=er.Plane(shape=(4, 4))),
            "expected a known one; give shape=",
        ),
        (
            lambda: er.nn.Correlation(cloud(R3, 9), 1, 1, radius=1e-3, to=cloud(LINES, 9, seed=1)),
            "none of the samples of .* lies within 0.001",
        ),
        (
            lambda: er.correlate(
                cloud(R3, 9), lambda v: v[..., 0], torch.ones(9), radius=1.0, to=cloud(LINES, 9)
            ),
            r"the structure group SO\(2\) moves this kernel",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_line_goes_round_its_circle_whatever_the_turn():
    """Whole turns keep the origin of the circle, and move that of the line."""
    line, circle = er.Euclidean(1).grid(60, spacing=0.1), er.FlatTorus((1.0,)).grid(10)
    down = er.nn.Correlation(line, 1, 1, radius=0.4, to=circle, bias=False).double()
    up = er.nn.Correlation(circle, 1, 1, radius=0.4, to=line, bias=False).double()
    f = torch.zeros(1, 1, 60).double()
    f[..., 20:30] = torch.randn(10).double()
    assert float(down(f).detach().std()) > 1e-3
    torch.testing.assert_close(down(f.roll(10, -1)), down(f), rtol=0, atol=1e-12)
    torch.testing.assert_close(down(f.roll(3, -1)), down(f).roll(3, -1), rtol=0, atol=1e-12)
    y = up(torch.randn(1, 1, 10).double())
    torch.testing.assert_close(y[..., 10:], y[..., :-10], rtol=0, atol=1e-12)


def test_engines_between_are_shared_and_forgotten():
    source, target = cloud(R3, 20), cloud(LINES, 10)
    spec = KernelSpec(radius=1.4, rings=3)
    assert source.engine(spec, target) is source.engine(spec, target)
    assert len(source._engines_to) == 1
    del target
    assert len(source._engines_to) == 0


def test_the_trivial_lift_and_the_way_down():
    positions = R3.grid(3, 3, 2)
    lines = er.PositionsAndDirections(length=2.0).grid(positions)
    assert lines.shape == (12, 3, 3, 2)
    assert float(lines.weights.sum()) == pytest.approx(4 * torch.pi * 18)
    f = random_field(2, 3, 3, 3, 2)
    F = er.nn.Pullback(positions, lines)(f)
    torch.testing.assert_close(F, f[:, :, None].expand(-1, -1, 12, -1, -1, -1))
    for reduction in ("mean", "max"):
        torch.testing.assert_close(er.nn.Pushforward(lines, positions, reduction)(F), f)
    F = random_field(2, 3, 12, 3, 3, 2)
    torch.testing.assert_close(er.nn.Pushforward(lines, positions)(F), F.mean(2))
    torch.testing.assert_close(er.nn.Pushforward(lines, positions, "max")(F), F.amax(2))


def test_directions_of_a_grid_need_their_areas():
    theta = math.pi * (torch.arange(6).double() + 0.5) / 6
    phi = 2 * math.pi * torch.arange(12).double() / 12
    theta, phi = (x.flatten() for x in torch.meshgrid(theta, phi, indexing="ij"))
    n = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)
    with pytest.raises(ValueError, match=r"weights are not the invariant measure .*areas of Voronoi cells"):
        LINES.grid(R3.grid(2, 2, 2), n)
    d = LINES.grid(R3.grid(2, 2, 2), n, er.Sphere().samples(n).weights)
    share = d.weights / d.weights.sum()
    assert float((share * d.points[..., 5].square()).sum()) == pytest.approx(1 / 3, abs=0.02)
    assert float(d.weights.sum()) == pytest.approx(8 * 4 * math.pi)


def test_the_way_down_is_by_measure():
    """Three elements of SE(2) over one point, one over another."""
    plane, group = er.Euclidean(2, "roto-translations"), er.GroupSpace(groups.SE(2))
    g = groups.SE(2).exp(torch.tensor([[0, 0, 0.0], [0, 0, 1], [0, 0, 2], [1, 0, 0]]).double())
    above = group.samples(group.point(g), torch.tensor([1.0, 2.0, 5.0, 1.0]).double())
    below = Samples(plane, torch.tensor([[1.0, 0], [0, 0]]).double(), torch.ones(2))
    F = torch.tensor([[[1.0, 2.0, 3.0, 7.0]]]).double()
    torch.testing.assert_close(er.nn.Pushforward(above, below)(F), torch.tensor([[[7.0, 2.5]]]).double())
    torch.testing.assert_close(
        er.nn.Pushforward(above, below, "max")(F), torch.tensor([[[7.0, 3.0]]]).double()
    )
    with pytest.raises(ValueError, match="lies over none of"):
        er.nn.Pullback(Samples(plane, torch.ones(1, 2), torch.ones(1)), above)
    more = Samples(plane, torch.tensor([[1.0, 0], [0, 0], [5, 5]]).double(), torch.ones(3))
    with pytest.raises(ValueError, match=r"over 1 samples of .* lies none"):
        er.nn.Pushforward(above, more)
    with pytest.raises(ValueError, match="does not lie over"):
        er.nn.Pullback(above, below)
    with pytest.raises(ValueError, match='expected "max" or "mean"'):
        er.nn.Pushforward(above, below, "sum")


def test_a_shift_by_the_length_counts_as_a_radian():
    space = er.PositionsAndDirections(length=3.0)
    p = torch.tensor([[0.0, 0, 0, 0, 0, 1], [0, 0, 3, 0, 0, 1], [0, 0, 0, 1, 0, 0]]).double()
    lengths = space.distance(p[:1], p)
    torch.testing.assert_close(lengths, torch.tensor([0.0, 1.0, torch.pi / 2]).double())
    q = space.orbit.point(space.group.sample(20, radius=1.0))
    torch.testing.assert_close(space.orbit.solve(q, space._complement), space.log_origin(q))
    with pytest.raises(ValueError, match=r"length is 0\.0, expected a positive length"):
        er.PositionsAndDirections(length=0.0)


def test_the_cheap_bound_is_one():
    space = er.PositionsAndDirections(length=2.0)
    p = space.orbit.point(space.group.sample(60, radius=3.0))
    bound, distance = space.distance_at_least(p[:, None], p), space.distance(p[:, None], p)
    assert bool((bound <= distance + 1e-6).all())
    assert float((bound / distance.clamp_min(1e-3)).mean()) > 0.8
    apart = (p[:, None] - p).norm(dim=-1)
    assert all(float(apart[distance < r].max()) <= space.chord(r) for r in (0.5, 1.0, 2.0))
    i, j = within(space, p, p, 2.0)
    found = torch.zeros(60, 60, dtype=torch.bool)
    found[i, j] = True
    assert torch.equal(found, distance < 2.0)
