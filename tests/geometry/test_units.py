"""No unit of length is preferred: lengths times c, other coordinates and ``F -> a F`` change nothing."""

import math
from functools import cache

import pytest
import torch
from atlases import inverted
from metrics import TURN, bump, flat, polar, stereographic, torus

import erlangen as er
from erlangen.domains import Samples

EXACT = (2.0**-20, 2.0**20)
UNITS = (*EXACT, 1e-6, 1e6)
EARTH = 6371.0  # in kilometres
THIRD = torch.tensor(
    [[math.cos(TURN / 3), -math.sin(TURN / 3), 0], [math.sin(TURN / 3), math.cos(TURN / 3), 0], [0, 0, 1]]
).double()


def angles(x):
    """The unit sphere, by colatitude and longitude."""
    return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), x[..., 0].sin() ** 2], -1))


def cone(x):
    return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), x[..., 0] ** 2 / 9], -1))


def near_bump(x):
    return bump(x + torch.tensor([9.0, -7.0]).to(x))


def disc(x):
    return (4 / (1 - x.square().sum(-1)) ** 2)[..., None, None] * flat(x)


def polar_torsion(x):
    """The connection for which the axes of polar coordinates, of unit length, are parallel."""
    G = x.new_zeros(*x.shape[:-1], 2, 2, 2)
    G[..., 1, 0, 1] = 1 / x[..., 0]
    return G


def sphere(x):
    return x.square().sum(-1) - 1


def tube(x):
    return (x[..., :2].norm(dim=-1) - 2).square() + x[..., 2].square() - 0.49


def clifford(x):
    """A flat torus in R^4, by two equations."""
    return torch.stack([x[..., :2].square().sum(-1) - 1, x[..., 2:].square().sum(-1) - 2.25], -1)


RING = {"periods": (None, TURN), "bounds": ((0.5, 1.5), None)}
CAP = {"periods": (None, TURN), "bounds": ((0.3, math.pi - 0.3), None)}
CHARTS = {
    "sphere": (angles, CAP),
    "stereographic": (stereographic, {"bounds": ((-1.5, 1.5),) * 2}),
    "torus": (torus, {"periods": (TURN, TURN)}),
    "disc": (disc, {"bounds": ((-0.5, 0.5),) * 2}),
    "plane with a hill": (near_bump, {}),
    "plane with a far hill": (bump, {}),
    "annulus": (polar, RING),
    "annulus with torsion": (polar, {**RING, "connection": polar_torsion}),
    "cone": (cone, RING),
    "flat Klein bottle": (flat, {"periods": (2.0, 1.0), "glue": {0: torch.diag(torch.tensor([1.0, -1.0]))}}),
    "turned slab": (flat, {"dim": 3, "periods": (None, None, 1.0), "glue": {2: THIRD}}),
    "three-sphere": (stereographic, {"dim": 3, "bounds": ((-1.0, 1.0),) * 3}),
    "line": (lambda x: (2 + torch.sin(x))[..., None], {"dim": 1, "periods": (TURN,)}),
}
SURFACES = {
    "sphere": (sphere, (0.0, 0.0, 1.0), None),
    "tube": (tube, (2.7, 0.0, 0.0), 5.6),
    "Clifford torus": (clifford, (1.0, 0.0, 1.5, 0.0), 3.2),
    "three-sphere": (sphere, (0.0, 0.0, 0.0, 1.0), None),
}


def chart(name, c=1.0):
    metric, options = CHARTS[name]
    return er.Chart(lambda x: c**2 * metric(x), **{"dim": 2, "steps": 4, **options})


def surface(name, c=1.0, a=1.0):
    F, point, extent = SURFACES[name]
    extent = None if extent is None else c * extent
    return er.Implicit(lambda x: a * F(x / c), c * torch.tensor(point).double(), extent=extent, steps=4)


def atlas(c):
    cap = er.Chart(lambda x: c**2 * stereographic(x), 2, bounds=((-1.5, 1.5),) * 2, steps=4)
    return er.Atlas([cap, cap], {(0, 1): inverted, (1, 0): inverted}, steps=4)


def revolution(c):
    return er.SurfaceOfRevolution(
        lambda t: (c * (2 + 0.7 * torch.cos(t)), c * 0.7 * torch.sin(t)), period=TURN, steps=4
    )


