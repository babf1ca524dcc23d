"""All results that there are: result.json, the table of the page, and figure.png."""

import json
from pathlib import Path
from statistics import mean

from brain.head import CLASSES
from records import keep

HERE = Path(__file__).parent
COLUMNS = {
    "mirrored, as the left half lies": "mirrored",
    "as it lies": "as it lies",
    "a quarter turn": "a quarter turn",
    "random poses": "poses, score",
    "the worst": "worst pose",
    "upright answers, turned": "poses, turned answer",
    "answers to there and back": "poses, there and back, answer",
}


def summarize(names: list[str]) -> None:
    """Of these rows."""
    rows = {}
    for name in names:
        stem = name.replace(", ", "-").replace(" ", "-")
        files = sorted((HERE / "results").glob(f"{stem}-[0-9]*.json"))
        if files:
            rows[name] = row([json.loads(file.read_text()) for file in files])
    if rows:
        keep(HERE / "result.json", {"rows": rows})
        print(table(rows))
        picture(rows)


def row(results: list[dict]) -> dict:
    """Means over seeds and poses, and every seed's own."""
    poses = [pose for result in results for pose in result["poses"]]
    summary = {
        "parameters": results[0]["parameters"],
        "seeds": [result["seed"] for result in results],
        "steps": [result["steps"] for result in results],
        "upright by class": mean_of([result["mirrored"] for result in results]),
        "poses by class": mean_of([pose["score"] for pose in poses]),
        "worst pose": min(pose["score"]["mean"] for pose in poses),
        "poses, there and back, truth": mean(pose["there and back, truth"]["mean"] for pose in poses),
        "mirrored, every seed": [result["mirrored"]["mean"] for result in results],
        "poses, every seed": [result["poses, score"] for result in results],
        "voxels that a quarter turn changes": [r["a quarter turn"]["voxels that change"] for r in results],
    }
    for column in COLUMNS.values():
        if column not in summary:
            summary[column] = mean(float(_mean(result[column])) for result in results)
    return summary


def _mean(score: dict | float) -> float:
    """Over the classes."""
    return score["mean"] if isinstance(score, dict) else score


def mean_of(scores: list[dict]) -> dict:
    """Of each number."""
    return {name: mean(score[name] for score in scores) for name in scores[0]}


def table(rows: dict) -> str:
    """As the page has it, Dice in per cent."""
    lines = [f"| network | parameters | seeds | steps | {' | '.join(COLUMNS)} |", "|---" * 11 + "|"]
    for name, of in rows.items():
        cells = [f"{100 * of[column]:.1f}" for column in COLUMNS.values()]
        seeds, steps = (", ".join(f"{n:,}" for n in of[what]) for what in ("seeds", "steps"))
        lines.append(f"| {name} | {of['parameters']:,} | {seeds} | {steps} | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(rows: dict) -> None:
    """Upright and in random poses, class by class."""
    from erlangen import figures
    from erlangen.figures.canvas import ACCENT, INK, SECOND, figure

    names = ("mean", *CLASSES[1:])
    drawn, (panels,) = figure(1, len(names), 13, 1 + 0.4 * len(rows))
    for panel, name in zip(panels, names, strict=True):
        for place, of in enumerate(rows.values()):
            both = [100 * of[what][name] for what in ("upright by class", "poses by class")]
            panel.plot(both, [place, place], color=INK, linewidth=0.5)
            panel.plot(both[0], place, "o", color=SECOND, label="upright")
            panel.plot(both[1], place, "o", color=ACCENT, label="in random poses")
        panel.set_yticks(range(len(rows)), list(rows) if name == "mean" else [""] * len(rows))
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("Dice, %")
    panels[0].legend(*(handles[:2] for handles in panels[0].get_legend_handles_labels()), fontsize=7)
    figures.save(drawn, HERE / "figure.png")
