"""Networks on meshes: coarser levels, other meshes, several at once, other triangles."""

import copy
import math
import pickle

import pytest
import torch
from solids import cube, flat_patch, icosphere, relative, strip, torus
from torch.nn.functional import normalize

import erlangen as er
from erlangen.models import Classifier, UNet
from erlangen.nn import Correlation, Down, Lift, Norm, Project, ReLU, Up

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize(
    "make",
    [lambda: icosphere(3), lambda: torus(24, 12), lambda: strip(20, 8, "moebius"), lambda: flat_patch(16)],
)
def test_coarser_levels(make):
    """A quarter of the samples or so, no two of them neighbours; means keep constants, areas their sum."""
    mesh = make()
    domain = mesh.samples()
    one, area = torch.ones(1, 1, mesh.count), mesh.surface.triangles.area.sum()
    finer = domain
    for _ in range(2):
        coarse = finer.coarser()
        assert 0.15 < coarse.shape[0] / finer.shape[0] < 0.4
        assert float(coarse.weights.sum()) == pytest.approx(float(area))
        assert float(coarse.weights.max() / coarse.weights.min()) < 12
        down, up = Down(finer, "scalar"), Up(finer, "scalar")
        ones = torch.ones(1, 1, *finer.shape)
        torch.testing.assert_close(down(ones), torch.ones(1, 1, *coarse.shape), rtol=0, atol=1e-12)
        torch.testing.assert_close(up(down(ones), finer.shape), ones, rtol=0, atol=1e-12)
        finer = coarse
    chosen = (domain.coarser().points[:, 0] - len(mesh.faces)).long()
    among = torch.isin(mesh.faces, chosen).sum(1)
    assert int(among.max()) == 1
    torch.testing.assert_close(domain.mean(one), torch.ones(1, 1))


def test_reading_between_few_samples_is_linear():
    """On the plane exactly but for a little, on the sphere to second order."""
    mesh = flat_patch(16)
    domain = mesh.samples()
    coarse = domain.coarser()
    f = mesh.vertices @ torch.tensor([0.3, -0.8, 0.0])
    there = mesh.in_space(coarse.points) @ torch.tensor([0.3, -0.8, 0.0])
    assert relative(Up(domain, "scalar")(there[None, None], domain.shape)[0, 0], f) < 0.02
    errors = []
    for level in (2, 3, 4):
        ball = icosphere(level)
        domain = ball.samples()
        z = ball.in_space(domain.coarser().points)[:, 2]
        errors.append(relative(Up(domain, "scalar")(z[None, None], domain.shape)[0, 0], ball.vertices[:, 2]))
    assert errors[2] < 0.01
    assert math.log2(errors[0] / errors[2]) > 2.8


def test_vectors_are_carried_down_and_up():
    """A field that turns slowly comes back turned as it was, in any frames."""
    ball = icosphere(3)
    domain = ball.samples()
    spun = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]).expand(ball.count, 3), ball.vertices)
    f = (ball.axes_in_space(domain.frames).mT @ spun[..., None])[..., 0].T[None, None]
    back = Up(domain, "vector")(Down(domain, "vector")(f), domain.shape)
    assert relative(back, f) < 0.06


def test_axes_in_space():
    """Orthonormal, along the surface, where a short walk leads; and they move with it."""
    ball = egg(icosphere(3))
    b = torch.tensor([[0.2, 0.3, 0.5]]).expand(50, 3)
    points = torch.cat([ball.vertex_points(), ball.face_points(torch.arange(50), b)])
    u = ball.frames(points)
    axes = ball.axes_in_space(u)
    torch.testing.assert_close(axes.mT @ axes, torch.eye(2).expand(len(points), 2, 2))
    step = 1e-7
    for i in range(2):
        walked = ball.in_space(ball.carry(u, step * torch.eye(2)[i]).point) - ball.in_space(points)
        off = (walked / step - axes[..., i]).norm(dim=-1)
        assert float(off[-50:].max()) < 1e-6
        assert float(off.max()) < 0.2
    A = torch.linalg.qr(torch.randn(3, 3)).Q
    A = A * torch.linalg.det(A)
    turned = er.Mesh(ball.vertices @ A.T, ball.faces)
    torch.testing.assert_close(turned.axes_in_space(u), A @ axes, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="has lengths and no vertices in space"):
        strip(4, 3, "open").axes_in_space(u)


