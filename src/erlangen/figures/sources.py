"""What is left of a defect without each of its sources, as bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from erlangen.figures.canvas import ACCENT, MUTED, SECOND, figure, save


def sources(bars: Sequence[tuple[str, dict[str, float]]], path: str | Path | None = None) -> Any:
    """A panel for each element: its defect, and what is left of it when a source is taken away.

    Args:
        bars: as `erlangen.verify.Budget.bars` gives them.
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    most = max(len(values) for _, values in bars)
    canvas, axes = figure(len(bars), 1, 7.0, (0.7 + 0.26 * most) * len(bars))
    for (name, values), (axis,) in zip(bars, axes, strict=True):
        names = list(values)[::-1]
        colours = [SECOND if n == names[0] else ACCENT if n == names[-1] else MUTED for n in names]
        axis.barh(range(len(names)), [100 * values[n] for n in names], color=colours)
        axis.set_yticks(range(len(names)), names, fontsize=9)
        axis.set_title(name, fontsize=10, loc="left")
        axis.set_xlabel("|N(g f) - g N(f)|, % of how much the answer varies")
        axis.spines[["top", "right"]].set_visible(False)
    return canvas if path is None else save(canvas, path)
