"""Segmentations over their photographs, and scores over angles."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from erlangen.figures.canvas import ACCENT, INK, MUTED, SECOND, blank, figure, save, shown
from erlangen.legible import legible

COLOURS = [ACCENT, SECOND, "#6b8f2f", "#8f5a2f", "#5b3f8c", MUTED]


def predictions(
    images: Sequence[Tensor],
    predicted: Sequence[Tensor],
    truth: Sequence[Tensor] | None = None,
    path: str | Path | None = None,
    *,
    columns: int = 4,
) -> Any:
    """Each photograph with the outlines of what is predicted (a colour for each class) and true (white).

    Args:
        images: ``(3, height, width)`` within [0, 1].
        predicted, truth: ``(height, width)``, class indices.
        columns: in a row, at most.

    Returns:
        The figure, or the path it was written to.
    """
    canvas, axes = _sheet(images, [""] * len(images), columns)
    for i, axis in enumerate(axes):
        outline(axis, predicted[i], None)
        if truth is not None:
            outline(axis, truth[i], "white")
    return canvas if path is None else save(canvas, path)


def photographs(
    images: Sequence[Tensor], titles: Sequence[str], path: str | Path | None = None, *, columns: int = 4
) -> Any:
    """Photographs with a title each.

    Args:
        images: ``(3, height, width)`` within [0, 1].
        columns: in a row, at most.

    Returns:
        The figure, or the path it was written to.
    """
    canvas, _ = _sheet(images, titles, columns)
    return canvas if path is None else save(canvas, path)


def _sheet(images: Sequence[Tensor], titles: Sequence[str], columns: int = 4) -> tuple[Any, list[Any]]:
    """A sheet of at most so many columns, and the axis of each photograph; single ones fill the width."""
    wide = columns == 1
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    canvas, axes = figure(rows, columns, 11.2 if wide else 2.8 * columns, 2.9 * rows)
    for axis in axes.flat:
        blank(axis)
    for axis, image, title in zip(axes.flat, images, titles, strict=False):
        blank(axis, title)
        axis.imshow(shown(image))
    return canvas, list(axes.flat)[: len(images)]


def outline(axis: Any, mask: Tensor, colour: str | None) -> None:
    """The boundary of each class but 0; without a colour, each class in one of its own."""
    values = mask.cpu().numpy()
    for label in np.unique(values[(values > 0) & (values < 255)]):
        if (values != label).any() and min(values.shape) > 1:  # a line needs pixels on both sides
            own = COLOURS[(int(label) - 1) % len(COLOURS)]
            axis.contour(values == label, levels=[0.5], colors=[colour or own], linewidths=0.9)


def angles(
    scores: Mapping[str, Mapping[float, float]],
    path: str | Path | None = None,
    label: str = "IoU",
    low: float = 0.0,
    high: float = 1.0,
) -> Any:
    """A polar plot: the score of each network against the angle the photographs were turned by.

    Args:
        scores: for each network its score by angle, in degrees.
        label: what the scores are.
        low, high: the scores at the centre and at the edge of the plot.

    Returns:
        The figure, or the path it was written to.
    """
    canvas, ((axis,),) = figure(1, 1, 5.4, 5.2, subplot_kw={"projection": "polar"})
    draw_angles(axis, scores, label, low, high)
    return canvas if path is None else save(canvas, path)


def draw_angles(
    axis: Any, scores: Mapping[str, Mapping[float, float]], label: str, low: float, high: float = 1.0
) -> None:
    """The curves of `angles`, on a polar axis."""
    from matplotlib.ticker import MaxNLocator

    for i, (name, by_angle) in enumerate(scores.items()):
        degrees = sorted(by_angle)
        around = [*degrees, degrees[0] + 360]
        axis.plot(
            [math.radians(a) for a in around],
            [by_angle[a % 360 if a % 360 in by_angle else a - 360] for a in around],
            color=COLOURS[i % len(COLOURS)],
            linestyle=("solid", "dashed", "dotted")[i // len(COLOURS) % 3],
            label=name,
        )
    axis.set_ylim(low, high)
    axis.yaxis.set_major_locator(MaxNLocator(5))  # few circles: their numbers stand on one line
    axis.set_title(legible(f"{label} by angle"), fontsize=11, pad=12, parse_math=False)
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.08), "ncols": 1}
    legend = axis.legend(axis.get_lines(), [legible(n) for n in scores], fontsize=9, frameon=False, **place)
    for text in legend.get_texts():
        text.set_parse_math(False)


def turned_camera(
    images: Sequence[Tensor],
    predicted: Mapping[str, Sequence[Tensor]],
    truth: Sequence[Tensor],
    titles: Sequence[str],
    scores: Mapping[str, Mapping[float, float]],
) -> Any:
    """Networks side by side: what each one finds in turned photographs, and its score by angle.

    Args:
        images: ``(3, height, width)`` within [0, 1], the same photograph at several angles.
        predicted: for each network its masks ``(height, width)``.
        truth: the true masks.
        titles: of the images.
        scores: for each network its score by angle, in degrees.
    """
    from matplotlib.lines import Line2D

    columns = len(images)
    rows = len(predicted)
    ratios = [1.0] * columns + [2.4]
    canvas, axes = figure(
        rows, columns + 1, 2.5 * sum(ratios), 2.7 * rows, gridspec_kw={"width_ratios": ratios}
    )
    for number, (row, (name, masks)) in enumerate(zip(axes, predicted.items(), strict=True)):
        for i, axis in enumerate(row[:columns]):
            blank(axis, "" if number else titles[i])
            axis.imshow(shown(images[i]))
            outline(axis, truth[i], "white")
            outline(axis, masks[i], ACCENT)
        row[0].set_ylabel(legible(name), fontsize=10, parse_math=False)
    lines = [Line2D([], [], color=colour) for colour in ("white", ACCENT)]
    look: dict[str, Any] = {"fontsize": 8, "facecolor": INK, "labelcolor": "white", "framealpha": 0.8}
    axes[-1, 0].legend(lines, ["true", "found"], loc="lower left", **look)
    grid = axes[0, 0].get_gridspec()
    for axis in axes[:, columns:].flat:
        axis.remove()
    polar = canvas.add_subplot(grid[:, columns:], projection="polar")
    draw_angles(polar, scores, "IoU", 0.0)
    return canvas
