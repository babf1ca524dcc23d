"""A test of each statement in `erlangen.conventions`."""

import copy
import math
import pickle

import pytest
import torch
from paths import ROOT

import erlangen as er
from erlangen.conventions import CONVENTIONS, as_markdown


def test_action():
    plane = er.Plane(rotations=8, shape=(21, 21))
    y, x = torch.meshgrid(10 - torch.arange(21.0), torch.arange(21.0) - 10, indexing="ij")
    f = torch.exp(-((x - 4) ** 2 + y**2) / 9).double()  # a blob at x = 4
    g = plane.turn(40.0)
    moved = plane.act(g, f)
    at = torch.tensor([4 * math.cos(math.radians(40)), 4 * math.sin(math.radians(40))])
    expected = torch.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 9).double()
    torch.testing.assert_close(moved, expected, rtol=0, atol=5e-3)
    F = torch.randn(8, 21, 21).double()
    one, other = plane.turn(90), plane.turn(180)
    twice = plane.act(one, plane.act(other, F, "regular"), "regular")
    torch.testing.assert_close(twice, plane.act(one @ other, F, "regular"), rtol=0, atol=1e-12)


def test_correlation():
    layer = er.nn.Correlation(er.Plane(symmetry="translations"), 1, 1, 3, bias=False, dtype=torch.float64)
    impulse = torch.zeros(1, 1, 7, 7).double()
    impulse[0, 0, 3, 3] = 1.0
    basis = er.kernels.KernelBasis.build(
        er.groups.StructureGroup.trivial(2),
        er.kernels.Rings(2, 1.5, 2),
        er.groups.trivial(),
        er.groups.trivial(),
    )
    response = layer(impulse)[0, 0]
    for row, column in ((3, 4), (2, 3), (4, 2)):  # (k * delta_c)(p) = k(c - p)
        v = torch.tensor([3.0 - column, row - 3.0]).double()
        k = (layer.weight[0, 0] * basis(v)[:, 0, 0]).sum()
        torch.testing.assert_close(response[row, column], k)
    assert float(response.detach().abs().max()) > 0


def test_images():
    plane = er.Plane(rotations=4, shape=(3, 5))
    assert plane.points[0, 0].tolist() == [-2.0, 1.0]  # top left
    assert plane.points[2, 4].tolist() == [2.0, -1.0]
    f = torch.randn(3, 4, 5)
    east, north = torch.tensor([1.0, 0.0, 1.0]).double(), torch.tensor([0.0, 1.0, 1.0]).double()
    assert torch.equal(plane.turn(90) @ east, north)
    assert torch.equal(er.Plane(rotations=4).act(plane.turn(90), f), torch.rot90(f, 1, (-2, -1)))
    assert torch.equal(er.Plane().act(er.Plane().flip(), f), f.flip(-2))


def test_volumes():
    volume = er.Volume(4, axis=1, spacing=(1.0, 3.0, 1.0), shape=(4, 3, 4))
    p = volume.points
    for axis, step in enumerate((1.0, 3.0, 1.0)):
        apart = p.diff(dim=axis).flatten(0, -2)
        assert torch.equal(apart, (step * torch.eye(3).double()[axis]).expand_as(apart))
    axes = torch.eye(3).double()
    for i in range(3):
        A = volume.turn(90, i)[:3, :3]
        assert torch.equal(A @ axes[(i + 1) % 3], axes[(i + 2) % 3])


@pytest.mark.parametrize("size", [(6, 6), (7, 7), (6, 7)])
def test_centre(size):
    points = er.Plane(shape=size).points.flatten(0, 1)
    torch.testing.assert_close(points.mean(0), torch.zeros(2).double())
    net = er.verify.randomized(er.models.UNet(er.Plane(rotations=4), 1, 1, 2, 2)).double()
    x = torch.randn(1, 1, *size).double()
    turned = net(torch.rot90(x, 1, (-2, -1)))
    torch.testing.assert_close(turned, torch.rot90(net(x), 1, (-2, -1)), rtol=0, atol=1e-11)


