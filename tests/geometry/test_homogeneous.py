"""Homogeneous spaces: what is solved from a group, an origin and an action."""

import math

import pytest
import torch

import erlangen as er
from erlangen import groups
from erlangen.domains import Samples


def linear(g, p):
    return (g @ p[..., None])[..., 0]


def affine(g, p):
    return linear(g[..., :-1, :-1], p) + g[..., :-1, -1]


def congruent(size):
    return lambda g, p: (g @ p.unflatten(-1, (size, size)) @ g.mT).flatten(-2)


pairs = congruent(3)


def places_and_directions(g, p):
    return torch.cat([affine(g, p[..., :3]), linear(g[..., :3, :3], p[..., 3:])], -1)


def conjugated(g, p):
    """The vector p turned by the unit quaternion whose left multiplication is g."""
    w, u = g[..., 0, 0, None], g[..., 1:, 0].expand_as(p)
    crossed = torch.linalg.cross(u, p)
    return p + 2 * w * crossed + 2 * torch.linalg.cross(u, crossed)


def from_the_left(size):
    return lambda g, p: (g @ p.unflatten(-1, (size, size))).flatten(-2)


def wound_round(g, p):
    """The line, acting on the circle."""
    t = g[..., 0, 1]
    c, s = torch.cos(t), torch.sin(t)
    return torch.stack([c * p[..., 0] - s * p[..., 1], s * p[..., 0] + c * p[..., 1]], -1)


def on_symmetric(n):
    """SO(n) as it moves symmetric matrices, by their components in an orthonormal basis of them; and that."""
    i, j = torch.triu_indices(n, n)
    B = torch.zeros(len(i), n, n, dtype=torch.float64)
    B[torch.arange(len(i)), i, j] = B[torch.arange(len(i)), j, i] = 0.5**0.5
    B[i == j] = B[i == j].sign()
    X = groups.SO(n).generators
    moved = X[:, None] @ B + B @ X[:, None].mT  # (a, k, n, n)
    return groups.MatrixGroup(torch.einsum("bij,akij->abk", B, moved)), B


def projector(*diagonal):
    return torch.diag(torch.tensor(diagonal)).flatten()


LINE = torch.eye(3)[2].outer(torch.eye(3)[2]).flatten()
STABILIZERS = {
    "R2 under T(2)": (groups.T(2), [0.0, 0.0], affine, "trivial"),
    "R2 under SE(2)": (groups.SE(2), [0.0, 0.0], affine, "SO(2)"),
    "R2 under E(2)": (groups.E(2), [0.3, -0.2], affine, "O(2)"),
    "S2 under SO(3)": (groups.SO(3), [0.0, 0.0, 1.0], linear, "SO(2)"),
    "S2 under O(3)": (groups.O(3), [0.6, 0.0, 0.8], linear, "O(2)"),
    "RP2 under SO(3)": (groups.SO(3), LINE, pairs, "O(2)"),
    "H2 under SO+(1,2)": (groups.SO(1, 2), [1.0, 0.0, 0.0], linear, "SO(2)"),
    "H3 under SO+(1,3)": (groups.SO(1, 3), [1.0, 0.0, 0.0, 0.0], linear, "SO(3)"),
    "S3 under SO(4)": (groups.SO(4), [0.0, 0.0, 0.0, 1.0], linear, "SO(3)"),
    "R3 x S2 under SE(3)": (groups.SE(3), [0.0, 0, 0, 0, 0, 1], places_and_directions, "SO(2)"),
    "S2 under SU(2)": (groups.SU(2), [0.0, 0.0, 1.0], conjugated, "U(1), acting as SO(2)"),
    "SU(2) on itself": (groups.SU(2), torch.eye(4).flatten(), from_the_left(4), "trivial"),
    "SE(2) on itself": (groups.SE(2), torch.eye(3).flatten(), from_the_left(3), "trivial"),
    "Heisenberg on itself": (groups.heisenberg(), torch.eye(3).flatten(), from_the_left(3), "trivial"),
    "circle under R": (groups.T(1), [1.0, 0.0], wound_round, "Z, acting trivially"),
    "RP2 under O(3)": (groups.O(3), LINE, pairs, "O(2) x O(1), acting as O(2)"),
    "RP3 under SO(4)": (groups.SO(4), projector(1.0, 0, 0, 0), congruent(4), "O(3), acting as SO(3)"),
    "planes of R4 under SO(4)": (
        groups.SO(4),
        projector(1.0, 1, 0, 0),
        congruent(4),
        "S(O(2) x O(2)), acting as S(O(2) x O(2))",
    ),
    "SPD(2) under GL(2)": (groups.GL(2), torch.eye(2).flatten(), congruent(2), "O(2), acting as O(2)"),
    "SPD(3) under GL(3)": (groups.GL(3), torch.eye(3).flatten(), pairs, "O(3), acting as SO(3)"),
    "SPD(3) of determinant 1": (groups.SL(3), torch.eye(3).flatten(), pairs, "SO(3)"),
    "S2 under the turns about three axes": (groups.SO(3), [0.0, 1.0, 0.0], linear, "SO(2)"),
}


