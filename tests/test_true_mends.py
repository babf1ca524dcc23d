"""What a refusal tells one to type works, typed as it stands there."""

import math
import re

import pytest
import torch

import erlangen as er

CUBE = er.groups.cube()
PLANE, BALL = er.Plane(), er.Sphere().grid(8)
VOLUME = er.Euclidean(3).grid(4, 4, 4)
LIFTED_VOLUME = "er.Euclidean(3, structure=H).grid(8, 8, 8)"
NAMES = {"er": er, "erlangen": er, "torch": torch, "math": math, "shape": (4, 4, 4)}


def lopsided(v):
    return torch.exp(-v.square().sum(-1)) * (1 + v[..., 0])


def poles(count=20):
    z = torch.linspace(-1, 1, count).double()
    return torch.stack([torch.sqrt(1 - z**2), 0 * z, z], -1)


# what is refused, what it says to type, what makes of that the thing that was asked for
CASES = {
    "no fibre on the plane": (
        lambda: er.nn.Lift(PLANE, 1, 2, 3),
        "er.Plane(rotations=8)",
        lambda plane: er.nn.Lift(plane, 1, 2, 3),
    ),
    "no fibre on a grid of the plane": (
        lambda: er.nn.Lift(er.Euclidean(2, "isometries").grid(8, 8), 1, 2, 3),
        "er.Plane(rotations=8)",
        lambda plane: er.nn.Lift(plane, 1, 2, 3),
    ),
    "no fibre on volumes": (
        lambda: er.nn.Lift(VOLUME, 1, 2, 3),
        LIFTED_VOLUME,
        lambda volume: er.nn.Lift(volume, 1, 2, 3)(torch.randn(1, 1, 8, 8, 8)),
        {"H": er.groups.StructureGroup.finite(CUBE.components)},
    ),
    "the group of the cube": (
        lambda: er.nn.Lift(er.Euclidean(3, "isometries").grid(4, 4, 4), 1, 2, 3),
        "er.groups.StructureGroup.finite(er.groups.cube().components)",
        lambda H: len(H.components) == 24,
    ),
    "no fibre on the sphere": (
        lambda: er.nn.Lift(BALL, 1, 2),
        "rotations=8",
        lambda rotations: er.nn.Lift(er.Sphere().grid(8, rotations=rotations), 1, 2),
    ),
    "no fibre on mirrors of a line": (
        lambda: er.nn.Lift(er.domains.Grid(er.Euclidean(1, "isometries"), (8,), torch.eye(1)), 1, 2, 3),
        "fibre=er.groups.FiniteFibre(space.structure)",
        lambda fibre: er.nn.Lift(
            er.domains.Grid(er.Euclidean(1, "isometries"), (8,), torch.eye(1), fibre=fibre), 1, 2, 3
        ),
        {"space": er.Euclidean(1, "isometries")},
    ),
    "symmetrizing by a stabilizer": (
        lambda: er.kernels.symmetrize(lopsided, er.groups.SO(2)),
        "space.structure",
        lambda H: er.correlate(BALL, er.kernels.symmetrize(lopsided, H), torch.ones(8, 16), radius=1.0),
        {"space": er.Sphere()},
    ),
    "a lopsided kernel": (
        lambda: er.correlate(BALL, lopsided, torch.ones(8, 16), radius=1.0),
        "erlangen.kernels.symmetrize(kernel, domain.geometry.structure)",
        lambda kernel: er.correlate(BALL, kernel, torch.ones(8, 16), radius=1.0),
        {"kernel": lopsided, "domain": BALL},
    ),
    "spacing by axes": (
        lambda: er.Euclidean(3).grid(4, 4, 4, spacing=(3, 1)),
        "(3.0, 1.0, 1.0)",
        lambda spacing: er.nn.Correlation(er.Euclidean(3).grid(4, 4, 4, spacing=spacing), 1, 2, radius=3.5)(
            torch.randn(1, 1, 4, 4, 4)
        ),
    ),
    "a finite group of turns of space": (
        lambda: er.GroupSpace(CUBE),
        LIFTED_VOLUME,
        lambda volume: er.nn.Lift(volume, 1, 2, 3),
        {"H": er.groups.StructureGroup.finite(CUBE.components)},
    ),
    "its closure": (
        lambda: er.GroupSpace(CUBE),
        "er.groups.StructureGroup.finite(group.components)",
        lambda H: len(H.components) == 24,
        {"group": CUBE},
    ),
    "a finite group of turns of the plane": (
        lambda: er.HomogeneousSpace(er.groups.cyclic(4), [1.0, 0.0], lambda g, p: (g @ p[..., None])[..., 0]),
        "er.Plane(rotations=4)",
        lambda plane: len(plane.fibre) == 4,
    ),
    "a number for a domain": (
        lambda: er.nn.Correlation(3, 16, 3),
        "er.Plane()",
        lambda p: er.nn.Correlation(p, 3, 16, 3),
    ),
    "another for a domain": (
        lambda: er.nn.Norm(16),
        "er.Sphere().grid(64)",
        lambda ball: er.nn.Norm(ball, 16),
    ),
    "a domain for its space": (
        lambda: er.Product(BALL, er.Sphere()),
        "one.geometry",
        lambda space: er.Product(space, er.Sphere()),
        {"one": BALL},
    ),
    "a circle as a sphere": (
        lambda: er.Sphere(1),
        "er.FlatTorus((2 * math.pi,))",
        lambda circle: circle.grid(8),
    ),
    "a line as hyperbolic space": (lambda: er.Hyperbolic(1), "er.Euclidean(1)", lambda line: line.grid(8)),
    "an array": (
        lambda: er.nn.Correlation(BALL, 1, 1)(BALL.points[None, None, ..., 0].float().numpy()),
        "torch.from_numpy(field)",
        lambda field: er.nn.Correlation(BALL, 1, 1)(field),
        {"field": BALL.points[None, None, ..., 0].float().numpy()},
    ),
    "points off the sphere": (
        lambda: er.Sphere().samples(2 * BALL.points.flatten(0, 1)),
        "points / points.norm(dim=1, keepdim=True)",
        lambda points: er.Sphere().samples(points),
        {"points": 2 * BALL.points.flatten(0, 1)},
    ),
    "pooling by the maximum on the sphere": (
        lambda: er.nn.Pool(BALL, "max")(torch.randn(1, 1, 8, 16)),
        'reduction="mean"',
        lambda reduction: er.nn.Pool(BALL, reduction)(torch.randn(1, 1, 8, 16)),
    ),
    "the sphere's axis": (
        lambda: er.Sphere(symmetry="axis").harmonics(4),
        'er.Sphere(symmetry="axis").grid',
        lambda grid: er.nn.Correlation(grid(8), 1, 1, radius=1.0),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_refusal_says_to_type_works(name):
    act, code, use, names = (*CASES[name], {})[:4]
    with pytest.raises(ValueError, match=re.escape(code)):
        act()
    keyword, _, value = code.partition("=")
    assert use(eval(value if keyword.isidentifier() else code, {**NAMES, **names})) is not False


@pytest.mark.parametrize(
    "space",
    [
        er.Sphere(),
        er.Euclidean(1),
        er.Euclidean(2),
        er.Hyperbolic(),
        er.FlatTorus((8.0, 8.0)),
        er.Moebius(),
        er.ProjectivePlane(),
        pytest.param(er.Ellipsoid(steps=2), marks=pytest.mark.slow),
        pytest.param(er.SurfaceOfRevolution(steps=2), marks=pytest.mark.slow),
        pytest.param(
            er.Implicit(lambda x: x.square().sum(-1) - 1, [0.0, 0.0, 1.0], steps=2), marks=pytest.mark.slow
        ),
    ],
    ids=repr,
)
def test_every_space_says_how_it_is_sampled(space):
    with pytest.raises(ValueError, match=r"is a space, expected samples of it: such as \.") as refusal:
        er.nn.ReLU(space)
    call = str(refusal.value).split("such as ")[1]
    domain = eval(f"space{call}", {"space": space})
    assert isinstance(domain, er.domains.Domain)
    assert domain.geometry is space
