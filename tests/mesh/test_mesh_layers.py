"""Layers on meshes: the formula, the sphere's closed form, and all that they should not see."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from solids import cube, flat_patch, icosphere, relative, strip, torus

import erlangen as er
from erlangen.domains.builders import ray_rule
from erlangen.geometry import Frame
from erlangen.nn import Correlation, Lift, Norm, Project, ReLU

REGULAR = {"in_field": "regular", "out_field": "regular"}


pytestmark = pytest.mark.usefixtures("double")


def lifted(domain, radius, channels=3):
    """Three lifted layers, with nonlinearities and a norm."""
    mix = partial(Correlation, domain, channels, channels, radius=radius, **REGULAR)
    first = Lift(domain, 2, channels, radius=radius), Norm(domain, channels), ReLU(domain)
    return torch.nn.Sequential(*first, mix(), ReLU(domain), mix(), ReLU(domain), Project(domain, "mean"))


def lumpy(level=2):
    """A closed surface of which no two places are alike."""
    ball = icosphere(level)
    x, y, z = ball.vertices.unbind(1)
    r = 1 + 0.2 * torch.sin(2 * x + 0.3) + 0.15 * torch.cos(3 * y) * z + 0.1 * x * z
    return er.Mesh(ball.vertices * r[:, None], ball.faces)


@pytest.mark.parametrize(
    "fields", [("scalar", "scalar"), ("scalar", "regular"), ("regular", "regular"), ("vector", "vector")]
)
def test_a_layer_is_the_sum_over_its_nodes(fields):
    """K(v) of fields read at nodes that are carried one by one."""
    mesh = torus(12, 8)
    domain = mesh.samples(rotations=5, nodes=4)
    rho_in, rho_out = (domain.representation(field) for field in fields)
    layer = Correlation(domain, 1, 1, radius=0.6, bias=False, in_field=fields[0], out_field=fields[1])
    f = torch.randn(1, 1, *([rho_in.dim] if rho_in.has_axis else []), mesh.count)
    shoulder = layer.domain.engine(layer.spec).basis.rings.shoulder
    e, share, r, radial = ray_rule(2, 0.6, 4, shoulder)
    v, a = (r[:, None, None] * e).flatten(0, 1), (radial[:, None] * share).flatten()
    u = domain.frames
    there = mesh.carry(Frame(u.point[:, None], u.basis[:, None]), v)
    seen = domain.seen_from(there, f, fields[0])[0, 0]  # ([d], p, j)
    seen = seen if rho_in.has_axis else seen[None]
    y = torch.einsum("jab,bpj,j->ap", layer.kernel(v)[:, 0, 0].detach(), seen, a)
    torch.testing.assert_close(layer(f)[0, 0].detach(), y if rho_out.has_axis else y[0], rtol=0, atol=1e-12)


def funk_hecke_error(level):
    """Of a layer with isotropic kernels on degree 2, against what the round sphere does to it."""
    mesh = icosphere(level)
    layer = Correlation(mesh.samples(), 1, 1, radius=0.5, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.6, 0.3]))
    x, y, z = mesh.vertices.unbind(1)
    f = x * y + 0.3 * (z * z - 1 / 3)
    t, w = np.polynomial.legendre.leggauss(64)
    r, w = torch.from_numpy(0.25 * (t + 1)), torch.from_numpy(0.25 * w)
    k = layer.kernel(torch.stack([r, 0 * r], -1))[:, 0, 0, 0, 0].detach()
    factor = (k * (3 * r.cos() ** 2 - 1) / 2 * 2 * math.pi * r * w).sum()
    return relative(layer(f[None, None])[0, 0].detach(), factor * f)


def test_spheres_converge():
    errors = [funk_hecke_error(level) for level in (2, 3)]
    assert math.log2(errors[0] / errors[1]) > 1.9
    assert errors[1] < 0.01


@pytest.mark.slow
def test_spheres_converge_to_the_sphere():
    errors = [funk_hecke_error(level) for level in (3, 4, 5)]  # 642, 2,562 and 10,242 vertices
    print("Funk and Hecke", errors)
    assert min(math.log2(a / b) for a, b in itertools.pairwise(errors)) > 1.9
    assert errors[-1] <= 6e-4


BODIES = {
    "lumpy": (lumpy, 0.5, {}),
    "with an edge": (lambda: flat_patch(8), 0.3, {"boundary": "renormalize"}),
    "Klein bottle": (lambda: torus(12, 8, flip=True), 0.8, {}),
    "cube, C4": (lambda: quartered(cube()), 0.5, {"structure": "holonomy"}),
    "flat Moebius strip": (lambda: strip(12, 6, "moebius"), 0.3, {"structure": "holonomy"}),
}


def quartered(mesh):
    v, f = mesh.vertices, mesh.faces
    edges, which = (
        torch.stack([f, f.roll(-1, 1)], -1).flatten(0, 1).sort(1).values.unique(dim=0, return_inverse=True)
    )
    (a, b, c), (x, y, z) = f.unbind(1), (which + len(v)).view(-1, 3).unbind(1)
    f = torch.cat([torch.stack(t, 1) for t in ((a, x, z), (b, y, x), (c, z, y), (x, y, z))])
    return er.Mesh(torch.cat([v, v[edges].mean(1)]), f)


@pytest.mark.parametrize("name", BODIES)
def test_frames_do_not_matter(name):
    make, radius, options = BODIES[name]
    mesh = make()
    rotations = None if "structure" in options else 8
    domain = mesh.samples(rotations=rotations, **options)
    x = torch.randn(2, 2, mesh.count)
    net = er.verify.randomized(lifted(domain, radius), x)
    assert er.verify.gauge(net, x).defect < 1e-12
    assert er.verify.gauge(net.float(), x.float()).defect < 1e-5
    if rotations is None:
        return
    for field in ("regular", "vector"):
        layer = Correlation(domain, 2, 2, radius=radius, in_field=field, out_field=field)
        assert er.verify.gauge(layer, turns="any").defect < 1e-12
    relu = er.verify.gauge(net.double(), x, turns="any").defect
    assert 1e-9 < relu < 5e-3  # not exact between the samples of the fibre


def moved(mesh, vertices, faces=None):
    return er.Mesh(vertices, mesh.faces if faces is None else faces)


def test_neither_pose_nor_labels_nor_units_matter():
    mesh, radius = lumpy(), 0.5
    x = torch.randn(2, 2, mesh.count)
    net = er.verify.randomized(lifted(mesh.samples(rotations=8), radius), x).eval()
    y = net(x)
    A = torch.linalg.qr(torch.randn(3, 3)).Q
    turned = moved(mesh, mesh.vertices @ (A * torch.linalg.det(A)).T + torch.randn(3))
    assert relative(er.on(net, turned.samples(rotations=8))(x), y) < 1e-12
    order, rows = torch.randperm(mesh.count), torch.randperm(len(mesh.faces))
    faces = torch.argsort(order)[mesh.faces][rows]
    first = torch.randint(3, (len(rows), 1))
    faces = faces.gather(1, (torch.arange(3) + first) % 3)
    other = moved(mesh, mesh.vertices[order], faces)
    assert relative(er.on(net, other.samples(rotations=8))(x[..., order]), y[..., order]) < 1e-12
    for unit in (2.0**-30, 2.0**10, 1e-6, 1e3):
        measured = lifted(moved(mesh, unit * mesh.vertices).samples(rotations=8), unit * radius).eval()
        measured.load_state_dict(net.state_dict())
        z = measured(x)
        assert relative(z, y) < 1e-12
        assert torch.equal(z, y) or not math.log2(unit).is_integer()


def test_frames_are_not_those_of_labels():
    """A test of the test above: other frames make another sum."""
    mesh = lumpy()
    x = torch.randn(1, 2, mesh.count)
    net = er.verify.randomized(lifted(mesh.samples(rotations=8), 0.5), x).eval()
    aside = mesh.samples(rotations=8, nodes=7)
    assert relative(er.on(net, aside)(x), net(x)) > 1e-6


def test_mirror_images_are_other_surfaces_unless_h_says_so():
    """Turned inside out a mesh answers the same under O(2), not under SO(2)."""
    mesh = lumpy()
    inside_out = moved(mesh, mesh.vertices, mesh.faces.flip(1))
    x = torch.randn(1, 2, mesh.count)
    for structure, same in (("O(2)", True), ("SO(2)", False)):
        domain = mesh.samples(rotations=4, structure=structure)
        net = er.verify.randomized(lifted(domain, 0.5), x).eval()
        other = er.on(net, inside_out.samples(rotations=4, structure=structure))
        assert (relative(other(x), net(x)) < 0.02) == same


def test_boundaries():
    mesh = flat_patch(10)
    one, edge = torch.ones(1, 1, mesh.count), (mesh.vertices[:, :2] - 0.5).abs().amax(1) > 0.499
    inside = (mesh.vertices[:, :2] - 0.5).abs().amax(1) < 0.1
    sums = {}
    for boundary in ("zero", "renormalize", "reflect"):
        layer = Correlation(mesh.samples(boundary=boundary, nodes=12), 1, 1, radius=0.25, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([1.0, 1.0, 1.0]))
        sums[boundary] = layer(one)[0, 0].detach()
    whole = sums["zero"][inside].mean()
    for y in sums.values():
        torch.testing.assert_close(y[inside], whole.expand(int(inside.sum())), rtol=1e-9, atol=0)
    torch.testing.assert_close(sums["reflect"], whole.expand(mesh.count), rtol=1e-9, atol=0)
    assert float(sums["zero"][edge].max() / whole) == pytest.approx(0.5, abs=0.1)
    assert float(sums["zero"][edge].min() / whole) == pytest.approx(0.25, abs=0.1)
    assert float((sums["renormalize"][edge] / whole - 1).abs().max()) < 0.35
    with pytest.raises(ValueError, match=r"boundary is .mirror., expected"):
        mesh.samples(boundary="mirror")


def test_the_formula_takes_functions_of_points():
    mesh = icosphere(2)
    domain = mesh.samples(nodes=16)
    layer = Correlation(domain, 1, 1, radius=0.5, bias=False)
    f = mesh.vertices[:, 0] * mesh.vertices[:, 1]
    y = er.correlate(
        domain,
        lambda v: layer.kernel(v)[..., 0, 0, 0, 0].detach(),
        lambda p: domain.seen_from(mesh.frames(p), f),
        radius=0.5,
        nodes=24,
    )
    assert relative(layer(f[None, None])[0, 0].detach(), y) < 1e-3
    with pytest.raises(
        ValueError, match=r"the shortest way to a point of Mesh.* is not known.*give er.correlate a function"
    ):
        er.correlate(domain, lambda v: v[..., 0] * 0 + 1, f, radius=0.5)


def test_gradients_reach_weights_and_fields():
    mesh = torus(7, 5)
    domain = mesh.samples(rotations=3)
    layer = Correlation(domain, 1, 1, radius=0.9, **REGULAR)
    x = torch.randn(1, 1, 3, mesh.count, requires_grad=True)
    weight = layer.weight.detach().requires_grad_()

    def call(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(call, (x, weight), atol=1e-6)
