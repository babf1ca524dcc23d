"""The holonomy of every space, computed, and named."""

import math

import pytest
import torch
from metrics import TURN, bump, flat, in_bent, polar, stereographic, torus

import erlangen as er
from erlangen.geometry.holonomy import expect_orthogonal
from erlangen.groups.closure import closure

MIRROR = torch.diag(torch.tensor([1.0, -1.0])).double()

SPACES = {
    "R2": (lambda: er.Euclidean(2), "trivial"),
    "R3, moved by all isometries": (lambda: er.Euclidean(3, "isometries"), "trivial"),
    "cylinder": (er.Cylinder, "trivial"),
    "flat torus": (er.FlatTorus, "trivial"),
    "flat torus, a chart": (lambda: er.Chart(flat, 2, periods=(1.0, 2.0)), "trivial"),
    "flat torus, crooked": (lambda: er.Chart(in_bent(flat), 2, periods=(TURN, TURN)), "trivial"),
    "flat annulus": (
        lambda: er.Chart(polar, 2, bounds=((0.5, 1.5), None), periods=(None, TURN)),
        "trivial",
    ),
    "moebius": (er.Moebius, "Z2: reflection of axis 1"),
    "moebius, a chart": (
        lambda: er.Chart(flat, 2, periods=(2.0, None), bounds=(None, (-0.5, 0.5)), glue={0: MIRROR}),
        "Z2: reflection of axis 1",
    ),
    "klein bottle": (
        lambda: er.Chart(flat, 2, periods=(2.0, 1.0), glue={0: MIRROR}),
        "Z2: reflection of axis 1",
    ),
    "klein bottle, a quotient": (
        lambda: er.FlatQuotient(
            [
                er.Deck.along(0, 2.0, (1.0, -1.0)),
                er.Deck.along(1, 1.0, (1.0, 1.0)),
            ],
            (math.inf, math.inf),
        ),
        "Z2: reflection of axis 1",
    ),
    "RP2": (er.ProjectivePlane, "O(2)"),
    "S2": (er.Sphere, "SO(2)"),
    "H2": (er.Hyperbolic, "SO(2)"),
    "H3": (lambda: er.Hyperbolic(3), "SO(3)"),
    "ellipsoid": (lambda: er.Ellipsoid(steps=6), "SO(2)"),
    "surface of revolution": (er.SurfaceOfRevolution, "SO(2)"),
    "torus of revolution": (lambda: er.Chart(torus, 2, periods=(TURN, TURN)), "SO(2)"),
    "plane with one far bump": (
        lambda: er.Chart(bump, 2, bounds=((-15.0, 15.0), (-15.0, 15.0))),
        "SO(2)",
    ),
    "S3": (lambda: er.Sphere(3), "SO(3)"),
    "S3, a chart": (lambda: er.Chart(stereographic, 3, bounds=[(-1.0, 1.0)] * 3), "SO(3)"),
    "S2 x S1": (lambda: er.Product(er.Sphere(), er.FlatTorus((TURN,))), "SO(2)"),
    "S2 x S2": (lambda: er.Product(er.Sphere(), er.Sphere()), "SO(2) x SO(2)"),
    "turned by a half": (lambda: er.MappingTorus(TURN / 2), "C2"),
    "turned by a third": (lambda: er.MappingTorus(TURN / 3), "C3"),
    "turned by a quarter": (lambda: er.MappingTorus(TURN / 4), "C4"),
    "turned by a sixth": (lambda: er.MappingTorus(TURN / 6), "C6"),
    "turned by one radian": (lambda: er.MappingTorus(1.0), "SO(2)"),
}


@pytest.mark.parametrize("name", SPACES)
def test_holonomy_is_computed_and_named(name):
    build, expected = SPACES[name]
    space = build()
    H = space.holonomy()
    assert str(H) == expected
    assert H.from_loops == H.from_curvature
    if not isinstance(space, (er.Euclidean, er.FlatQuotient)):
        assert str(space.structure) == expected


def test_loops_are_kept_for_drawing():
    H = er.Sphere().holonomy()
    assert H.loops.shape[0] == H.paths.shape[0] == len(H.turns)
    torch.testing.assert_close(H.loops[:, -1], H.paths[:, -1])  # they close where the path leads
    h = er.ProjectivePlane().holonomy()
    assert len(h.circuits) == len(h.circuit_turns) == 1
    assert torch.linalg.det(h.circuit_turns[0]) < 0


def test_an_implicit_surface_with_circuits():
    """The flat torus of Clifford in R^4."""

    def F(x):
        one, other = x[..., :2].square().sum(-1), x[..., 2:].square().sum(-1)
        return torch.stack([one - 1, other - 1], -1)

    t = TURN * torch.arange(1, 9).double()[:, None] / 8
    still = torch.cat([torch.ones_like(t), torch.zeros_like(t)], -1)
    moving = torch.cat([t.cos(), t.sin()], -1)
    circuits = [torch.cat([moving, still], -1), torch.cat([still, moving], -1)]
    space = er.Implicit(F, torch.tensor([1.0, 0.0, 1.0, 0.0]), circuits=circuits, steps=4)
    H = space.holonomy()
    assert str(H) == "trivial"
    assert len(H.circuit_turns) == 2