def test_fibre():
    plane = er.Plane(rotations=4)
    F = torch.randn(4, 5, 6)
    expected = torch.rot90(F, 1, (-2, -1)).roll(1, 0)
    torch.testing.assert_close(plane.act(plane.turn(90), F, "regular"), expected)
    lift = er.nn.Lift(plane, 1, 2, 5)
    f = torch.randn(1, 1, 7, 8)
    torch.testing.assert_close(
        lift(torch.rot90(f, 1, (-2, -1))),
        torch.rot90(lift(f), 1, (-2, -1)).roll(1, 2),
        rtol=0,
        atol=1e-6,
    )


def test_reflections():
    plane = er.Plane(rotations=4, reflections=True)
    assert len(plane.fibre) == 8
    mirror = torch.diag(torch.tensor([1.0, -1.0])).double()
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).double()
    for s in range(2):
        for r in range(4):
            expected = torch.linalg.matrix_power(quarter, r) @ torch.linalg.matrix_power(mirror, s)
            torch.testing.assert_close(plane.fibre.elements[4 * s + r], expected, rtol=0, atol=1e-15)
    F = torch.randn(8, 3, 3)
    order = [4, 7, 6, 5, 0, 3, 2, 1]  # m r^r m^s = r^-r m^(s + 1)
    torch.testing.assert_close(plane.act(plane.flip(), F, "regular"), F.flip(-2)[order])


def test_matrices():
    group = er.groups.SE(2)
    v = torch.tensor([0.3, -0.7, 1.1]).double()
    expected = torch.matrix_exp(torch.einsum("a,aij->ij", v, group.generators))
    torch.testing.assert_close(group.exp(v), expected)
    w = torch.randn(3).double()
    space = er.GroupSpace(group)
    assert space.frame(group.exp(v).flatten()).shape == (9, 3)
    g = group.exp(v) @ group.exp(w)
    frame = space.carry(space.frames(group.exp(v).flatten()), w)
    torch.testing.assert_close(frame.point.unflatten(-1, (3, 3)), g)


def test_coordinates():
    sphere = er.Sphere()
    p = torch.nn.functional.normalize(torch.randn(9, 3).double(), dim=-1)
    basis = sphere.frame(p)
    assert basis.shape == (9, 3, 2)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(2).double().expand(9, 2, 2), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        (basis.mT @ p[..., None]).norm(), torch.tensor(0.0).double(), rtol=0, atol=1e-12
    )
    q = torch.nn.functional.normalize(torch.randn(9, 3).double(), dim=-1)
    v = sphere.log(p, q)
    torch.testing.assert_close(sphere.exp(p, v), q, rtol=0, atol=1e-12)
    torch.testing.assert_close((v * p).sum(-1), torch.zeros(9).double(), rtol=0, atol=1e-12)


def test_transport():
    sphere = er.Sphere()
    x, y, z = torch.eye(3).double()
    w = x
    for p, q in ((z, x), (x, y), (y, z)):
        w = sphere.parallel_transport(p, sphere.log(p, q), w)
    torch.testing.assert_close(w, y, rtol=0, atol=1e-12)
    assert float(w.norm()) == pytest.approx(1.0)


def test_quadrature():
    torch.testing.assert_close(er.Sphere().grid(7).weights.sum(), torch.tensor(4 * math.pi).double())
    assert float(er.Sphere().grid(4, rotations=6).fibre.weight * 6) == pytest.approx(2 * math.pi)
    assert float(er.Plane(rotations=8).fibre.weight) == 1.0
    assert float(er.Euclidean(2).grid(10, 20, spacing=0.1).weights.sum()) == pytest.approx(2.0)


def test_pixels():
    plane = er.Plane(shape=(4, 4))
    assert float((plane.points[0, 1] - plane.points[0, 0]).norm()) == 1.0
    assert er.nn.Correlation(er.Plane(), 1, 1, kernel_size=5).spec.radius == 2.5
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[0, 0, 4, 4] = 1.0
    response = er.nn.Correlation(er.Plane(), 1, 1, kernel_size=5, bias=False)(impulse)[0, 0] != 0
    assert response.any(1).sum() == response.any(0).sum() == 5


