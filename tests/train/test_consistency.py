"""Crops shown twice, the second time turned, and a loss that asks logits to turn with them."""

import copy
import math

import numpy as np
import pytest
import torch
from PIL import Image

import erlangen as er
from erlangen.train import Loss, Settings, Task
from erlangen.train.crops import Crops
from erlangen.train.fit import default_network
from erlangen.train.images import as_bytes, turned
from erlangen.train.turning import INSIDE, inconsistency

WAVES = ((0.11, 0.02, 0.3), (-0.05, 0.13, 1.1), (0.07, 0.09, 2.0))  # per sample, and a phase
ANGLES = torch.tensor([0.3, -1.1, 2.5])


def waves(angle: float, side: int, channels: int = 1) -> torch.Tensor:
    """A smooth field turned counter-clockwise as photographs are, whose second axis points down."""
    y, x = (torch.arange(side) - (side - 1) / 2 for _ in range(2))
    y, x = y[:, None], x[None]
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = cos * x - sin * y, sin * x + cos * y
    fields = [sum(torch.cos(a * u + b * v + p + c) for a, b, p in WAVES) for c in range(channels)]
    return torch.stack(fields)


def pairs(side: int, channels: int = 1) -> torch.Tensor:
    upright, there = (
        torch.stack([waves(a, side, channels) for a in angles.tolist()]) for angles in (0 * ANGLES, ANGLES)
    )
    return torch.cat([upright, there])


@pytest.mark.parametrize(("side", "channels"), [(32, 1), (33, 4)])
def test_logits_that_turn_cost_nothing_and_others_as_much_as_they_differ(side, channels):
    logits = pairs(side, channels)
    assert inconsistency(logits, ANGLES) < 1e-6 * logits.var()
    torch.testing.assert_close(
        inconsistency(logits + 7, ANGLES), inconsistency(logits, ANGLES), rtol=1, atol=1e-6
    )
    assert inconsistency(logits, -ANGLES) > 0.1 * logits.var()
    assert inconsistency(logits, ANGLES + math.pi) > 0.1 * logits.var()
    noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    both = logits + torch.cat([torch.zeros_like(noise[:3]), 0.1 * noise[3:]])
    assert inconsistency(both, ANGLES) == pytest.approx(0.01, rel=0.1)  # however large a crop or a batch is


def test_what_lies_beyond_the_disc_does_not_count():
    logits = pairs(32)
    y = torch.arange(32) - 15.5
    outside = torch.hypot(y[:, None], y) > INSIDE * 16
    logits[3:, :, outside] = 1e3
    assert inconsistency(logits, ANGLES) < 1e-5


def test_logits_of_whole_photographs_are_to_stay():
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    assert inconsistency(logits, ANGLES[:2]) == 0
    logits[3, 0] += 1
    assert inconsistency(logits, ANGLES[:2]) == pytest.approx(1 / 10)