@pytest.mark.parametrize("name", STABILIZERS)
def test_stabilizers_are_solved_and_named(name):
    group, origin, action, expected = STABILIZERS[name]
    space = er.HomogeneousSpace(group, torch.as_tensor(origin), action)
    space.check()
    H = space.stabilizer()
    assert str(H) == expected
    kept = space.orbit.point(
        H.components @ (H.sample(8, radius=1.0) if H.dim else torch.eye(group.size).double()[None])[:1]
    )
    torch.testing.assert_close(kept, space.origin.expand_as(kept), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("rank", "expected"), [(1, "SO(3)"), (2, "S(O(2) x O(2))")])
def test_components_are_told_apart_in_any_representation(rank, expected):
    """Half turns of it have no logarithm near by: few elements are seen to lie in the connected component."""
    group, B = on_symmetric(4)
    P = projector(*[1.0] * rank, *[0.0] * (4 - rank)).double().view(4, 4)
    space = er.HomogeneousSpace(group, torch.einsum("bij,ij->b", B, P), linear)
    H = space.stabilizer()
    assert str(H) == expected
    assert len(H.components) == len(H.jumps) == rank


@pytest.mark.slow
def test_positive_matrices_of_more_dimensions():
    space = er.HomogeneousSpace(groups.GL(4), torch.eye(4).flatten(), congruent(4))
    H = space.stabilizer()
    assert str(H).startswith("O(4), acting as")
    assert len(H.components) == len(H.jumps) == 2, "-1 is a rotation of R^4, and acts trivially"


def test_the_isotropy_of_positive_matrices_has_as_many_components_as_act():
    """-1 acts trivially, so that O(3) acts as SO(3), and a layer has the kernels that rotations allow."""
    kept = er.HomogeneousSpace(groups.GL(3), torch.eye(3).flatten(), pairs).stabilizer()
    assert len(kept.components) == 2
    assert len(kept.jumps) == 1
    assert kept.isotropy.name == "SO(3)"


def own(name, *matrices):
    return groups.MatrixGroup(torch.tensor(matrices), name=name)


