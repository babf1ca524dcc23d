"""Every public space answers the same calls with the same types, or says why not in the same words."""

import inspect
import math
import re
from functools import partial

import pytest
import torch

import erlangen as er
from erlangen.geometry import Frame, Geometry, Holonomy

TURN = 2 * math.pi
NO_GROUP = r"names no group of matrices that moves it everywhere, expected one .*, or see holonomy\(\)"


def cap(x):
    """The sphere's metric in stereographic coordinates."""
    return (4 / (1 + x.square().sum(-1)) ** 2)[..., None, None] * torch.eye(2).to(x)


def tube(x):
    """The torus of revolution."""
    a = (2 + 0.7 * torch.cos(x[..., 1])) ** 2
    return torch.diag_embed(torch.stack([a, torch.full_like(a, 0.49)], -1))


def across(x):
    return x / x.square().sum(-1, keepdim=True)


def atlas():
    chart = er.Chart(cap, 2, bounds=((-1.5, 1.5),) * 2, steps=2)
    return er.Atlas([chart, chart], {(0, 1): across, (1, 0): across}, steps=2)


def mesh():
    """The torus of revolution by triangles."""
    i, j = (x.flatten() for x in torch.meshgrid(torch.arange(9), torch.arange(7), indexing="ij"))
    a, b = TURN * i.double() / 9, TURN * j.double() / 7
    r = 2 + 0.7 * b.cos()
    p, q = (i + 1) % 9, (j + 1) % 7
    faces = torch.stack([i * 7 + j, p * 7 + j, p * 7 + q, i * 7 + j, p * 7 + q, i * 7 + q], 1).view(-1, 3)
    return er.Mesh(torch.stack([r * a.cos(), r * a.sin(), 0.7 * b.sin()], -1), faces)


def linear(g, p):
    return (g @ p[..., None])[..., 0]


# by the name under which a space is made: one of them, or more where its doors depend on how it is made
SPACES = {
    "Atlas": [atlas],
    "Chart": [lambda: er.Chart(tube, 2, periods=(TURN, TURN), steps=2)],
    "Cylinder": [er.Cylinder],
    "Ellipsoid": [lambda: er.Ellipsoid(steps=2)],
    "Euclidean": [lambda: er.Euclidean(2), lambda: er.Euclidean(3, "isometries")],
    "FlatQuotient": [lambda: er.Moebius(2.0, 1.0, symmetry="isometries")],
    "FlatTorus": [er.FlatTorus],
    "GroupSpace": [lambda: er.GroupSpace(er.groups.SE(2)), lambda: er.GroupSpace(er.groups.SO(3))],
    "HomogeneousSpace": [lambda: er.HomogeneousSpace(er.groups.SO(3), [0.0, 0.0, 1.0], linear)],
    "Hyperbolic": [er.Hyperbolic, lambda: er.Hyperbolic(3)],
    "Implicit": [lambda: er.Implicit(lambda x: x.square().sum(-1) - 1, [0.0, 0.0, 1.0], steps=2)],
    "KleinBottle": [er.KleinBottle],
    "MappingTorus": [lambda: er.MappingTorus(TURN / 3, 1.0, 1.0)],
    "Mesh": [mesh],
    "Moebius": [er.Moebius],
    "PositionsAndDirections": [er.PositionsAndDirections],
    "Product": [
        lambda: er.Product(er.Sphere(), er.FlatTorus((TURN,))),
        lambda: er.Product(er.Sphere(), er.Cylinder()),
        lambda: er.Product(er.Euclidean(1, "isometries"), er.Hyperbolic()),
    ],
    "ProjectivePlane": [er.ProjectivePlane],
    "Sphere": [er.Sphere, lambda: er.Sphere(3), lambda: er.Sphere(symmetry="axis")],
    "SurfaceOfRevolution": [lambda: er.SurfaceOfRevolution(steps=2)],
}


