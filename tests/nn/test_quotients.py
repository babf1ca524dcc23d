"""Strips, Klein bottles and their kin: layers and networks commute with every symmetry of the samples.

Fields are moved here by hand, on the cylinder of twice the length, not by the library's own `act`.
"""

import math

import pytest
import torch

import erlangen as er
from erlangen.domains import KernelSpec, Samples, weighted_sum
from erlangen.engines import StencilEngine
from erlangen.spaces.flat_quotient import FlatQuotient

STRIP = er.Moebius(8.0, 5.0).grid(8, 5)
ISOMETRIES = er.Moebius(8.0, 6.0, symmetry="isometries").grid(8, 6)
KLEIN = er.KleinBottle(8.0, 6.0).grid(8, 6)
ODD = er.KleinBottle(7.0, 5.0, symmetry="isometries").grid(7, 5)
ACROSS = torch.diag(torch.tensor([1.0, -1.0])).double()
ALONG = torch.diag(torch.tensor([-1.0, 1.0])).double()
SPACES = {"strip": STRIP, "strip, isometries": ISOMETRIES, "klein": KLEIN, "klein, odd": ODD}


def seen(domain, f, field, h):
    """The values of a field in frames that h turned."""
    rho = domain.representation(field)
    matrix = rho.matrix(h).to(f)
    return torch.einsum("ij,...jxy->...ixy", matrix, f) if rho.has_axis else matrix[0, 0] * f


def along(domain, f, field, steps):
    """Moved along the band by whole samples: over the seam goes the mirrored field."""
    length = f.shape[-2]
    cover = torch.cat([f, seen(domain, f, field, ACROSS).flip(-1)], -2)
    return cover.roll(steps, -2).narrow(-2, 0, length)


def backwards(domain, f, field, _):
    return seen(domain, f, field, ALONG).flip(-2)


def halfway(domain, f, field, _):
    """On the Klein bottle: half of the way round without a mirror."""
    return f.roll(f.shape[-1] // 2, -1)


def moves(domain):
    """All isometries of these samples that lie in the group, but for products."""
    found = [(along, steps) for steps in range(2 * domain.shape[0])]
    if "KleinBottle" in repr(domain) and domain.shape[1] % 2 == 0:
        found.append((halfway, 0))
    if len(domain.geometry.structure.components) == 4:
        found.append((backwards, 0))
    return found


def layers(domain):
    """Every layer: what it is, from which field, to which."""
    kernel = {"radius": 2.5, "rings": 4}
    regular = {"in_field": "regular", "out_field": "regular"}
    made = {
        f"{a} to {b}": (er.nn.Correlation(domain, 2, 3, in_field=a, out_field=b, **kernel), a, b)
        for a in ("scalar", "sign", "vector", "spin2", "regular")
        for b in ("scalar", "sign", "vector", "spin2", "regular")
        if not (len(domain.geometry.structure.components) == 4 and {a, b} == {"scalar", "sign"})
    }
    return made | {
        "lift": (er.nn.Lift(domain, 2, 3, **kernel), "scalar", "regular"),
        "separable": (
            er.nn.Correlation(domain, 2, 3, separable=True, **kernel, **regular),
            "regular",
            "regular",
        ),
        "groups": (er.nn.Correlation(domain, 2, 4, groups=2, **kernel, **regular), "regular", "regular"),
        "dilation": (er.nn.Correlation(domain, 2, 3, 3, dilation=2, **regular), "regular", "regular"),
        "point": (er.nn.Correlation(domain, 2, 3, 1, **regular), "regular", "regular"),
        "project, max": (er.nn.Project(domain, "max"), "regular", "scalar"),
        "project, mean": (er.nn.Project(domain, "mean"), "regular", "scalar"),
        "norm": (er.nn.Norm(domain, 2), "regular", "regular"),
        "norm, scalar": (er.nn.Norm(domain, 2, field="scalar"), "scalar", "scalar"),
        "norm, sign": (er.nn.Norm(domain, 2, field="sign"), "sign", "sign"),
        "relu": (er.nn.ReLU(domain), "regular", "regular"),
        "relu, scalar": (er.nn.ReLU(domain, "scalar"), "scalar", "scalar"),
        "gated, sign": (er.nn.Gated(domain, 2, "sign"), "sign", "sign"),
        "gated, vector": (er.nn.Gated(domain, 2, "vector"), "vector", "vector"),
        "global pool": (er.nn.GlobalPool(domain), "scalar", None),
    }


def noise(domain, field, batch=1, channels=2, dtype=torch.float64):
    rho = domain.representation(field)
    return torch.randn(batch, channels, *(rho.dim,) * rho.has_axis, *domain.shape, dtype=dtype)


def defect(domain, layer, x, in_field, out_field, moves):
    """``|N(g f) - g N(f)|`` for each move, all in one batch, relative to the largest value."""
    with torch.no_grad():
        y = layer(x)
        moved = layer(torch.cat([by(domain, x, in_field, steps) for by, steps in moves]))
    expected = torch.cat([y if out_field is None else by(domain, y, out_field, steps) for by, steps in moves])
    assert float(y.std()) > 1e-3
    return ((moved - expected).abs().flatten(1).amax(1) / y.abs().max()).tolist()


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["64", "32"])
@pytest.mark.parametrize("name", SPACES)
def test_every_layer_commutes_with_every_isometry_of_the_samples(name, dtype, bar):
    domain = SPACES[name]
    for kind, (layer, in_field, out_field) in layers(domain).items():
        x = noise(domain, in_field, dtype=dtype)
        layer = er.verify.randomized(layer.to(dtype), x)
        found = defect(domain, layer, x, in_field, out_field, moves(domain))
        assert max(found) <= bar, (kind, found)


