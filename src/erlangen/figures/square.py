"""The commuting square: move, then compute; compute, then move."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from erlangen.figures.canvas import ACCENT, blank, figure, save


def commuting_square(
    f: Tensor,
    gf: Tensor,
    Nf: Tensor,
    gNf: Tensor,
    Ngf: Tensor,
    *,
    seen: Tensor | None = None,
    name: str = "g",
    path: str | Path | None = None,
) -> Any:
    """f and g f above, N f, g N f and N g f below, with the difference of the last two.

    One scale for f and g f, one for all that N gives.

    Args:
        f, gf, Nf, gNf, Ngf: ``(batch, channel, [fibre,] height, width)``; the first of the batch is
            shown, and of a fibre the first value.
        seen: shaped as gNf, where g N f comes from inside of f; the rest is left white. None for everywhere.
        name: of g.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    canvas, axes = figure(2, 3, 8.4, 5.8)
    for axis, tensor, scale, title in (
        (axes[0, 0], f, f, "f"),
        (axes[0, 1], gf, f, f"g f: {name}"),
        (axes[1, 0], Nf, Nf, "N(f)"),
        (axes[1, 1], gNf, Nf, "g N(f)"),
        (axes[1, 2], Ngf, Nf, "N(g f)"),
    ):
        if tensor.dim() in (4, 5):
            picture = _first(_within(tensor, scale))
            picture = _masked(picture, seen) if tensor is gNf else picture
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        blank(axis, title)
    if Ngf.dim() in (4, 5) and Ngf.shape == gNf.shape:
        difference = _first((Ngf - gNf).abs()[:, :1])
        largest = float(Nf.amax() - Nf.amin())
        axes[0, 2].imshow(_masked(difference, seen), cmap="magma", vmin=0, vmax=largest)
    blank(axes[0, 2], "|N(g f) - g N(f)|, same scale")
    canvas.get_layout_engine().set(wspace=0.12, hspace=0.1)
    for start, end, label in ((0, 1, "g"), (0, 3, "N"), (3, 4, "g"), (1, 5, "N")):
        _arrow(axes.flat[start], axes.flat[end], label)
    return canvas if path is None else save(canvas, path)


def _arrow(start: Any, end: Any, label: str) -> None:
    """From one picture to the next one: beside it, below it, or both."""
    from matplotlib.patches import ConnectionPatch

    one, other = start.get_subplotspec(), end.get_subplotspec()
    if one.rowspan == other.rowspan:
        a, b, offset = (1.02, 0.5), (-0.02, 0.5), (4, 9)
    elif one.colspan == other.colspan:
        a, b, offset = (0.5, -0.02), (0.5, 1.16), (9, -8)
    else:
        a, b, offset = (1.02, 0.06), (-0.02, 0.94), (12, 0)
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 14, "linewidth": 1.6, "color": ACCENT}
    line = ConnectionPatch(a, b, "axes fraction", "axes fraction", axesA=start, axesB=end, **style)
    words = start.annotate(label, a, xycoords="axes fraction", textcoords="offset points", xytext=offset)
    words.set(color=ACCENT, fontsize=11, style="italic")
    start.figure.add_artist(line)
    for drawn in (line, words):
        drawn.set_in_layout(False)


def _within(x: Tensor, scale: Tensor) -> Tensor:
    """Values between the extremes of `scale` as numbers in [0, 1]; what lies there already stays."""
    low, high = float(scale.amin()), float(scale.amax())
    low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    return ((x - low) / max(high - low, 1e-12)).clamp(0, 1)


def _first(x: Tensor) -> np.ndarray:
    """``(height, width, 3)``, or ``(height, width)`` of the first channel, of the first in the batch."""
    image = (x[0] if x.dim() == 4 else x[0, :, 0]).detach().cpu()
    return image.permute(1, 2, 0).numpy() if image.shape[0] == 3 else image[0].numpy()


def _masked(picture: np.ndarray, seen: Tensor | None) -> np.ndarray:
    """White, or nothing, where nothing was seen."""
    if seen is None:
        return picture
    here = _first(seen[:, :1])
    return np.where(here, picture, np.nan) if picture.ndim == 2 else np.where(here[..., None], picture, 1.0)
