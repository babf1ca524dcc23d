"""Which spaces are one: what they do tells, not only what they are called."""

import copy
import math

import pytest
import torch

import erlangen as er

INF = math.inf
ONE = torch.eye(2, dtype=torch.float64)


def flat(scale):
    return er.Chart(lambda x: scale * ONE.expand(*x.shape[:-1], 2, 2), 2, periods=(1.0, 1.0))


def bump(height):
    """Flat in the middle, where the origin is."""
    return er.Chart(
        lambda x: (1 + height * (x[..., 0] - 0.9).clamp(min=0) ** 4)[..., None, None] * ONE,
        2,
        bounds=((0.0, 1.0), (0.0, 1.0)),
    )


def oval(stretch):
    axes = torch.tensor([1.0, stretch, 1.0])
    return er.Implicit(lambda x: (x * axes.to(x)).square().sum(-1) - 1, [0.0, 0.0, 1.0], steps=2)


def strip(length):
    return er.FlatQuotient([er.Deck.along(0, length, (1, -1))], (INF, 1.0))


def group(scale):
    return er.GroupSpace(er.groups.MatrixGroup(scale * er.groups.SO(3).generators, name="G"))


# spaces of one name, made twice alike and once otherwise
KINDS = {
    "chart": (flat, 1.0, 1.1),
    "chart, far from the origin": (bump, 0.0, 10.0),
    "equation": (oval, 1.0, 2.0),
    "quotient": (strip, 2.0, 5.0),
    "group": (group, 1.0, 2.0),
    "product": (lambda c: er.Product(er.Sphere(), strip(c)), 2.0, 5.0),
    "sphere": (lambda n: er.Sphere(n), 2, 3),
    "hyperbolic": (lambda n: er.Hyperbolic(n), 2, 3),
}


@pytest.mark.parametrize("name", KINDS)
def test_spaces_of_one_name_are_told_apart(name):
    make, here, there = KINDS[name]
    space = make(here)
    for alike in (space, make(here), copy.deepcopy(space)):
        assert space.is_same(alike)
    assert not space.is_same(make(there))


def test_spaces_whose_actions_cannot_be_compared_are_one_only_with_themselves():
    def move(g, p):
        return (g @ p[..., None])[..., 0]

    one, other = (er.HomogeneousSpace(er.groups.SO(3), [0.0, 0.0, 1.0], move) for _ in range(2))
    assert one.is_same(one)
    assert not one.is_same(other)
    assert not er.Product(one, er.FlatTorus((1.0,))).is_same(er.Product(other, er.FlatTorus((1.0,))))


def test_fields_do_not_go_from_one_metric_to_another():
    one, other = (flat(c).grid(8, 8, nodes=4) for c in (1.0, 1.1))
    with pytest.raises(ValueError, match="expected one geometry"):
        one.to(other, torch.ones(8, 8))
    with pytest.raises(ValueError, match="no kernels are known from Chart"):
        er.nn.Correlation(one, 1, 1, radius=0.4, to=other)
