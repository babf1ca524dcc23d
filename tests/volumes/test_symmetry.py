"""Networks on volumes commute with the turns and mirrors of voxels, at every size, and nearly with others."""

import math

import pytest
import torch

import erlangen as er

NETWORKS = {
    "round": (er.Volume(), 47),
    "round, thick slices": (er.Volume(spacing=(2.5, 1, 1)), 15),
    "cube": (er.Volume("cube"), 23),
    "cube, mirrors": (er.Volume("cube", reflections=True), 47),
    "axis 0": (er.Volume(8, axis=0, spacing=(3, 1, 1)), 3),
    "axis 1, mirrors": (er.Volume(4, True, axis=1, spacing=(0.7, 2, 0.7)), 7),
    "degree 1": (er.Volume(degree=1), 23),
    "degree 1, mirrors": (er.Volume(degree=1, reflections=True), 47),
    "degree 2": (er.Volume(degree=2, spacing=2.0), 23),
}
SIZES = (7, 8, 6), (5, 4, 9)


def randomized(net, x):
    return er.verify.randomized(net, x)


def waves(shape, spacing=(1, 1, 1), shortest=8.0, seed=0):
    """Sums of plane waves of all directions, of lengths from the shortest to twice that, in voxels."""
    generator = torch.Generator().manual_seed(seed)
    axes = [(torch.arange(n).double() - (n - 1) / 2) * d for n, d in zip(shape, spacing, strict=True)]
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    k = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    k = k / k.norm(dim=1, keepdim=True)
    length = shortest * (1 + torch.rand(40, 1, generator=generator, dtype=torch.float64))
    phase = 2 * math.pi * torch.rand(40, generator=generator, dtype=torch.float64)
    f = torch.cos(x @ (2 * math.pi * k / length).T + phase).sum(-1)
    return (f / f.std())[None, None]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_one_network_commutes_with_all_turns_at_every_size(name, dtype, bar):
    volume, count = NETWORKS[name]
    torch.manual_seed(0)
    net = er.models.UNet(volume, 1, 1, width=2, depth=1, kernel_size=3).to(dtype)
    net = randomized(net, torch.randn(2, 1, *SIZES[0], dtype=dtype))
    exact = [g for g in volume.symmetries() if g.is_exact]
    assert len(exact) == count
    for size in SIZES:
        x = torch.randn(2, 1, *size, dtype=dtype)
        with torch.no_grad():
            y = net(x)
            scale = (y - y.mean()).abs().max()
            assert scale > 1e-3
            for g in exact:
                off = net(volume.act(g.matrix, x)) - volume.act(g.matrix, y)
                assert off.abs().max() < bar * scale, g.name


@pytest.mark.parametrize("name", ["cube", "axis 0", "degree 1, mirrors"])
def test_frozen_saved_and_rebuilt_it_answers_alike(name):
    volume, _ = NETWORKS[name]
    torch.manual_seed(0)
    x = torch.randn(1, 1, 6, 7, 5)
    net = randomized(er.models.UNet(volume, 1, 2, width=2, depth=1, kernel_size=3), x).eval()
    with torch.no_grad():
        y = net(x)
        torch.testing.assert_close(er.freeze(net)(x), y, rtol=1e-4, atol=1e-5)
        again = er.models.UNet(type(volume)(**volume.recipe), 1, 2, **vars(net.options))
        again.load_state_dict(net.state_dict())
        assert torch.equal(again.eval()(x), y)


def off_by(net, volume, x, g):
    """How much a turn changes answers in the ball inside, and turning there and back, relative to them."""
    here = volume.centre(x)
    with torch.no_grad():
        y = net(x)
        moved = volume.act(g, y)
        back = volume.act(torch.linalg.inv(g), moved)
        varying = (y - y[..., here].mean())[..., here].square().mean().sqrt()
        first, second = (
            (a - b)[..., here].square().mean().sqrt() for a, b in ((net(volume.act(g, x)), moved), (back, y))
        )
    return float(first / varying), float(second / varying)


def three_layers(volume, x, seed=0, **options):
    torch.manual_seed(seed)
    options = {"kernel_size": 5, "taps": "solved", "nonlinearity": "silu", **options}
    net = er.models.UNet(volume, 1, 1, width=2, depth=0, blocks=2, separable=False, **options)
    return randomized(net.double(), x)


@pytest.mark.parametrize("degree", [1, 2])
def test_turns_between_those_of_the_voxels_are_kept_by_directions(degree):
    volume, x = er.Volume(degree=degree), waves((19, 19, 19))
    net = three_layers(volume, x)
    for angle, axis in ((33.0, (1.0, 2.0, 3.0)), (75.0, (-1.0, 0.5, 0.2))):
        off, there_and_back = off_by(net, volume, x, volume.turn(angle, axis))
        assert off < 0.03, (angle, off, there_and_back)


def test_angles_about_an_axis_are_kept_with_thick_slices():
    volume = er.Volume(8, axis=0, spacing=(3, 1, 1))
    x = waves((7, 21, 21), volume.voxel)
    net = three_layers(volume, x)
    for angle in (22.5, 10.0):
        off, there_and_back = off_by(net, volume, x, volume.turn(angle, 0))
        assert off < 0.03, (angle, off, there_and_back)
    plain = three_layers(er.Volume(symmetry="translations"), x, taps="rings")
    assert off_by(plain, volume, x, volume.turn(22.5, 0))[0] > 0.1


