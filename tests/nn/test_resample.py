"""Half the samples and back."""

import math
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import erlangen as er

PLANE = er.Plane()


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 12), (2, 3), (1, 5)], ids=str)
def test_there_and_back_keeps_sizes_constants_and_the_centre(size):
    down, up = er.nn.Down(PLANE), er.nn.Up(PLANE)
    f = torch.full((1, 1, *size), 3.0).double()
    coarse = down(f)
    assert coarse.shape[2:] == tuple(-(-n // 2) for n in size)
    torch.testing.assert_close(coarse, torch.full_like(coarse, 3.0))
    torch.testing.assert_close(up(coarse, size), f)
    x = torch.randn(2, 3, *size).double()
    for moved, back in ((x.flip(-1), -1), (x.flip(-2), -2)):
        torch.testing.assert_close(down(moved), down(x).flip(back), rtol=0, atol=1e-13)
        torch.testing.assert_close(up(down(moved), size), up(down(x), size).flip(back), rtol=0, atol=1e-13)
    turned = down(torch.rot90(x, 1, (-2, -1)))
    torch.testing.assert_close(turned, torch.rot90(down(x), 1, (-2, -1)), rtol=0, atol=1e-13)


def test_linear_functions_survive_in_the_middle():
    """The coarse samples lie where they say: a ramp stays the ramp."""
    for size in (32, 33):
        points = er.Plane(shape=(size, size)).points
        ramp = (2 * points[..., 0] - points[..., 1])[None, None]
        back = er.nn.Up(PLANE)(er.nn.Down(PLANE)(ramp), (size, size))
        torch.testing.assert_close(back[..., 6:-6, 6:-6], ramp[..., 6:-6, 6:-6], rtol=0, atol=1e-12)


def test_the_finest_pattern_is_not_aliased():
    checkers = (torch.arange(32) % 2 * 2.0 - 1)[:, None] * torch.ones(32)
    assert float(er.nn.Down(PLANE)(checkers[None, None]).abs()[..., 2:-2, :].max()) < 0.05


def test_a_size_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="an axis of 4 samples cannot become 9, expected 7 or 8"):
        er.nn.Up(PLANE)(torch.randn(1, 1, 4, 4), (9, 8))
    with pytest.raises(ValueError, match="choose sizes divisible by 2"):
        er.nn.Down(PLANE, exact_shifts=True)(torch.randn(1, 1, 5, 4))
    with pytest.raises(ValueError, match="has no coarser samples: the grid has 1 latitudes"):
        er.nn.Down(er.Sphere().grid(2, 4))


def test_a_shift_moves_the_phase():
    down, up = er.nn.Down(PLANE, exact_shifts=True), er.nn.Up(PLANE, circular=True)
    x = torch.randn(2, 3, 8, 12).double()
    coarse, phase = down(x)
    back = up(coarse, (8, 12), phase)
    for shift in [(0, 1), (1, 0), (3, 5)]:
        moved, moved_phase = down(x.roll(shift, (-2, -1)))
        assert not torch.equal(moved_phase, phase) or all(s % 2 == 0 for s in shift)
        again = up(moved, (8, 12), moved_phase)
        torch.testing.assert_close(again, back.roll(shift, (-2, -1)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "max"])
@pytest.mark.parametrize("size", [(9, 9), (10, 7)], ids=str)
def test_pools_commute_with_turns_at_every_size(reduction, size):
    pool = er.nn.Pool(PLANE, reduction)
    x = torch.randn(1, 2, *size).double()
    turned = pool(torch.rot90(x, 1, (-2, -1)))
    torch.testing.assert_close(turned, torch.rot90(pool(x), 1, (-2, -1)), rtol=0, atol=1e-13)


def test_the_cylinder_resamples_across_its_seam():
    cylinder = er.Cylinder(8.0, 4.0).grid(8, 4)
    down, up = er.nn.Down(cylinder), er.nn.Up(cylinder)
    f = torch.randn(1, 1, 8, 4).double()
    torch.testing.assert_close(down(f.roll(2, -2)), down(f).roll(1, -2), rtol=0, atol=1e-12)
    back = up(down(f), (8, 4))
    torch.testing.assert_close(up(down(f.roll(2, -2)), (8, 4)), back.roll(2, -2), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="is no periodic grid, expected even sizes there"):
        er.nn.Down(er.Cylinder(8.0, 4.0).grid(7, 4))(torch.randn(1, 1, 7, 4))


def test_maximum_pooling_goes_round():
    torus = er.FlatTorus((8.0, 8.0)).grid(8, 8)
    pool, f = er.nn.Pool(torus, "max"), torch.randn(1, 1, 8, 8).double()
    torch.testing.assert_close(pool(f.roll(2, -1)), pool(f).roll(1, -1))


class _Counted(TorchDispatchMode):
    """Counts what torch is asked to do, views left out."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.found[operation.name().removeprefix("aten::")] += not operation.is_view
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [(32, 32), (31, 47)], ids=str)
def test_no_constant_is_made_at_a_size_met_before(size):
    down, x = er.nn.Down(PLANE), torch.randn(2, 3, *size)
    down(x)
    with _Counted() as counted:
        down(x)
    found = {name for name, times in counted.found.items() if times}
    assert found <= {"mul.Tensor", "clone", "convolution", "expand"}, found
    assert counted.found.total() <= 6


def test_the_visible_part_is_as_exact_in_half_precision():
    """Constants stay at the border under autocast as well, whatever it was asked first."""
    down, x = er.nn.Down(PLANE), torch.ones(1, 1, 43, 38)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = down(x)
    torch.testing.assert_close(first.float(), torch.ones_like(first).float(), rtol=0, atol=1e-2)
    torch.testing.assert_close(down(x), torch.ones(1, 1, 22, 19), rtol=0, atol=1e-6)


# band-limited


def wave(k: float, angle: float, size: int) -> torch.Tensor:
    """cos of a wave number and direction about the centre, and its points."""
    p = er.Plane(shape=(size, size)).points
    return torch.cos(k * (p[..., 0] * math.cos(angle) + p[..., 1] * math.sin(angle)))[None, None]


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4])
def test_what_coarse_samples_hold_is_kept_and_what_would_alias_is_not(size, angle):
    """Against the waves themselves at the coarse samples, which lie about the same centre."""
    half = -(-size // 2)
    coarse = 2 * er.Plane(shape=(half, half)).points
    inner = (..., slice(6, -6), slice(6, -6))
    for name, kept, lost in (("band-limited", 0.011, 0.01), ("gaussian", 0.11, 0.06)):
        down = er.nn.Down(PLANE, resampling=name)
        for k in (0.2, 0.35, 0.5):
            expected = torch.cos(k * (coarse[..., 0] * math.cos(angle) + coarse[..., 1] * math.sin(angle)))
            assert float((down(wave(k, angle, size))[0, 0] - expected)[inner].abs().max()) < kept
        alias = down(wave(math.pi - 0.4, 0.0, size))
        assert float(alias[inner].abs().max()) < lost


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 12), (2, 3), (1, 5)], ids=str)
def test_band_limited_there_and_back_keeps_constants(size):
    down, up = (layer(PLANE, resampling="band-limited") for layer in (er.nn.Down, er.nn.Up))
    f = torch.full((1, 1, *size), 3.0).double()
    torch.testing.assert_close(down(f), torch.full_like(down(f), 3.0))
    torch.testing.assert_close(up(down(f), size), f)


@pytest.mark.parametrize("size", [40, 41])
def test_band_limited_there_and_back_keeps_lines_straight(size):
    points = er.Plane(shape=(size, size)).points
    ramp = (2 * points[..., 0] - points[..., 1])[None, None]
    coarse = er.nn.Down(PLANE, resampling="band-limited")(ramp)
    back = er.nn.Up(PLANE, resampling="band-limited")(coarse, (size, size))
    inner = (..., slice(12, -12), slice(12, -12))
    torch.testing.assert_close(back[inner], ramp[inner], rtol=0, atol=1e-12)


def test_band_limited_across_seams():
    torus = er.FlatTorus((8.0, 12.0)).grid(8, 12)
    down, up = (layer(torus, resampling="band-limited") for layer in (er.nn.Down, er.nn.Up))
    f = torch.randn(1, 1, 8, 12).double()
    back = up(down(f), (8, 12))
    torch.testing.assert_close(up(down(f.roll((2, 4), (-2, -1))), (8, 12)), back.roll((2, 4), (-2, -1)))
    strip = er.Moebius(16.0, 5.0).grid(16, 5)
    down, up = (layer(strip, resampling="band-limited") for layer in (er.nn.Down, er.nn.Up))
    f = torch.full((1, 1, *([2] * (strip.fibre is not None)), 16, 5), 2.0).double()
    torch.testing.assert_close(up(down(f), (16, 5)), f)


def test_where_band_limits_are_unknown_they_are_refused():
    with pytest.raises(
        ValueError, match=r'resampling="band-limited" on .*, expected one of gaussian; the others'
    ):
        er.nn.Down(er.Sphere().grid(8), resampling="band-limited")
    with pytest.raises(ValueError, match="with exact_shifts=True: the phase is chosen after a Gaussian"):
        er.nn.Down(PLANE, exact_shifts=True, resampling="band-limited")
    with pytest.raises(ValueError, match="cannot become 9, expected 7 or 8"):
        er.nn.Up(PLANE, resampling="band-limited")(torch.randn(1, 1, 4, 4), (9, 8))
