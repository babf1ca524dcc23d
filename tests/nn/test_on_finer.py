"""On finer samples a network is the same function: kernels keep radius and degrees, outputs converge."""

import math

import pytest
import torch
from torch import nn

import erlangen as er


def flat(n):
    return er.FlatTorus((1.0, 1.0)).grid(n, n)


def wave(x):
    return torch.sin(2 * math.pi * x[..., 0]) * torch.cos(2 * math.pi * x[..., 1]) + x[..., 0].cos()


def periodic(x):
    return torch.sin(2 * math.pi * x[..., 0] + torch.cos(2 * math.pi * x[..., 1]))


def local(domain, **kernel):
    torch.manual_seed(0)
    field = domain.default_field
    return er.verify.randomized(
        nn.Sequential(
            er.nn.Correlation(domain, 1, 2, out_field=field, **kernel, dtype=torch.float64),
            er.nn.Gated(domain, 2, dtype=torch.float64),
            er.nn.Correlation(domain, 2, 1, in_field=field, **kernel, dtype=torch.float64),
        )
    )


@pytest.mark.parametrize(
    ("domains", "kernel", "f", "order"),
    [
        ([flat(n) for n in (12, 24, 48)], {"kernel_size": 7}, periodic, 1.9),
        ([er.Sphere().grid(n) for n in (8, 16, 32)], {"radius": 0.8}, lambda x: x[..., 0] * x[..., 2], 1.9),
        ([er.Sphere().grid(n, rotations=5) for n in (6, 12, 24)], {}, lambda x: x[..., 2].exp(), 3.0),
        (
            [er.SurfaceOfRevolution(steps=4).grid(n, n, nodes=k) for n, k in ((6, 6), (12, 8), (24, 8))],
            {"radius": 0.8},
            lambda x: torch.sin(x[..., 0]) * torch.cos(x[..., 1]),
            1.9,
        ),
    ],
    ids=["torus", "sphere, local", "sphere, global", "revolution"],
)
def test_outputs_converge(domains, kernel, f, order):
    found = er.verify.refinement(local(domains[0], **kernel), domains, f)
    assert found.order > order
    assert found.errors[1] < 0.1


@pytest.mark.parametrize("rings", [None, 3, 12])
@pytest.mark.parametrize("sizes", [(12, 20), (12, 9)], ids=["more", "fewer"])
def test_global_kernels_keep_their_degrees(rings, sizes):
    coarse, fine = (er.Sphere().grid(n, rotations=5) for n in sizes)
    fields = {"in_field": "regular", "out_field": "regular"}
    layer = er.nn.Correlation(coarse, 1, 1, rings=rings, bias=False, **fields, dtype=torch.float64)
    c = torch.randn(1, 1, 5, 9, 9, dtype=torch.complex128)  # fields of degrees that both hold
    l, n = torch.arange(9), torch.arange(-2, 3)
    c = c * ((l[:, None] >= l) & (l[:, None] >= n.abs()[:, None, None]))
    c[..., 0] = 0
    fields = [grid.synthesize(padded(c, grid.degrees), "regular") for grid in (coarse, fine)]
    there = layer.on(fine)
    here = coarse.analyze(layer(fields[0]).detach(), "regular")[..., :9, :9]
    seen = fine.analyze(there(fields[1]).detach(), "regular")[..., :9, :9]
    assert float(here.abs().max()) > 0.1
    torch.testing.assert_close(seen, here, rtol=0, atol=1e-10)


def padded(c, degrees):
    return nn.functional.pad(c, (0, degrees - c.shape[-1]) * 2)


def test_kernels_of_so_many_samples_keep_their_radius():
    layer = er.nn.Correlation(flat(8), 1, 1, 5)
    assert layer.on(flat(16)).spec.radius == layer.spec.radius == 2.5 / 8
    shape = (1, 1, 16, 16)
    taps = layer.on(flat(16))(torch.zeros(shape).index_put_([torch.tensor(0)] * 4, torch.tensor(1.0)))
    assert int((taps.detach() - layer.bias.detach()).abs().gt(1e-7).sum()) > 25


SE2 = er.GroupSpace(er.groups.SE(2))


def over(plane, turns):
    angle = torch.arange(turns).double() * (2 * math.pi / turns)
    R = er.groups.SE(2).exp(torch.stack([0 * angle, 0 * angle, angle], -1))
    moved = plane.geometry.section(plane.points) @ R[:, None, None]
    return SE2.samples(moved.flatten(-2), plane.weights.expand(turns, -1, -1))


