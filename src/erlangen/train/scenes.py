"""Scenes to learn from where there are no photographs: apples in a tree, lit from above.

Drawn, not photographed, but with what makes such photographs hard: apples of many sizes and shades, half
hidden behind leaves, in sun and in shadow; and with what makes them turn badly: light, sky and branches know
where up is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from erlangen.arguments import Count, Range, checked
from erlangen.train.data import Photographs

Array = np.ndarray
Pixels = Annotated[int, Range(8, 8192)]
Seed = Annotated[int, Range(0)]
LIGHT = np.array([0.35, 0.75, 0.55]) / np.linalg.norm([0.35, 0.75, 0.55])  # x right, y up, z to us
SKINS = (  # shaded side, sunlit side
    ((0.42, 0.06, 0.07), (0.86, 0.20, 0.14)),
    ((0.50, 0.13, 0.06), (0.93, 0.42, 0.20)),
    ((0.45, 0.30, 0.06), (0.93, 0.74, 0.25)),
    ((0.30, 0.36, 0.08), (0.72, 0.78, 0.30)),
)
GREENS = ((0.10, 0.20, 0.06), (0.16, 0.32, 0.09), (0.25, 0.42, 0.12), (0.38, 0.50, 0.18))


@dataclass
class Canvas:
    """A picture in progress, and what of it is apple."""

    colour: Float[Array, "size size 3"]
    apple: Float[Array, "size size"]

    def paint(self, window: tuple[slice, slice], colour: Array, alpha: Array, apple: float) -> None:
        """Lay colour over a window, with its coverage alpha."""
        a = alpha[..., None]
        self.colour[window] = (1 - a) * self.colour[window] + a * colour
        self.apple[window] = (1 - alpha) * self.apple[window] + alpha * apple


@checked
def generate(folder: str | Path, count: Count, *, size: Pixels = 128, seed: Seed = 0) -> Photographs:
    """Draw `count` scenes into ``folder/images`` and ``folder/masks``.

    Args:
        folder: made if it is missing.
        count: the number of scenes.
        size: their side in pixels; drawn at twice that, then shrunk.
        seed: scene i depends only on seed and i.
    """
    images, masks = Path(folder) / "images", Path(folder) / "masks"
    for inside in (images, masks):
        inside.mkdir(parents=True, exist_ok=True)
    names = [f"scene{i:04}.png" for i in range(count)]
    for i, name in enumerate(names):
        colour, apple = draw(size, np.random.default_rng([seed, i]))
        Image.fromarray((colour * 255).astype(np.uint8)).save(images / name)
        Image.fromarray(np.where(apple > 0.5, 255, 0).astype(np.uint8)).save(masks / name)
    return Photographs(tuple(images / name for name in names), tuple(masks / name for name in names))


@checked
def example(size: Pixels = 128, seed: Seed = 0) -> Float[Tensor, "1 3 size size"]:
    """One drawn scene within [0, 1], to try a network on."""
    colour, _ = draw(size, np.random.default_rng(seed))
    return torch.from_numpy(colour).permute(2, 0, 1)[None].float()


def example_volume(channels: int = 1, size: int = 32, seed: int = 0) -> Float[Tensor, "1 channel *space"]:
    """Some soft balls within [0, 1], to try a network of volumes on."""
    random = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), -1)
    volume = np.zeros((channels, size, size, size))
    for _ in range(12):
        centre, radius = random.uniform(0, size, 3), random.uniform(0.08, 0.2) * size
        ball = np.exp(-((np.square(place - centre).sum(-1) / radius**2) ** 2))
        volume += random.uniform(-1, 1, channels)[:, None, None, None] * ball
    return torch.from_numpy(0.5 + 0.5 * np.tanh(volume))[None].float()


def draw(size: int, random: np.random.Generator) -> tuple[Array, Array]:
    """One scene: colours ``(size, size, 3)`` in [0, 1], and the share of each pixel that is apple."""
    side = 2 * size
    canvas = Canvas(_backdrop(side, random), np.zeros((side, side)))
    for _ in range(int(1.1 * side)):
        _leaf(canvas, random, depth=0.55)
    for _ in range(random.integers(2, 6)):
        _branch(canvas, random)
    for _ in range(int(0.5 * side)):
        _leaf(canvas, random, depth=0.8)
    for _ in range(random.integers(2, 9)):
        _apple(canvas, random)
        for _ in range(random.integers(0, 5)):
            _leaf(canvas, random, depth=1.0)
    for _ in range(int(0.22 * side)):
        _leaf(canvas, random, depth=1.0)
    return _photograph(canvas, size, random)


def _backdrop(side: int, random: np.random.Generator) -> Array:
    """Sky above, dark foliage in the middle, ground below, all out of focus."""
    height = np.linspace(1, 0, side)[:, None]
    cloud = _noise(side, (3, 6, 12, 24), random)
    sky = np.array([0.62, 0.76, 0.93]) + 0.18 * cloud[..., None]
    wood = np.array([0.09, 0.14, 0.06]) * (1 + 0.8 * cloud[..., None])
    ground = np.array([0.35, 0.31, 0.18]) * (1 + 0.4 * cloud[..., None])
    openness = 1 / (1 + np.exp(-(height - 0.78 + 0.35 * _noise(side, (4, 9, 19), random)) * 14))
    earth = 1 / (1 + np.exp((height - 0.12 + 0.08 * cloud) * 30))
    picture = wood + openness[..., None] * (sky - wood)
    return np.clip(picture + earth[..., None] * (ground - picture), 0, 1)


def _leaf(canvas: Canvas, random: np.random.Generator, depth: float) -> None:
    """A pointed ellipse with a midrib; brighter the nearer and the more it faces the light."""
    side = len(canvas.apple)
    length = side * random.uniform(0.025, 0.055) * depth
    angle = random.normal(-0.5 * np.pi, 0.9)  # leaves hang
    along, across, window = _local(side, random.uniform(-0.02, 1.02, 2) * side, length, angle)
    if along is None:
        return
    half = 0.42 * length * np.clip(1 - (along / length) ** 2, 0, 1) ** 0.8
    alpha = np.clip((half - np.abs(across)) + 0.5, 0, 1) * (np.abs(along) < length)
    facing = random.beta(2.0, 2.0)
    green = _between(GREENS, facing) * random.normal(1, 0.12, 3).clip(0.7, 1.4)
    fold = 1 + 0.22 * np.sign(across) * np.cos(angle)
    shine = 0.25 * facing**3 * np.exp(-((across / (0.3 * length)) ** 2))
    rib = 1 + 0.25 * np.exp(-((across / (0.03 * length + 0.5)) ** 2))
    light = (0.35 + 0.65 * depth) * fold * rib
    canvas.paint(window, green * light[..., None] + shine[..., None] * depth, alpha, 0.0)


def _branch(canvas: Canvas, random: np.random.Generator) -> None:
    """A bent rod from below or the side, growing upwards."""
    side = len(canvas.apple)
    place = np.array([random.uniform(0, side), random.uniform(0.5, 1.1) * side])
    angle = random.normal(0.5 * np.pi, 0.5)
    width = side * random.uniform(0.008, 0.03)
    bark = np.array([0.42, 0.36, 0.29]) * random.uniform(0.7, 1.25)
    for _ in range(int(random.uniform(0.4, 1.3) * side / 4)):
        along, across, window = _local(side, place, 3 * width + 4, angle)
        if along is not None:
            alpha = np.clip(width - np.abs(across) + 0.5, 0, 1) * (np.abs(along) < 3.5)
            round_ = np.clip(across / width, -1, 1)
            lit = 0.65 + 0.35 * round_ * np.sign(np.cos(angle + 0.3)) + 0.12 * random.normal()
            canvas.paint(window, bark * np.clip(lit, 0.2, 1.3)[..., None], alpha, 0.0)
        place = place + 4 * np.array([np.cos(angle), -np.sin(angle)])
        angle += random.normal(0, 0.07)
        width *= 0.994


def _apple(canvas: Canvas, random: np.random.Generator) -> None:
    """A ball, a little flat, with a dimple and its stem above; red where the sun was."""
    side = len(canvas.apple)
    radius = side * np.exp(random.uniform(np.log(0.022), np.log(0.095)))
    centre = random.uniform(0.02, 0.98, 2) * side
    x, y, window = _local(side, centre, 1.6 * radius, random.normal(0, 0.25))
    if x is None:
        return
    x, y = x / radius, y / (radius * random.uniform(0.86, 1.0))
    r2 = x**2 + y**2
    alpha = np.clip((1 - np.sqrt(r2)) * radius + 0.5, 0, 1)
    normal = np.stack([x, y, np.sqrt(np.clip(1 - r2, 0, 1))], -1)
    lambert = np.clip(normal @ LIGHT, 0, 1)
    shade, sun = (np.array(c) for c in SKINS[random.choice(len(SKINS), p=(0.42, 0.28, 0.14, 0.16))])
    streaks = _noise(len(canvas.apple), (5, 17, 60), random)[window]
    blush = np.clip(0.25 + 0.9 * lambert + 0.25 * streaks, 0, 1)[..., None]
    skin = shade + blush * (sun - shade)
    in_shadow = random.random() < 0.35
    light = (0.30 + 0.22 * np.clip(y, -1, 1)) + lambert * (0.25 if in_shadow else 0.85)
    half_way = (LIGHT + np.array([0, 0, 1])) / np.linalg.norm(LIGHT + np.array([0, 0, 1]))
    gloss = np.clip(normal @ half_way, 0, 1) ** 40 * (0.1 if in_shadow else 0.7)
    dimple = np.exp(-(((x - 0.05) / 0.30) ** 2 + ((y - 0.74) / 0.16) ** 2))
    colour = skin * (light * (1 - 0.6 * dimple))[..., None] + gloss[..., None]
    _shadow_below(canvas, centre, radius)
    canvas.paint(window, np.clip(colour, 0, 1), alpha, 1.0)
    stem = np.clip(1.5 - np.abs(x - 0.05 - 0.1 * (y - 0.7)) * radius / 1.2, 0, 1) * (y > 0.68) * (y < 1.25)
    canvas.paint(window, np.array([0.25, 0.19, 0.11]), stem, 0.0)


def _shadow_below(canvas: Canvas, centre: Array, radius: float) -> None:
    """What hangs behind an apple lies in its shadow, a little further down."""
    side = len(canvas.apple)
    x, y, window = _local(side, centre + radius * np.array([-0.25, 0.45]), 1.8 * radius, 0.0)
    if x is not None:
        soft = 0.55 * np.exp(-(((x**2 + y**2) / radius**2) ** 2))
        canvas.colour[window] *= (1 - soft)[..., None]


def _photograph(canvas: Canvas, size: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Sun spots and shade, exposure, white balance, lens, sensor; then half the size."""
    side = 2 * size
    patches = 1 / (1 + np.exp(-6 * (_noise(side, (2, 5, 11), random) + 0.25)))
    height = np.linspace(1, 0, side)[:, None]
    light = (0.55 + 0.6 * patches) * (0.85 + 0.25 * height)
    picture = canvas.colour * light[..., None] * np.array([1.04, 1.0, 0.93])
    picture *= random.uniform(0.8, 1.25) * random.normal(1, 0.03, 3)
    small, apple = (_halve(x) for x in (picture, canvas.apple))
    small = np.clip(small, 0, None) ** random.uniform(0.8, 1.0)
    small += random.normal(0, random.uniform(0.008, 0.025), small.shape)
    return np.clip(small, 0, 1), apple


