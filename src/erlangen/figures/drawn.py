"""A scene drawn by matplotlib: what is behind is hidden, or drawn faintly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erlangen.figures.camera import Camera
from erlangen.figures.canvas import INK, blank
from erlangen.figures.raster import Raster
from erlangen.figures.surfaces import LINES, Place, parameters

PAPER, EDGE = np.array([0.985, 0.965, 0.925]), "#a69b86"
FAINT = 0.22


class Drawn(Camera):
    """One surface, and curves, arrows and dots on it.

    Args:
        axis: a matplotlib axis.
        azimuth, elevation, pixels: as in `Camera`.
    """

    def __init__(self, axis: Any, azimuth: float = 35.0, elevation: float = 28.0, pixels: int = 800) -> None:
        super().__init__(azimuth, elevation, pixels)
        self.axis = axis
        blank(axis)
        axis.set_aspect("equal")

    def surface(
        self,
        embedding: Place,
        extent: Sequence[tuple[float, float]],
        counts: tuple[int, int] = (24, 12),
        fine: int = 6,
    ) -> None:
        """The surface over a rectangle of parameters, shaded, under a net of so many cells."""
        x = self.seen(embedding(parameters(extent, counts, fine)))
        raster = self.hide_behind(x)
        left, right, bottom, top = raster.extent
        self.axis.imshow(shaded(raster), origin="lower", extent=raster.extent, interpolation="antialiased")
        covered, half = np.isfinite(raster.depth), raster.pixel / 2
        places = (
            np.linspace(a + half, b - half, n)
            for a, b, n in ((left, right, covered.shape[1]), (bottom, top, covered.shape[0]))
        )
        self.axis.contour(*places, covered, [0.5], colors=EDGE, linewidths=0.8, zorder=1)
        self.axis.set_aspect("equal")
        net = {"color": LINES, "linewidth": 0.5, "alpha": 0.75, "zorder": 1, "hidden": 0.0}
        for line in (*x[::fine], *x[:, ::fine].swapaxes(0, 1)):
            self._line(line, **net)

    def curve(self, points: Tensor, **style: Any) -> None:
        """A curve ``(k, 3)``; what the surface hides is drawn faintly."""
        self._line(self.seen(points), **{"linewidth": 1.8, "zorder": 3, "hidden": FAINT} | style)

    def arrow(self, start: Tensor, vector: Tensor, **style: Any) -> None:
        """An arrow with its foot on the surface."""
        from matplotlib.patches import FancyArrowPatch

        x = self.seen(torch.stack([start, start + vector]))
        alpha = 1.0 if self.in_front(x)[0] else FAINT
        style = {"linewidth": 2.0, "zorder": 5, "color": INK, "head": 11.0} | style
        head = min(style.pop("head"), 1e-6 + 220 * float(np.linalg.norm(x[1] - x[0])) / self.size)
        style |= {"arrowstyle": "-|>", "mutation_scale": head, "shrinkA": 0, "shrinkB": 0}
        style |= {"joinstyle": "miter", "capstyle": "butt", "alpha": alpha}
        self.axis.add_patch(FancyArrowPatch(*(tuple(p[:2]) for p in x), **style))

    def dots(self, points: Tensor, **style: Any) -> None:
        """Points ``(k, 3)``; those that the surface hides are drawn faintly."""
        x = self.seen(points)
        alpha = np.where(self.in_front(x), 1.0, FAINT)
        self.axis.scatter(*x[:, :2].T, **({"s": 22, "zorder": 6, "linewidths": 0, "alpha": alpha} | style))

    def area(self, outline: Tensor, **style: Any) -> None:
        """A region of the surface by its outline ``(k, 3)``; drawn faintly where most of it is hidden."""
        x = self.seen(outline)
        alpha = style.pop("alpha", 1.0) * (1.0 if self.in_front(x).mean() > 0.5 else FAINT)
        self.axis.fill(*x[:, :2].T, **({"zorder": 2, "linewidth": 0, "alpha": alpha} | style))

    def text(self, point: Tensor, words: str, **style: Any) -> None:
        """Words at a point, on a light ground."""
        x = self.seen(point)
        ground = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        style = {"fontsize": 11, "zorder": 8, "ha": "center", "va": "center", "bbox": ground} | style
        self.axis.text(x[0], x[1], words, **style)

    def finish(self, title: str = "", margin: float = 0.02) -> None:
        """Room for all that was drawn, and a title."""
        room = margin * self.size
        self.axis.set_xlim(self.low[0] - room, self.high[0] + room)
        self.axis.set_ylim(self.low[1] - room, self.high[1] + room)
        if title:
            self.axis.set_title(title, fontsize=12, color=INK)

    def _line(self, x: np.ndarray, hidden: float, alpha: float = 1.0, **style: Any) -> None:
        front = self.in_front(x)
        for here, share in ((front, 1.0), (~front, hidden)):
            if share and here.any():
                # to the next point on, or there would be gaps
                wide = here | np.roll(here, 1) & (np.arange(len(here)) > 0)
                part = np.where(wide[:, None], x[:, :2], np.nan)
                self.axis.plot(*part.T, alpha=share * alpha, solid_capstyle="round", **style)


def shaded(raster: Raster) -> np.ndarray:
    """The colour of each pixel: paper, darker where it turns away from the light, which is up left."""
    normal = raster.normal / (np.linalg.norm(raster.normal, axis=-1, keepdims=True) + 1e-12)
    normal = normal * np.where(normal[..., 2:] < 0, -1.0, 1.0)  # there are surfaces with one side
    light = np.array([-0.45, 0.65, 0.8])
    light /= np.linalg.norm(light)
    half = light + np.array([0.0, 0.0, 1.0])
    bright = 0.66 + 0.34 * (0.5 + 0.5 * normal @ light) ** 1.5
    gleam = 0.06 * np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 24
    colour = np.clip(PAPER * bright[..., None] + gleam[..., None], 0, 1)
    return np.concatenate([colour, np.isfinite(raster.depth)[..., None]], -1)
