"""Regular fields over a circle of turns in three dimensions: lifted, correlated with transport, projected."""

import math

import pytest
import torch
from torch import nn

import erlangen as er
from erlangen.groups import CircleFibre, PlaneFibre, StructureGroup

N = 5
SPHERE, CIRCLE = er.Sphere(), er.FlatTorus((2 * math.pi,))


def sphere_and_circle():
    return er.Product(SPHERE, CIRCLE).grid(SPHERE.grid(5), CIRCLE.grid(6), rotations=N)


def mapping_torus():
    """A turn by one radian: H is all of SO(2)."""
    return er.MappingTorus(1.0, 2.0, width=2.0).grid(4, 4, 6, rotations=N, nodes=3)


def projective_plane_and_circle():
    """H is O(2) on the plane: frames come home mirrored."""
    plane = er.ProjectivePlane()
    return er.Product(plane, CIRCLE).grid(plane.grid(4), CIRCLE.grid(4), rotations=4)


DOMAINS = {"S2 x S1": (sphere_and_circle, 1.0), "mapping torus": (mapping_torus, 0.7)}


def layers(domain, radius):
    options = {"radius": radius, "rings": 2, "dtype": torch.float64}
    lift = er.nn.Lift(domain, 1, 2, **options)
    mix = er.nn.Correlation(domain, 2, 2, in_field="regular", out_field="regular", **options)
    return lift, mix


@pytest.mark.parametrize("name", DOMAINS)
def test_other_frames_change_nothing(name):
    build, radius = DOMAINS[name]
    domain = build()
    assert str(domain.geometry.structure) == "SO(2)"
    lift, mix = layers(domain, radius)
    for layer in (lift, mix):
        layer = er.verify.randomized(layer)
        assert er.verify.gauge(layer).defect < 1e-12
        assert er.verify.gauge(layer, turns="any").defect < 1e-10  # by any angle: linear
    net = nn.Sequential(lift, er.nn.ReLU(domain), mix, er.nn.Project(domain, "max"))
    x = torch.randn(1, 1, *domain.weights.shape, dtype=torch.float64)
    assert er.verify.gauge(er.verify.randomized(net), x).defect < 1e-12


def test_other_frames_change_nothing_where_they_may_be_mirrored():
    domain = projective_plane_and_circle()
    assert str(domain.geometry.structure) == "O(2)"
    assert len(domain.fibre) == 8
    lift, mix = layers(domain, 0.9)
    for layer in (lift, mix):
        assert er.verify.gauge(er.verify.randomized(layer)).defect < 1e-12


def test_shifts_and_turns_of_the_product():
    domain = sphere_and_circle()
    lift, mix = layers(domain, 1.0)
    net = er.verify.randomized(
        nn.Sequential(lift, er.nn.ReLU(domain), mix, er.nn.ReLU(domain), er.nn.Project(domain, "mean"))
    )
    x = torch.randn(1, 1, *domain.weights.shape, dtype=torch.float64)
    y = net(x).detach()
    for axis, steps in ((-1, 1), (-2, 3)):  # along the circle; about the axis of the sphere
        moved = net(x.roll(steps, axis)).detach()
        assert float((moved - y).abs().max()) > 1e-2 * float(y.abs().max())
        torch.testing.assert_close(moved, y.roll(steps, axis), rtol=0, atol=1e-12 * float(y.abs().max()))


def test_a_circle_in_the_plane_is_the_circle():
    H = StructureGroup.special_orthogonal(2)
    plane, circle = PlaneFibre(H, N), CircleFibre(N, False)
    torch.testing.assert_close(plane.elements[1] @ plane.elements[1], plane.elements[2])
    h = H.sample(6)
    one, other = plane.regular(h), circle.regular(h)
    if not torch.allclose(plane.elements, circle.elements):  # the other way round
        other = circle.regular(h.mT)
    torch.testing.assert_close(one, other)


def test_the_regular_representation_of_a_tilted_circle():
    Q = torch.linalg.qr(torch.randn(3, 3).double()).Q
    standard = er.Product(SPHERE, CIRCLE).structure
    H = StructureGroup(Q @ standard.algebra @ Q.T, Q @ standard.components @ Q.T)
    fibre = PlaneFibre(H, N)
    g, h = H.sample(2, seed=1)
    F = fibre.lowpass(fibre.default_band) @ torch.randn(N).double()
    torch.testing.assert_close(fibre.regular(g @ h) @ F, fibre.regular(g) @ (fibre.regular(h) @ F))
    assert len(fibre.finer(2)) == 2 * N


def test_the_regular_representation_of_a_circle_with_mirrors():
    H = er.Product(er.ProjectivePlane(), CIRCLE).structure
    fibre = PlaneFibre(H, N)
    assert len(fibre) == 2 * N
    h = H.sample(3, seed=2)  # of each component
    g, h = torch.broadcast_tensors(h[:, None], h)
    assert set(torch.linalg.det(g @ h).flatten().round().tolist()) == {-1.0, 1.0}
    F = fibre.lowpass(fibre.default_band) @ torch.randn(2 * N, 1).double()
    torch.testing.assert_close(fibre.regular(g @ h) @ F, fibre.regular(g) @ (fibre.regular(h) @ F))


def test_symmetries_of_both_factors_act_each_on_its_own():
    space = er.Product(SPHERE, CIRCLE)
    R, shift = SPHERE.group.sample(1, seed=3)[0], torch.tensor([[1.0, 0.4], [0.0, 1.0]]).double()
    g = torch.block_diag(R, shift)  # of three rows, and of two
    u = space.frames(torch.tensor([0.6, 0.0, 0.8, 6.0]).double())
    moved = space.act(g, u)
    torch.testing.assert_close(moved.point[:3], R @ u.point[:3])
    torch.testing.assert_close(moved.point[3], torch.tensor(6.4 - 2 * math.pi).double())
    torch.testing.assert_close(moved.basis[:3, :2], R @ u.basis[:3, :2])


def test_other_groups_are_refused():
    with pytest.raises(ValueError, match=r"H = SO\(3\) in 3 dimensions, expected one circle of turns"):
        PlaneFibre(StructureGroup.special_orthogonal(3), N)
    fibre = PlaneFibre(er.Product(SPHERE, CIRCLE).structure, N)
    with pytest.raises(ValueError, match=r"outside of SO\(2\), which turns only one plane"):
        fibre.interpolate(torch.eye(3).double().roll(1, 0))
    with pytest.raises(ValueError, match="width is -1, expected a positive length"):
        er.MappingTorus(1.0, width=-1)
    product = er.Product(SPHERE, CIRCLE)
    with pytest.raises(ValueError, match="expected samples of FlatTorus"):
        product.grid(SPHERE.grid(4), SPHERE.grid(4))
