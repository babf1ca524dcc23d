"""A defect's sources come out as they were put in."""

import copy
import functools
import math

import numpy as np
import pytest
import torch
from torch import nn

import erlangen as er
from erlangen.domains import Symmetry
from erlangen.engines import fold
from erlangen.train.scenes import draw
from erlangen.verify.border import beyond_reach, reach_of
from erlangen.verify.round_taps import RoundTaps, with_round_taps
from erlangen.verify.shifted_means import End, mean_over_shifts, round_band

PLANE = er.Plane(rotations=8)
REGULAR = {"in_field": "regular", "out_field": "regular"}
SOURCES = ["taps", "fibre", "nonlinearity in space", "strides"]


def scene(seed: int, size: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """A drawn photograph, and where its apples are."""
    image, truth = draw(size, np.random.default_rng(seed))
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, torch.from_numpy(truth)[
        None, None
    ].float()


def fine(seed: int, size: int = 48) -> torch.Tensor:
    """Structure down to a few pixels, that can be turned."""
    noise = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    band = round_band((size, size), 1.6 * torch.eye(2, dtype=torch.float64))
    x = torch.fft.irfft2(torch.fft.rfft2(noise) * band, s=(size, size))
    return 0.5 + 0.3 * x / x.std()


@functools.cache
def trained() -> nn.Module:
    """A small network after a few steps on drawn scenes."""
    torch.manual_seed(0)
    net = er.models.UNet(PLANE, 3, 1, width=3, depth=1, kernel_size=3, separable=False, oversampling=1)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-2)
    for step in range(40):
        x, truth = scene(step % 6)
        loss = nn.functional.binary_cross_entropy_with_logits(net(x), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval().double().requires_grad_(False)


@functools.cache
def split() -> er.verify.Budget:
    x = fine(0)
    elements = [er.domains.Symmetry(f"turn {a:g}", PLANE.turn(a), a == 90, True) for a in (22.5, 45, 90)]
    return er.verify.budget(trained(), x, PLANE, elements, show=False)


def test_a_trained_network_is_split_into_all_that_it_has():
    between, eighth, quarter = split().lines
    assert [part.source for part in between.parts] == [*SOURCES, "border"]
    assert [part.source for part in eighth.parts] == ["taps", "nonlinearity in space", "strides", "border"]
    assert quarter.parts == ()
    assert quarter.defect < 1e-12
    assert quarter.whole < 1e-12
    for line in (between, eighth):
        assert line.defect > 0.1
        assert line.left < 0.25 * line.defect
        squares = [part.only**2 for part in line.parts if part.only is not None]
        assert 0.6 < math.sqrt(sum(squares)) / line.defect < 1.4
        assert all(part.own > 1e-3 for part in line.parts if part.source != "border")
    assert between.part("taps").left < between.defect


def test_the_module_is_as_it_was():
    net, x = trained(), scene(3)[0].double()
    before, names = net(x), {name: set(vars(part)) for name, part in net.named_modules()}
    er.verify.budget(net, x, PLANE, [PLANE.turn(22.5)], only=False, show=False)
    assert torch.equal(net(x), before)
    assert {name: set(vars(part)) for name, part in net.named_modules()} == names
    with pytest.raises(RuntimeError), er.verify.ideals.without(net, SOURCES):
        raise RuntimeError
    assert torch.equal(net(x), before)


def test_a_linear_network_has_taps_only():
    torch.manual_seed(0)
    net = nn.Sequential(er.nn.Lift(PLANE, 3, 4, 3), er.nn.Correlation(PLANE, 4, 4, 3, **REGULAR)).double()
    line = er.verify.budget(net, fine(0), PLANE, [PLANE.turn(22.5)], show=False).lines[0]
    assert [part.source for part in line.parts] == ["taps", "border"]
    assert line.part("taps").left == line.left < 0.25 * line.defect
    assert line.part("taps").own == pytest.approx(line.defect, rel=0.2)


def test_what_has_no_edge_has_no_border():
    torus = er.FlatTorus((16.0, 16.0)).grid(16, 16)
    torch.manual_seed(0)
    net = er.models.UNet(torus, 1, 1, width=3, depth=1, kernel_size=3).double().eval()
    half = torch.eye(3, dtype=torch.float64)
    half[0, 2] = 1.0
    x = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    (line,) = er.verify.budget(net, x, torus, [half], show=False).lines
    assert [part.source for part in line.parts] == ["nonlinearity in space", "strides"]
    assert line.share is None
    assert line.left < 0.2 * line.defect


def test_the_border_is_told_apart():
    budget = split()
    assert budget.reach == reach_of(trained()) == trained().receptive_radius
    assert budget.is_mirrored is False
    line = budget.lines[0]
    assert 0.5 < line.share < 1
    assert line.part("border").left < 1.1 * line.whole
    bright = er.verify.budget(trained(), 3 + fine(0), PLANE, [PLANE.turn(22.5)], only=False, show=False)
    assert bright.lines[0].part("border").own > 3 * line.part("border").own  # beyond the edges it is dark
    assert "within reach of the border" in str(budget)
    small = er.verify.budget(trained(), fine(7, 24), PLANE, [PLANE.turn(45)], show=False)
    assert small.is_mirrored
    assert small.lines[0].share == 1
    assert "mirror image" in str(small)


def test_beyond_reach_nothing_of_the_edge_is_seen():
    net, x = trained(), scene(5)[0].double()
    g = Symmetry("turn 30", PLANE.turn(30), False, True)
    clear = beyond_reach(PLANE, g, (40, 40), reach_of(net), [True, True])
    frame = torch.ones_like(x, dtype=torch.bool)
    frame[..., 1:-1, 1:-1] = False
    other = torch.where(frame, 1 - x, x)
    here, there = (PLANE.act(g.matrix, net(f)) for f in (x, other))
    assert not torch.equal(here, there)
    assert torch.equal(here[..., clear], there[..., clear])
    assert torch.equal(*(net(PLANE.act(g.matrix, f))[..., clear] for f in (x, other)))


@pytest.mark.parametrize("symmetry", [8, None])
@pytest.mark.parametrize("separable", [False, True])
def test_round_taps_turn_by_any_angle(symmetry, separable):
    plane = er.Plane(rotations=symmetry)
    torch.manual_seed(0)
    layer = er.nn.Correlation(
        plane, 2, 3, 5, separable=separable, in_field=plane.default_field, out_field=plane.default_field
    ).double()
    nn.init.normal_(layer.weight)
    field = torch.randn(1, 2, *([8] if symmetry else []), 41, 40, dtype=torch.float64)
    layer.requires_grad_(False)
    mean = layer(field)
    rounded = with_round_taps(layer)(field)
    assert rounded.shape == mean.shape
    assert 1e-4 < float((rounded - mean).norm() / mean.norm()) < 0.7
    quarter = plane.turn(90)
    moved = with_round_taps(layer)(plane.act(quarter, field, plane.default_field))
    assert torch.allclose(moved, plane.act(quarter, rounded, plane.default_field), atol=1e-10)


def test_round_taps_are_the_taps_of_long_waves():
    """Of a kernel that samples hold well nothing changes."""
    layer = er.nn.Correlation(er.Plane(), 1, 1, 9, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()[0, 0, 0] = 1.0
    layer.requires_grad_(False)
    x = torch.randn(1, 1, 65, 65, dtype=torch.float64)
    smooth = torch.fft.irfft2(
        torch.fft.rfft2(x) * round_band((65, 65), 4 * torch.eye(2).double()), s=(65, 65)
    )
    a, b = (f(smooth)[..., 16:-16, 16:-16] for f in (layer, with_round_taps(layer)))
    assert float((a - b).norm() / a.norm()) < 1e-2


def test_taps_in_three_dimensions_and_strides_that_have_none():
    space = er.Euclidean(3, "isometries").grid(9, 9, 9)
    layer = er.nn.Correlation(space, 1, 1, 3, dtype=torch.float64)
    x = torch.randn(1, 1, 9, 9, 9, dtype=torch.float64)
    assert with_round_taps(layer)(x).shape == layer(x).shape
    strided = er.nn.Correlation(PLANE, 1, 1, 3, stride=2)
    assert not RoundTaps.differs_from(strided.domain.engine(strided.spec))


def test_a_mean_over_shifts_is_the_function_at_more_samples():
    torus = er.FlatTorus((15.0, 15.0)).grid(15, 15)
    relu = er.nn.ReLU(torus)
    x = torch.randn(1, 2, 15, 15, dtype=torch.float64)
    end = End(torus, relu.rho)
    found = mean_over_shifts(relu, end, end)(x)
    finer = torch.relu(_resampled(x, 30))
    assert torch.allclose(found, _resampled(finer, 15), atol=1e-12)
    assert fold(found, relu.rho).shape == x.shape


def _resampled(x: torch.Tensor, size: int) -> torch.Tensor:
    """The trigonometric polynomial through the samples at others, or the part that fits on those."""
    old, half = x.shape[-1], 7
    X = torch.fft.fft2(x)
    Y = X.new_zeros(*x.shape[:-2], size, size)
    for i in range(-half, half + 1):
        for j in range(-half, half + 1):
            Y[..., i, j] = X[..., i, j]
    return torch.fft.ifft2(Y).real * (size / old) ** 2


def test_harmonics_refine_space_and_fibre_together():
    sphere = er.Sphere().grid(8, rotations=5)
    torch.manual_seed(0)
    net = er.verify.randomized(er.models.UNet(sphere, 1, 1, width=2, depth=1)).double()
    z = sphere.points
    x = (z[..., 0] * z[..., 1] + z[..., 2])[None, None]
    tilt = er.groups.SO(3).exp(torch.tensor([0.3, 0.4, 0.5], dtype=torch.float64))
    (line,) = er.verify.budget(net, x, sphere, [tilt], show=False).lines
    assert [part.source for part in line.parts] == ["nonlinearity"]
    assert line.left < 0.6 * line.defect
    assert line.share is None


def test_other_samples_are_split_by_finer_ones():
    coarse, fine = er.Sphere().healpix(4), er.Sphere().healpix(8)
    torch.manual_seed(0)
    net = er.nn.Correlation(coarse, 1, 2, radius=0.8, dtype=torch.float64).requires_grad_(False)
    z = coarse.points
    x = (z[..., 0] * z[..., 1] + z[..., 2])[None, None]
    tilt = er.groups.SO(3).exp(torch.tensor([0.3, 0.4, 0.5], dtype=torch.float64))
    (line,) = er.verify.budget(net, x, coarse, [tilt], finer=fine, show=False).lines
    assert [part.source for part in line.parts] == ["finer samples"]
    assert line.part("finer samples").left < 0.6 * line.defect


def test_invariants_are_split_too():
    torch.manual_seed(0)
    net = er.models.Classifier(PLANE, 3, 4, width=3, depth=1).double().eval()
    r = er.Plane(shape=(48, 48)).points.norm(dim=-1)
    x = fine(0) * torch.sin(math.pi / 2 * ((22 - r) / 8).clamp(0, 1)) ** 2
    (line,) = er.verify.budget(net, x, PLANE, [PLANE.turn(22.5)], show=False).lines
    assert line.left < line.defect
    assert line.output is None


def test_table_plot_and_page(tmp_path):
    budget = split()
    text = str(budget)
    for word in [*SOURCES, "border", "not separated", "its own", "only it", "turn 22.5"]:
        assert word in text
    assert budget.plot(tmp_path / "sources.png").stat().st_size > 1000
    table, picture = budget.html()
    assert "not separated" in table
    assert picture.startswith("<img")


def test_frozen_networks_are_refused():
    with pytest.raises(ValueError, match="frozen"):
        er.verify.budget(er.freeze(trained()), fine(0), PLANE, show=False)


def test_constants_are_refused():
    net = copy.deepcopy(trained())
    nn.init.zeros_(net.head.weight)
    with pytest.raises(er.verify.Constant, match="does not vary"):
        er.verify.budget(net, fine(0), PLANE, show=False)
