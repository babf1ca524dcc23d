"""One head: its left half to learn from, its right half mirrored and turned, at 2 mm.

Volumes are `ERLANGEN_DATA`'s (default: ../shared/data), 1 mm, axes to the right, to the front, up. Each half
ends at the middle: what lies beyond is air to it, so nothing of the right half is ever seen in training.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

DATA = Path(os.environ.get("ERLANGEN_DATA", Path(__file__).parents[3] / "shared" / "data"))
CLASSES = ("rest", "cortex", "deep grey", "hippocampus and amygdala", "cerebellum")
LABELS = {3: range(37, 43), 2: range(71, 79), 4: range(91, 117)}  # of all others that are not 0: cortex
MIDDLE = 90  # the sagittal plane between the halves, in neither
BLUR = 0.7  # mm, before means of 2 mm


class Half(NamedTuple):
    """Intensities, about 1 in the brain and 0 in air, and classes, voxel by voxel."""

    intensity: np.ndarray
    classes: np.ndarray


def half(side: str) -> Half:
    """The left half, or the right one mirrored, at 1 mm: 90 x 216 x 180 voxels, the middle at the far end."""
    file = DATA / "volumes" / "human_t1_aal.npz"
    if not file.exists():
        raise SystemExit(f"{file} is not there; set ERLANGEN_DATA to the folder that holds volumes")
    with np.load(file) as arrays:
        t1, labels = arrays["t1"], arrays["labels"]
    scale = t1[:MIDDLE][labels[:MIDDLE] > 0].mean()  # of the left brain, for both
    classes = (labels > 0).astype(np.uint8)
    for index, of_class in LABELS.items():
        classes[np.isin(labels, of_class)] = index
    t1, classes = (a if side == "left" else a[::-1] for a in (t1.astype(np.float32) / scale, classes))
    return Half(*(np.ascontiguousarray(a[:MIDDLE, :216, :180]) for a in (t1, classes)))


def low_passed(at_1_mm: Half) -> Half:
    """Means and majorities over cubes of 2 mm, at every corner of 1 mm voxels; every other one is 2 mm."""
    x = ndimage.gaussian_filter(at_1_mm.intensity, BLUR, mode="constant")
    counts = [_cubes((at_1_mm.classes == c).astype(np.float32)) for c in range(len(CLASSES))]
    return Half(_cubes(x) / 8, np.argmax(counts, 0).astype(np.uint8))


def coarse(at_1_mm: Half) -> Half:
    """At 2 mm."""
    return Half(*(a[::2, ::2, ::2] for a in low_passed(at_1_mm)))


def _cubes(x: np.ndarray) -> np.ndarray:
    """Sums over cubes of 2 x 2 x 2."""
    for axis in range(3):
        n = x.shape[axis]
        x = x.take(range(n - 1), axis) + x.take(range(1, n), axis)
    return x


def rotations(count: int, seed: int) -> np.ndarray:
    """Random ones, all alike likely: about random axes."""
    q = np.random.default_rng(seed).normal(size=(count, 4))
    return np.stack([_rotation(a) for a in q / np.linalg.norm(q, axis=1, keepdims=True)])


def _rotation(q: np.ndarray) -> np.ndarray:
    """Of a unit quaternion."""
    w, v = q[0], q[1:]
    across = np.cross(v, np.eye(3)).T  # u to v x u
    return np.eye(3) + 2 * w * across + 2 * across @ across


def turned(x: np.ndarray, R: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """Turned by R about its middle, on a grid of that shape with the same middle; splines of that order."""
    there, here = ((np.array(s) - 1) / 2 for s in (shape, x.shape))
    return ndimage.affine_transform(x, R.T, here - R.T @ there, shape, order=order, cval=0.0)


def turned_half(at_1_mm: Half, R: np.ndarray, shape: tuple[int, ...]) -> Half:
    """Intensities by cubic splines, never below 0; the nearest class."""
    x = turned(at_1_mm.intensity, R, shape, 3).clip(0)
    return Half(x, turned(at_1_mm.classes, R, shape, 0))


def around(classes: np.ndarray, margin: int) -> tuple[slice, ...]:
    """The box of what is not rest, and a margin, within the volume."""
    where = np.argwhere(classes > 0)
    low, high = (where.min(0) - margin).clip(0), where.max(0) + margin + 1
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


class Crops:
    """Random crops of 2 mm voxels of a half, centred near a voxel of a random class.

    Args:
        at_1_mm: the half.
        size: voxels along each side, even.
        turns: whether each crop is turned at random, all rotations alike likely.
        jitter: the largest relative change of the contrast.
        seed: of all that is random.
    """

    def __init__(self, at_1_mm: Half, size: int, turns: bool, jitter: float, seed: int) -> None:
        x, classes = low_passed(at_1_mm)
        self.x, self.classes = (torch.from_numpy(a)[None, None].float() for a in (x, classes))
        self.turns, self.jitter = turns, jitter
        self.generator = np.random.default_rng(seed)
        box = np.zeros(classes.shape, bool)
        box[around(classes, 4)] = True
        self.places = [np.argwhere((classes == c) & box).astype(np.int16) for c in range(len(CLASSES))]
        k = 2.0 * (np.arange(size) - (size - 1) / 2)  # mm
        self.grid = np.stack(np.meshgrid(k, k, k, indexing="ij"), -1)
        self.reach = size // 2  # mm: a quarter of the side

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Intensities ``(count, 1, size, size, size)``, classes without the channel."""
        grid = torch.from_numpy(np.stack([self._grid() for _ in range(count)])).float()
        extent = torch.tensor(self.x.shape[2:]) - 1
        grid = (2 * grid / extent - 1).flip(-1)
        one = (count, 1, -1, -1, -1)
        x = F.grid_sample(self.x.expand(one), grid, padding_mode="zeros", align_corners=True)
        truth = F.grid_sample(self.classes.expand(one), grid, "nearest", "zeros", align_corners=True)
        contrast = 1 + self.jitter * self.generator.uniform(-1, 1, (count, 1, 1, 1, 1))
        return x * torch.from_numpy(contrast).float(), truth[:, 0].to(torch.uint8)

    def _grid(self) -> np.ndarray:
        """Where the voxels of a crop lie, in mm."""
        places = self.places[self.generator.integers(len(self.places))]
        centre = places[self.generator.integers(len(places))]
        centre = centre + self.generator.integers(-self.reach, self.reach + 1, 3)
        if not self.turns:
            return self.grid + centre
        q = self.generator.normal(size=4)
        return self.grid @ _rotation(q / np.linalg.norm(q)).T + centre