def test_a_unet_sees_no_frames():
    for mesh, options in (
        (icosphere(2), {"rotations": 6}),
        (strip(16, 6, "moebius"), {"structure": "holonomy"}),
        (torus(14, 8, flip=True), {"rotations": 4}),
    ):
        domain = mesh.samples(**options)
        net = UNet(domain, 2, 1, width=2, depth=2, radius=0.5)
        x = torch.randn(2, 2, mesh.count)
        net = er.verify.randomized(net, x)
        assert er.verify.gauge(net, x).defect < 1e-12
        assert net(x).shape == (2, 1, mesh.count)


def test_a_classifier_and_vectors_out():
    mesh = icosphere(2)
    domain = mesh.samples(rotations=6)
    assert Classifier(domain, 2, 5, width=2, depth=1, radius=0.6)(torch.randn(3, 2, mesh.count)).shape == (
        3,
        5,
    )
    net = UNet(domain, 2, 1, width=2, depth=1, radius=0.6, in_field="vector", out_field="vector")
    assert net(torch.randn(3, 2, 2, mesh.count)).shape == (3, 1, 2, mesh.count)


def test_several_meshes_in_one_call():
    one, other = icosphere(2), torus(16, 9)
    both = er.Mesh.joined([one, other]).samples(rotations=6)
    net = UNet(both, 2, 1, width=2, depth=2, radius=0.6)
    x = torch.randn(1, 2, one.count + other.count)
    net = er.verify.randomized(net, x).eval()
    parts = x.split([one.count, other.count], -1)
    alone = [
        er.on(net, mesh.samples(rotations=6))(part) for mesh, part in zip((one, other), parts, strict=True)
    ]
    assert relative(torch.cat(alone, -1), net(x)) < 1e-12


def test_one_network_learns_on_several_meshes():
    """The same parameters, by identity; steps on one show on the other."""
    meshes = [icosphere(2), torus(12, 8)]
    domains = [mesh.samples(rotations=4) for mesh in meshes]
    net = UNet(domains[0], 1, 1, width=2, depth=1, radius=0.6)
    nets = [er.on(net, domain) for domain in domains]
    fields = [torch.randn(1, 1, mesh.count) for mesh in meshes]
    aims = [normalize(f, dim=-1) for f in fields]
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)

    def loss():
        return sum((n(f) - aim).square().mean() for n, f, aim in zip(nets, fields, aims, strict=True))

    before = loss().item()
    for _ in range(8):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.8 * before
    with pytest.raises(ValueError, match=r"H = SO\(2\), and is to go to .*, where H = O\(2\)"):
        er.on(net, torus(12, 8, flip=True).samples(rotations=4))


def egg(ball):
    return er.Mesh(ball.vertices * torch.tensor([1.0, 0.7, 1.3]), ball.faces)


def places(ball, directions):
    """The faces of a sphere's mesh that hold directions, and the weights of their corners."""
    middle = normalize(ball.vertices[ball.faces].mean(1), dim=-1)
    faces, weights = [], []
    for d in directions.split(1000):
        near = (d @ middle.T).topk(10, 1).indices
        b = torch.linalg.solve(
            ball.vertices[ball.faces[near]].mT, d[:, None, :, None].expand(-1, 10, -1, -1)
        )[..., 0]
        best = b.amin(-1).argmax(1)
        row = torch.arange(len(d))
        faces.append(near[row, best])
        weights.append(b[row, best] / b[row, best].sum(-1, keepdim=True))
    return torch.cat(faces), torch.cat(weights)


def remeshing_errors(levels):
    """The same weights on two meshes inscribed in one ellipsoid, whose triangles are turned to each other."""
    torch.manual_seed(1)
    A = torch.linalg.qr(torch.randn(3, 3)).Q
    radius, errors, net = 0.4, [], None
    for level in levels:
        ball = icosphere(level)
        other = er.Mesh(ball.vertices @ A.T, ball.faces if torch.linalg.det(A) > 0 else ball.faces.flip(1))
        fields = [
            torch.stack([p[:, 0] * p[:, 1] + p[:, 2], torch.sin(2 * p[:, 0]) + p[:, 1] ** 2])[None]
            for p in (egg(ball).vertices, egg(other).vertices)
        ]
        domains = [egg(mesh).samples(rotations=8) for mesh in (ball, other)]
        if net is None:
            mix = [
                Correlation(domains[0], 2, 2, radius=radius, in_field="regular", out_field="regular")
                for _ in "ab"
            ]
            relu = ReLU(domains[0])
            net = torch.nn.Sequential(
                Lift(domains[0], 2, 2, radius=radius),
                relu,
                mix[0],
                relu,
                mix[1],
                relu,
                Project(domains[0], "mean"),
            )
            net = er.verify.randomized(net, fields[0])
        with torch.no_grad():
            one, two = (er.on(net, domain)(f) for domain, f in zip(domains, fields, strict=True))
        face, b = places(ball, other.vertices)
        errors.append(relative((one[..., ball.faces[face]] * b).sum(-1), two))
    return errors


