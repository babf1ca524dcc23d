"""Training curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from erlangen.figures.canvas import ACCENT, SECOND, figure, save
from erlangen.legible import legible


def history(
    rows: Sequence[Mapping[str, float]], path: str | Path | None = None, label: str = "validation IoU"
) -> Any:
    """Loss and validation score against minutes.

    Args:
        rows: with the keys minutes, loss and score.

        label: what the score is.

    Returns:
        The figure, or the path it was written to.
    """
    canvas, ((left, right),) = figure(1, 2, 8.4, 3.0)
    minutes = [row["minutes"] for row in rows]
    left.plot(minutes, [row["loss"] for row in rows], color=ACCENT, marker=".")
    right.plot(minutes, [row["score"] for row in rows], color=SECOND, marker=".")
    for axis, title in ((left, "training loss"), (right, label)):
        axis.set_title(legible(title), fontsize=10, parse_math=False)
        axis.set_xlabel("minutes")
        axis.spines[["top", "right"]].set_visible(False)
    right.set_ylim(0, 1)
    return canvas if path is None else save(canvas, path)