def test_once_round_the_strip_is_the_mirror_and_twice_round_nothing():
    for field in ("scalar", "sign", "vector", "spin2", "regular"):
        f = noise(STRIP, field)
        once = along(STRIP, f, field, 8)
        torch.testing.assert_close(once, seen(STRIP, f, field, ACROSS).flip(-1), rtol=0, atol=0)
        assert not torch.equal(once, f)
        torch.testing.assert_close(along(STRIP, once, field, 8), f, rtol=0, atol=0)


def test_the_lengthwise_flip_needs_its_name():
    """Holonomy makes kernels well defined; only symmetry="isometries" makes them blind to the way along."""
    layer, x = er.nn.Correlation(STRIP, 2, 3, radius=2.5).double(), noise(STRIP, "scalar")
    assert defect(STRIP, layer, x, "scalar", "scalar", [(backwards, 0)])[0] > 0.1


@pytest.mark.parametrize("name", SPACES)
def test_the_cover_agrees_with_the_generic_engine(name):
    domain = SPACES[name]
    plain = Samples(domain.geometry, domain.points, domain.weights, fibre=domain.fibre)
    for in_field in ("scalar", "regular", "vector", "sign"):
        for out_field in (in_field, "regular"):
            for depthwise in (False, True) if in_field == out_field == "regular" else (False,):
                spec = KernelSpec(in_field, out_field, radius=2.4, rings=3, depthwise=depthwise)
                one, other = domain.engine(spec), plain.engine(spec)
                f = noise(domain, in_field, 2, 4)
                groups, each = (4, 1) if depthwise else (2, 2)
                w = torch.randn(4, each, len(one.power)).double()
                torch.testing.assert_close(
                    one.apply(f, w, groups), other.apply(f, w, groups), rtol=0, atol=1e-12
                )
                if domain is KLEIN or domain is ODD:  # no boundary: the same at every sample
                    torch.testing.assert_close(one.power, other.power)


@pytest.mark.parametrize("name", SPACES)
def test_act_is_what_the_cover_says_and_what_interpolation_says(name):
    domain = SPACES[name]
    g = torch.eye(3).double()
    for field in ("scalar", "sign", "vector", "spin2", "regular"):
        f = noise(domain, field)
        for steps in range(2 * domain.shape[0]):
            g[0, 2] = steps
            moved = domain.act(g, f, field)
            torch.testing.assert_close(moved, along(domain, f, field, steps), rtol=0, atol=0)
            slow = domain.act(g, f, field, interpolation=domain.interpolation)
            torch.testing.assert_close(moved, slow, rtol=0, atol=1e-12)