def test_a_turn_takes_the_next_axis_towards_the_one_after():
    volume = er.Volume()
    for axis in range(3):
        e = torch.eye(3).double()
        A = volume.turn(90, axis)[:3, :3]
        assert torch.equal(A @ e[(axis + 1) % 3], e[(axis + 2) % 3]), axis
    f = torch.zeros(3, 3, 3)
    f[1, 2, 1] = 1.0  # on axis 1
    assert volume.act(volume.turn(90, 0), f)[1, 1, 2] == 1.0  # and then on axis 2


def test_the_fibre_rolls_as_it_turns():
    volume = er.Volume(4, axis=2)
    F = torch.randn(4, 1, 1, 1)
    assert torch.equal(volume.act(volume.turn(90, 2), F, "regular"), F.roll(1, 0))


def test_coefficients_are_those_of_a_function_of_the_direction():
    volume = er.Volume(degree=2)
    finer = volume.finer(volume.representation("regular"), 2)
    F = torch.randn(1, 1, 9, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(finer.down(finer.up(F)), F)
    up = finer.up(F).flatten()
    torch.testing.assert_close(finer.up(F).mean(), up.mean())
    square = (finer.down(finer.up(F).square()))[0, 0, 0]  # the first is the mean
    torch.testing.assert_close(square.flatten()[0], F.square().sum())
    vector = er.Volume(degree=1)
    n = torch.randn(3, dtype=torch.float64)
    g = vector.turn(71.0, (0.3, -1.0, 0.5))[:3, :3]
    D = vector.representation("regular").matrix(g)
    from erlangen.spaces.direction_fields import harmonics

    torch.testing.assert_close(harmonics(1, g @ n), D @ harmonics(1, n))


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"rotations": "cube", "spacing": (3, 1, 1)}, "no cubes"),
        ({"rotations": 8}, "without axis"),
        ({"rotations": 8, "axis": 1, "spacing": (3, 1, 1)}, "in the plane that is turned"),
        ({"rotations": "cube", "degree": 1}, "one of them"),
        ({"degree": 1, "symmetry": "isometries"}, "one of them"),
        ({"axis": 0}, "number of turns"),
        ({"axis": 0, "degree": 1}, "number of turns"),
        ({"axis": 3, "rotations": 4}, "expected 0, 1 or 2"),
        ({"reflections": True}, "without rotations"),
        ({"degree": 6}, "degree is 6"),
        ({"spacing": (1, 1)}, "3 entries"),
        ({"spacing": 0}, "positive"),
        ({"shape": (3, 4)}, "3 entries"),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(told, word):
    with pytest.raises(ValueError, match=word):
        er.Volume(**told)


def test_a_network_moves_only_to_volumes_of_its_kind():
    net = er.models.UNet(er.Volume(degree=1), 1, 1, width=2, depth=0)
    for other in (er.Volume(degree=2), er.Volume(symmetry="roto-translations"), er.Volume("cube")):
        with pytest.raises(ValueError, match="expected"):
            er.on(net, other)
    er.on(net, er.Volume(degree=1))


def test_what_would_be_wrong_of_coefficients_is_refused():
    volume = er.Volume(degree=1)
    with pytest.raises(ValueError, match="held by values"):
        er.nn.Pool(volume, "max")
    with pytest.raises(ValueError, match="held by coefficients"):
        er.to_plain(er.models.UNet(volume, 1, 1, width=2, depth=1).eval())


def test_volumes_held_by_values_have_a_plain_form():
    x = torch.randn(1, 1, 5, 6, 7)
    for volume in (er.Volume(4, axis=0, spacing=(3, 1, 1)), er.Volume()):
        net = randomized(er.models.UNet(volume, 1, 1, width=2, depth=1, kernel_size=3), x).eval()
        torch.testing.assert_close(er.to_plain(net)(x), net(x), rtol=1e-4, atol=1e-5)


def test_classifiers_and_statistics_of_invariants():
    volume = er.Volume(degree=1)
    torch.manual_seed(0)
    x = torch.randn(2, 1, 7, 6, 8)
    net = randomized(er.models.Classifier(volume, 1, 3, width=2, depth=1, kernel_size=3), x).eval()
    with torch.no_grad():
        y = net(x)
        for g in [g for g in volume.symmetries() if g.is_exact][::4]:
            torch.testing.assert_close(net(volume.act(g.matrix, x)), y, rtol=1e-4, atol=1e-5)
    report = er.verify.equivariance(net, x, volume, show=False)
    assert report.worst < 1e-4


def test_shifts_of_periodic_volumes_are_exact():
    volume = er.Volume("cube")
    net = er.models.UNet(volume, 1, 1, width=1, depth=0, kernel_size=3, padding_mode="circular").double()
    x = torch.randn(1, 1, 5, 4, 6, dtype=torch.float64)
    net = randomized(net, x)
    report = er.verify.equivariance(net, x, volume, show=False)
    shifts = [row for row in report.rows if row.element.is_shift]
    assert len(shifts) == 3
    assert all(row.element.is_exact and row.output < 1e-10 for row in shifts)


def test_round_kernels_see_the_neighbouring_slices():
    volume = er.Volume(spacing=(3, 1, 1))
    layer = er.nn.Correlation(volume, 1, 1, kernel_size=3).double()
    f = torch.zeros(1, 1, 5, 7, 7, dtype=torch.float64)
    f[0, 0, 2, 3, 3] = 1.0
    answer = layer(f)[0, 0]
    assert answer[1, 3, 3].abs() > 1e-3
    thick = er.nn.Correlation(er.Volume(symmetry="translations", spacing=(3, 1, 1)), 1, 1, kernel_size=3)
    assert thick.domain.engine(thick.spec).margins([5, 7, 7]) == [1, 1, 1]