LINE_MAPS = own("x -> a x + b", [[0.0, 1], [0, 0]], [[1.0, 0], [0, 0]])
NOT_TRANSITIVE, NO_MEASURE, NOT_COMPACT = "not transitive", "no invariant measure", "acts non-compactly"
REFUSED = {
    "x -> a x + b": (LINE_MAPS, [0.0], affine, {}, {NO_MEASURE, NOT_COMPACT}),
    "affine": (groups.semidirect(groups.GL(2)), [0.0, 0.0], affine, {}, {NO_MEASURE, NOT_COMPACT}),
    "SL(2) and shifts": (groups.semidirect(groups.SL(2)), [0.0, 0.0], affine, {}, {NOT_COMPACT}),
    "SO(2) on the plane": (groups.SO(2), [1.0, 0.0], linear, {"dim": 2}, {NOT_TRANSITIVE}),
    "SO(2) about 0": (groups.SO(2), [0.0, 0.0], linear, {}, {NOT_TRANSITIVE}),
    "SO(2), two circles": (
        groups.SO(2),
        [1.0, 0.0],
        linear,
        {"points": torch.tensor([[0.0, 1.0], [2.0, 0.0]])},
        {NOT_TRANSITIVE},
    ),
    "GL(2) on the plane": (groups.GL(2), [0.0, 0.0], linear, {}, {NOT_TRANSITIVE, NO_MEASURE, NOT_COMPACT}),
    "GL(2) but for 0": (groups.GL(2), [1.0, 0.0], linear, {}, {NO_MEASURE, NOT_COMPACT}),
    "GL(2), 0 as well": (
        groups.GL(2),
        [1.0, 0.0],
        linear,
        {"points": torch.zeros(1, 2)},
        {NOT_TRANSITIVE, NO_MEASURE, NOT_COMPACT},
    ),
    "a section that stays": (
        groups.SO(3),
        [0.0, 0.0, 1.0],
        linear,
        {"section": lambda p: torch.eye(3).double().expand(*p.shape, 3)},
        {"the section does not take the origin"},
    ),
    "from the right": (
        groups.SO(3),
        torch.eye(3).flatten(),
        lambda g, p: (p.unflatten(-1, (3, 3)) @ g).flatten(-2),
        {},
        {"no action"},
    ),
    "what moves nothing": (
        groups.SE(2),
        [1.0, 0.0],
        lambda g, p: linear(g[..., :2, :2], p),
        {},
        {"not reductive"},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_reason_that_holds_is_named(name):
    group, origin, action, options, reasons = REFUSED[name]
    space = er.HomogeneousSpace(
        group, torch.tensor(origin) if isinstance(origin, list) else origin, action, **options
    )
    with pytest.raises(ValueError, match="is no such space") as caught:
        space.check()
    text = str(caught.value)
    every = {reason for *_, some in REFUSED.values() for reason in some}
    assert {reason for reason in every if reason in text} == reasons
    with pytest.raises(ValueError, match="is no such space"):
        _ = space.structure


def random_points(count, n, seed=0):
    p = torch.randn(count, n, generator=torch.Generator().manual_seed(seed)).double()
    return p / p.norm(dim=-1, keepdim=True)


def bump(v):
    return torch.exp(-4 * v.square().sum(-1))


def test_the_sphere_solved_is_the_sphere():
    solved = er.HomogeneousSpace(groups.SO(3), torch.tensor([0.0, 0.0, 1.0]), linear)
    known = er.Sphere()
    p, q = random_points(50, 3), random_points(50, 3, 1)
    torch.testing.assert_close(solved.distance(p, q), known.distance(p, q), rtol=0, atol=1e-10)
    v = 2.5 * random_points(20, 2)
    torch.testing.assert_close(solved.density(v), known.density(v), rtol=0, atol=1e-12)
    assert solved.injectivity_radius == pytest.approx(math.pi, abs=2e-3)
    ball = known.grid(8)
    f = torch.randn(*ball.shape).double()
    y = er.correlate(solved.samples(ball.points, ball.weights), bump, f, radius=1.5)
    torch.testing.assert_close(y, er.correlate(ball, bump, f, radius=1.5), rtol=0, atol=1e-11)


def test_the_hyperbolic_plane_solved_is_the_hyperbolic_plane():
    disc = er.Hyperbolic().grid(1.5, 7)
    solved = er.HomogeneousSpace(groups.SO(1, 2), torch.tensor([1.0, 0.0, 0.0]), linear)
    f = torch.randn(*disc.shape).double()
    y = er.correlate(solved.samples(disc.points, disc.weights), bump, f, radius=1.5)
    torch.testing.assert_close(y, er.correlate(disc, bump, f, radius=1.5), rtol=0, atol=1e-10)
    assert float(disc.weights.sum()) == pytest.approx(2 * math.pi * (math.cosh(1.5) - 1))


def test_three_spheres_are_one():
    """SU(2) on itself, SO(4)/SO(3), and Levi-Civita: the radial layers agree, to rounding."""
    points = random_points(60, 4)
    weights = torch.full((60,), 2 * math.pi**2 / 60).double()
    f = torch.randn(60).double()
    quotient = er.HomogeneousSpace(groups.SO(4), torch.tensor([0.0, 0.0, 0.0, 1.0]), linear)
    group = er.GroupSpace(groups.SU(2))
    i, j, k = groups.SU(2).generators
    quaternions = torch.stack([torch.eye(4).double(), i, j, k])
    elements = torch.einsum("pa,abc->pbc", points, quaternions)
    results = [
        er.correlate(Samples(er.Sphere(3), points, weights), bump, f, radius=2.0),
        er.correlate(quotient.samples(points, weights), bump, f, radius=2.0),
        er.correlate(group.samples(group.point(elements), weights), bump, f, radius=2.0),
    ]
    assert results[0].std() > 0.01
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("origin", [[0.0, 1.0, 0.0], [0.6, 0.0, -0.8]])
def test_another_origin_or_section_changes_nothing(origin):
    """Scalar layers are sums over samples: only rounding may differ. The section here is a turned one."""
    one = er.HomogeneousSpace(groups.SO(3), torch.tensor([0.0, 0.0, 1.0]), linear)
    other = er.HomogeneousSpace(groups.SO(3), torch.tensor(origin, dtype=torch.float64), linear)
    turn = groups.SO(3).exp(torch.tensor([0.7, 0.0, 0.0]).double())  # about the pole
    turned = er.HomogeneousSpace(
        groups.SO(3), torch.tensor([0.0, 0.0, 1.0]), linear, section=lambda p: one.section(p) @ turn
    )
    points, weights = random_points(70, 3), torch.full((70,), 4 * math.pi / 70).double()
    f = torch.randn(70).double()
    results = [er.correlate(s.samples(points, weights), bump, f, radius=1.0) for s in (one, other, turned)]
    assert results[0].std() > 0.01
    for y in results[1:]:
        torch.testing.assert_close(y, results[0], rtol=0, atol=1e-11)


def test_another_origin_of_the_hyperbolic_plane_with_its_metric():
    """Coordinates' own inner product is no invariant there: moved with the origin it measures alike."""
    G = groups.SO(1, 2)
    g = G.exp(torch.tensor([0.6, -0.8, 0.3]).double())
    start, back = torch.tensor([1.0, 0.0, 0.0]).double(), torch.linalg.inv(g)
    one = er.HomogeneousSpace(G, start, linear)
    other = er.HomogeneousSpace(G, g @ start, linear, metric=back.T @ back)
    disc = er.Hyperbolic().grid(1.5, 6)
    f = torch.randn(disc.shape).double()
    y, z = (er.correlate(s.samples(disc.points, disc.weights), bump, f, radius=1.0) for s in (one, other))
    assert y.std() > 0.01
    torch.testing.assert_close(z, y, rtol=0, atol=1e-11)


def test_an_origin_in_single_precision_keeps_what_it_keeps_or_is_refused():
    """Three directions, as the tensor of their cubes: SO(3)/D3."""
    angle = torch.arange(3).double() * 2 * math.pi / 3
    e = torch.stack([angle.cos(), angle.sin(), 0 * angle], -1)
    e = e @ groups.SO(3).exp(torch.tensor([0.3, 0.7, -0.4]).double())
    cubes = torch.einsum("ai,aj,ak->ijk", e, e, e).flatten()

    def turn(g, p):
        cube = p.unflatten(-1, (3, 3, 3))
        return torch.einsum("...ai,...bj,...ck,...ijk->...abc", g, g, g, cube).flatten(-3)

    assert str(er.HomogeneousSpace(groups.SO(3), cubes, turn).stabilizer()) == "D3"
    with pytest.raises(ValueError, match=r"looks like rounding.*to all digits of float64"):
        er.HomogeneousSpace(groups.SO(3), cubes.float(), turn).stabilizer()


def test_points_in_single_precision_are_points():
    space = er.HomogeneousSpace(groups.SO(1, 2), torch.tensor([1.0, 0.0, 0.0]), linear)
    r = torch.linspace(0.1, 3, 30).double()
    p = torch.stack([r.cosh(), r.sinh() * (7 * r).cos(), r.sinh() * (7 * r).sin()], -1)
    found = space.log_origin(p.float().double()).norm(dim=-1)
    torch.testing.assert_close(found, r, rtol=0, atol=1e-5)
    space.samples(p.float(), torch.ones(30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 1}, "moves the origin in 2 dimensions, and dim=1; leave dim= out"),
        ({"log": lambda p: 0.84 * p[..., :2]}, r"exp\(log\(p\)\) does not take the origin to p"),
    ],
)
def test_what_is_told_wrong_is_refused(options, message):
    space = er.HomogeneousSpace(groups.SO(3), torch.tensor([0.0, 0.0, 1.0]), linear, **options)
    with pytest.raises(ValueError, match=message):
        space.check()