def test_symmetries_are_named_and_measured():
    for domain in SPACES.values():
        names = {s.name: s for s in domain.symmetries()}
        assert names["shift (1, 0)"].is_exact
        assert names["mirror of axis 1"].is_exact
        isometries = len(domain.geometry.structure.components) == 4
        assert names["mirror of axis 0"].is_exact == isometries
        assert all(s.permutes for s in names.values())
        net = torch.nn.Sequential(
            er.nn.Lift(domain, 1, 3, radius=2.5), er.nn.ReLU(domain), er.nn.Project(domain, "max")
        )
        x = torch.randn(1, 1, *domain.shape).double()
        report = er.verify.equivariance(er.verify.randomized(net.double(), x), x, domain, show=False)
        assert report.worst <= 1e-12
        assert report.worst_gradient <= 1e-12
        others = [row.output for row in report.rows if not row.element.in_group]
        assert not others if isometries else min(others) > 1e-2
    assert "shift (0, 3)" in {s.name for s in KLEIN.symmetries()}  # half of the width, and nothing less
    assert not {"shift (0, 1)", "shift (0, 3)"} & {s.name for s in STRIP.symmetries()}


def test_shifts_that_a_klein_bottle_does_not_have_are_no_symmetries():
    torus = er.FlatTorus((8.0, 6.0)).grid(8, 6)
    assert "shift (0, 1)" in {s.name for s in torus.symmetries()}
    assert "shift (0, 1)" not in {s.name for s in KLEIN.symmetries()}


BIG = {
    "strip": lambda symmetry: er.Moebius(16.0, 7.0, symmetry=symmetry).grid(16, 7),
    "strip, even": lambda symmetry: er.Moebius(16.0, 8.0, symmetry=symmetry).grid(16, 8),
    "klein": lambda symmetry: er.KleinBottle(16.0, 16.0, symmetry=symmetry).grid(16, 16),
}


@pytest.mark.parametrize("symmetry", [None, "isometries"])
@pytest.mark.parametrize("name", BIG)
def test_networks_with_phases_commute_with_all_shifts(name, symmetry):
    domain = BIG[name](symmetry)
    options = {"kernel_size": 3, "exact_shifts": True}
    for dtype, bar in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        x = torch.randn(1, 2, *domain.shape, dtype=dtype)
        unet = er.verify.randomized(er.models.UNet(domain, 2, 1, 2, 2, **options).to(dtype), x)
        logits = [
            er.verify.randomized(
                er.models.Classifier(domain, 2, 3, 2, 2, pooling=pooling, **options).to(dtype), x
            )
            for pooling in ("mean", "max")
        ]
        assert max(defect(domain, unet, x, "scalar", "scalar", moves(domain))) <= bar
        for net in logits:
            assert max(defect(domain, net, x, "scalar", None, moves(domain))) <= bar


ONE = (1.0, 1.0, 1.0)
SOLID = {
    "mirror": {0: (1.0, -1.0, 1.0), 1: ONE, 2: ONE},
    "half turn": {0: (1.0, -1.0, -1.0), 1: ONE, 2: ONE},
    "mirrors of mirrors": {0: (1.0, -1.0, 1.0), 1: (1.0, 1.0, -1.0), 2: ONE},
    "out of order": {2: (-1.0, -1.0, 1.0), 0: (1.0, -1.0, 1.0), 1: ONE},
    "two mirrors of one axis": {1: (-1.0, 1.0, 1.0), 2: (-1.0, 1.0, 1.0), 0: ONE},
    "open": {0: (1.0, -1.0, -1.0), 1: ONE},
}


def solid(name, shape):
    decks = [er.Deck.along(axis, float(shape[axis]), signs) for axis, signs in SOLID[name].items()]
    widths = [math.inf if axis in SOLID[name] else float(size) for axis, size in enumerate(shape)]
    return FlatQuotient(decks, widths).grid(*shape)


