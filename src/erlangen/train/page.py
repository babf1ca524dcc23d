"""What a training leaves on disc: curves, pictures, the equivariance report, one page that opens offline."""

import csv
import html
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from erlangen import figures, verify
from erlangen.spaces import Plane
from erlangen.train.checkpoint import save
from erlangen.train.data import as_batch
from erlangen.train.loop import Run


def write_run(run: Run, folder: str | Path) -> Path:
    """The network, its curves (CSV, picture), predictions, equivariance report, and a page of them all.

    Returns:
        The page.
    """
    folder = save(run.model, folder)
    with open(folder / "curves.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "minutes", "loss", "score"])
        writer.writeheader()
        writer.writerows(run.history)
    curves = figures.history(run.history, None)
    figures.save(curves, folder / "curves.png")
    shown = prediction_figure(run)
    figures.save(shown, folder / "predictions.png")
    report = prove(run)
    (folder / "equivariance.txt").write_text(f"{report}\n")
    square = report.square.picture() if report.square else None
    parameters = sum(p.numel() for p in run.model.parameters())
    facts = {**asdict(run.settings), "parameters": parameters}
    pictures = [("Photographs it was not shown", shown), ("Curves", curves)]
    pictures += [("The commuting square", square)] if square else []
    score = f"{run.history[-1]['score']:.3f}" if run.history else "not measured"
    sections = [f"<p>Validation IoU {score}, {parameters:,} parameters.</p>"]
    sections += [f'<h2>{title}</h2><img alt="" src="{figures.embedded(f)}">' for title, f in pictures]
    sections += [f"<h2>Equivariance</h2><pre>{html.escape(str(report))}</pre>"]
    rows = "".join(f"<tr><td>{key}</td><td>{value}</td></tr>" for key, value in facts.items())
    sections += [f"<h2>Configuration</h2><table>{rows}</table>"]
    return figures.page(folder / "index.html", "A segmentation network", sections)


@torch.no_grad()
def prediction_figure(run: Run, count: int = 8) -> Any:
    """Held-out photographs with the outlines of what is predicted and true."""
    held_out = run.held_out
    if held_out is None:
        raise ValueError("this run held no photographs out, expected some to show")
    places = torch.linspace(0, len(held_out) - 1, min(count, len(held_out)))
    images, masks = held_out.subset([int(i) for i in places.round()]).load(run.model.size)
    model = run.model.eval()
    predicted = [(model(as_batch([image]))[0, 0] > 0).int() for image in images]
    return figures.predictions([as_batch([i])[0] for i in images], predicted, masks)


def prove(run: Run) -> verify.Report:
    """The equivariance of the trained network on a photograph it was not shown."""
    domain = run.model.net.domain
    if not isinstance(domain, Plane) or run.held_out is None:
        raise ValueError("expected a network on the plane and photographs held out")
    images, _ = run.held_out.subset([0]).load(min(run.settings.size, 192))
    net: nn.Module = run.model
    return verify.equivariance(net, as_batch(images), domain, show=False)
