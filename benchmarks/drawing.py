"""The page's figure: hot paths under the roofline, and ratios to a plain network and to escnn."""

from pathlib import Path
from typing import Any

Records = dict[tuple[str, str], dict[str, Any]]
COMPARED = {  # with which of ours
    ("plain", "training"): ("plain, training", "fast"),
    ("plain", "inference"): ("plain, inference", "fast"),
    ("escnn", "training"): ("escnn, training", "as escnn's"),
    ("escnn", "inference"): ("escnn, inference", "as escnn's"),
}


def draw(records: Records, file: Path) -> bool:
    """Whether there was something to draw."""
    from erlangen import figures
    from erlangen.figures.canvas import figure

    panels = [(roofline, paths_of(records)), (ratios, ratios_of(records))]
    panels = [(panel, found) for panel, found in panels if found]
    if panels:
        canvas, axes = figure(1, len(panels), 4.9 * len(panels), 3.6)
        for axis, (panel, found) in zip(axes[0], panels, strict=True):
            panel(axis, found)
            axis.spines[["top", "right"]].set_visible(False)
        figures.save(canvas, file)
    return bool(panels)


def paths_of(records: Records) -> list[dict[str, Any]]:
    """The lines of the library that do arithmetic."""
    both = [records[key]["rows"] for key in (("library", "plane"), ("library", "spaces")) if key in records]
    return [row for rows in both for row in rows if row["GFLOP"][0] > 0]


def roofline(axis: Any, rows: list[dict[str, Any]]) -> None:
    """Speed by flops for each byte, forward."""
    from erlangen.figures.canvas import ACCENT, MUTED

    x = [1000 * row["GFLOP"][0] / row["MB moved"][0] for row in rows]
    axis.loglog(x, [row["GFLOP/s"][0] for row in rows], "o", color=ACCENT, markersize=4)
    ceiling = rows[0]["ceiling"]
    flat, fall = max(ceiling["conv2d"], ceiling["matmul"]), min(ceiling["copy"].values())
    low, high = min(x) / 2, max(x) * 2
    corner = flat / fall
    axis.loglog([low, corner, max(high, corner)], [low * fall, flat, flat], color=MUTED)
    axis.set_xlabel("flops for each byte")
    axis.set_ylabel("GFLOP/s")
    axis.set_title("hot paths, and what torch reaches", fontsize=9)


def ratios_of(records: Records) -> dict[str, dict[str, float]]:
    """Of our network, by what it was compared in."""
    return {
        f"{name}: {row['input']}, {row.get('threads', 1)} thr., {row['precision']}": row[ours]
        for key, (name, ours) in COMPARED.items()
        if key in records
        for row in records[key]["rows"]
    }


def ratios(axis: Any, found: dict[str, dict[str, float]]) -> None:
    """With their quartiles."""
    from erlangen.figures.canvas import ACCENT, INK, MUTED

    names, rows = list(found)[::-1], list(found.values())[::-1]
    middle = [row["median"] for row in rows]
    spread = [[m - row["low"] for m, row in zip(middle, rows, strict=True)]]
    spread += [[row["high"] - m for m, row in zip(middle, rows, strict=True)]]
    axis.barh(names, middle, xerr=spread, color=ACCENT, ecolor=INK)
    axis.axvline(1, color=MUTED)
    axis.tick_params(axis="y", labelsize=5)
    axis.set_title("times, ours / theirs", fontsize=9)
