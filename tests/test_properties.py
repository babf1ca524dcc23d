"""Statements that hold for every size, group and angle."""

import math

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import erlangen as er
from erlangen.engines import centred
from erlangen.groups import CircleFibre, StructureGroup, regular
from erlangen.groups.structure import turn
from erlangen.kernels import KernelBasis, Rings

QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIZES = st.integers(1, 40)


@QUICK
@given(length=SIZES, stride=st.integers(1, 5))
def test_coarser_grids_share_the_centre(length, stride):
    count, twice = centred(length, stride)
    first, last = twice / 2, twice / 2 + stride * (count - 1)
    assert count == math.ceil(length / stride)
    assert first + last == length - 1
    assert first + stride / 2 >= 0


@QUICK
@given(
    rotations=st.integers(1, 9),
    reflections=st.booleans(),
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
)
def test_a_lift_commutes_with_whatever_its_group_holds(rotations, reflections, size):
    plane = er.Plane(rotations=rotations, reflections=reflections)
    layer = er.nn.Lift(plane, 1, 2, 5, dtype=torch.float64)
    x = torch.randn(1, 1, *size).double()
    for element in plane.symmetries():
        if element.is_exact:
            expected = plane.act(element.matrix, layer(x), "regular")
            found = layer(plane.act(element.matrix, x))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@QUICK
@given(
    rotations=st.sampled_from([3, 4, 5, 8]),
    angle=st.floats(-7, 7),
    kernel=st.tuples(st.floats(0.8, 4), st.integers(1, 4)),
)
def test_kernels_below_the_band_turn_by_any_angle(rotations, angle, kernel):
    """K(h v) = rho(h) K(v) rho(h)^-1 by Fourier phases: no angle is special."""
    fibre, (radius, rings) = CircleFibre(rotations), kernel
    band = (rotations - 1) // 2
    rho = regular(fibre)
    basis = KernelBasis.build(
        StructureGroup.special_orthogonal(2), Rings(2, radius, rings), rho, rho, band, band
    )
    h = turn(torch.tensor(angle))
    v = radius * (torch.rand(6, 2).double() - 0.5)
    expected = rho.matrix(h) @ basis(v) @ rho.inverse(h)
    torch.testing.assert_close(basis(v @ h.T), expected, rtol=0, atol=1e-9)


@QUICK
@given(angles=st.tuples(st.floats(-4, 4), st.floats(-4, 4)), rotations=st.integers(1, 9))
def test_the_regular_representation_composes_below_its_band(angles, rotations):
    fibre = CircleFibre(rotations)
    lowpass = fibre.lowpass((rotations - 1) // 2)
    one, other = (turn(torch.tensor(a)) for a in angles)
    product = fibre.regular(one) @ fibre.regular(other)
    torch.testing.assert_close(product @ lowpass, fibre.regular(one @ other) @ lowpass, rtol=0, atol=1e-9)


@QUICK
@given(seed=st.integers(0, 1000))
def test_walking_out_and_looking_back(seed):
    generator = torch.Generator().manual_seed(seed)
    v = torch.rand(5, 2, generator=generator, dtype=torch.float64) - 0.5
    for space in (er.Sphere(), er.Moebius(3.0, 4.0), er.FlatTorus((2.0, 2.0)), er.Euclidean(2)):
        p = space.exp(
            space.exp(origin(space), 0.3 * tangent(space, v)), torch.zeros(5, space.ambient).double()
        )
        u = space.frames(p)
        arrived = space.carry(u, v)
        back = space.coordinates(arrived, u.point)
        torch.testing.assert_close(back.norm(dim=-1), v.norm(dim=-1), rtol=0, atol=1e-10)
        torch.testing.assert_close(back, -v, rtol=0, atol=1e-10)  # the frame was carried along


def origin(space):
    p = torch.zeros(5, space.ambient).double()
    if isinstance(space, er.Sphere):
        p[:, -1] = 1.0
    return p


def tangent(space, v):
    return space.frames(origin(space)).tangent(v)


@QUICK
@given(size=st.tuples(st.integers(2, 33), st.integers(2, 33)), depth=st.integers(0, 3))
def test_every_size_goes_through_the_network(size, depth):
    net = er.models.UNet(er.Plane(), 1, 1, 1, depth).eval()
    assert net(torch.randn(1, 1, *size)).shape == (1, 1, *size)
