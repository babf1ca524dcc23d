"""Lift, nonlinearity and projection by some channels at a time: the same answers, of less that is held."""

import copy

import pytest
import torch
from benchmarks.work import work_of
from torch import nn

import erlangen as er
from erlangen.engines import finer
from erlangen.nn import in_turn

C8, C16 = er.Plane(rotations=8), er.Plane(rotations=16)
D8 = er.Plane(rotations=8, reflections=True)
HOLES = C8.masked(torch.arange(13 * 10).view(13, 10) % 5 != 1)
REGULAR = {"in_field": "regular", "out_field": "regular"}


def lifting(domain, *layers, projection="mean", norm=True, kernel=5, **options):
    norms = [er.nn.Norm(domain, 5)] if norm else []
    return nn.Sequential(
        er.nn.Lift(domain, 3, 5, kernel, **options), *norms, *layers, er.nn.Project(domain, projection)
    )


def strip():
    return er.Moebius(2.0, 1.0).grid(18, 9)


def inner(domain, channels, **options):
    """In the middle of others, a correlation of regular fields, and what comes behind the projection."""
    layer = er.nn.Correlation(domain, 4, channels, 3, **REGULAR, **options)
    return nn.Sequential(
        er.nn.Lift(domain, 3, 4, 3),
        er.nn.ReLU(domain),
        nn.Sequential(layer, er.nn.Norm(domain, channels)),
        nn.Sequential(er.nn.SiLU(domain), er.nn.LowPass(domain)),
        er.nn.Project(domain),
        er.nn.Correlation(domain, channels, 2, 3),
    )


NETWORKS = {
    "as it is": lambda: lifting(C16, er.nn.ReLU(C16, oversampling=1)),
    "no norm, max": lambda: lifting(C16, er.nn.SiLU(C16), norm=False, projection="max"),
    "D8, max": lambda: lifting(D8, er.nn.ReLU(D8), projection="max"),
    "C6, torch's": lambda: lifting(er.Plane(rotations=6), nn.LeakyReLU(), nn.Dropout()),
    "gated": lambda: lifting(C8, er.nn.Gated(C8, 5), projection="max"),
    "low-passed": lambda: lifting(C8, er.nn.Gated(C8, 5, low_pass=True)),
    "polynomial": lambda: lifting(C8, er.nn.Polynomial(C8, 5, limit=0.5)),
    "cubic": lambda: lifting(C8, er.nn.Polynomial(C8, 5, degree=3)),
    "smoothed": lambda: lifting(C8, er.nn.SiLU(C8, oversampling=1), er.nn.LowPass(C8), bias=False),
    "stride": lambda: lifting(C8, er.nn.ReLU(C8), stride=2),
    "mirrored": lambda: lifting(C8, er.nn.ReLU(C8), padding_mode="reflect"),
    "solved": lambda: lifting(C8, er.nn.ReLU(C8), taps="solved"),
    "holes": lambda: lifting(HOLES, er.nn.ReLU(HOLES)),
    "point": lambda: lifting(C8, er.nn.ReLU(C8), kernel=1),
    "strip": lambda: lifting(strip(), er.nn.ReLU(strip(), oversampling=1), projection="max"),
    "inner": lambda: inner(C8, 6),
    "separable": lambda: inner(C8, 6, separable=True),
    "in groups": lambda: inner(C8, 6, groups=2),
    "each by itself": lambda: inner(C8, 4, groups=4),
}
NOT_CUT = {"C6, torch's"}  # dropout is not known to leave channels alone
SIZES = {"holes": (13, 10), "strip": (18, 9)}


def trained(name, dtype=torch.float32):
    torch.manual_seed(0)
    x = torch.randn(2, 3, *SIZES.get(name, (13, 10)))
    return er.verify.randomized(NETWORKS[name](), x).to(dtype).eval(), x.to(dtype)


@pytest.fixture
def cuts(monkeypatch):
    """The slices that were made; with room for hardly any channel."""
    made = []
    by_channels = in_turn._by_channels

    def seen(field, run, slices, parts):
        made.append(slices)
        return by_channels(field, run, slices, parts)

    monkeypatch.setattr(in_turn, "_by_channels", seen)
    monkeypatch.setattr(in_turn, "HELD", 1)
    monkeypatch.setattr(in_turn, "LEAST", 1)
    return made


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_those_of_the_whole(name, dtype, bound, cuts, monkeypatch):
    net, x = trained(name, dtype)
    frozen = er.freeze(net)
    with torch.no_grad():
        y = net(x)
        monkeypatch.setattr(in_turn, "HELD", 1 << 22)
        whole = frozen(x)
        assert not cuts
        for held in (1, 2 * 2 * 8 * 130, 3 * 2 * 8 * 130):
            monkeypatch.setattr(in_turn, "HELD", held)
            parts = frozen(x)
            assert parts.shape == y.shape
            scale = float(whole.abs().max())
            assert float((parts - whole).abs().max()) <= bound * scale
            assert float((parts - y).abs().max()) <= 5 * bound * scale
    assert bool(cuts) == (name not in NOT_CUT)


