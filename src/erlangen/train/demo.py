"""The demonstration: two networks learn the same apples; then the camera is turned."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from erlangen import figures
from erlangen.train.angles import score_by_angle, turned_pair
from erlangen.train.fit import fit
from erlangen.train.loop import Run, Step
from erlangen.train.plain import plain_unet_of
from erlangen.train.run_page import OUTLINES, SQUARE, prediction_figure, report_of, says_equivariance
from erlangen.train.scenes import generate
from erlangen.train.settings import Settings
from erlangen.train.tiles import answer

ANGLES = [15.0 * i for i in range(24)]
PLAIN = 4  # steps of the plain network in the time of one of the other, about
EQUIVARIANT = "equivariant U-Net"


@dataclass(frozen=True)
class Demonstration:
    """What was written, and the IoU of each network by angle."""

    picture: Path
    page: Path
    scores: dict[str, dict[float, float]]


def demonstrate(
    folder: str | Path,
    *,
    steps: int = 320,
    scenes: int = 72,
    seed: int = 0,
    progress: Callable[[str, Step | None], None] | None = None,
) -> Demonstration:
    """Draw scenes, train an equivariant and a plain U-Net of as many parameters, turn the scenes, compare.

    Args:
        folder: for the scenes, the picture and the page.
        steps: of the equivariant network; the plain one takes four times as many, in about the same time.
            Steps, not minutes: a slow or busy machine ends with the same networks, only later.
        scenes: how many to learn from; a sixth as many are held out.
        seed: of everything.
        progress: called with what is being done, and the step of a training.
    """
    say = progress or (lambda _name, _step: None)
    folder = Path(folder)
    say("drawing scenes", None)
    training = generate(folder / "scenes" / "train", scenes, size=128, seed=seed)
    held_out = generate(folder / "scenes" / "val", max(scenes // 6, 1), size=128, seed=seed + 1)
    settings = Settings(steps=steps, seed=seed, size=128, crop=96, batch=4, looks=4, consistency=0.0)
    equivariant = fit((training, held_out), settings, progress=lambda s: say("equivariant U-Net", s))
    count = sum(p.numel() for p in equivariant.model.net.parameters())
    plain = fit(
        (training, held_out),
        replace(settings, steps=PLAIN * steps),
        net=plain_unet_of(round(1.05 * count)),  # as many, or a few more: widths are whole numbers
        progress=lambda s: say("plain U-Net", s),
    )
    say("turning the scenes", None)
    runs = {EQUIVARIANT: equivariant, "plain U-Net": plain}
    scores = {name: score_by_angle(run.model, held_out, ANGLES) for name, run in runs.items()}
    say("writing the page", None)
    return _write(folder, runs, scores)


def _turned_scene(runs: dict[str, Run], scores: dict[str, dict[float, float]]) -> Any:
    """Of the scenes that no network was shown the one with most apples, at three angles; what each finds."""
    held_out, model = runs[EQUIVARIANT].held_out, runs[EQUIVARIANT].model
    most = int(torch.stack([truth.sum() for truth in held_out.load(model.size, model.shrinking)[1]]).argmax())
    angles = (0, 90, 180)
    pairs = [turned_pair(model, held_out, most, angle) for angle in angles]
    found = {
        name: [model.task.decide(answer(run.model, image))[0] for image, *_ in pairs]
        for name, run in runs.items()
    }
    images, truth = [image[0] for image, *_ in pairs], [mask for _, mask, _ in pairs]
    titles = [f"turned by {angle} degrees" if angle else "upright" for angle in angles]
    return figures.turned_camera(images, found, truth, titles, scores)


def _write(folder: Path, runs: dict[str, Run], scores: dict[str, dict[float, float]]) -> Demonstration:
    polar, run = _turned_scene(runs, scores), runs[EQUIVARIANT]
    picture = figures.save(polar, folder / "demo.png")
    report = report_of(run)
    lines = [
        f"<tr><td>{name}, {sum(p.numel() for p in runs[name].model.parameters()):,} parameters</td>"
        f"<td>upright {by[0.0]:.3f}</td><td>best {max(by.values()):.3f}</td>"
        f"<td>worst {min(by.values()):.3f}</td></tr>"
        for name, by in scores.items()
    ]
    sections = [
        "<p>Two networks of as many parameters learned to find apples in the same upright scenes, for about "
        "as long. Then scenes that they had not seen were turned, and scored on the disc that every turn "
        "keeps inside.</p>",
        f'<img alt="Scenes at three angles, and IoU by angle" src="{figures.embedded(polar)}">',
        f"<table>{''.join(lines)}</table>",
        f"<h2>Scenes it was not shown</h2><p>{OUTLINES}</p>"
        f'<img alt="" src="{figures.embedded(prediction_figure(run))}">',
    ]
    if report is not None and report.square is not None:
        square = report.square.picture()
        sections.append(
            f"<h2>Turn, then segment; segment, then turn</h2><p>{SQUARE}</p>"
            f'<img alt="" src="{figures.embedded(square)}">'
        )
    sections.append(f"<h2>Equivariance, measured</h2><pre>{says_equivariance(report)}</pre>")
    page = figures.page(folder / "demo.html", "Erlangen: turn the camera", sections)
    return Demonstration(picture, page, scores)
