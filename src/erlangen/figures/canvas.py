"""Figures without a screen, images as people see them, and pictures inside a page."""

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from erlangen.legible import legible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, ACCENT, MUTED, SECOND = "#20242b", "#b3362a", "#9aa0a8", "#2f6f8f"


def figure(rows: int, columns: int, width: float, height: float, **options: Any) -> Any:
    """A figure and its axes, ``(rows, columns)``, always an array."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'pictures need matplotlib, which is not installed; pip install "erlangen[figures]"'
        ) from error
    canvas = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.subplots(rows, columns, squeeze=False, **options)


def shown(image: Tensor) -> np.ndarray:
    """``(channel, height, width)`` as ``(height, width, 3)`` or ``(height, width)`` within [0, 1]."""
    x = image.detach().to("cpu").double()
    low, high = x.amin(), x.amax()
    if low < 0 or high > 1:
        x = (x - low) / (high - low).clamp_min(1e-12)
    return x.permute(1, 2, 0).numpy() if x.shape[0] == 3 else x[0].numpy()


def blank(axis: Any, title: str = "") -> None:
    """An axis that holds a picture: no ticks, a title."""
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_title(legible(title), fontsize=10, color=INK, parse_math=False)  # a name may hold dollars


def save(figure: Any, path: str | Path, dpi: int = 130) -> Path:
    """Write the figure, or pyvista's plotter; the ending of `path` chooses the format."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if hasattr(figure, "savefig"):
        with _any_script():
            figure.savefig(path, dpi=dpi)
    elif path.suffix == ".html":
        figure.export_html(str(path))
    else:
        figure.screenshot(str(path))
    return path


@contextmanager
def _any_script() -> Iterator[None]:
    """Names in a script that the font does not have are drawn as boxes, without a word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def embedded(figure: "Figure", dpi: int = 110) -> str:
    """The figure as the source of an ``<img>`` that needs no file beside the page."""
    stream = io.BytesIO()
    with _any_script():
        figure.savefig(stream, format="png", dpi=dpi)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