def test_sphere():
    ball = er.Sphere().grid(6)
    assert ball.shape == (6, 12)
    assert ball.points[0, 0, 2] > 0.9
    first = ball.points[3, 0]
    assert first[0] > 0.9
    assert abs(float(first[1])) < 1e-12
    assert ball.points[3, 1, 1] > 0  # eastward
    # the eigenvalues are tested in tests/test_correlation.py, here one: the constant
    kernel, one = (lambda v: torch.cos(v.norm(dim=-1)) ** 2), torch.ones(6, 12).double()
    found = er.correlate(ball, kernel, lambda p: torch.ones_like(p[..., 0]), radius=math.pi / 2)
    torch.testing.assert_close(found, 2 * math.pi / 3 * one, rtol=0, atol=1e-10)


def test_harmonics():
    ball = er.Sphere().grid(4)
    x, y, z = ball.points.unbind(-1)
    c = ball.analyze(torch.stack([-math.sqrt(3 / (8 * math.pi)) * x, -math.sqrt(3 / (8 * math.pi)) * y]))
    assert abs(complex(c[0, 1, 1] + 1j * c[1, 1, 1]) - 1) < 1e-12  # Y_11 = -sqrt(3 / 8 pi) (x + i y)
    f = torch.randn(4, 8, dtype=torch.float64)
    angle = 0.7  # about z: (g f)_lm = e^{-i m angle} f_lm
    c, s = math.cos(angle), math.sin(angle)
    g = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    wave = (x + 1j * y) ** 2
    moved = ((ball.points @ g)[..., 0] + 1j * (ball.points @ g)[..., 1]) ** 2
    phase = ball.analyze(moved.real)[2, 2] / ball.analyze(wave.real)[2, 2]
    assert abs(complex(phase) - complex(math.cos(2 * angle), -math.sin(2 * angle))) < 1e-12
    # spin 1, the column n = -1: v_south + i v_east of the gradient of z, which is -sin(theta) south
    v = torch.stack([-torch.sin(torch.arccos(z)), torch.zeros_like(z)])
    c = ball.analyze(v, "vector")
    d = ball.synthesize(c, "vector")
    torch.testing.assert_close(d, v, atol=1e-12, rtol=0)
    assert c.shape == (2, 4, 4)
    assert abs(float(c[0, 1, 0].real)) > 0.1
    assert float(c.abs().sum() - c[:, 1, 0].abs().sum()) < 1e-12
    assert float((ball.synthesize(ball.analyze(f)) - f).abs().max()) > 1e-3  # noise is cut to the band


def test_moebius():
    strip = er.Moebius(length=2.0, width=1.0)
    assert str(strip.structure) == "Z2: reflection of axis 1"
    band = strip.grid(8, 4)
    assert band.shape == (8, 4)
    assert len(band.fibre) == 2
    p = torch.tensor([0.9, 0.3]).double()
    torch.testing.assert_close(
        strip.exp(p, torch.tensor([2.0, 0.0]).double()), torch.tensor([0.9, -0.3]).double()
    )


def test_dtypes():
    layer = er.nn.Lift(er.Plane(rotations=4), 1, 2, 3)
    assert layer(torch.randn(1, 1, 5, 5)).dtype == torch.float32
    assert layer.double()(torch.randn(1, 1, 5, 5).double()).dtype == torch.float64
    ball = er.Sphere().grid(4)
    assert ball.points.dtype == ball.weights.dtype == torch.float64


def test_domains():
    plane = er.Plane(rotations=4)
    a, b = er.nn.Lift(plane, 1, 2, 3), er.nn.Lift(plane, 3, 5, 3)
    assert plane.engine(a.spec) is plane.engine(b.spec)
    assert set(a.state_dict()) == {"weight", "bias"}
    assert copy.deepcopy(a).domain is plane
    again = pickle.loads(pickle.dumps(a))
    assert repr(again.domain) == repr(plane)
    assert len(pickle.dumps(plane)) < 500


def test_each_statement_is_tested_and_documented():
    for name in CONVENTIONS:
        assert f"test_{name}" in globals()
    assert (ROOT / "docs" / "conventions.md").read_text() == as_markdown()