def euclidean(c):
    return er.Euclidean(2, "roto-translations")


# by name: the space with lengths times c, whether coordinates grow as well, and the shape of a grid
SPACES = {
    **{f"chart: {name}": (lambda c, name=name: chart(name, c), False, (6, 8)) for name in CHARTS},
    **{f"equation: {name}": (lambda c, name=name: surface(name, c), True, 40) for name in SURFACES},
    "ellipsoid": (lambda c: er.Ellipsoid((c, 1.2 * c, 1.5 * c), steps=4), True, (6,)),
    "surface of revolution": (revolution, False, (8, 6)),
    "mapping torus": (lambda c: er.MappingTorus(TURN / 3, c, width=2 * c), True, (4, 4, 4)),
    "atlas": (atlas, False, (6, 6)),
    "product, a sphere beside one much larger": (
        lambda c: er.Product(chart("sphere", c), chart("stereographic", 1e4 * c)),
        False,
        None,
    ),
    "flat torus": (lambda c: er.FlatTorus((c, 1.5 * c)), True, (8, 8)),
    "cylinder": (lambda c: er.Cylinder(2 * c, c), True, (8, 4)),
    "Moebius": (lambda c: er.Moebius(2 * c, c), True, (8, 4)),
    "Klein": (lambda c: er.KleinBottle(2 * c, c), True, (8, 4)),
}
WITHOUT_GRID = {"chart: plane with a hill", "chart: plane with a far hill", "chart: turned slab"}
ELSEWHERE = {"chart: three-sphere": (4, 4, 4), "chart: line": (8,)}
QUICK = ["chart: line", "flat torus", "cylinder", "Moebius", "Klein"]


def of_space(space, c, grows, shape, like=1.0):
    """What a space says of itself, and a layer on it, with lengths in units of c.

    Args:
        like: of coordinates ``(n)``, how much longer they are than those of the space in its own unit.
    """
    n, k = space.dim, (c if grows else 1.0) * like
    generator = torch.Generator().manual_seed(1)
    v = torch.randn(5, n, generator=generator, dtype=torch.float64)
    v = 0.3 * v / v.norm(dim=-1, keepdim=True)
    u = space.frames(space.origin.expand(5, -1))
    w, H = space.carry(u, c * v), space.holonomy()
    side = k[:, None] if isinstance(k, torch.Tensor) else k
    said = {
        "holonomy": str(H),
        "turns": H.turns,
        "turns round": torch.stack(H.circuit_turns) if H.circuit_turns else H.turns[:0],
        "length": torch.tensor(space.length / c, dtype=torch.float64),
        "radius": torch.tensor(space.injectivity_radius / c, dtype=torch.float64),
        "frames": u.basis * c / side,
        "ends": w.point / k,
        "frames there": w.basis * c / side,
        "J": space.density_at(u, c * v),
        "log": space.coordinates(u, w.point) / c,
        "exp": space.exp(u.point[:1], u.tangent(c * v)[:1]) / k,
        "transport": space.parallel_transport(u.point, u.tangent(c * v), u.tangent(c * v)) / k,
        "distance": space.distance(u.point, w.point) / c,
        "curvature": space.curvature(u) * c**2,
    }
    if shape is None:
        return said
    if isinstance(shape, int):
        domain = space.samples(space.spread_points(shape))
        said["samples"] = domain.points / k
    else:
        domain = space.grid(*shape)
    return said | of_layer(domain, c, generator)


def of_layer(domain, c, generator):
    f = torch.randn(1, 1, *domain.weights.shape, generator=generator, dtype=torch.float64)
    layer = er.nn.Correlation(domain, 1, 2, radius=0.45 * c).double()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, layer.weight.numel()).view_as(layer.weight))
        said = {"layer": layer(f), "weights": domain.weights / c**domain.dim}
    if min(domain.weights.shape) >= 8 or domain.weights.dim() == 1:
        said["coarser"] = domain.downsample(f, domain.representation("scalar"))
    return said


def expect_same(one, other, exact):
    assert one.keys() == other.keys()
    for what, expected in one.items():
        found = other[what]
        if isinstance(expected, str):
            assert found == expected, what
        elif exact:
            assert torch.equal(found.nan_to_num(), expected.nan_to_num()), what
        else:
            torch.testing.assert_close(
                found, expected, rtol=1e-9, atol=1e-9, msg=lambda m, w=what: f"{w}: {m}"
            )


