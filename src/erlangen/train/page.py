"""What a training leaves on disc: curves, pictures, the equivariance report, one page that opens offline."""

import csv
import html
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import erlangen
from erlangen import figures, verify
from erlangen.spaces import Plane
from erlangen.train.angles import score_by_angle
from erlangen.train.checkpoint import save
from erlangen.train.data import Data
from erlangen.train.images import as_batch
from erlangen.train.loop import Run
from erlangen.train.scenes import example
from erlangen.train.tiles import answer

ANGLES = [30.0 * i for i in range(12)]
TURNED = 12  # photographs that are turned for the page


def write_run(run: Run, folder: str | Path, facts: Mapping[str, str] | None = None) -> Path:
    """The network, its configuration, curves, predictions, equivariance, and a page of them all.

    Args:
        run: what `fit` returned.
        folder: made if it is missing.
        facts: more to write down, such as `Training.facts`.

    Returns:
        The page.
    """
    folder, measure = save(run.model, folder), run.model.task.measure
    parameters = sum(p.numel() for p in run.model.parameters())
    configuration = {
        **dict(facts or {}),
        "notes": list(run.notes),
        "parameters": parameters,
        "settings": asdict(run.settings),
        "versions": {"erlangen": erlangen.__version__, "torch": torch.__version__},
    }
    (folder / "config.json").write_text(json.dumps(configuration, indent=2) + "\n", "utf-8")
    _write_csv(folder / "curves.csv", ["step", "minutes", "loss", "score"], run.history)
    by_angle = score_by_angle(run.model, _some(run, TURNED), ANGLES)
    rows = [{"degrees": angle, "score": score} for angle, score in by_angle.items()]
    _write_csv(folder / "angles.csv", ["degrees", "score"], rows)
    report = prove(run)
    (folder / "equivariance.txt").write_text(f"{report}\n", "utf-8")
    turned = figures.angles({"this network": by_angle}, label=measure)
    pictures = {
        "Photographs it was not shown": ("predictions.png", prediction_figure(run)),
        "When the camera is turned": ("angles.png", turned),
        "Curves": ("curves.png", figures.history(run.history, label=f"validation {measure}")),
    }
    if report.square and run.model.task.dense:
        pictures["Turn, then segment; segment, then turn"] = ("square.png", report.square.picture())
    for name, picture in pictures.values():
        figures.save(picture, folder / name)
    score = f"{run.history[-1]['score']:.3f}" if run.history else "not measured"
    sections = [f"<p>Validation {measure} {score}, {parameters:,} parameters.</p>"]
    sections += [f"<p>{html.escape(note)}.</p>" for note in run.notes]
    for title, (_, picture) in pictures.items():
        sections.append(f'<h2>{title}</h2><img alt="" src="{figures.embedded(picture)}">')
    sections += [f"<h2>Equivariance, measured</h2><pre>{html.escape(str(report))}</pre>"]
    written = html.escape(json.dumps(configuration, indent=2))
    sections += [f"<h2>Configuration</h2><pre>{written}</pre>"]
    return figures.page(folder / "index.html", f"A {run.model.task.name} network", sections)


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


def _some(run: Run, count: int) -> Data:
    """So many of the photographs held out, evenly spread."""
    places = torch.linspace(0, len(run.held_out) - 1, min(count, len(run.held_out)))
    return run.held_out.subset([int(i) for i in places.round()])


def _write_csv(path: Path, names: list[str], rows: list[dict[str, float]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
