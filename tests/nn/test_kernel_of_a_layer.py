"""A layer's kernel as a function of v: what the formula sums, the layer computes."""

import math

import pytest
import torch

import erlangen as er

DOMAINS = {
    "plane": (lambda: er.Plane(shape=(7, 6)), {"kernel_size": 5}),
    "lifted plane": (lambda: er.Plane(rotations=8, shape=(5, 6)), {"kernel_size": 5}),
    "mirrored plane": (lambda: er.Plane(rotations=4, reflections=True, shape=(5, 4)), {"radius": 2.5}),
    "volume": (lambda: er.Euclidean(3, "isometries").grid(4, 3, 4), {"radius": 2.0}),
    "torus": (lambda: er.FlatTorus((7.0, 6.0)).grid(7, 6), {"radius": 2.5}),
    "strip": (lambda: er.Moebius(8.0, 5.0).grid(8, 5), {"radius": 1.9}),
    "sphere": (lambda: er.Sphere().grid(8), {"radius": 1.1}),
    "lifted sphere": (lambda: er.Sphere().healpix(2, rotations=5), {"radius": 1.2}),
    "all round": (lambda: er.Sphere().grid(6), {}),
    "lifted, all round": (lambda: er.Sphere().grid(5, rotations=3), {}),
    "projective plane": (lambda: er.ProjectivePlane().grid(4), {}),
    "projective plane, local": (lambda: er.ProjectivePlane().grid(4), {"radius": 1.3}),
    "lifted projective plane": (lambda: er.ProjectivePlane().grid(2, rotations=3), {}),
    "solved taps": (lambda: er.Plane(shape=(7, 6)), {"kernel_size": 5, "taps": "solved"}),
    "smooth taps": (lambda: er.Plane(rotations=4, shape=(5, 4)), {"kernel_size": 3, "taps": "smooth"}),
    "hyperbolic": (lambda: er.Hyperbolic(2).grid(0.9, 5), {"radius": 0.8}),
    "window": (
        lambda: er.Sphere().grid(6, mask=torch.arange(72).view(6, 12) % 5 != 1),
        {"radius": 1.2},
    ),
}


def summed(layer, x):
    """The formula with the layer's own kernel, channel by channel; it is asked once for all of them."""
    asked = {}

    def kernel_at(v):
        place = v.numpy().tobytes()
        if place not in asked:
            asked.clear()
            asked[place] = layer.kernel(v)
        return asked[place]

    domain, fibre = layer.domain, layer.domain.representation(layer.in_field).fibre
    options = {"in_field": layer.in_field, "out_field": layer.out_field}
    if math.isfinite(layer.spec.radius):
        options["radius"] = layer.spec.radius
    per_group = layer.in_channels // layer.groups
    rows = []
    for o in range(layer.out_channels):
        first = o // (layer.out_channels // layer.groups) * per_group

        def kernel(v, h=None, o=o, c=0):
            K = kernel_at(v)[..., o, c, :, :]
            if layer.in_field == "vector" or layer.out_field == "vector":
                return K
            if h is None:
                return K[..., 0, 0]
            return (K[..., 0, :] * fibre.interpolate(h)).sum(-1) / fibre.weight

        parts = [
            er.correlate(domain, lambda *a, k=kernel, c=c: k(*a, c=c), x[:, first + c], **options)
            for c in range(per_group)
        ]
        rows.append(sum(parts))
    return torch.stack(rows, 1)


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("name", DOMAINS)
def test_the_formula_with_a_layers_kernel_is_the_layer(name, separable):
    make, options = DOMAINS[name]
    domain = make()
    field = domain.default_field
    layer = er.nn.Correlation(
        domain, 2, 2, **options, in_field=field, out_field=field, bias=False, separable=separable
    ).double()
    rho = domain.representation(field)
    x = torch.randn(1, 2, *((rho.dim,) if rho.has_axis else ()), *domain.weights.shape).double()
    with torch.no_grad():
        torch.testing.assert_close(summed(layer, x), layer(x), rtol=0, atol=1e-10)


def test_vectors_and_groups_of_channels():
    ball = er.Sphere().grid(6)
    layer = er.nn.Correlation(
        ball, 4, 2, radius=1.2, groups=2, in_field="vector", out_field="vector"
    ).double()
    x = torch.randn(1, 4, 2, 6, 12).double()
    assert layer.kernel(torch.zeros(3, 5, 2)).shape == (3, 5, 2, 2, 2, 2)
    with torch.no_grad():
        torch.testing.assert_close(summed(layer, x), layer(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("rotations", [None, 5])
def test_layers_of_coefficients_tell_the_kernel_that_samples_have(rotations):
    """Where nothing is sampled the formula has nothing to sum: the layer on samples is the same."""
    ball = er.Sphere().harmonics(6, rotations=rotations)
    field = ball.default_field
    layer, twin = (
        er.nn.Correlation(domain, 1, 2, in_field=field, out_field=field, bias=False).double()
        for domain in (ball, ball.grid)
    )
    twin.load_state_dict(layer.state_dict())
    v = torch.randn(7, 2, dtype=torch.float64)
    kernel = layer.kernel(v)
    assert float(kernel.detach().abs().max()) > 0.01
    torch.testing.assert_close(kernel, twin.kernel(v), rtol=0, atol=1e-13)
    c = ball.analyze(
        torch.randn(1, 1, *[rotations] * (rotations is not None), *ball.grid.shape).double(), field
    )
    with torch.no_grad():
        y = twin(ball.synthesize(c, field))
        torch.testing.assert_close(ball.synthesize(layer(c), field), y, rtol=0, atol=1e-10)


def test_nodes_of_a_chart_converge_to_the_kernel():
    """A chart reads its field between samples: the same function up to interpolation."""

    def metric(x):
        return torch.diag_embed(torch.stack([(2 + x[..., 1].cos()) ** 2, torch.ones_like(x[..., 0])], -1))

    chart = er.Chart(metric, 2, periods=(2 * math.pi,) * 2)
    domain = chart.grid(30, 20)
    layer = er.nn.Correlation(domain, 1, 1, radius=1.2, bias=False).double()

    def f(x):
        return torch.sin(x[..., 0]) + torch.cos(x[..., 1])

    at = domain.points[::10, ::7]
    with torch.no_grad():
        expected = er.correlate(
            chart, lambda v: layer.kernel(v)[..., 0, 0, 0, 0], f, at=at, radius=1.2, nodes=16
        )
        found = layer(f(domain.points)[None, None])[0, 0, ::10, ::7]
    assert float((found - expected).abs().max() / expected.abs().max()) < 0.01


def test_a_kernel_learns_and_one_at_a_point_is_none():
    layer = er.nn.Correlation(er.Plane(), 1, 1, 5)
    layer.kernel(torch.ones(1, 2)).sum().backward()
    assert float(layer.weight.grad.abs().max()) > 0
    assert layer.kernel(torch.ones(1, 2)).dtype == torch.float32
    with pytest.raises(ValueError, match="kernel at one point, a matrix times a delta"):
        er.nn.Correlation(er.Plane(), 1, 1, 1).kernel(torch.zeros(2))
