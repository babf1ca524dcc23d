"""A lifted field: one picture for each way to look."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from erlangen.figures.canvas import INK, blank, figure, save, shown


def lifted(f: Tensor, F: Tensor, *, path: str | Path | None = None) -> Any:
    """An image, and a regular field of it: the value F(x, i) for each frame i of the fibre, about its mean.

    Args:
        f: the image ``(channel, height, width)``.
        F: one channel of a regular field of C_N ``(N, height, width)``, as ``Lift(plane, ...)(f)[0, 0]``.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    if F.dim() != 3 or f.dim() != 3:
        raise ValueError(
            f"f and F have shapes {tuple(f.shape)} and {tuple(F.shape)}, expected (channel, height, width) "
            "and (fibre, height, width); take one of the batch, and one channel"
        )
    N = F.shape[0]
    columns = (N + 1) // 2
    ratios = [1.6] + [1.0] * columns
    height = 2 * 1.9 * F.shape[1] / F.shape[2] + 0.7
    canvas, axes = figure(2, columns + 1, 1.9 * sum(ratios), height, gridspec_kw={"width_ratios": ratios})
    for axis in axes.flat:
        blank(axis)
    first = canvas.add_subplot(axes[0, 0].get_gridspec()[:, 0])
    first.imshow(shown(f), cmap="gray")
    blank(first, "f(x)")
    _draw_fibre(axes[:, 1:].flat[:N], F.detach() - F.detach().mean())
    return canvas if path is None else save(canvas, path)


def _draw_fibre(axes: Sequence[Any], F: Tensor) -> None:
    """Each value of the fibre on an axis of its own, in the same colours, under the frame it was seen in."""
    largest = float(F.abs().flatten().float().quantile(0.995)) or 1.0
    for i, axis in enumerate(axes):
        axis.imshow(F[i].cpu().numpy(), cmap="RdBu_r", vmin=-largest, vmax=largest)
        blank(axis, f"F(x, {i}): {360 * i / len(F):g}°")
        _arrow(axis, i / len(F), F.shape[1:])


def _arrow(axis: Any, turn: float, size: Any) -> None:
    """The first axis of the frame, in the corner; rows are -y."""
    height, width = size
    x, y, length = 0.14 * width, 0.86 * height, 0.1 * width
    end = (x + length * math.cos(2 * math.pi * turn), y - length * math.sin(2 * math.pi * turn))
    axis.annotate("", end, (x, y), arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 1.4})