def photograph(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth one, and where it is bright."""
    field = waves(0.4, max(height, width), 3)[:, :height, :width]
    image = (127 + 40 * field).round().to(torch.uint8)
    return image, (image[0] > 127).to(torch.uint8)


@pytest.mark.parametrize(
    ("height", "width", "crop", "more"),
    [
        (96, 80, 40, {}),
        (97, 80, 41, {"quarter_turns": True}),
        (40, 200, 48, {"flips": False}),
        (96, 80, 32, {"zoom": 0.3}),
        (96, 80, 40, {"turns": 30.0}),
    ],
)
@pytest.mark.parametrize("batch", [6, 7])
def test_the_last_half_of_a_batch_is_the_first_turned(batch, height, width, crop, more):
    """By Pillow, which shares no code: the same centre, the same colours, the angle counter-clockwise."""
    image, truth = photograph(height, width)
    crops = Crops([image], [truth], Settings(crop=crop, batch=batch, consistency=1.0, **more))
    x, y, angles = crops.batch()
    assert x.shape == (batch, 3, crop, crop)
    assert y.shape == (batch, crop, crop)
    assert len(angles) == 3
    assert angles.abs().max() > 0.5
    far = torch.arange(crop) - (crop - 1) / 2
    disc = torch.hypot(far[:, None], far) < crop / 2 - 2
    for k, angle in enumerate(angles.tolist()):
        low, high = x[k].min(), x[k].max()
        scaled = (255 * (x[k] - low) / (high - low)).round().byte()
        as_image = Image.fromarray(scaled.permute(1, 2, 0).numpy())
        expected = as_bytes(turned(as_image, math.degrees(angle))) / 255 * (high - low) + low
        error = (x[k - 3] - expected)[:, disc].abs()
        assert error.mean() < 0.004 * (high - low)
        classes = Image.fromarray(255 * y[k].numpy()).rotate(math.degrees(angle), Image.Resampling.BICUBIC)
        same = (torch.tensor(np.array(classes)) > 127) == y[k - 3]
        assert same[disc].float().mean() > 0.95


def test_a_photograph_with_one_class_keeps_it():
    image, _ = photograph(60, 50)
    crops = Crops(
        [image, image], [torch.tensor(1), torch.tensor(0)], Settings(crop=60, batch=4, consistency=2)
    )
    x, y, _ = crops.batch()
    assert x.shape == (4, 3, 60, 60)
    assert y[:2].tolist() == y[2:].tolist()


@pytest.mark.parametrize("dense", [True, False])
def test_a_training_minimizes_it(dense):
    """The loss of a step is that of its crops, and so many times their inconsistency."""
    task = Task() if dense else Task(("a", "b", "c"), dense=False)
    if dense:
        images, truths = zip(*(photograph(48 + i, 52) for i in range(3)), strict=True)
    else:
        images = [photograph(48 + i, 52)[0] for i in range(3)]
        truths = [torch.tensor(k, dtype=torch.uint8) for k in range(3)]
    settings = Settings().changed(crop=24, batch=4, consistency=30.0, lr=1e-3, width=2, depth=1)
    torch.manual_seed(0)
    model = er.train.Predictor(default_network(task, settings), task=task)
    loss = Loss(task, consistency=settings.consistency)
    training = er.train.Training(model, loss, Crops(list(images), list(truths), settings), settings, None)
    x, y, angles = Crops(list(images), list(truths), settings).batch()  # those of the first step
    logits = copy.deepcopy(model).train()(x).detach()
    expected = Loss(task)(logits, y) + 30 * inconsistency(logits, angles)
    training.advance()
    assert training.losses == pytest.approx([float(expected)], rel=1e-5)
    assert expected > Loss(task)(logits, y) + 0.01


def test_settings_reach_the_loss(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(4):
        image, truth = photograph(40, 40)
        Image.fromarray(image.roll(i, 2).permute(1, 2, 0).numpy()).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(255 * truth.roll(i, 1).numpy()).save(tmp_path / "masks" / f"{i}.png")
    settings = Settings().changed(steps=2, crop=16, batch=2, width=2, depth=1, consistency=5.0)
    training = er.train.prepare(tmp_path, settings)
    assert training.loss.consistency == 5.0
    assert "consistency 5" in training.facts()["loss"]
    assert len(training.run().history) > 0


def test_a_crop_without_a_second_view_counts_in_the_other_losses_only():
    logits, lone = pairs(32), torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with_it = torch.cat([logits[:3], lone, logits[3:]])
    assert inconsistency(with_it, ANGLES) == inconsistency(logits, ANGLES)


def test_a_round_shows_every_photograph():
    """Half as many crops, half as many photographs a step."""
    for batch, steps in ((8, 30), (7, 30), (2, 120)):
        assert Settings(epochs=3, batch=batch, consistency=1.0).total_steps(40) == steps
    assert Settings(epochs=3, batch=8, consistency=0.0).total_steps(40) == 15


def test_it_is_refused_where_it_cannot_be():
    with pytest.raises(
        ValueError, match=r"batch is 1 .* expected at least 2; take batch=2, or consistency=0"
    ):
        Settings(batch=1, consistency=1.0)
    with pytest.raises(ValueError, match="consistency is -1"):
        Settings(consistency=-1.0)
