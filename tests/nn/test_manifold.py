"""Layers on manifolds: frames, isometries, refinement, edges."""

import math
import sys
from functools import cache

import pytest
import torch
from paths import ROOT
from torch import nn

import erlangen as er

sys.path.insert(0, str(ROOT / "tests" / "geometry"))
from metrics import TURN, bent, flat, in_bent, polar, torus

REGULAR = {"in_field": "regular", "out_field": "regular"}
RADIUS = 0.8


@cache
def surface():
    return er.Chart(torus, 2, periods=(TURN, TURN), steps=8)


@cache
def grid(size=8, rotations=4, nodes=6):
    return surface().grid(2 * size, size, rotations=rotations, nodes=nodes)


def wave(x):
    return torch.sin(x[..., 0]) * torch.cos(x[..., 1]) + torch.cos(2 * x[..., 0] + x[..., 1])


def by(step):
    return lambda x: x + torch.tensor([step, 0.0]).to(x)


def mirror(x):
    return torch.stack([x[..., 0], -x[..., 1]], -1)


def network(domain, nonlinearity=None, dtype=torch.float64):
    net = nn.Sequential(
        er.nn.Lift(domain, 1, 2, radius=RADIUS, dtype=dtype),
        nonlinearity or er.nn.Gated(domain, 2, dtype=dtype),
        er.nn.Correlation(domain, 2, 2, radius=RADIUS, **REGULAR, dtype=dtype),
        er.nn.Project(domain, "max"),
    )
    return er.verify.randomized(net).requires_grad_(False)


@pytest.mark.parametrize(
    ("in_field", "out_field"),
    [
        ("scalar", "scalar"),
        ("scalar", "regular"),
        ("regular", "regular"),
        ("vector", "regular"),
        ("vector", "vector"),
    ],
)
@pytest.mark.parametrize("turns", ["fibre", "any"])
def test_linear_layers_do_not_see_the_frames(in_field, out_field, turns):
    fields = {"in_field": in_field, "out_field": out_field}
    layer = er.nn.Correlation(grid(), 2, 2, radius=RADIUS, **fields, dtype=torch.float64)
    assert er.verify.gauge(layer, turns=turns).defect < 1e-6


def test_networks_do_not_see_the_frames():
    net = network(grid())
    net[3] = er.nn.Project(grid(), "mean")
    assert er.verify.gauge(net, turns="any").defect < 1e-6
    relu = nn.Sequential(*list(network(grid())[:1]), er.nn.ReLU(grid()), er.nn.Project(grid(), "max"))
    assert er.verify.gauge(relu).defect < 1e-6
    assert er.verify.gauge(relu, turns="any").defect > 1e-4  # a ReLU aliases between the fibre's angles


def test_polynomials_do_not_see_the_frames_and_relus_the_less_the_finer():
    domain = surface().grid(8, 8, rotations=5, nodes=4)

    def defect(nonlinearity):
        torch.manual_seed(0)  # one lift for all
        net = nn.Sequential(er.nn.Lift(domain, 1, 3, radius=RADIUS, dtype=torch.float64), nonlinearity)
        return er.verify.gauge(er.verify.randomized(net), turns="any").defect

    assert defect(er.nn.Polynomial(domain, 3, 3, dtype=torch.float64)) < 1e-12
    errors = [defect(er.nn.ReLU(domain, oversampling=factor)) for factor in (1, 2, 4)]
    assert errors[0] < 0.02
    assert errors[1] < errors[0] / 3.5  # as the square of the oversampling
    assert errors[2] < errors[1] / 3.5


def test_an_isometry_of_the_torus_is_kept_and_its_mirror_only_if_asked():
    net = network(grid())
    shift = by(TURN / 16)
    turned = er.verify.isometry(net, shift, wave)
    assert turned.defect < 2e-2  # of the nodes, which turn with the frames
    assert turned.floor < 1e-8
    unasked = er.verify.isometry(net, mirror, wave).defect
    both = er.Chart(torus, 2, periods=(TURN, TURN), steps=8, symmetry=[mirror]).grid(
        16, 8, rotations=4, nodes=6
    )
    net = network(both)
    assert net[0](wave(both.points)[None, None]).shape == (1, 2, 8, 16, 8)
    assert er.verify.isometry(net, mirror, wave).defect < unasked / 3


def test_refinement_of_grid_and_nodes_is_of_second_order_or_better():
    domains = [surface().grid(2 * n, n, rotations=3, nodes=k) for n, k in ((4, 6), (8, 6), (16, 8))]
    net = nn.Sequential(
        er.nn.Lift(domains[0], 1, 1, radius=RADIUS, dtype=torch.float64),
        er.nn.Gated(domains[0], 1, dtype=torch.float64),
        er.nn.Correlation(domains[0], 1, 1, radius=RADIUS, in_field="regular", dtype=torch.float64),
    )
    found = er.verify.refinement(net, domains, wave)
    assert found.order > 2
    assert found.errors[1] < 0.05