PLANES = [er.Euclidean(2, "roto-translations").grid(*shape) for shape in ((4, 3), (5, 4))]
GROUPS = [over(plane, turns) for plane, turns in zip(PLANES, (6, 8), strict=True)]


def test_layers_to_other_spaces_move_where_they_are_told():
    net = nn.Sequential(
        er.nn.Lift(PLANES[0], 1, 2, radius=1.6, to=GROUPS[0]), er.nn.Pushforward(GROUPS[0], PLANES[0])
    )
    moved = er.on(net, PLANES[1], to=GROUPS[1])
    assert moved[0].to_domain is GROUPS[1]
    assert moved(torch.randn(1, 1, 5, 4)).shape == (1, 2, 5, 4)
    assert er.on(net, PLANES[1], to=GROUPS[1]) is moved
    assert er.on(net, PLANES[0], to=GROUPS[0]) is net
    assert er.on(net, PLANES[1], to=over(PLANES[1], 8)) is not moved
    up = er.nn.Pullback(PLANES[0], GROUPS[0])
    x = torch.randn(1, 2, 5, 4)
    torch.testing.assert_close(up.on(PLANES[1], to=GROUPS[1])(x), x[:, :, None].expand(-1, -1, 8, -1, -1))
    with pytest.raises(ValueError, match="to= for where its layers lead"):
        er.on(net, PLANES[1])


def test_positions_and_directions():
    space = er.PositionsAndDirections()
    places = [er.Euclidean(3, "roto-translations").grid(*shape) for shape in ((3, 3, 3), (4, 3, 3))]
    home, there = (space.grid(p) for p in places)
    layer = er.nn.Correlation(home, 1, 2, radius=1.5)
    assert layer.on(there)(torch.randn(1, 1, 12, 4, 3, 3)).shape == (1, 2, 12, 4, 3, 3)
    lift = er.nn.Lift(places[0], 1, 2, radius=1.5, to=home)
    assert lift.on(places[1], to=there)(torch.randn(1, 1, 4, 3, 3)).shape == (1, 2, 12, 4, 3, 3)


def replaced(module):
    module.forward = torch.relu  # as torch.compile does
    return module


BALL = er.Sphere().grid(8, rotations=4)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: er.on(nn.ReLU(), BALL), "no layer of ReLU has a domain"),
        (lambda: er.on(er.nn.ReLU(BALL), 8), "domain is 8, expected a domain"),
        (lambda: er.on(BALL, BALL), "module is"),
        (lambda: er.nn.ReLU(BALL).on(er.Sphere().grid(8, rotations=5)), "the same rotations="),
        (lambda: er.nn.ReLU(BALL).on(er.Sphere().grid(8)), "with 4 values of a regular field .* with no"),
        (lambda: er.nn.ReLU(BALL).on(er.Plane(rotations=4, shape=(8, 8))), "H = SO.2., and .* H = C4"),
        (
            lambda: er.nn.Lift(er.Plane(rotations=8), 1, 1, 3).on(er.Plane(rotations=4)),
            "expected one structure group",
        ),
        (
            lambda: er.nn.Correlation(er.Plane(), 1, 1, 3).on(er.Plane(shape=(8, 8))),
            "leave out shape=, or give it to both",
        ),
        (
            lambda: er.nn.Correlation(flat(8), 1, 1, 7).on(er.FlatTorus((1.0, 1.0)).grid(8, 2048)),
            "more would not fit in memory",
        ),
        (lambda: er.nn.Correlation(flat(16), 1, 1, 3).on(flat(4)), "sees no neighbour"),
        (
            lambda: er.nn.Correlation(BALL, 1, 1, radius=0.9).on(er.Sphere().grid(3, rotations=4)),
            "larger rad",
        ),
        (lambda: er.nn.Correlation(flat(8), 1, 1, 3).on(flat(16), to=flat(4)), "no layer leads beyond"),
        (
            lambda: er.on(nn.Sequential(er.nn.ReLU(flat(8)), er.nn.ReLU(BALL)), flat(16)),
            "a layer lives on Samples",
        ),
        (lambda: replaced(er.nn.ReLU(flat(8))).on(flat(16)), "torch.compile.er.on.net, domain"),
    ],
)
def test_refusals(run, message):
    with pytest.raises(ValueError, match=message):
        run()
