"""Turns, flips and shifts of the pixel grid: exact, at every size, outputs and gradients."""

import copy
import pickle

import pytest
import torch

import erlangen as er

SIZES = [(32, 32), (33, 33), (49, 64), (53, 43), (30, 30)]  # three halvings, each of even and odd sizes
# the group, and how many of the seven turns and flips of the pixel grid (the identity apart) lie in it
GROUPS = {
    "D8": (lambda: er.Plane(rotations=8, reflections=True), 7),
    "C8": (lambda: er.Plane(rotations=8), 3),
    "C6": (lambda: er.Plane(rotations=6), 1),
    "isotropic": (lambda: er.Plane(), 7),
}


def network(plane, seed=0, **options):
    torch.manual_seed(seed)
    net = er.models.UNet(plane, 3, 1, width=8 if plane.fibre is None else 4, depth=3, **options)
    return er.verify.randomized(net, torch.randn(2, 3, 32, 32), seed=seed)


def exact(plane):
    return [element for element in plane.symmetries() if element.is_exact]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_grid_symmetries_are_exact(group, size):
    build, count = GROUPS[group]
    plane = build()
    assert len(exact(plane)) == count
    for dtype, bar in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        x = torch.randn(1, 3, *size, dtype=dtype)
        report = er.verify.equivariance(
            network(plane).to(dtype), x, plane, exact(plane), gradients=False, show=False
        )
        assert len(report.rows) == count
        assert report.worst <= bar, report


@pytest.mark.parametrize("size", [(30, 30), (33, 26)], ids=str)
@pytest.mark.parametrize("group", ["D8", "isotropic"])
def test_gradients_are_exact_for_every_seed(group, size):
    plane = GROUPS[group][0]()
    errors = {torch.float32: [], torch.float64: []}
    elements = exact(plane)[::3]  # turn 90, flip, flip and turn 270
    for seed in range(5):
        for dtype, found in errors.items():
            torch.manual_seed(seed)
            x = torch.randn(1, 3, *size, dtype=dtype)
            report = er.verify.equivariance(network(plane, seed).to(dtype), x, plane, elements, show=False)
            found.append(report.worst_gradient)
    assert max(errors[torch.float64]) <= 1e-10
    assert sorted(errors[torch.float32])[2] <= 1e-4


@pytest.mark.parametrize(
    "options",
    [
        {"separable": False},
        {"nonlinearity": "gated"},
        {"nonlinearity": "polynomial"},
        {"projection": "max"},
        {"padding_mode": "reflect"},
    ],
    ids=str,
)
def test_every_option_of_the_network_is_exact(options):
    plane = er.Plane(rotations=4, reflections=True)
    net = network(plane, **options).double()
    report = er.verify.equivariance(net, torch.randn(1, 3, 30, 37).double(), plane, exact(plane), show=False)
    assert report.worst <= 1e-12, report
    assert report.worst_gradient <= 1e-10, report


@pytest.mark.parametrize("size", [(32, 32), (16, 28)], ids=str)
def test_integer_shifts_are_exact_on_demand(size):
    plane = er.Plane(rotations=8)
    torch.manual_seed(1)
    net = er.models.UNet(plane, 3, 1, 3, depth=2, exact_shifts=True, padding_mode="circular")
    x = torch.randn(2, 3, *size)
    net = er.verify.randomized(net, x).requires_grad_(False)
    y = net(x)
    for shift in [(i, j) for i in range(5) for j in range(5)] + [(7, -3), (size[0] // 2, 9)]:
        moved = net(x.roll(shift, (-2, -1)))
        assert float((moved - y.roll(shift, (-2, -1))).abs().max() / y.std()) <= 1e-5, shift


def test_without_the_flag_odd_shifts_are_not_exact():
    plane = er.Plane(rotations=8)
    x = torch.randn(1, 3, 32, 32)
    net = er.verify.randomized(er.models.UNet(plane, 3, 1, 3, depth=2, padding_mode="circular"), x)
    net.requires_grad_(False)
    assert float((net(x.roll(1, -1)) - net(x).roll(1, -1)).abs().max()) > 1e-3


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(12, 12), (13, 13), (14, 9), (11, 16)], ids=str)
def test_strides_are_centred_at_every_size(stride, size):
    plane = er.Plane(rotations=4, reflections=True)
    fields = {"in_field": "regular", "out_field": "regular"}
    layer = er.nn.Correlation(plane, 2, 3, 5, stride=stride, dtype=torch.float64, **fields)
    x = torch.randn(1, 2, 8, *size).double()
    for element in exact(plane):
        g = element.matrix
        expected = plane.act(g, layer(x), "regular")
        torch.testing.assert_close(layer(plane.act(g, x, "regular")), expected, rtol=0, atol=1e-12)


