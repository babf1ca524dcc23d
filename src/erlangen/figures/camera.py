"""Where the eye is, what it sees of a surface, and how large the picture becomes."""

import math

import numpy as np
from torch import Tensor

from erlangen.figures.raster import Raster, rastered


class Camera:
    """Seen from far away.

    Args:
        azimuth, elevation: where the eye is, in degrees.
        pixels: of the longer side of the surface that may hide things.

    Attributes:
        eye: the direction to it, ``(3,)``.
        turn: ``(3, 3)``, whose columns are right, up and towards the eye.
        low, high: the corners of all that was seen: right, up.
    """

    def __init__(self, azimuth: float = 35.0, elevation: float = 28.0, pixels: int = 800) -> None:
        self.azimuth, self.elevation, self.pixels = azimuth, elevation, pixels
        a, e = math.radians(azimuth), math.radians(elevation)
        self.eye = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        right = np.array([-math.sin(a), math.cos(a), 0.0])
        self.turn = np.stack([right, np.cross(self.eye, right), self.eye], 1)
        self.raster: Raster | None = None
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)

    def seen(self, points: Tensor) -> np.ndarray:
        """Points ``(..., 3)`` as right, up, towards the eye; the picture has room for them."""
        x = points.detach().cpu().double().numpy() @ self.turn
        flat = x.reshape(-1, 3)[:, :2]
        self.low, self.high = np.minimum(self.low, flat.min(0)), np.maximum(self.high, flat.max(0))
        return x

    def hide_behind(self, x: np.ndarray) -> Raster:
        """A surface ``(a, b, 3)``, as `seen` gives it, which hides what is behind."""
        self.raster = rastered(x, _normals(x), self.pixels)
        return self.raster

    def visible(self, points: Tensor) -> np.ndarray:
        """Whether points ``(k, 3)`` are in front of the surface, or on its front."""
        return self.in_front(points.detach().cpu().double().numpy() @ self.turn)

    def in_front(self, x: np.ndarray) -> np.ndarray:
        """The same, of points as `seen` gives them."""
        return np.ones(len(x), bool) if self.raster is None else self.raster.in_front(x, 0.012 * self.size)

    @property
    def size(self) -> float:
        """The longer side of what was seen."""
        return max(float((self.high - self.low).max()), 1e-12)

    @property
    def aspect(self) -> float:
        """The height of what was seen over its width."""
        width, height = self.high - self.low
        return float(height / max(width, 1e-12))

    @property
    def middle(self) -> np.ndarray:
        """The middle of what was seen, ``(3,)``, in the plane through 0; 0 before anything was."""
        if not np.isfinite(self.low).all():
            return np.zeros(3)
        return self.turn[:, :2] @ ((self.low + self.high) / 2)


def _normals(x: np.ndarray) -> np.ndarray:
    """Of a grid of points, by differences; at a pole those of the next ring."""
    normal = np.cross(np.gradient(x, axis=0), np.gradient(x, axis=1))
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal /= np.maximum(length, 1e-12)
    for edge, inside in ((0, 1), (-1, -2)):
        poor = length[:, edge] < 1e-9
        normal[:, edge] = np.where(poor, normal[:, inside], normal[:, edge])
    return normal
