"""What a training leaves on disc: curves, pictures, the equivariance report, one page that opens offline."""

import csv
import html
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import erlangen
from erlangen import figures, verify
from erlangen.spaces import Plane
from erlangen.train.angles import score_by_angle
from erlangen.train.checkpoint import save, writing
from erlangen.train.data import Data
from erlangen.train.images import as_batch
from erlangen.train.loop import Run
from erlangen.train.scenes import example
from erlangen.train.tiles import answer

ANGLES = [30.0 * i for i in range(12)]
TURNED = 12  # photographs that are turned for the page
OUTLINES = "White: what is true. In colour: what the network finds."
TURNS = (
    "The score of photographs that were turned by each angle, on the disc that every turn keeps inside. A "
    "circle is what a network gives that does not care how the camera was held."
)
SQUARE = (
    "The photograph f, turned, g f; the network's answer N(f), turned, g N(f), and its answer to the turned "
    "photograph, N(g f). The last two should be the same; top right is how far they are apart. White: what "
    "lay outside of the photograph."
)
TABLE = (
    "How far N(g f) is from g N(f), relative to how much the latter varies, and the same of gradients. Turns "
    "that only permute pixels are exact but for rounding. Other angles interpolate; floor is what "
    "interpolating the answer there and back costs by itself. What is not in the group is there to compare."
)


@dataclass(frozen=True)
class Written:
    """The page, and what was measured for it: the score by angle, and the equivariance."""

    page: Path
    by_angle: dict[float, float]
    report: verify.Report


def write_run(run: Run, folder: str | Path, facts: Mapping[str, str] | None = None) -> Written:
    """The network, its configuration, curves, predictions, equivariance, and a page of them all.

    Args:
        run: what `fit` returned.
        folder: made if it is missing.
        facts: more to write down, such as `Training.facts`.

    Raises:
        OSError: if the disc is full; the network is written first.
    """
    folder, facts = save(run.model, folder), dict(facts or {})
    by_angle, report = score_by_angle(run.model, _some(run, TURNED), ANGLES), prove(run)
    configuration = {
        **facts,
        "notes": list(run.notes),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "settings": asdict(run.settings),
        "versions": {"erlangen": erlangen.__version__, "torch": torch.__version__},
    }
    with writing(folder, "the network is there, whole"):
        (folder / "config.json").write_text(json.dumps(configuration, indent=2) + "\n", "utf-8")
        _write_csv(folder / "curves.csv", ["step", "minutes", "loss", "score"], run.history)
        angles = [{"degrees": angle, "score": score} for angle, score in by_angle.items()]
        _write_csv(folder / "angles.csv", ["degrees", "score"], angles)
        (folder / "equivariance.txt").write_text(f"{report}\n", "utf-8")
        sections = _summary(run, by_angle, facts) + _pictures(run, by_angle, report, folder)
        sections.append(f"<h2>Equivariance, measured</h2><p>{TABLE}</p><pre>{html.escape(str(report))}</pre>")
        sections.append(f"<h2>Settings</h2>{_table(configuration['settings'] | configuration['versions'])}")
        page = figures.page(folder / "index.html", f"A {run.model.task.name} network", sections)
    return Written(page, by_angle, report)


def _summary(run: Run, by_angle: Mapping[float, float], facts: Mapping[str, str]) -> list[str]:
    """What came out, from what, and what to know of the photographs."""
    score = f"{run.history[-1]['score']:.3f}" if run.history else "not measured"
    rows = {f"validation {run.model.task.measure}": score, "when turned": says_turned(by_angle), **facts}
    return [_table(rows), *(f"<p>{html.escape(note[0].upper() + note[1:])}.</p>" for note in run.notes)]


def _pictures(run: Run, by_angle: dict[float, float], report: verify.Report, folder: Path) -> list[str]:
    """Written to the folder, and as sections of the page."""
    task = run.model.task
    turned = figures.angles({"this network": by_angle}, label=task.measure)
    curves = figures.history(run.history, label=f"validation {task.measure}")
    seen = prediction_figure(run)
    pictures = [
        ("Photographs it was not shown", OUTLINES if task.dense else "", "predictions.png", seen),
        ("When the camera is turned", TURNS, "angles.png", turned),
        ("Curves", "", "curves.png", curves),
    ]
    if report.square and task.dense:
        title, square = "Turn, then segment; segment, then turn", report.square.picture()
        pictures.append((title, SQUARE, "square.png", square))
    for _, _, name, picture in pictures:
        figures.save(picture, folder / name)
    return [
        f'<h2>{title}</h2><p>{words}</p><img alt="{title}" src="{figures.embedded(picture)}">'
        for title, words, _, picture in pictures
    ]


def says_turned(by_angle: Mapping[float, float]) -> str:
    """The range of scores, in words."""
    low, high = min(by_angle.values()), max(by_angle.values())
    return f"{low:.3f} to {high:.3f} at {len(by_angle)} angles all around"


def prediction_figure(run: Run, count: int = 8) -> Any:
    """Held-out photographs with what is predicted and true: outlines, or the names of classes."""
    images, truths = _some(run, count).load(run.model.size)
    task = run.model.task
    photographs = [as_batch([image]) for image in images]
    predicted = [task.decide(answer(run.model, photograph))[0] for photograph in photographs]
    shown = [photograph[0] for photograph in photographs]
    if task.dense:
        return figures.predictions(shown, predicted, truths)
    named = [(task.classes[int(p)], task.classes[int(t)]) for p, t in zip(predicted, truths, strict=True)]
    return figures.photographs(shown, [p if p == t else f"{p} (is {t})" for p, t in named])


def prove(run: Run) -> verify.Report:
    """The equivariance of the trained network on a photograph it was not shown, or on a drawn scene."""
    domain = run.model.net.domain
    if not isinstance(domain, Plane):
        raise ValueError(f"the network lives on {domain}, expected one on the plane")
    images, _ = _some(run, 1).load(min(run.settings.size, 192))
    if min(images[0].shape[-2:]) >= 32:
        try:
            return verify.equivariance(run.model, as_batch(images), domain, show=False)
        except ValueError:  # nothing to see on this photograph, and nothing to prove
            pass
    return verify.equivariance(run.model, example(), domain, show=False)


def _table(rows: Mapping[str, Any]) -> str:
    lines = (f"<tr><td>{name}</td><td>{html.escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(lines)}</table>"


def _some(run: Run, count: int) -> Data:
    """So many of the photographs held out, evenly spread."""
    places = torch.linspace(0, len(run.held_out) - 1, min(count, len(run.held_out)))
    return run.held_out.subset([int(i) for i in places.round()])


def _write_csv(path: Path, names: list[str], rows: list[dict[str, float]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
