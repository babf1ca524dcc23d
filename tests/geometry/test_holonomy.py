"""The holonomy of every space, computed, and named."""

import math

import pytest
import torch

import erlangen as er
from erlangen.groups.closure import closure

TURN = 2 * math.pi


def flat(x):
    return torch.eye(x.shape[-1], dtype=x.dtype).expand(*x.shape, -1)


def polar(x):
    r = x[..., 0]
    return torch.diag_embed(torch.stack([torch.ones_like(r), r**2], -1))


def torus(x):
    a = (2 + 0.7 * torch.cos(x[..., 1])) ** 2
    return torch.diag_embed(torch.stack([a, torch.full_like(a, 0.49)], -1))


def bump(x):
    """The plane, stretched about (9, -7), so far from the origin that it is flat there to rounding."""
    far = (x - torch.tensor([9.0, -7.0]).to(x)).square().sum(-1)
    return (1 + torch.exp(-far))[..., None, None] * flat(x)


def stereographic(x):
    return (4 / (1 + x.square().sum(-1)) ** 2)[..., None, None] * flat(x)


def crooked(metric):
    """The same metric in the coordinates (x, y) -> (x, y + 0.2 sin(2 pi x))."""

    def pulled_back(x):
        bent = torch.stack([x[..., 0], x[..., 1] + 0.2 * torch.sin(TURN * x[..., 0])], -1)
        slope = 0.2 * TURN * torch.cos(TURN * x[..., 0])
        zero, one = torch.zeros_like(slope), torch.ones_like(slope)
        J = torch.stack([torch.stack([one, zero], -1), torch.stack([slope, one], -1)], -2)
        return J.mT @ metric(bent) @ J

    return pulled_back


def mapping_torus(angle):
    c, s = math.cos(angle), math.sin(angle)
    A = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).double()
    return er.Chart(flat, 3, periods=(None, None, 1.0), glue={2: A})


MIRROR = torch.diag(torch.tensor([1.0, -1.0])).double()

SPACES = {
    "R2": (lambda: er.Euclidean(2), "trivial"),
    "R3, moved by all isometries": (lambda: er.Euclidean(3, "isometries"), "trivial"),
    "cylinder": (er.Cylinder, "trivial"),
    "flat torus": (er.FlatTorus, "trivial"),
    "flat torus, a chart": (lambda: er.Chart(flat, 2, periods=(1.0, 2.0)), "trivial"),
    "flat torus, crooked": (lambda: er.Chart(crooked(flat), 2, periods=(1.0, 2.0)), "trivial"),
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
                er.spaces.quotient.Gluing(0, 2.0, (1.0, -1.0)),
                er.spaces.quotient.Gluing(1, 1.0, (1.0, 1.0)),
            ],
            (math.inf, math.inf),
        ),
        "Z2: reflection of axis 1",
    ),
    "RP2": (er.ProjectivePlane, "O(2)"),
    "S2": (er.Sphere, "SO(2)"),
    "H2": (er.Hyperbolic, "SO(2)"),
    "H3": (lambda: er.Hyperbolic(3), "SO(3)"),
    "torus of revolution": (lambda: er.Chart(torus, 2, periods=(TURN, TURN)), "SO(2)"),
    "plane with one far bump": (
        lambda: er.Chart(bump, 2, bounds=((-15.0, 15.0), (-15.0, 15.0))),
        "SO(2)",
    ),
    "S3": (lambda: er.Sphere(3), "SO(3)"),
    "S3, a chart": (lambda: er.Chart(stereographic, 3, bounds=[(-1.0, 1.0)] * 3), "SO(3)"),
    "S2 x S1": (lambda: er.Product(er.Sphere(), er.FlatTorus((TURN,))), "SO(2)"),
    "S2 x S2": (lambda: er.Product(er.Sphere(), er.Sphere()), "SO(2) x SO(2)"),
    "turned by a half": (lambda: mapping_torus(TURN / 2), "C2"),
    "turned by a third": (lambda: mapping_torus(TURN / 3), "C3"),
    "turned by a quarter": (lambda: mapping_torus(TURN / 4), "C4"),
    "turned by a sixth": (lambda: mapping_torus(TURN / 6), "C6"),
    "turned by one radian": (lambda: mapping_torus(1.0), "SO(2)"),
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