def test_one_metric_in_two_charts_is_one_layer():
    other = er.Chart(in_bent(torus), 2, periods=(TURN, TURN), steps=8)
    one, two = grid(16), other.grid(32, 16, rotations=4, nodes=6)
    net = nn.Sequential(
        er.nn.Lift(one, 1, 1, radius=RADIUS, dtype=torch.float64), er.nn.ReLU(one), er.nn.Project(one, "mean")
    ).requires_grad_(False)
    seen = er.on(net, two)(wave(bent(two.points))[None, None])
    places = er.geometry.Frame(bent(two.points), torch.eye(2).double().expand(*two.shape, 2, 2))
    places = surface().glue(places)
    expected = one.seen_from(surface().frames(places.point), net(wave(one.points)[None, None]))
    assert float((seen - expected).norm() / expected.std() / math.sqrt(expected.numel())) < 0.06


def test_against_the_formula_with_a_function():
    chart, fine = surface(), grid(24, None, 8)
    layer = er.nn.Correlation(fine, 1, 1, radius=RADIUS, bias=False, dtype=torch.float64)
    basis = er.kernels.KernelBasis.build(
        chart.structure, er.kernels.Rings(2, RADIUS, 3), *[fine.representation("scalar")] * 2
    )
    w = layer.weight.detach()[0, 0]

    def kernel(v):
        return (basis(v)[..., 0, 0] * w).sum(-1)

    few = er.domains.Samples(chart, fine.points[::12, ::8], fine.weights[::12, ::8], builder="gather")
    expected = er.correlate(few, kernel, wave, radius=RADIUS, nodes=24)
    found = layer(wave(fine.points)[None, None])[0, 0, ::12, ::8]
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-3 * float(expected.abs().max()))


def test_the_edges_of_an_annulus():
    chart = er.Chart(polar, 2, bounds=((0.5, 1.5), None), periods=(None, TURN), steps=8)
    ones, means = torch.ones(1, 1, 8, 24).double(), {}
    for boundary in ("zero", "reflect", "renormalize"):
        domain = chart.grid(8, 24, boundary=boundary, nodes=6)
        layer = er.nn.Correlation(domain, 1, 1, radius=0.3, rings=1, bias=False, dtype=torch.float64)
        nn.init.ones_(layer.weight)
        y = layer(ones)[0, 0].detach()
        torch.testing.assert_close(y, y[:, :1].expand_as(y), rtol=0.1, atol=0)
        means[boundary] = y[:, 0] / y[4, 0]
    assert float(means["zero"][0]) < 0.8
    torch.testing.assert_close(means["reflect"], torch.ones(8).double(), rtol=0, atol=1e-9)
    assert 0.9 < float(means["renormalize"][0]) < 1.5


def test_flat_charts_are_flat_layers():
    """The flat Moebius strip as a chart agrees with the quotient, frames and all."""
    mirror = torch.diag(torch.tensor([1.0, -1.0])).double()
    chart = er.Chart(flat, 2, periods=(8.0, 5.0), glue={0: mirror}, steps=1)
    domain = chart.grid(8, 5)
    assert domain.fibre is not None
    assert len(domain.fibre) == 2
    layer = er.nn.Correlation(domain, 1, 1, radius=2.0, **REGULAR, dtype=torch.float64)
    shift = by(1.0)
    x = torch.randn(1, 1, 2, 8, 5).double()
    assert er.verify.isometry(layer, shift, x, in_field="regular").defect < 1e-10
    assert er.verify.gauge(layer).defect < 1e-10


def test_loops_within_a_kernel():
    sphere = er.Sphere().grid(8)
    area = 2 * math.pi * (1 - math.cos(0.5))
    assert 0 < er.verify.loop_bound(grid(), 0.5) < 0.5**2 * math.pi / 0.7 / 1.3
    assert er.verify.loop_bound(sphere, 0.5, order=2) == pytest.approx(2 * area, rel=1e-3)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: er.verify.gauge(er.nn.ReLU(er.Plane(shape=(4, 4)))), "frames along its axes"),
        (lambda: er.verify.gauge(er.nn.Project(grid()), turns="some"), 'expected "fibre" or "any"'),
        (lambda: er.verify.gauge(nn.ReLU()), "give domain="),
        (lambda: er.verify.refinement(nn.ReLU(), [grid()], wave), "expected at least three"),
        (lambda: er.verify.loop_bound(er.Euclidean(1).grid(4), 1.0), "expected a surface"),
        (
            lambda: er.verify.isometry(
                er.nn.Correlation(grid(), 1, 1, radius=0.5), lambda x: x, lambda x: 0 * x[..., 0]
            ),
            "does not vary",
        ),
    ],
)
def test_refusals(run, message):
    with pytest.raises(ValueError, match=message):
        run()


def test_layers_on_the_ellipsoid():
    space = er.Ellipsoid(steps=4)
    domains = [space.grid(n, rotations=4, nodes=k) for n, k in ((4, 8), (8, 8), (16, 8))]
    area = 4 * math.pi * 1.5126  # of the axes 1, 1.2, 1.5, by elliptic integrals
    assert float(domains[2].weights.sum()) == pytest.approx(area, rel=3e-3)
    layer = er.nn.Lift(domains[0], 1, 1, radius=0.9, dtype=torch.float64)
    assert er.verify.gauge(layer, turns="any").defect < 1e-6
    net = nn.Sequential(layer, er.nn.Project(domains[0], "mean"))
    found = er.verify.refinement(net, domains, lambda x: torch.sin(2 * x[..., 0] + x[..., 1]) + x[..., 2])
    assert found.order > 2
