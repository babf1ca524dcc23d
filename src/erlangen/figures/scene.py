"""Surfaces in space, drawn by matplotlib: what is behind is left away, curves lie on top."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erlangen.figures.canvas import figure

Embedding = Callable[[Tensor], Tensor]  # (..., k) parameters to (..., 3)
PAPER, LINES = np.array([0.975, 0.955, 0.915]), "#c9c0ae"


def sphere_embedding(x: Tensor) -> Tensor:
    """Longitude and latitude to the unit sphere."""
    phi, up = x.unbind(-1)
    return torch.stack([up.cos() * phi.cos(), up.cos() * phi.sin(), up.sin()], -1)


def torus_embedding(x: Tensor, R: float = 2.0, r: float = 0.8) -> Tensor:
    """The two angles to the torus of revolution."""
    u, v = x.unbind(-1)
    return torch.stack([(R + r * v.cos()) * u.cos(), (R + r * v.cos()) * u.sin(), r * v.sin()], -1)


def strip_embedding(x: Tensor, length: float = 2 * math.pi, width: float = 1.0) -> Tensor:
    """The Möbius strip's coordinates, along and across, to the band that one glues from paper.

    No isometry: the band in space is not flat. It is drawn so that the mirror can be seen.
    """
    u, v = 2 * math.pi * x[..., 0] / length, x[..., 1] / width
    out = 1 + 0.55 * v * (u / 2).cos()
    return torch.stack([out * u.cos(), out * u.sin(), 0.55 * v * (u / 2).sin()], -1)


class Scene:
    """Surfaces, curves and arrows seen from one direction.

    Args:
        axis: a matplotlib axis with projection="3d".
        azimuth, elevation: where the eye is, in degrees.
    """

    def __init__(self, axis: Any, azimuth: float = 35.0, elevation: float = 28.0) -> None:
        self.axis = axis
        a, e = math.radians(azimuth), math.radians(elevation)
        self.eye = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        axis.view_init(elevation, azimuth)
        axis.set_axis_off()
        axis.set_proj_type("ortho")
        axis.computed_zorder = False
        self.low, self.high = np.full(3, np.inf), np.full(3, -np.inf)

    def surface(
        self, embedding: Embedding, extent: Sequence[tuple[float, float]], counts: tuple[int, int] = (72, 36)
    ) -> None:
        """The surface over a rectangle of parameters, lightly shaded."""
        u, v = (torch.linspace(*ends, count + 1).double() for ends, count in zip(extent, counts, strict=True))
        x = _array(embedding(torch.stack(torch.meshgrid(u, v, indexing="ij"), -1)))
        self._see(x)
        self.axis.plot_surface(
            *np.moveaxis(x, -1, 0),
            rstride=1,
            cstride=1,
            facecolors=self._shaded(x),
            edgecolor=LINES,
            linewidth=0.25,
            shade=False,
            zorder=1,
        )

    def _shaded(self, x: np.ndarray) -> np.ndarray:
        """The colour of each cell: paper, darker where it turns away from the eye and from above."""
        across, along = x[1:, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, 1:]
        normal = np.cross(across, along)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
        normal *= np.sign(normal @ self.eye)[..., None]  # there are surfaces with one side
        light = self.eye + np.array([0.0, 0.0, 0.7])
        bright = 0.80 + 0.20 * np.clip(normal @ light / np.linalg.norm(light), 0, 1)
        return np.concatenate([PAPER * bright[..., None], np.ones((*bright.shape, 1))], -1)

    def curve(self, points: Tensor, normal: Tensor | None = None, **style: Any) -> None:
        """A curve ``(k, 3)``; where the surface's normal looks away it is drawn faintly."""
        x = _array(points)
        self._see(x)
        front = np.ones(len(x), bool) if normal is None else _array(normal) @ self.eye > -0.02
        style = {"linewidth": 1.8, "zorder": 3, "solid_capstyle": "round"} | style
        for visible, alpha in ((True, 1.0), (False, 0.25)):
            part = np.where((front == visible)[:, None], x, np.nan)
            self.axis.plot(*part.T, alpha=alpha * style.get("alpha", 1.0), **_without(style, "alpha"))

    def arrow(self, start: Tensor, vector: Tensor, **style: Any) -> None:
        """An arrow with its foot on the surface."""
        x, v = _array(start), _array(vector)
        self._see(np.stack([x, x + v]))
        style = {"linewidth": 2.0, "zorder": 5, "arrow_length_ratio": 0.22} | style
        self.axis.quiver(*x, *v, **style)

    def dots(self, points: Tensor, **style: Any) -> None:
        """Points ``(k, 3)``."""
        x = _array(points)
        self._see(x)
        self.axis.scatter(*x.T, depthshade=False, **({"s": 14, "zorder": 6} | style))

    def finish(self, zoom: float = 1.3) -> None:
        """Equal scales on all axes, around all that was drawn."""
        self.axis.set_xlim(self.low[0], self.high[0])
        self.axis.set_ylim(self.low[1], self.high[1])
        self.axis.set_zlim(self.low[2], self.high[2])
        self.axis.set_box_aspect(np.maximum(self.high - self.low, 1e-9), zoom=zoom)

    def _see(self, x: np.ndarray) -> None:
        flat = x.reshape(-1, 3)
        self.low, self.high = np.minimum(self.low, flat.min(0)), np.maximum(self.high, flat.max(0))


def scene(width: float = 6.4, height: float = 5.4, **eye: float) -> tuple[Any, Scene]:
    """A figure with one scene."""
    canvas, ((axis,),) = figure(1, 1, width, height, subplot_kw={"projection": "3d"})
    return canvas, Scene(axis, **eye)


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()


def _without(style: dict, key: str) -> dict:
    return {k: v for k, v in style.items() if k != key}
