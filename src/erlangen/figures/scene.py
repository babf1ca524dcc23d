"""One surface, and curves, arrows and dots on it: on paper, or to turn with the mouse."""

from typing import Any

from erlangen.figures.canvas import figure
from erlangen.figures.drawn import Drawn
from erlangen.figures.solid import Solid


def scene(width: float = 6.4, height: float = 6.4, interactive: bool = False, **eye: Any) -> tuple[Any, Any]:
    """A figure with one scene; a plotter of pyvista, with one that can be turned, where asked."""
    if interactive:
        view = Solid(**eye)
        return view.plotter, view
    canvas, ((axis,),) = figure(1, 1, width, height)
    return canvas, Drawn(axis, **eye)