def test_the_arguments_of_conv2d():
    """Padding, dilation and groups mean what they mean in torch, compared through the dense filters."""
    plane = er.Plane(symmetry="translations")
    x = torch.randn(2, 4, 11, 12).double()
    for options in (
        {"padding": 0},
        {"padding": 3},
        {"dilation": 2},
        {"groups": 2},
        {"padding_mode": "reflect"},
        {"padding_mode": "replicate"},
        {"padding_mode": "circular"},
        {"padding": 1, "dilation": 2, "groups": 4},
    ):
        layer = er.nn.Correlation(plane, 4, 8, 5, dtype=torch.float64, **options)
        groups = options.get("groups", 1)
        impulse = torch.zeros(4 // groups, 4, 9, 9).double()
        for c in range(4 // groups):
            impulse[c, c :: 4 // groups, 4, 4] = 1.0
        plain = er.nn.Correlation(plane, 4, 8, 5, dtype=torch.float64, groups=groups)
        plain.load_state_dict(layer.state_dict())
        response = plain(impulse) - plain.bias.view(-1, 1, 1)  # (c, out, 9, 9)
        conv = torch.nn.Conv2d(4, 8, 5, dtype=torch.float64, **({"padding": "same"} | options))
        with torch.no_grad():
            conv.weight.copy_(response[..., 2:7, 2:7].flip(-2, -1).movedim(0, 1))
            conv.bias.copy_(layer.bias)
        torch.testing.assert_close(layer(x), conv(x), rtol=0, atol=1e-12)


def test_refusals():
    plane = er.Plane(rotations=8)
    regular = {"in_field": "regular", "out_field": "regular"}
    cases = [
        (lambda: er.nn.Correlation(plane, 0, 1, 3), "_channels is 0, expected a whole number of at least 1"),
        (lambda: er.nn.Correlation(plane, 3, 4, 3, groups=2), "expected a divisor of in_channels"),
        (lambda: er.nn.Correlation(plane, 3, 4, 4), "expected an odd number.*take 5"),
        (lambda: er.nn.Correlation(plane, 3, 4), "expected one of them, such as kernel_size=5"),
        (lambda: er.nn.Correlation(plane, 3, 4, 3, padding_mode="zero"), "padding_mode is 'zero', expected"),
        (lambda: er.nn.Correlation(plane, 3, 4, 3, padding=(1, 2)), "the same on every axis"),
        (lambda: er.nn.Correlation(plane, 3, 4, 3, stride=2, dilation=2), "would not keep its centre"),
        (lambda: er.nn.Correlation(plane, 3, 4, 3, in_field="fibre"), "field is 'fibre', expected"),
        (lambda: er.nn.Lift(er.Plane(), 3, 4, 3), "has no fibre; build it with rotations=8: er.Plane"),
        (lambda: er.Plane(8, symmetry="isometries"), "rotations=N already names the symmetry"),
        (lambda: er.Plane(reflections=True), "expected rotations=N beside it"),
        (lambda: er.nn.Project(plane, "sum"), 'expected "max" or "mean"'),
        (lambda: er.models.UNet(plane, 3, 1, exact_shifts=True), 'expected padding_mode="circular"'),
        (lambda: er.models.UNet(plane, 3, 1, width=0), "width is 0, expected a whole number of at least 1"),
        (lambda: er.models.UNet(plane, 3, 1, blocks=0), "blocks is 0, expected a whole number of at least 1"),
        (lambda: er.models.Classifier(plane, 3, 1, kernel_size=3, radius=2.0), "expected one of them"),
        (lambda: er.nn.Correlation(plane, 3, 4, 3, **regular)(torch.randn(1, 3, 6, 9, 9)), "has shape"),
        (lambda: er.nn.Lift(plane, 3, 4, 3)(torch.randn(1, 4, 9, 9)), "for 3 scalar fields"),
        (lambda: er.nn.Norm(plane, 3)(torch.randn(1, 4, 8, 9, 9)), "for 3 regular fields"),
        (lambda: er.nn.Project(plane)(torch.randn(1, 4, 9, 9)), "expected .batch, channels, 8"),
        (lambda: er.models.UNet(plane, 3, 1)(torch.randn(3, 9, 9)), "the image has shape"),
        (lambda: er.nn.ReLU(plane)(torch.randn(1, 4, 8, 20)), "5 axes in all"),
        (lambda: er.nn.Gated(plane, 1)(torch.randn(1, 4, 8, 9, 9)), "for 1 regular fields"),
        (lambda: er.nn.Project(plane, "mean")(torch.randn(1, 1, 5, 4, 4)), "expected .batch, channels, 8"),
        (lambda: er.nn.GlobalPool(plane)(torch.randn(1, 4, 8, 5, 5)), "for scalar fields"),
        (lambda: er.nn.Down(plane)(torch.randn(1, 4, 5, 5)), "for regular fields"),
        (lambda: er.nn.Lift(plane, 1, 4, 3)(torch.ones(1, 1, 9, 9).long()), "call .float"),
        (lambda: er.nn.Lift(plane, 1, 4, 3)(torch.ones(1, 1, 9, 9).double()), "expected one dtype"),
        (lambda: er.nn.Lift(plane, 1, 4, 3, stride=0), "expected a whole number of at least 1"),
        (lambda: er.nn.Lift(plane, 1, 4, 5.0), "kernel_size is 5.0, expected a whole number"),
        (lambda: er.nn.Lift(plane, 1, 4, 3, rings=0), "rings is 0, expected a whole number of at least 1"),
        (
            lambda: er.nn.Lift(plane, 1, 4, 3, fibre_band=-1),
            "fibre_band is -1, expected .* at least 0",
        ),
        (lambda: er.nn.Correlation(plane, 3, 4, 1, stride=2), "sees nothing; take kernel_size=3"),
        (lambda: er.Plane(rotations=8.0), "expected a whole number of at least 1 or None; 8 is a good"),
        (
            lambda: er.models.UNet(plane, 3, 1, nonlinearity="gelu"),
            'expected "relu", "silu", "gated"',
        ),
        (lambda: er.Euclidean(1).grid(8, spacing=0.0), "expected a positive length"),
        (
            lambda: er.nn.Correlation(er.FlatTorus((7.0, 8.0)).grid(7, 8), 1, 1, 3, stride=2)(
                torch.randn(1, 1, 7, 8)
            ),
            "no periodic grid",
        ),
        (
            lambda: er.nn.Correlation(er.Plane(), 1, 1, 5, padding_mode="reflect")(torch.randn(1, 1, 2, 9)),
            "too far for padding_mode",
        ),
        (
            lambda: er.models.UNet(plane, 3, 1, depth=2, exact_shifts=True, padding_mode="circular")(
                torch.randn(1, 3, 30, 32)
            ),
            "expected multiples of 4",
        ),
        (lambda: er.nn.Correlation(er.Sphere().grid(4), 1, 1, radius=1.0, stride=2), "these need a lattice"),
        (lambda: er.nn.Correlation(er.Sphere().grid(4), 1, 1, 3), "these samples are no pixel grid"),
        (
            lambda: er.nn.Correlation(er.Plane(), 1, 1, 1, stride=3)(torch.randn(1, 1, 8, 9)),
            "kernel_size=1 with stride=3 on 8 samples: the coarse samples fall between",
        ),
        (lambda: er.nn.Lift(er.Sphere(), 1, 1), r"Sphere\(2\).* is a space, expected samples of it"),
        (lambda: er.models.UNet(er.Sphere(), 1, 1), "is a space, expected samples of it"),
        (lambda: er.nn.Correlation(plane, 1, 1, 3)([[0.0]]), "the field is a list, expected a tensor"),
        (lambda: er.nn.Correlation(er.Sphere().grid(4), 1, 1, radius=4.0), "beyond the injectivity radius"),
    ]
    for act, message in cases:
        with pytest.raises(ValueError, match=message):
            act()


def test_isotropic_kernels_cannot_tell_turned_patterns_apart_and_regular_ones_can():
    """Why scalars are too poor: half a pattern, turned, gives the same answer at the centre."""
    pattern = torch.zeros(1, 1, 9, 9)
    pattern[..., 4, 5:8] = 1.0
    pattern[..., 1:4, 4] = -1.0
    mirrored = pattern.transpose(-2, -1).clone()  # a mirrored copy, which no turn makes
    poor = er.nn.Correlation(er.Plane(), 1, 8, 9)
    torch.testing.assert_close(poor(pattern)[..., 4, 4], poor(mirrored)[..., 4, 4], rtol=0, atol=1e-6)
    rich = er.nn.Lift(er.Plane(rotations=8), 1, 8, 9).requires_grad_(False)
    invariant = rich(pattern)[..., 4, 4].sort(-1).values
    assert float((invariant - rich(mirrored)[..., 4, 4].sort(-1).values).abs().max()) > 0.01


def test_radius_in_pixels_of_each_level():
    """Images of any size know pixels of their own level only: twice as wide there with the same radius."""
    plane = er.Plane(rotations=4)
    ours, same = (er.models.UNet(plane, 1, 1, 2, depth=2, **k) for k in ({"radius": 2.5}, {"kernel_size": 5}))
    same.load_state_dict(ours.state_dict())
    x = torch.randn(1, 1, 20, 20)
    assert torch.equal(ours(x), same(x))


def test_the_plane_is_a_domain_and_says_where_its_space_is():
    plane = er.Plane(rotations=4)
    for name in ("log", "exp", "holonomy", "stabilizer", "grid"):
        assert not hasattr(plane, name)
        with pytest.raises(AttributeError, match=rf"expected er\.Plane\(\)\.geometry\.{name}, of the"):
            getattr(plane, name)
        assert hasattr(plane.geometry, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'colour'$"):
        _ = plane.colour
    assert copy.deepcopy(plane) is plane
    assert pickle.loads(pickle.dumps(plane)).recipe == plane.recipe