def test_a_lopsided_kernel_is_refused_where_the_stabilizer_moves_it():
    space = er.PositionsAndDirections()
    points = space.orbit.point(space.group.sample(60, radius=1.0))
    domain = space.samples(points, torch.ones(60))
    f = torch.randn(60).double()

    def along(v):
        return bump(v) * (1 + v[..., 2])  # ahead or behind: allowed, about the direction

    def aside(v):
        return bump(v) * (1 + v[..., 0])

    assert er.correlate(domain, along, f, radius=1.0).std() > 0
    with pytest.raises(ValueError, match=r"the structure group SO\(2\) moves this kernel"):
        er.correlate(domain, aside, f, radius=1.0)


def test_layers_run_on_solved_spaces_and_commute_with_the_group():
    """A layer on points of R^3 x S^2, and on the same points moved by an element of SE(3)."""
    space = er.PositionsAndDirections()
    points = space.orbit.point(space.group.sample(80, radius=1.2))
    g = space.group.sample(1, radius=2.0, seed=5)[0]
    torch.manual_seed(0)
    f = torch.randn(2, 1, 80).double()
    layer = er.nn.Correlation(space.samples(points, torch.ones(80)), 1, 3, radius=1.5).double()
    moved_points = space.action(g.expand(80, -1, -1), points)
    moved = er.nn.Correlation(space.samples(moved_points, torch.ones(80)), 1, 3, radius=1.5).double()
    moved.load_state_dict(layer.state_dict())
    y = layer(f)
    assert y.std() > 1e-3
    torch.testing.assert_close(moved(f), y, rtol=0, atol=1e-10)