def expect_what_it_says(domain, depth, kernel_size=3):
    """Every row that is labelled exact is, whether samples follow the content or not."""
    for exact_shifts in (True, False):
        options = {"kernel_size": kernel_size, "exact_shifts": exact_shifts}
        x = torch.randn(1, 1, *domain.shape, generator=torch.Generator().manual_seed(0)).double()
        try:
            width = 2 if kernel_size > 1 else 6  # or ReLUs may leave nothing
            net = er.models.UNet(domain, 1, 1, width, depth, **options).double()
            net = er.verify.randomized(net, x)
        except ValueError:  # odd sizes: every second sample is no grid there
            assert any(size % 2**depth for size in domain.shape)
            continue
        report = er.verify.equivariance(net, x, domain, show=False, gradients=False)
        rows = [row for row in report.rows if row.kind == "exact here"]
        shifts = [row for row in rows if row.element.is_shift]
        assert shifts or not exact_shifts
        assert max(row.output for row in rows) < 1e-10


@pytest.mark.parametrize("shape", [(8, 6), (6, 10), (8, 7), (7, 6)])
def test_what_is_labelled_exact_on_klein_bottles_is(shape):
    for build in (er.KleinBottle, er.Moebius):
        expect_what_it_says(build(*map(float, shape)).grid(*shape), 1)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 8), (12, 6), (12, 14), (12, 20), (16, 12), (14, 12), (9, 9), (12, 13)])
@pytest.mark.parametrize("symmetry", [None, "isometries"])
def test_what_is_labelled_exact_on_many_klein_bottles_is(shape, symmetry):
    for build in (er.KleinBottle, er.Moebius):
        domain = build(*map(float, shape), symmetry=symmetry).grid(*shape)
        expect_what_it_says(domain, 1)
        expect_what_it_says(domain, 2, 3 if min(shape) >= 12 else 1)


@pytest.mark.parametrize("name", SOLID)
def test_what_is_labelled_exact_on_three_dimensional_quotients_is(name):
    expect_what_it_says(solid(name, (6, 6, 6)), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLID)
@pytest.mark.parametrize("shape", [(8, 6, 10), (6, 10, 8), (10, 8, 6)])
def test_what_is_labelled_exact_on_many_three_dimensional_quotients_is(name, shape):
    expect_what_it_says(solid(name, shape), 1)
    expect_what_it_says(solid(name, shape), 2, 1)


@pytest.mark.parametrize("field", ["scalar", "sign", "vector", "regular"])
@pytest.mark.parametrize("name", SOLID)
def test_seams_and_the_geometry_are_one(name, field):
    """Padding across seams against a sum over all samples, whose frames the geometry carries."""
    domain = solid(name, (5, 4, 6))
    spec = KernelSpec(field, field, radius=1.9, rings=2)
    layer = er.nn.Correlation(domain, 1, 1, radius=1.9, rings=2, in_field=field, out_field=field, bias=False)
    f = noise(domain, field)[:, :1]
    sums = weighted_sum(domain.sampling, spec.radius, domain.frames.flat)
    expected = StencilEngine(domain.basis(spec), sums, domain.shape).apply(f, layer.weight.double())
    torch.testing.assert_close(layer.double()(f), expected, rtol=0, atol=1e-12)


def test_networks_that_drop_samples_commute_with_even_shifts_alone():
    domain = BIG["strip"](None)
    x = torch.randn(1, 2, *domain.shape).double()
    net = er.verify.randomized(er.models.UNet(domain, 2, 1, 2, 1, kernel_size=3).double(), x)
    found = defect(domain, net, x, "scalar", "scalar", [(along, steps) for steps in range(32)])
    assert max(found[::2]) <= 1e-12
    assert min(found[1::2]) > 1e-3
    report = er.verify.equivariance(net, x, domain, layers=True, show=False)
    kinds = {row.element.name: row.kind for row in report.rows}
    assert kinds["shift (1, 0)"] == "interpolated"
    assert kinds["mirror of axis 1"] == "exact here"
    assert report.worst <= 1e-12