def _local(
    side: int, centre: Array, reach: float, angle: float
) -> tuple[Array | None, Array, tuple[slice, slice]]:
    """Coordinates along and across a direction (counter-clockwise, y up) in a window around a place."""
    top, left = (max(0, int(c - reach - 1)) for c in (centre[1], centre[0]))
    bottom, right = (min(side, int(c + reach + 2)) for c in (centre[1], centre[0]))
    window = (slice(top, bottom), slice(left, right))
    if bottom <= top or right <= left:
        return None, np.empty(0), window
    y, x = np.mgrid[top:bottom, left:right]
    dx, dy = x - centre[0], centre[1] - y
    c, s = np.cos(angle), np.sin(angle)
    return c * dx + s * dy, -s * dx + c * dy, window


def _noise(side: int, cells: tuple[int, ...], random: np.random.Generator) -> Array:
    """Smooth noise of several scales, about zero, the finer the fainter."""
    total = np.zeros((side, side))
    for octave, count in enumerate(cells):
        coarse = Image.fromarray(random.normal(size=(count, count)).astype(np.float32))
        fine = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
        total += fine * 0.6**octave
    return total / 2


def _between(colours: tuple[tuple[float, ...], ...], t: float) -> Array:
    """A colour on the way through a list of them, t from 0 to 1."""
    place = t * (len(colours) - 1)
    i = min(int(place), len(colours) - 2)
    low, high = np.array(colours[i]), np.array(colours[i + 1])
    return low + (place - i) * (high - low)


def _halve(x: Array) -> Array:
    """The mean over squares of two by two."""
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