def test_riemannian_spaces_answer_both():
    for space, stabilizer, holonomy in (
        (er.Euclidean(2, "isometries"), "O(2)", "trivial"),
        (er.Sphere(symmetry="isometries"), "O(2)", "SO(2)"),
        (er.Hyperbolic(), "SO(2)", "SO(2)"),
        (er.FlatTorus(), "trivial", "trivial"),
    ):
        assert str(space.stabilizer()) == stabilizer
        assert str(space.holonomy()) == holonomy
    with pytest.raises(ValueError, match=r"names no group .* see holonomy\(\)"):
        er.Moebius().stabilizer()


def turn(axis, angle):
    i, j = [k for k in range(3) if k != axis]
    g = torch.eye(3).double()
    g[i, i] = g[j, j] = math.cos(angle)
    g[i, j], g[j, i] = -math.sin(angle), math.sin(angle)
    return g


@pytest.mark.parametrize(
    ("elements", "name"),
    [
        ([turn(0, TURN / 4), turn(1, TURN / 4)], "rotations of the cube"),
        ([turn(0, 1.0)], "SO(2)"),
        ([turn(0, 1.0), turn(1, TURN / 4)], "SO(3)"),
        ([turn(2, 1.0), torch.diag(torch.tensor([1.0, -1.0, 1.0]).double())], "O(2)"),
    ],
)
def test_closures(elements, name):
    assert str(closure(torch.zeros(0, 3, 3).double(), torch.stack(elements))) == name


def cone(part):
    """Flat, with so much of a whole turn about its tip."""

    def metric(x):
        return torch.diag_embed(torch.stack([torch.ones_like(x[..., 0]), (part * x[..., 0]) ** 2], -1))

    return er.Chart(metric, dim=2, bounds=((0.5, 1.5), None), periods=(None, TURN), steps=4)


@pytest.mark.parametrize(
    ("part", "name"),
    [(1 / 200, "C200"), (3 / 500, "C500"), (131 / 400, "C400"), (0.5**0.5, "SO(2)"), (0.9999, "SO(2)")],
)
def test_turns_of_a_high_order_are_named_or_said_to_be_cut_off(part, name):
    H = cone(part).holonomy()
    assert str(H) == name
    assert repr(H) == (name if name != "SO(2)" else "SO(2) (or finite, with turns of an order above 500)")
    assert H.is_dense == (name == "SO(2)")
    assert len(H.structure.components) == (1 if H.is_dense else int(name[1:]))


def test_layers_on_a_cone_of_a_high_order_work_or_are_refused():
    space = cone(1 / 200)
    grid, radius = space.grid(6, 8, nodes=4), 0.9 * space.injectivity_radius
    x = torch.randn(1, 2, 6, 8)
    assert er.nn.Correlation(grid, 2, 3, radius=radius)(x).shape == (1, 3, 6, 8)
    assert er.nn.Lift(grid, 2, 1, radius=radius)(x).shape == (1, 1, 200, 6, 8)
    with pytest.raises(ValueError, match=r"40,000 coefficients of degree 0 under H = C200, expected at most"):
        er.nn.Correlation(grid, 1, 1, radius=radius, rings=1, in_field="regular", out_field="regular")
    with pytest.raises(ValueError, match="structure group C200 moves this kernel"):
        er.correlate(grid, lambda v: 1 + v[..., 0] / radius, x[0, 0], radius=radius)


def test_a_regular_piece_of_a_cone_given_by_an_equation():
    def F(x):
        return x[..., :2].square().sum(-1) - x[..., 2] ** 2

    point, turn = torch.tensor([1.0, 0.0, 1.0]), TURN * torch.arange(1, 25).double() / 24
    round_the_tip = torch.stack([turn.cos(), turn.sin(), torch.ones_like(turn)], -1)
    piece = er.Implicit(F, point, extent=0.5, circuits=[round_the_tip], steps=8)
    assert str(piece.holonomy()) == "SO(2)"  # turns by 360 degrees over the root of 2
    assert str(er.Implicit(F, point, extent=0.5, steps=8).holonomy()) == "trivial"
    lost = torch.eye(2).double().repeat(3, 1, 1)
    lost[1] = torch.nan
    with pytest.raises(
        ValueError, match=r"1 of 3 loops on Implicit, n = 2 lead to where it is not regular.*extent="
    ):
        expect_orthogonal(str(piece), lost)


def test_isometries_enlarge_the_group_of_an_equation():
    def mirrored(x):
        return x * torch.tensor([1.0, -1.0, 1.0]).to(x)

    def tube(x):
        return x[..., :2].square().sum(-1) - 1

    assert str(er.Implicit(tube, [1.0, 0.0, 0.0]).structure) == "trivial"
    mirror = er.Implicit(tube, [1.0, 0.0, 0.0], symmetry=[mirrored])
    assert str(mirror.structure) == "Z2: reflection of axis 0"
    assert str(mirror.holonomy()) == "trivial"
    assert str(er.Ellipsoid(symmetry=[mirrored]).structure) == "O(2)"