@pytest.mark.parametrize("field", ["scalar", "sign", "vector", "spin2", "regular"])
def test_pooling_moves_with_the_phase_on_every_field(field):
    down, up = er.nn.Down(STRIP, field, exact_shifts=True), er.nn.Up(STRIP, field)
    f = noise(STRIP, field, 3)
    coarse, phase = down(f)
    back = up(coarse, STRIP.shape, phase)
    assert coarse.shape[-2:] == (4, 3)
    for steps in range(16):
        moved, moved_phase = down(along(STRIP, f, field, steps))
        assert torch.equal((moved_phase - phase)[:, 0] % 2, torch.full((3,), steps % 2))
        again = up(moved, STRIP.shape, moved_phase)
        torch.testing.assert_close(again, along(STRIP, back, field, steps), rtol=0, atol=1e-13)


def test_masked_maxima_cross_the_seam():
    """What a mask hides is minus infinity there, and no zero of a matrix is multiplied by that."""
    mask = torch.rand(8, 5, generator=torch.Generator().manual_seed(0)) > 0.3
    y = er.nn.Pool(STRIP.masked(mask), "max")(noise(STRIP, "regular"))
    assert bool(y.isfinite().all())


def test_the_calls_of_the_first_page():
    strip = er.Moebius(length=2.0, width=1.0)
    band = strip.grid(56, 28)
    f = torch.randn(2, 1, 56, 28)
    assert er.nn.Correlation(band, 1, 16, radius=0.1)(f).shape == (2, 16, 56, 28)
    assert er.nn.Lift(band, 1, 16, radius=0.1)(f).shape == (2, 16, 2, 56, 28)
    torch.testing.assert_close(band.weights.sum(), torch.tensor(2.0).double())
    bottle = er.KleinBottle(length=2.0, width=1.0)
    assert str(bottle.structure) == "Z2: reflection of axis 1"
    assert str(er.KleinBottle(symmetry="isometries").structure) == "D2"


def test_strides_on_the_strip():
    layer = er.nn.Correlation(STRIP, 2, 3, 5, stride=2, in_field="regular", out_field="regular").double()
    x = noise(STRIP, "regular")
    y = layer(x)
    assert y.shape == (1, 3, 2, 4, 3)
    moved = layer(along(STRIP, x, "regular", 2))
    torch.testing.assert_close(moved, along(STRIP, y, "regular", 1), rtol=0, atol=1e-12)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r'the maximum of sign fields .* take reduction="mean"'):
        er.nn.Pool(STRIP, "max", "sign")
    with pytest.raises(ValueError, match=r"sizes are .* expected even sizes there"):
        er.nn.Down(ODD)(noise(ODD, "regular"))
    with pytest.raises(ValueError, match="choose sizes divisible by 2"):
        er.nn.Down(ODD, exact_shifts=True)(noise(ODD, "regular"))
    with pytest.raises(ValueError, match="beyond the injectivity radius"):
        er.nn.Lift(STRIP, 1, 2, radius=4.5)
    narrow = er.Moebius(4.0, 8.0).grid(4, 9)
    with pytest.raises(ValueError, match="more than once round; take a smaller kernel"):
        er.nn.Correlation(narrow, 1, 1, 3, dilation=5)(torch.randn(1, 1, 4, 9))


def test_a_point_a_rounding_before_the_seam_is_not_mirrored():
    strip = er.Moebius(2.0, 1.0)
    p = torch.tensor([-1e-17, 0.3]).double()
    torch.testing.assert_close(strip.home(p), torch.tensor([0.0, 0.3]).double(), rtol=0, atol=1e-15)


@pytest.mark.parametrize("separable", [False, True])
def test_strides_that_do_not_fit_round_are_refused(separable):
    band = er.Moebius(2.0, 1.0).grid(9, 8)
    options = {"in_field": "regular", "out_field": "regular", "separable": separable}
    layer = er.nn.Correlation(band, 2, 2, 3, 2, **options)
    with pytest.raises(ValueError, match="stride=2 on a periodic axis of 9 samples is no periodic grid"):
        layer(torch.randn(1, 2, 2, 9, 8))
