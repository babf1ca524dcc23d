"""The pictures of the article show what they say."""

import math

import pytest
import torch

import erlangen as er
from erlangen.figures.camera import Camera
from erlangen.figures.letter import letter
from erlangen.figures.surfaces import strip_embedding


def test_smoothing_draws_the_signal_and_its_correlation():
    f = torch.sin(torch.arange(80) * 0.2)
    axis = er.figures.smoothing(f, spacing=0.1).axes[0]
    drawn = torch.tensor(axis.lines[1].get_ydata())
    line = er.Euclidean(1).grid(80, spacing=0.1)
    gaussian = er.correlate(
        line, lambda v: torch.exp(-(v[..., 0] ** 2) / 0.125) / math.sqrt(0.125 * math.pi), f.double()
    )
    torch.testing.assert_close(drawn, gaussian)
    with pytest.raises(ValueError, match=r"expected \(samples,\)"):
        er.figures.smoothing(torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("corners", "turned"),
    [
        (None, 90),
        # three corners of a quarter of the sphere: area pi, half a turn
        ([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [-0.5, math.sqrt(0.75), 0.0]], 120),
    ],
)
def test_round_a_triangle_a_vector_turns_by_the_area(corners, turned):
    corners = None if corners is None else torch.tensor(corners)
    axis = er.figures.parallel_transport(corners, pixels=80).axes[0]
    assert f"turned by {turned}°" in axis.get_title()


def test_the_exponential_map_keeps_lengths_along_rays(tmp_path):
    path = er.figures.exponential_map(radius=1.0, pixels=80, path=tmp_path / "exp.png")
    assert path.stat().st_size > 10_000


def test_round_the_strip_the_kernel_is_mirrored():
    axis = er.figures.round_the_strip(pixels=80).axes[0]
    first, last = (torch.tensor(axis.patches[i].get_xy()[:-1]) for i in (0, -1))
    assert (first - last).abs().max() > 0.1
    # the strip's coordinates of the letter, mirrored across the band
    strip = er.Moebius(2 * math.pi, 1.0)
    mirrored = 0.45 * letter() * torch.tensor([1.0, -1.0]).double() + torch.tensor([1.1, 0.0]).double()
    expected = Camera(-80, 42).seen(strip_embedding(strip.home(mirrored)))[:, :2]
    torch.testing.assert_close(last, torch.from_numpy(expected), rtol=0, atol=1e-6)
    dots = er.figures.round_the_strip(lambda v: torch.exp(-v.square().sum(-1)), pixels=80, places=2)
    assert len(dots.axes[0].collections) > 2


def test_a_lifted_field_shows_every_frame():
    F = torch.randn(8, 9, 9)
    canvas = er.figures.lifted(torch.rand(3, 9, 9), F)
    titles = [axis.get_title() for axis in canvas.axes if axis.get_title().startswith("F")]
    assert titles[1] == "F(x, 1): 45°"
    assert len(titles) == 8
    with pytest.raises(ValueError, match="take one of the batch"):
        er.figures.lifted(torch.rand(1, 3, 9, 9), F)
