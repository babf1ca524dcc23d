"""The record of a network's options, and values per level."""

import json
from dataclasses import fields, replace

import pytest
import torch

import erlangen as er
from erlangen.models import Classifier, Options, UNet
from erlangen.models.options import NAMES

PLANE, X = er.Plane(rotations=4), torch.randn(2, 3, 16, 13, generator=torch.Generator().manual_seed(0))
PER_LEVEL = {
    "width": (2, 3, 5),
    "blocks": (2, 4, 2),
    "kernel_size": (3, 7, 5),
    "rings": (1, 3, 2),
    "nonlinearity": ("relu", "gated", "polynomial"),
    "oversampling": (1, 2, 4.5),
}


def loss_after(net, steps):
    """Of some steps of gradient descent."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        loss = net(X).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in net.parameters())
        optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("kind", [UNet, Classifier])
def test_every_level_has_its_own_values(kind):
    net = kind(PLANE, 3, 2, depth=2, **PER_LEVEL)
    assert net(X).shape == ((2, 2, 16, 13) if kind is UNet else (2, 2))
    for level, one in enumerate(net.options.levels(PLANE)):
        for name, values in PER_LEVEL.items():
            found = one.kernel[name] if name in one.kernel else getattr(one, name)
            assert found == values[level]
    assert loss_after(net, 4) < loss_after(kind(PLANE, 3, 2, depth=2, **PER_LEVEL), 1)


def test_layers_are_those_of_their_level():
    net = UNet(PLANE, 3, 1, depth=2, **PER_LEVEL)
    for level, encoder in enumerate(net.encoder):
        blocks = list(encoder)
        assert len(blocks) == PER_LEVEL["blocks"][level]
        assert all(b.correlation.out_channels == PER_LEVEL["width"][level] for b in blocks)
        assert all(b.correlation.spec.rings == PER_LEVEL["rings"][level] for b in blocks)
        assert all(b.correlation.spec.radius == PER_LEVEL["kernel_size"][level] / 2 for b in blocks)
        assert all(b.correlation.spec.taps == "rings" for b in blocks)  # of which so many were asked for
    kinds = [type(encoder[0].activation) for encoder in net.encoder]
    assert kinds == [er.nn.ReLU, er.nn.Gated, er.nn.Polynomial]
    exact = er.verify.randomized(net.double())
    assert er.verify.equivariance(exact, X[:1, :, :13].double(), PLANE, show=False).worst < 1e-9


@pytest.mark.parametrize("kind", [UNet, Classifier])
def test_one_value_is_that_of_all_levels(kind):
    torch.manual_seed(0)
    one = kind(PLANE, 3, 2, 2, 2, kernel_size=3)
    torch.manual_seed(0)
    each = kind(PLANE, 3, 2, (2, 4, 8), 2, kernel_size=[3, 3, 3], nonlinearity=("relu",) * 3)
    assert torch.equal(one(X), each(X))


def test_a_radius_grows_with_the_distance_of_samples_unless_it_is_given_per_level():
    grid = er.FlatTorus((8.0, 8.0)).grid(16, 16)
    for radius, expected in ((0.8, [0.8, 1.6, 3.2]), ((0.8, 1.7, 2.5), [0.8, 1.7, 2.5])):
        net = UNet(grid, 1, 1, 2, 2, radius=radius)
        assert [e.correlation.spec.radius for e in net.encoder] == expected
    assert [e.correlation.spec.radius for e in UNet(PLANE, 1, 1, 2, 2, radius=1.5).encoder] == [1.5] * 3


@pytest.mark.parametrize("kind", [UNet, Classifier])
def test_a_variation_is_built_from_the_record(kind):
    net = kind(PLANE, 3, 2, depth=2, **PER_LEVEL)
    torch.manual_seed(0)
    again = kind(PLANE, 3, 2, **vars(replace(net.options, nonlinearity="relu", width=2)))
    assert again.options == replace(net.options, nonlinearity="relu", width=2)
    torch.manual_seed(0)
    other = kind(PLANE, 3, 2, depth=2, **PER_LEVEL | {"nonlinearity": "relu", "width": 2})
    assert torch.equal(again(X), other(X))


def test_what_a_network_chose_stands_in_its_options():
    unet, classifier = UNet(PLANE, 3, 1).options, Classifier(PLANE, 3, 2).options
    assert (unet.width, unet.depth, unet.blocks, unet.kernel_size, unet.projection) == (8, 3, 1, 5, "mean")
    assert (classifier.depth, classifier.blocks, classifier.projection, classifier.pooling) == (
        2,
        2,
        "max",
        "mean",
    )
    assert UNet(PLANE, 3, 1, width=None).options == unet
    assert Options(**json.loads(json.dumps(vars(unet)))) == unet
    assert hash(Options(width=[1, 2], depth=1)) == hash(Options(width=(1, 2), depth=1))
    assert tuple(field.name for field in fields(Options)) == NAMES


@pytest.mark.parametrize("name", PER_LEVEL)
def test_as_many_values_as_resolutions(name):
    for depth in (1, 3):
        words = rf"{name} has 3 values, expected {depth + 1}, one for each resolution of depth={depth}; give"
        for make in (Options, lambda **k: UNet(PLANE, 3, 1, **k)):
            with pytest.raises(ValueError, match=words):
                make(depth=depth, **{name: PER_LEVEL[name]})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": (2, 0), "depth": 1}, r"width is \(2, 0\), expected a whole number"),
        ({"nonlinearity": ("relu", "tanh"), "depth": 1}, "nonlinearity is .*expected .*gated"),
        ({"separable": (True, False), "depth": 1}, "separable is .*expected True or False"),
        ({"radius": (1.0, -1.0), "depth": 1}, "radius is .*expected a positive length"),
        (
            {"kernel_size": 3, "radius": 2.0},
            "kernel_size=3 and radius=2.0: expected one of.*let the other",
        ),
        (
            {"pooling": "max"},
            'pooling="max", but a UNet .* expected None; leave it',
        ),
        (
            {"exact_shifts": True},
            'exact_shifts=True with .*expected padding_mode="circular"',
        ),
        ({"kernel_size": (3, 4), "depth": 1}, "kernel_size is 4, expected an odd number"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        UNet(PLANE, 3, 1, **options)


def test_the_correlations_of_a_classifier_are_added_up_in_pairs():
    net = Classifier(PLANE, 3, 2, 2, 1, blocks=(2, 6))
    assert sum(isinstance(m, er.models.ResidualBlock) for m in net.modules()) == 4
    with pytest.raises(ValueError, match=r"blocks is 3, and a Classifier .* expected an even number; take 4"):
        Classifier(PLANE, 3, 2, 2, 1, blocks=(2, 3))


def test_how_far_an_output_sees():
    net = UNet(PLANE, 3, 1, (1, 1), 1, kernel_size=(3, 7), blocks=(2, 1))
    assert net.receptive_radius == 1 + (2 * 2 + 3 + 2) + 2 * 3
    x = X[:1].double().repeat(1, 1, 4, 4)
    whole = er.train.predictor.Predictor(net.double()).eval()
    from erlangen.train.tiles import in_tiles

    with torch.no_grad():
        torch.testing.assert_close(in_tiles(whole, x, 16, net), whole(x), rtol=0, atol=1e-12)


def test_how_far_an_output_sees_where_the_network_moved():
    """In samples of the grid where it is; kernels have one radius, resampling goes by samples."""
    coarse, fine = er.Euclidean(2).grid(48, 48), er.Euclidean(2).grid(96, 96, spacing=0.5)
    net = UNet(coarse, 1, 1, 2, 1, kernel_size=3, nonlinearity="gated")
    moved = er.verify.randomized(net.double(), torch.randn(1, 1, 48, 48).double()).on(fine)
    x = torch.randn(1, 1, 96, 96).double().requires_grad_()
    (grad,) = torch.autograd.grad(moved.eval()(x)[0, 0, 48, 48], x)
    rows = grad[0, 0].abs().amax(1).nonzero()[:, 0]
    assert (net.receptive_radius, moved.receptive_radius) == (1 + 7 + 2, 2 + (4 + 3 + 2) + 2 * 2)
    assert net.receptive_radius < max(48 - int(rows.min()), int(rows.max()) - 48) <= moved.receptive_radius


def test_how_far_an_output_sees_is_counted_on_lattices_only():
    net = UNet(er.Sphere().grid(8), 1, 1, 2, 1)
    with pytest.raises(
        ValueError, match=r"does not see whole samples, expected one on a lattice, such as er\.Plane"
    ):
        _ = net.receptive_radius


@pytest.mark.parametrize("network", [er.models.UNet, er.models.Classifier])
def test_options_that_there_are_not_are_told_by_name(network):
    with pytest.raises(TypeError, match="there is no option blockz=, expected some of width, depth, blocks"):
        network(er.Plane(), 3, 2, blockz=2)


@pytest.mark.parametrize("kind", [UNet, Classifier])
@pytest.mark.parametrize("nonlinearity", ["relu", "silu", "gated", "polynomial"])
def test_levels_above_the_lift_hold_scalar_fields(kind, nonlinearity):
    plane = er.Plane(rotations=4, reflections=True)
    net = kind(plane, 3, 2, (6, 3, 4), 2, lift_at=1, kernel_size=3, nonlinearity=nonlinearity)
    fields = [c.out_field for c in net.modules() if isinstance(c, er.nn.Correlation)]
    assert fields[0] == "scalar"
    assert "regular" in fields
    x = torch.randn(1, 3, 18, 13, dtype=torch.float64)
    net = er.verify.randomized(net.double(), x)
    assert er.verify.equivariance(net, x, plane, show=False).worst < 1e-10


def test_the_lift_is_at_one_of_the_levels():
    with pytest.raises(ValueError, match="lift_at is 3, expected one of the levels 0 to 2"):
        UNet(er.Plane(rotations=4), 3, 1, depth=2, lift_at=3)


def test_a_network_that_lifts_below_is_one_on_the_sphere_too():
    ball = er.Sphere().grid(8, rotations=5)
    net = UNet(ball, 1, 1, (3, 2), 1, lift_at=1, nonlinearity="polynomial").double()
    noise = torch.randn(1, 1, *ball.shape, dtype=torch.float64)
    x = er.nn.Correlation(ball, 1, 1).double()(noise).detach()  # of the degrees that the grid holds
    net = er.verify.randomized(net, x)
    assert net(x).shape == x.shape
    assert er.verify.equivariance(net, x, ball, show=False).worst_interpolated < 1e-10
