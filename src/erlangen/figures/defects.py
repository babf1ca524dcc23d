"""The equivariance report as bars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from erlangen.figures.canvas import ACCENT, INK, MUTED, SECOND, figure, save

COLOURS = {"exact here": SECOND, "interpolated": ACCENT, "not in the group": MUTED}


class Bar(NamedTuple):
    """One element: its name, why its defect is what it is, the defect, and the interpolation's own."""

    name: str
    kind: str
    defect: float
    floor: float | None


def defects(bars: Sequence[Bar], path: str | Path | None = None) -> Any:
    """A bar for each element's defect, on a logarithmic scale, with the interpolation's own as a mark.

    Args:
        bars: as `erlangen.verify.Report.bars` gives them; kinds are "exact here",
            "interpolated" and "not in the group".
        path: where to write the picture.

    Returns:
        The figure, or the path it was written to.
    """
    rows = bars[::-1]
    canvas, ((axis,),) = figure(1, 1, 7.0, 0.8 + 0.26 * len(rows))
    values = [max(row.defect, 1e-17) for row in rows]
    axis.barh(range(len(rows)), values, left=1e-17, color=[COLOURS[row.kind] for row in rows])
    for i, row in enumerate(rows):
        if row.floor:
            axis.plot([row.floor] * 2, [i - 0.4, i + 0.4], color=INK, linewidth=2)
    axis.set_xscale("log")
    axis.set_xlim(1e-17, max(2.0, 2 * max(values)))
    axis.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=9)
    axis.set_xlabel("|N(g f) - g N(f)|, relative (black mark: only interpolation)")
    kinds = {row.kind for row in rows}
    handles = [axis.barh([0], [0], color=c) for kind, c in COLOURS.items() if kind in kinds]
    axis.legend(handles, [k for k in COLOURS if k in kinds], fontsize=8, loc="upper right")
    axis.spines[["top", "right"]].set_visible(False)
    return canvas if path is None else save(canvas, path)
