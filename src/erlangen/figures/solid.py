"""A scene in three dimensions, to turn with the mouse: by pyvista, where it is installed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erlangen.figures.camera import Camera
from erlangen.figures.canvas import INK
from erlangen.figures.surfaces import LINES, Place, parameters

PAPER = "#fbf6ec"


class Solid(Camera):
    """One surface, and curves, arrows and dots on it, as `Drawn` has them.

    Args:
        azimuth, elevation, pixels: as in `Camera`: where the eye is at first.

    Attributes:
        plotter: pyvista's; ``.show()`` opens a window, ``.export_html(path)`` writes a page.

    Raises:
        ImportError: where pyvista is not installed.
    """

    def __init__(self, azimuth: float = 35.0, elevation: float = 28.0, pixels: int = 200) -> None:
        try:
            import pyvista  # type: ignore[import-not-found]
        except ImportError as error:
            raise ImportError(
                "interactive pictures need pyvista, which is not installed; pip install pyvista, or leave "
                "out interactive=True"
            ) from error
        super().__init__(azimuth, elevation, min(pixels, 200))
        self.pyvista = pyvista
        self.plotter = pyvista.Plotter(off_screen=True, window_size=[1000, 900])
        self.plotter.set_background("white")

    def surface(
        self,
        embedding: Place,
        extent: Sequence[tuple[float, float]],
        counts: tuple[int, int] = (24, 12),
        fine: int = 6,
    ) -> None:
        """The surface over a rectangle of parameters, under a net of so many cells."""
        x = embedding(parameters(extent, counts, fine))
        self.hide_behind(self.seen(x))
        grid = self.pyvista.StructuredGrid(*(part.numpy()[..., None] for part in x.unbind(-1)))
        self.plotter.add_mesh(grid, color=PAPER, smooth_shading=True, ambient=0.3, specular=0.2)
        for line in (*x[::fine], *x[:, ::fine].transpose(0, 1)):
            self._tube(line, LINES, 0.0012)

    def curve(self, points: Tensor, **style: Any) -> None:
        """A curve ``(k, 3)``, as a tube."""
        self.seen(points)
        self._tube(points, style.get("color", INK), 0.0022 * style.get("linewidth", 1.8))

    def arrow(self, start: Tensor, vector: Tensor, **style: Any) -> None:
        """An arrow with its foot on the surface."""
        self.seen(torch.stack([start, start + vector]))
        length = float(vector.norm())
        thick = min(0.0024 * style.get("linewidth", 2.0) * self.size / max(length, 1e-12), 0.06)
        shape = {"shaft_radius": thick, "tip_radius": 2.6 * thick, "tip_length": min(8 * thick, 0.45)}
        arrow = self.pyvista.Arrow(start=start.numpy(), direction=vector.numpy(), scale=length, **shape)
        self.plotter.add_mesh(arrow, color=style.get("color", INK))

    def dots(self, points: Tensor, **style: Any) -> None:
        """Points ``(k, 3)``, as balls."""
        self.seen(points)
        radius = 0.0018 * style.get("s", 22) ** 0.5 * self.size
        for x in points:
            ball = self.pyvista.Sphere(radius=radius, center=x.tolist())
            self.plotter.add_mesh(ball, color=style.get("color", INK))

    def area(self, outline: Tensor, **style: Any) -> None:
        """A region of the surface, by its outline ``(k, 3)``."""
        self.seen(outline)
        self._tube(torch.cat([outline, outline[:1]]), style.get("color", INK), 0.004)

    def text(self, point: Tensor, words: str, **style: Any) -> None:
        """Words at a point."""
        options = {"shape": None, "show_points": False, "always_visible": True, "font_size": 22}
        self.plotter.add_point_labels(
            point.numpy()[None], [words], text_color=style.get("color", INK), **options
        )

    def finish(self, title: str = "", margin: float = 0.0) -> None:
        """Look at all that was drawn; a title."""
        if title:
            self.plotter.add_text(title, font_size=11, color=INK)
        up = (0.0, 0.0, 1.0) if abs(self.elevation) < 89 else (0.0, 1.0, 0.0)
        middle, far = self.middle, 4 * self.size * (1 + margin)
        self.plotter.camera_position = [tuple(middle + far * self.eye), tuple(middle), up]
        self.plotter.enable_parallel_projection()
        self.plotter.camera.parallel_scale = 0.56 * self.size

    def _tube(self, points: Tensor, color: str, radius: float) -> None:
        line = self.pyvista.lines_from_points(np.ascontiguousarray(points.detach().numpy()))
        self.plotter.add_mesh(line.tube(radius=radius * self.size), color=color)