def test_weights_that_are_not_the_measure_are_refused():
    theta = math.pi * (torch.arange(12).double() + 0.5) / 12
    phi = 2 * math.pi * torch.arange(24).double() / 24
    theta, phi = torch.meshgrid(theta, phi, indexing="ij")
    points = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)
    space = er.HomogeneousSpace(groups.SO(3), torch.tensor([0.0, 0.0, 1.0]), linear)
    space.samples(points, theta.sin())
    with pytest.raises(ValueError, match=r"weights are not the invariant measure .*such as sin theta"):
        space.samples(points, torch.ones_like(theta))
    ball, few = er.Sphere(), (slice(None, None, 2), slice(None, None, 2))  # 72 points
    ball.samples(points[few].flatten(0, 1), theta.sin()[few].flatten())
    with pytest.raises(ValueError, match=r"weights are not the invariant measure .*areas of Voronoi cells"):
        ball.samples(points[few].flatten(0, 1), torch.ones(72))
    even = ball.fibonacci(640)
    with pytest.raises(ValueError, match="weights are not the invariant measure"):
        ball.samples(even.points, even.weights * (1 + 0.35 * even.points[:, 2]))
    random = torch.nn.functional.normalize(torch.randn(200, 3).double(), dim=1)
    ball.samples(random, torch.full((200,), 4 * math.pi / 200))  # as good as random points are
    disc = er.Hyperbolic().grid(2.0, 16)
    with pytest.raises(ValueError, match="weights are not the invariant measure"):
        Samples(er.Hyperbolic(), disc.points, torch.ones(disc.shape))