def test_other_triangles_of_one_surface():
    errors = remeshing_errors((2, 3))
    assert errors[1] < 0.01
    assert math.log2(errors[0] / errors[1]) > 1.4


@pytest.mark.slow
def test_other_triangles_of_one_surface_converge():
    errors = remeshing_errors((3, 4, 5))  # 642, 2,562 and 10,242 vertices
    print("remeshing", errors)
    assert errors[-1] < 0.01
    assert math.log2(errors[1] / errors[2]) > 1.8


def test_samples_anywhere():
    """At points of faces: the area is shared out, fields are read by what lies near."""
    ball = icosphere(3)
    generator = torch.Generator().manual_seed(0)
    face = torch.randperm(len(ball.faces), generator=generator)[:400]
    b = torch.rand(400, 3, generator=generator) + 0.1
    points = ball.face_points(face, b / b.sum(1, keepdim=True))
    domain = ball.samples(points, rotations=6)
    assert float(domain.weights.sum()) == pytest.approx(float(ball.surface.triangles.area.sum()))
    z = ball.in_space(points)[:, 2]
    assert relative(domain.seen_from(ball.frames(ball.vertex_points()), z), ball.vertices[:, 2]) < 0.03
    net = UNet(domain, 1, 1, width=2, depth=1, radius=0.6)
    net = er.verify.randomized(net, z[None, None])
    assert er.verify.gauge(net, z[None, None]).defect < 1e-12
    for bad, words in (
        (torch.tensor([[9e9, 0.0, 0.0]]), "is no point of Mesh"),
        (torch.tensor([[0.5, 0, 0]]), "is no point of Mesh"),
        (torch.tensor([[0.0, 5.0, 5.0]]), "is no point of Mesh"),
    ):
        with pytest.raises(ValueError, match=words):
            ball.samples(bad)


def test_points_in_space_and_back():
    mesh = cube()
    face, b = torch.arange(12), torch.tensor([0.2, 0.3, 0.5]).expand(12, 3)
    points = mesh.face_points(face, b)
    torch.testing.assert_close(mesh.in_space(points), (mesh.vertices[mesh.faces] * b[..., None]).sum(1))
    torch.testing.assert_close(mesh.in_space(mesh.vertex_points()), mesh.vertices)
    again = mesh.barycentric(points)
    assert torch.equal(again[0], face)
    torch.testing.assert_close(again[1], b)
    with pytest.raises(ValueError, match="has lengths and no vertices in space"):
        strip(4, 3, "open").in_space(points)


def test_copies_and_files_keep_the_mesh():
    mesh = torus(9, 7)
    net = UNet(mesh.samples(rotations=4), 1, 1, width=2, depth=1, radius=0.9)
    x = torch.randn(1, 1, mesh.count)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        torch.testing.assert_close(twin(x), net(x), rtol=0, atol=0)
    assert mesh.is_same(torus(9, 7))
    assert not mesh.is_same(torus(7, 9))
    assert not mesh.is_same(mesh.with_structure("O(2)"))


def test_norms_weigh_areas():
    """Statistics are means over the surface, not over vertices."""
    ball = icosphere(2)
    v = ball.vertices.clone()
    v[ball.vertices[:, 2] > 0, 2] *= 4
    mesh = er.Mesh(v, ball.faces)
    domain = mesh.samples()
    x = (v[:, 2] > 0).double()[None, None]
    share = float(domain.mean(x))
    assert share == pytest.approx(float((domain.weights * x[0, 0]).sum() / domain.weights.sum()))
    assert share > float(x.mean()) + 0.1
    norm = Norm(domain, 1).train()
    assert domain.mean(norm(x)).item() == pytest.approx(0.0, abs=1e-9)
