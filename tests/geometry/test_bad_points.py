"""Bad points, weights and group elements: what was wrong, what was expected, how to mend it."""

import math

import pytest
import torch

import erlangen as er
from erlangen import groups
from erlangen.domains import Samples

POLE = [0.0, 0.0, 1.0]
AXES = torch.eye(3).double()


def linear(g, p):
    return (g @ p[..., None])[..., 0]


def solved(**options):
    return er.HomogeneousSpace(groups.SO(3), options.pop("origin", POLE), options.pop("action", linear))


SPACES = {"closed": er.Sphere, "solved": solved}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("points", "weights", "message"),
    [
        (AXES * float("nan"), torch.ones(3), "3 of 3 points are not finite, the first at 0"),
        (2 * AXES, torch.ones(3), r"no point of Sphere|no way was found from the origin to 3 points"),
        (AXES[[0, 1, 2, 0]], torch.ones(4), "points 0 and 3 are the same, .* with the sum of their weights"),
        (torch.cat([AXES, AXES[:1] + 1e-9]).double(), torch.ones(4), "points 0 and 3 are the same"),
        (AXES, torch.ones(2), r"points \(3, 3\) and weights \(2,\), expected \(\*space, 3\)"),
        (AXES, None, "Tensor and NoneType, expected two tensors: every sample has a measure"),
        (AXES, torch.tensor([1.0, float("nan"), 1.0]), "weights are not positive"),
        (AXES, torch.tensor([1.0, float("inf"), 1.0]), "weights are not positive"),
        (AXES, torch.tensor([1.0, 0.0, 1.0]), "weights are not positive"),
    ],
)
def test_bad_samples(space, points, weights, message):
    with pytest.raises(ValueError, match=message):
        Samples(SPACES[space](), points, weights)


def test_one_stray_point_among_many_is_found():
    p = torch.randn(2000, 3).double()
    p = p / p.norm(dim=-1, keepdim=True)
    p[1234] *= 1.01
    with pytest.raises(ValueError, match="is no point of Sphere"):
        Samples(er.Sphere(measure="tangent"), p, torch.ones(2000))
    disc = er.Hyperbolic().grid(1.0, 20)
    p = disc.points.flatten(0, -2).clone()
    p[321, 0] *= 1.3  # neither the longest nor the shortest
    with pytest.raises(ValueError, match="is no point of Hyperbolic"):
        Samples(er.Hyperbolic(), p, disc.weights.flatten())


def test_points_off_an_implicit_surface():
    surface = er.Ellipsoid((1.0, 1.5, 2.0))
    points = surface.spread_points(40)
    assert surface.samples(points.float()).weights.shape == (40,)
    with pytest.raises(
        ValueError, match=r"expected points of the surface, with F = 0.*space\.project\(points\)"
    ):
        surface.samples(1.1 * points)


def test_group_elements_off_the_group():
    ball, f = er.Sphere().grid(6), torch.randn(6, 12)
    with pytest.raises(
        ValueError, match=r"no symmetry of Sphere.* leaves the space, by 3; .* orthonormalize"
    ):
        ball.act(2 * torch.eye(3), f)
    with pytest.raises(ValueError, match=r"g has shape \(4, 4\), expected 3 x 3 for SO\(3\)"):
        ball.act(torch.eye(4), f)
    shear = torch.eye(3).double()
    for row, column, domain in ((2, 0, ball), (0, 2, ball), (0, 1, er.Hyperbolic().grid(1.0, 4))):
        g = shear.clone()
        g[row, column] = 0.7
        with pytest.raises(ValueError, match="changes lengths or leaves the space"):
            domain.act(g, torch.randn(domain.shape))
    shear[2, 0] = 0.5
    for space in (er.Euclidean(2, "isometries"), er.FlatTorus((8.0, 8.0))):
        with pytest.raises(ValueError, match=r"the last row of g is \[0.5, 0.0, 1.0\], expected"):
            space.grid(8, 8).act(shear, torch.randn(8, 8))
    space, g = solved(), 2 * AXES
    with pytest.raises(ValueError, match=r"g is no element of SO\(3\), it is off by"):
        space.act(g, space.frames(AXES))
    with pytest.raises(ValueError, match=r"g is no element of SO\(3\)"):
        space.samples(AXES, torch.ones(3)).act(torch.diag(torch.tensor([1.0, 1, -1])), torch.randn(3))
    group = er.GroupSpace(groups.SE(2))
    with pytest.raises(ValueError, match=r"g is no element of SE\(2\)"):
        group.act(g, group.frames(AXES.flatten()[None]))
    with pytest.raises(ValueError, match="is no point of SE"):
        group.samples(g.flatten()[None], torch.ones(1))


def test_actions_that_take_no_batches():
    with pytest.raises(
        ValueError, match=r"the action .* gave \(2, 3, 3, 1\), expected .* write it for batches"
    ):
        solved(action=lambda g, p: g @ p[..., None])
    with pytest.raises(ValueError, match=r"the action .* write it for batches"):
        solved(action=lambda g, p: g @ p)
    with pytest.raises(ValueError, match="expected the coordinates of one point, all of them finite"):
        solved(origin=torch.tensor([0.0, 0.0, math.nan]))
    with pytest.raises(ValueError, match=r"origin is \[0.0, 0.0, nan\], expected .*each a finite number"):
        solved(origin=[0.0, 0.0, math.nan])


def test_a_space_without_a_group_says_so():
    strip = er.Moebius(8.0, 5.0)
    with pytest.raises(ValueError, match="names no group of matrices that moves it"):
        strip.section(torch.zeros(1, 2).double())
    layer = er.nn.Lift(strip.grid(8, 5), 1, 1, radius=2.0)
    assert layer.equivariant_to == (f"the isometries of {strip} that turn frames by Z2: reflection of axis 1")


@pytest.mark.parametrize(
    ("domain", "field", "name"),
    [
        (er.Plane(), "scalar", "E(2)"),
        (er.Plane(symmetry="translations"), "scalar", "T(2)"),
        (er.Plane(rotations=8), "regular", "SE(2)"),
        (er.Plane(rotations=4), "regular", "R^2 with C4"),
        (er.Plane(rotations=8, reflections=True), "regular", "E(2)"),
        (er.Euclidean(3, "roto-translations").grid(3, 3, 3), "scalar", "SE(3)"),
        (er.Euclidean(1, "isometries").grid(9), "scalar", "E(1)"),
        (er.Sphere().grid(4, rotations=5), "regular", "SO(3)"),
        (er.Sphere(symmetry="isometries").grid(4), "scalar", "O(3)"),
        (er.Hyperbolic().grid(1.0, 3), "scalar", "SO+(1,2)"),
        (er.ProjectivePlane().grid(4), "scalar", "SO(3)"),
    ],
)
def test_layers_name_their_group(domain, field, name):
    layer = er.nn.Correlation(
        domain, 1, 1, radius=1.5, rings=2 if field == "scalar" else 3, in_field=field, out_field=field
    )
    assert layer.equivariant_to == name
    assert f'equivariant_to="{name}"' in repr(layer)


def test_spaces_of_another_measure_are_others():
    assert er.Sphere().is_same(er.Sphere())
    assert not er.Sphere(measure="tangent").is_same(er.Sphere())
    assert not er.Sphere(symmetry="isometries").is_same(er.Sphere())