def test_points_beyond_the_space_are_named():
    space = er.HomogeneousSpace(groups.SO(3), torch.tensor([0.0, 0.0, 1.0]), linear)
    with pytest.raises(
        ValueError, match=r"no way was found from the origin to 1 points, the first being \(2, 0, 0\)"
    ):
        space.frame(torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]).double())
    with pytest.raises(ValueError, match="rotations is 8 where H = "):
        er.PositionsAndDirections().samples(torch.zeros(1, 6), torch.ones(1), rotations=8)
    with pytest.raises(ValueError, match="expected an even number: no ring on the equator"):
        er.ProjectivePlane().grid(5)


def test_the_projective_plane_carries_the_even_functions_of_the_sphere():
    """On RP^2 a correlation is that of the sphere, for fields and kernels that do not tell p from -p."""
    half, whole = er.ProjectivePlane().grid(12), er.Sphere().grid(12)
    even = whole.points[..., 2].square() + whole.points[..., 0] * whole.points[..., 1]
    on_sphere = er.correlate(whole, bump, even, radius=1.2)
    on_plane = er.correlate(half, bump, even[:6], radius=1.2)
    torch.testing.assert_close(on_plane, on_sphere[:6], rtol=0, atol=1e-12)
    assert str(er.ProjectivePlane().stabilizer()) == "O(2)"


@pytest.mark.parametrize(
    "group", [groups.O(2), groups.E(2), groups.product(groups.SO(2), groups.cyclic(4))], ids=str
)
def test_a_group_of_several_components_on_itself(group):
    """Elements of other components are out of reach, and what moves all samples changes nothing."""
    g, f = group.sample(60, radius=1.0), torch.randn(1, 1, 60, dtype=torch.float64)
    first = torch.linalg.inv(g[0]) @ g
    here = torch.isfinite(group.log_or_nan(first)).all(-1)
    assert 5 < int(here.sum()) < 55
    space, weights = er.GroupSpace(group), torch.ones(60)
    domain = space.samples(space.point(g), weights)
    layer = er.nn.Correlation(domain, 1, 2, radius=1.9, bias=False, dtype=torch.float64)
    assert not layer(f * here)[..., ~here].any()
    assert layer(f * here)[..., here].any()
    moved = group.components[-1] @ group.exp(0.4 * torch.ones(group.dim).double()) @ g
    moved = space.samples(space.point(moved), weights)
    other = er.nn.Correlation(moved, 1, 2, radius=1.9, bias=False, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(f), layer(f), atol=1e-10, rtol=1e-10)


def test_what_leads_nowhere_is_no_group_of_a_space():
    with pytest.raises(ValueError, match="C4 is finite"):
        er.GroupSpace(groups.cyclic(4))
    with pytest.raises(ValueError, match=r"group is 'SO\(3\)', expected a MatrixGroup"):
        er.HomogeneousSpace("SO(3)", torch.ones(3), lambda g, p: p)


@pytest.mark.parametrize("group", [groups.SO(3), groups.O(3)], ids=str)
def test_an_element_is_known_by_where_it_takes_the_frame_of_the_origin(group):
    """``g s(p0) = u``, half turns and mirrors of frames among them."""
    space = er.HomogeneousSpace(group, torch.tensor([0.0, 0.0, 1.0]), linear)
    origin = space.frames(space.origin)
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    g = torch.cat([group.sample(6, seed=1), half[None]]).unflatten(0, (7, 1))
    u = space.act(g, origin)
    torch.testing.assert_close(space.mover(u), g, rtol=0, atol=1e-9)
    torch.testing.assert_close(space.mover(u.at((6, 0))), half, rtol=0, atol=1e-9)
    w = space.frames(space.origin[None])
    assert bool(space.mover(w.turn(2 * torch.eye(2).double())).isnan().all())  # changes lengths