def makes_spaces(thing) -> bool:
    """Whether a public name is a space, or a function that returns one."""
    made = thing if inspect.isclass(thing) else inspect.signature(thing).return_annotation
    return inspect.isclass(made) and issubclass(made, Geometry)


def test_no_public_space_is_left_out():
    called = [name for name in er.__all__ if callable(getattr(er, name))]
    assert {name for name in called if makes_spaces(getattr(er, name))} == set(SPACES)


@pytest.fixture(
    scope="module",
    params=[make for makers in SPACES.values() for make in makers],
    ids=[f"{name} {i}" if i else name for name, makers in SPACES.items() for i in range(len(makers))],
)
def space(request):
    return request.param()


OPTIONS = {"rotations": None, "reflections": None, "mask": None}


def defaults(function) -> dict:
    """The keywords of a call, and what they are if they are left out."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def natural_grid(space, **options) -> er.domains.Domain:
    """The smallest good one."""
    if isinstance(space, er.Product):
        return space.grid(natural_grid(space.one), natural_grid(space.other), **options)
    if isinstance(space, er.PositionsAndDirections):
        return space.grid(er.Euclidean(3, "roto-translations").grid(2, 2, 2), **options)
    if isinstance(space, er.Hyperbolic):
        return space.grid(1.0, 4, **options)
    if isinstance(space, er.Sphere | er.ProjectivePlane | er.Implicit):
        return space.grid(4, **options)
    return space.grid(*[4] * space.dim, **options)


def outcome(call, *arguments, **options) -> tuple:
    """What a call returns, and what it says if it refuses."""
    try:
        return call(*arguments, **options), ""
    except ValueError as error:
        return None, str(error)


def test_grids(space):
    domain, refusal = outcome(natural_grid, space)
    if refusal:
        assert re.search(r" has no natural grid, expected your own points: \.samples", refusal)
        return
    assert isinstance(domain, er.domains.Domain)
    assert domain.geometry is space
    assert OPTIONS.items() <= defaults(space.grid).items()
    answers(space, partial(natural_grid, space), domain)


def test_samples(space):
    """At points of its own, or refused; then some of these again, as given."""
    parameters = list(inspect.signature(space.samples).parameters.values())[:2]
    assert [(p.name, p.default) for p in parameters] == [("points", None), ("weights", None)]
    assert OPTIONS.items() <= defaults(space.samples).items()
    domain, refusal = outcome(space.samples)
    if refusal:
        expected = rf"points is None, and .* has no end, .*; expected a tensor \(\*space, {space.ambient}\)"
        assert re.search(expected, refusal)
        v = torch.randn(30, space.dim, dtype=torch.float64)
        u = space.frames(space.origin)
        points, weights = space.carry(Frame(u.point.expand(30, -1), u.basis), v).point, torch.ones(30)
    else:
        points, weights = (x[:40] for x in (domain.points, domain.weights))
        assert domain.shape == (len(domain.points),)
    make = partial(space.samples, points, weights)
    domain = make()
    assert isinstance(domain, er.domains.Domain)
    assert domain.geometry is space
    assert torch.equal(domain.points, points)
    answers(space, make, domain)
    for arguments, name in (((points.numpy(),), "points"), ((points, weights.numpy()), "weights")):
        with pytest.raises(ValueError, match=rf"{name} is a ndarray, expected a tensor: torch.from_numpy"):
            space.samples(*arguments)
    with pytest.raises(ValueError, match=r"points have shape \(40, 1\), expected \("):
        space.samples(torch.ones(40, 1))
    with pytest.raises(ValueError, match="weights are given and points are None, expected both"):
        space.samples(None, torch.ones(40))
    with pytest.raises(ValueError, match="points are not finite"):
        space.samples(torch.full_like(points, math.nan))


def test_cells_measure_the_points():
    """Without weights each point has what is nearest to it, where others lie all round."""
    for space, area in (
        (er.ProjectivePlane(), TURN),
        (er.FlatTorus((1.0, 2.0)), 2.0),
        (er.HomogeneousSpace(er.groups.SO(3), [0.0, 0.0, 1.0], linear), 2 * TURN),
        (er.Sphere(3), TURN**2 / 2),
    ):
        points, _ = space.own_samples(120)
        assert space.samples(points).weights.sum().item() == pytest.approx(area, rel=0.08)
    square = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0))
    with pytest.raises(
        ValueError, match=r"weights is None, and 16 of 25 points, the first at \[0\], .* no end"
    ):
        er.Euclidean(2).samples(square)
    with pytest.raises(ValueError, match=r"1 points lie beyond the edges of Moebius.*, such as"):
        er.Moebius(2.0, 1.0).samples(torch.tensor([[0.0, 0.0], [0.0, 0.7]]), torch.ones(2))


def test_rotations_name_a_group_where_the_plane_has_none():
    mask = torch.arange(64 * 48).view(64, 48) % 5 != 0
    domain = er.Euclidean(2).grid(64, 48, rotations=8, reflections=True, mask=mask)
    assert domain.geometry.structure.name == "D8"
    assert len(domain.fibre) == 16
    assert domain.unmasked.shape == (64, 48)
    H = er.groups.StructureGroup.finite(er.groups.cube().components)
    volume = er.Euclidean(3, structure=H).grid(4, 4, 4)
    assert isinstance(volume.fibre, er.groups.FiniteFibre)
    assert er.nn.Lift(volume, 1, 2, 3)(torch.randn(1, 1, 4, 4, 4)).shape == (1, 2, 24, 4, 4, 4)


def test_a_space_of_ones_own_has_no_door_that_it_does_not_open():
    class Bare(Geometry):
        frame = carry = coordinates = act = None

        def __repr__(self) -> str:
            return "Bare"

    words = r"er\.domains\.Samples\(space, points, weights\)"
    with pytest.raises(ValueError, match=f"such as {words}"):
        er.nn.ReLU(Bare())
    with pytest.raises(ValueError, match=f"Bare has no natural grid, expected your own points: {words}"):
        Bare().grid(4)


def answers(space, make, domain):
    """Of a call that makes samples: the same fibres, mirrors and masks, or the same refusals."""
    H = space.structure
    assert (domain.fibre is not None) == (H.is_finite and len(H.components) > 1)
    with pytest.raises(ValueError, match=r"reflections is \w+ where H = .*, expected \w+ or None"):
        make(reflections=not H.has_mirrors)
    lifted, refusal = outcome(make, rotations=5, reflections=H.has_mirrors)
    if refusal:
        assert re.search(r"rotations is 5 where H = .* in \d dimensions, expected None", refusal)
    else:
        assert len(lifted.fibre) == 5 * (1 + H.has_mirrors)
    mask = torch.ones(domain.shape, dtype=torch.bool)
    mask.flatten()[0] = False
    masked = make(mask=mask)
    assert masked.unmasked is not masked
    assert masked.shape == domain.shape
    with pytest.raises(ValueError, match="mask is a ndarray, expected a tensor: "):
        make(mask=mask.numpy())


def test_groups(space):
    assert isinstance(space.structure, er.groups.StructureGroup)
    holonomy = space.holonomy()
    assert isinstance(holonomy, Holonomy)
    assert str(holonomy) == str(holonomy.structure)
    if space.group is None:
        with pytest.raises(ValueError, match=NO_GROUP):
            space.stabilizer()
        return
    H = space.stabilizer()
    assert isinstance(H, er.groups.Stabilizer)
    assert str(H) == str(H.isotropy) == str(space.structure)
    u = space.frames(space.origin)
    h = torch.cat([H.exp(0.3 * torch.eye(H.dim).double()), H.components])
    turns = er.groups.MatrixGroup(H.isotropy.algebra, H.isotropy.components)
    for element in h:
        moved = space.act(element, u)
        torch.testing.assert_close(space.home(moved.point), u.point, rtol=0, atol=1e-9)
        assert turns.defect(space.gauge(u, moved)) < 1e-6
