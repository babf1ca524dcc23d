"""Surfaces as pixels: which point of a surface is in front, and which way it faces there."""

from dataclasses import dataclass

import numpy as np

STEP = 0.62  # of the samples, in pixels: none is missed
MOST = 60  # samples on a side of one cell


@dataclass(frozen=True, eq=False)
class Raster:
    """What the eye sees of a surface, ``(height, width)``, row 0 below.

    Attributes:
        depth: towards the eye; -inf where there is nothing.
        normal: ``(height, width, 3)``, of any length and either side.
        corner: the lower left corner of the picture.
        pixel: the size of a pixel.
    """

    depth: np.ndarray
    normal: np.ndarray
    corner: np.ndarray
    pixel: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top."""
        height, width = self.depth.shape
        (left, bottom), size = self.corner, self.pixel
        return left, left + width * size, bottom, bottom + height * size

    def in_front(self, x: np.ndarray, slack: float) -> np.ndarray:
        """Whether points ``(k, 3)`` (right, up, towards the eye) are not behind the surface."""
        i, j = (((x[:, :2] - self.corner) / self.pixel).astype(int) + 1).T
        depth = np.pad(self.depth, 2, constant_values=-np.inf)
        i, j = np.clip(i, 0, depth.shape[1] - 3), np.clip(j, 0, depth.shape[0] - 3)
        # the farthest of the neighbours: beside an outline a pixel says little
        near = np.stack([depth[j + b, i + a] for a in range(3) for b in range(3)]).min(0)
        return x[:, 2] + slack >= near


def rastered(x: np.ndarray, normal: np.ndarray, pixels: int) -> Raster:
    """A surface given on a grid of parameters, its longer side `pixels` wide.

    Each cell is filled with as many samples as it has pixels, and the foremost of them is kept.

    Args:
        x: ``(a, b, 3)``, right, up, towards the eye.
        normal: ``(a, b, 3)``.
        pixels: of the longer side.
    """
    flat = x.reshape(-1, 3)
    low, high = flat.min(0)[:2], flat.max(0)[:2]
    size = float((high - low).max()) / (pixels - 2)
    corner = low - size
    width, height = (int(n) + 3 for n in (high - low) / size)
    groups = list(_samples(x, normal, size))
    places = [((y[:, :2] - corner) / size).astype(int) @ (1, width) for y in groups]
    depth, front = _foremost(groups, places, width * height)
    depth, front = depth.reshape(height, width), front.reshape(height, width, 3)
    _mend(depth, front, 3 * size)
    return Raster(depth, front, corner, size)


def _foremost(
    groups: list[np.ndarray], places: list[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """At each place the depth and the normal of the sample ``(k, 6)`` that is nearest to the eye."""
    depth, front = np.full(count, -np.inf), np.zeros((count, 3))
    for found, place in zip(groups, places, strict=True):
        np.maximum.at(depth, place, found[:, 2])
    for found, place in zip(groups, places, strict=True):
        first = found[:, 2] >= depth[place]
        front[place[first]] = found[first, 3:]
    return depth, front


def _mend(depth: np.ndarray, front: np.ndarray, gap: float) -> None:
    """Pixels that look through a crack between two neighbours get what one of these has."""
    for a in (0, 1):
        one, other = np.roll(depth, 1, a), np.roll(depth, -1, a)
        crack = depth < np.minimum(one, other) - gap
        depth[crack] = one[crack]
        front[crack] = np.roll(front, 1, a)[crack]


def _samples(x: np.ndarray, normal: np.ndarray, size: float):  # noqa: ANN202
    """Points and normals ``(k, 6)`` on all cells, those that need as many samples together."""
    y = np.concatenate([x, normal], -1)
    corners = np.stack([y[:-1, :-1], y[1:, :-1], y[:-1, 1:], y[1:, 1:]], 2).reshape(-1, 4, 6)
    along = np.abs(corners[:, [1, 3], :2] - corners[:, [0, 2], :2]).max((1, 2)) / size
    across = np.abs(corners[:, [2, 3], :2] - corners[:, [0, 1], :2]).max((1, 2)) / size
    counts = np.ceil(np.clip(np.stack([along, across], 1) / STEP, 1, MOST)).astype(int)
    for n, m in np.unique(counts, axis=0):
        cells = corners[(counts == (n, m)).all(1)]
        s, t = (np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m
        weights = np.stack([np.outer(a, b).ravel() for b in (1 - t, t) for a in (1 - s, s)], 1)
        yield (weights @ cells).reshape(-1, 6)