@pytest.mark.parametrize("options", [{}, {"depth": 0}, {"blocks": 2, "low_pass": True}, {"recompute": True}])
@pytest.mark.parametrize("projection", ["mean", "max"])
def test_the_end_of_a_network_is_cut(options, projection, cuts, monkeypatch):
    """As it is and frozen; while it learns, nothing is."""
    torch.manual_seed(0)
    net = er.models.UNet(C8, 3, 1, **{"width": 3, "depth": 1, "projection": projection, **options})
    x = torch.randn(2, 3, 11, 14)
    net = er.verify.randomized(net, x).eval()
    net(x).sum().backward()
    assert not cuts
    monkeypatch.setattr(in_turn, "HELD", 1 << 22)
    y = net(x).detach()
    monkeypatch.setattr(in_turn, "HELD", 1)
    for one in (net, er.freeze(net)):
        with torch.no_grad():
            assert float((one(x) - y).abs().max()) < 1e-5 * float(y.abs().max())
        assert len(cuts) == 1
        cuts.clear()


def test_little_is_held_at_once(monkeypatch):
    """Beside a plain convolution and ReLU of as many channels; small as it is, with less room than else."""
    side, channels = 48, 32
    monkeypatch.setattr(finer, "CHUNK", 1 << 10)  # which the processor's cache holds, not this small field
    x = torch.randn(1, 3, side, side)
    plain = nn.Sequential(nn.Conv2d(3, channels, 5, padding=2), nn.ReLU())
    for projection, oversampling in (("mean", 1), ("max", 2)):
        own = er.nn.ReLU(C16, oversampling=oversampling), er.nn.Project(C16, projection)
        net = er.freeze(nn.Sequential(er.nn.Lift(C16, 3, channels, 5), *own).eval())
        with torch.no_grad():
            most = work_of(lambda: plain(x)).peak
            assert work_of(lambda net=net: net(x)).peak > 10 * most
            with monkeypatch.context() as less:
                less.setattr(in_turn, "HELD", 16 * side * side)  # a channel
                assert work_of(lambda net=net: net(x)).peak <= 1.5 * most


def test_small_fields_are_one_call(cuts, monkeypatch):
    net, x = trained("as it is")
    frozen = er.freeze(net)
    with torch.no_grad():
        monkeypatch.setattr(in_turn, "HELD", 5 * 2 * 16 * 130)
        frozen(x)
        assert not cuts
        monkeypatch.setattr(in_turn, "HELD", 5 * 2 * 16 * 130 - 1)
        frozen(x)
        assert cuts == [[slice(0, 4), slice(4, 8)]]
        monkeypatch.setattr(in_turn, "HELD", 1)
        for least, size in ((16, 1), (17, 2), (80, 5)):
            cuts.clear()
            monkeypatch.setattr(in_turn, "LEAST", least)
            frozen(x)
            assert cuts == ([[slice(i, i + size) for i in range(0, 5, size)]] if size < 5 else [])


def test_what_is_watched_or_wanted_stays_whole(cuts):
    net, x = trained("gated")
    frozen = er.freeze(net)
    y = frozen(x.requires_grad_())
    y.sum().backward()
    assert not cuts
    seen = []
    handle = frozen[2].register_forward_hook(lambda _, given, made: seen.append(made.shape[1]))
    with torch.no_grad():
        frozen(x)
        assert (seen, cuts) == ([5], [])
        handle.remove()
        frozen(x)
    assert len(cuts) == 1


def test_a_forward_of_ones_own_is_not_cut(cuts):
    class Mixing(er.nn.ReLU):
        def forward(self, field):
            return super().forward(field - field.mean(1, keepdim=True))

    torch.manual_seed(0)
    net, x = lifting(C8, Mixing(C8)).eval(), torch.randn(1, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(er.freeze(net)(x), net(x), rtol=1e-5, atol=1e-6)
    assert not cuts


def test_spaces_whose_engines_would_see_the_field_anew_are_not_cut(cuts):
    ball = er.Sphere().grid(8, rotations=5)
    net = nn.Sequential(er.nn.Lift(ball, 2, 4), er.nn.ReLU(ball), er.nn.Project(ball)).eval()
    x = torch.randn(1, 2, *ball.shape)
    with torch.no_grad():
        torch.testing.assert_close(er.freeze(net)(x), net(x), rtol=1e-5, atol=1e-6)
    assert not cuts


def test_states_that_are_loaded_and_casts_are_those_of_the_parts(cuts):
    net, x = trained("gated")
    other = copy.deepcopy(net)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(1.5)
        frozen = er.freeze(net)
        frozen(x)
        frozen.load_state_dict(other.state_dict())
        torch.testing.assert_close(frozen(x), other(x), rtol=1e-5, atol=1e-5)
        half = frozen.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert len(cuts) == 3