@cache
def in_unit(name, c):
    make, grows, shape = SPACES[name]
    shape = None if name in WITHOUT_GRID else ELSEWHERE.get(name, shape)
    return of_space(make(c), c, grows, shape)


@pytest.mark.parametrize("c", [2.0**-20, EARTH])
@pytest.mark.parametrize("name", QUICK)
def test_the_unit_of_length_changes_nothing(name, c):
    expect_same(in_unit(name, 1.0), in_unit(name, c), c in EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("c", UNITS)
@pytest.mark.parametrize("name", [name for name in SPACES if name not in QUICK])
def test_the_unit_of_length_changes_nothing_anywhere(name, c):
    expect_same(in_unit(name, 1.0), in_unit(name, c), c in EXACT)


def in_coordinates(name, diagonal):
    """The chart in coordinates ``A x``, and how much longer they are."""
    metric, options = CHARTS[name]
    options = {"dim": 2, "steps": 4, **options}
    k = torch.tensor(diagonal[: options["dim"]], dtype=torch.float64)
    if "bounds" in options:
        ends = zip(options["bounds"], k.tolist(), strict=True)
        options["bounds"] = [pair and (s * pair[0], s * pair[1]) for pair, s in ends]
    if "periods" in options:
        options["periods"] = [p and s * p for p, s in zip(options["periods"], k.tolist(), strict=True)]
    if "glue" in options:
        options["glue"] = {a: k[:, None] * A.double() / k for a, A in options["glue"].items()}
    return er.Chart(lambda y: metric(y / k.to(y)) / k[:, None].to(y) / k.to(y), **options), k


@pytest.mark.parametrize(
    ("name", "diagonal"),
    [
        ("line", (1e3,)),
        pytest.param("flat Klein bottle", (1e3, 1e-3), marks=pytest.mark.slow),
        pytest.param("plane with a hill", (7.0, 1e-3), marks=pytest.mark.slow),
        pytest.param("sphere", (1e3, 1e-3), marks=pytest.mark.slow),
        pytest.param("torus", (1e-3, 7.0), marks=pytest.mark.slow),
        pytest.param("disc", (1e-6, 1e-6), marks=pytest.mark.slow),
        pytest.param("annulus", (1e3, 1e3), marks=pytest.mark.slow),
        pytest.param("cone", (1e-3, 1e3), marks=pytest.mark.slow),
        pytest.param("turned slab", (1e-3, 1e-3, 1e3), marks=pytest.mark.slow),
        pytest.param("three-sphere", (1e3, 1.0, 1e-3), marks=pytest.mark.slow),
    ],
)
def test_other_coordinates_change_nothing(name, diagonal):
    shape = None if f"chart: {name}" in WITHOUT_GRID else ELSEWHERE.get(f"chart: {name}", (6, 8))
    space, k = in_coordinates(name, diagonal)
    expect_same(of_space(chart(name), 1.0, False, shape), of_space(space, 1.0, False, shape, k), exact=False)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_oblique_coordinates_change_no_more_than_probes_do(scale):
    A = scale * torch.tensor([[1.0, 2.0], [-1.0, 3.0]]).double()
    B = torch.linalg.inv(A)
    other = er.Chart(lambda y: B.T.to(y) @ near_bump(y @ B.T.to(y)) @ B.to(y), 2, steps=4)
    one = chart("plane with a hill")
    assert str(other.holonomy()) == str(one.holonomy()) == "SO(2)"
    assert other.injectivity_radius == pytest.approx(one.injectivity_radius, rel=0.01)
    v = torch.tensor([0.4, 0.3]).double()
    assert float(other.density(v)) == pytest.approx(float(one.density(v)), abs=1e-8)


@pytest.mark.parametrize(
    ("name", "a"),
    [
        pytest.param("sphere", -1e-6, marks=pytest.mark.slow),
        *(pytest.param("tube", a, marks=pytest.mark.slow) for a in (2.0**20, 1e6, 1e-6, -1e-9)),
        *(
            pytest.param("Clifford torus", a, marks=pytest.mark.slow)
            for a in ((2.0**20, 2.0**-20), (1e6, 1e-6), (-1e-3, 1e6))
        ),
    ],
)
def test_the_unit_of_equations_changes_nothing(name, a):
    scale = torch.tensor(a).double()
    exact = bool((scale.abs().log2() == scale.abs().log2().round()).all())
    shape = None if name == "sphere" else 40
    expect_same(
        of_space(surface(name), 1.0, True, shape),
        of_space(surface(name, 1.0, scale), 1.0, True, shape),
        exact,
    )


def test_degenerate_and_distant_points_of_equations_are_refused_in_any_unit():
    for a in (1.0, 1e-9, 1e9):
        with pytest.raises(ValueError, match="expected a point of the surface"):
            er.Implicit(lambda x, a=a: a * sphere(x), torch.tensor([0.0, 0.0, 1.00001]))
        with pytest.raises(ValueError, match="not full rank"):
            er.Implicit(lambda x, a=a: a * sphere(x) ** 2, torch.tensor([0.0, 0.6, 0.8]))
        other = surface("sphere", 1.0, -a)
        assert [other.extent, other.length] == pytest.approx([2.0, 1.0], rel=1e-12)
        v = torch.tensor([0.5, 0.0]).double()
        assert float(other.density(v)) == pytest.approx(math.sin(0.5) / 0.5, abs=1e-4)
    earth = surface("sphere", EARTH)
    with pytest.raises(ValueError, match="expected points of the surface"):
        earth.samples(torch.tensor([[0.0, 0.0, EARTH + 1.0]]))


@pytest.mark.parametrize("radius", [EARTH, 1e-4])
def test_lopsided_kernels_are_refused_in_any_unit(radius):
    space = chart("sphere", radius)
    assert str(space.holonomy()) == "SO(2)"

    def lopsided(v):
        v = v / radius
        return torch.exp(-v.square().sum(-1) / 0.02) * (1 + v[..., 0] / 0.1)

    with pytest.raises(ValueError, match="moves this kernel"):
        er.correlate(space.grid(4, 8), lopsided, lambda x: x[..., 0].cos(), radius=0.28 * radius, nodes=6)


@pytest.mark.parametrize("c", [2.0**20, 1e-3])
def test_grids_and_samples_of_the_plane_in_any_unit(c):
    def said(c):
        generator = torch.Generator().manual_seed(0)
        grid = euclidean(c).grid(10, 10, spacing=c / 4)
        samples = Samples(grid.geometry, grid.points, grid.weights)
        f = torch.randn(1, 1, 10, 10, generator=generator, dtype=torch.float64)
        coarser = samples.downsample(f, samples.representation("scalar"))
        return {"coarser": coarser} | of_layer(samples, 2 * c, generator)

    expect_same(said(1.0), said(c), c in EXACT)


def test_points_that_are_the_same_are_told_by_their_own_coordinates():
    space = er.Chart(flat, 2, periods=(1.0, 1.0), steps=1)
    apart = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5]]).double()
    for c in (1e-9, 1e9):
        small = er.Chart(lambda x, c=c: flat(x) / c**2, 2, periods=(3 * c, 3 * c), steps=1)
        Samples(small, c * apart, torch.ones(3))
        with pytest.raises(ValueError, match="are the same"):
            Samples(small, c * torch.cat([apart, apart[1:2] * (1 + 1e-9)]), torch.ones(4))
    assert space.length == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("c", [2.0**20, EARTH, 1e-4])
def test_homogeneous_spaces_in_any_unit(c):
    def said(c):
        move = {"group": er.groups.SO(3), "action": lambda g, p: (g @ p[..., None])[..., 0]}
        space = er.HomogeneousSpace(origin=c * torch.tensor([0.0, 0.0, 1.0]).double(), **move)
        ball = er.Sphere().grid(6)
        domain = space.samples(c * ball.points, c**2 * ball.weights)
        radius = torch.tensor(space.injectivity_radius / c, dtype=torch.float64)
        return {"H": str(space.stabilizer()), "radius": radius} | of_layer(
            domain, 2 * c, torch.Generator().manual_seed(0)
        )

    one = said(1.0)
    assert float(one["radius"]) == pytest.approx(math.pi, abs=2e-3)
    expect_same(one, said(c), c in EXACT)
