"""The demonstration: two networks learn the same apples; then the camera is turned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from erlangen import figures
from erlangen.train.angles import score_by_angle, turned_pair
from erlangen.train.loop import Run, Step, fit
from erlangen.train.page import prediction_figure, prove
from erlangen.train.plain import plain_unet_of
from erlangen.train.scenes import generate
from erlangen.train.settings import Settings
from erlangen.train.tiles import answer

ANGLES = [15.0 * i for i in range(24)]


def demonstrate(
    folder: str | Path,
    *,
    minutes: float = 1.6,
    scenes: int = 72,
    seed: int = 0,
    progress: Callable[[str, Step | None], None] | None = None,
) -> tuple[Path, Path]:
    """Draw scenes, train an equivariant and a plain U-Net of as many parameters, turn the scenes, compare.

    Args:
        folder: for the scenes, the picture and the page.
        minutes: of training, for both together.
        scenes: how many to learn from; a sixth as many are held out.
        seed: of everything.
        progress: called with what is being done, and the step of a training.

    Returns:
        The picture and the page.
    """
    say = progress or (lambda _name, _step: None)
    folder = Path(folder)
    say("drawing scenes", None)
    training = generate(folder / "scenes" / "train", scenes, size=128, seed=seed)
    held_out = generate(folder / "scenes" / "val", max(scenes // 6, 1), size=128, seed=seed + 1)
    settings = Settings(minutes=minutes / 2, seed=seed, size=128, crop=96, width=6, batch=4, lr=2e-2, looks=4)
    equivariant = fit((training, held_out), settings, progress=lambda s: say("equivariant U-Net", s))
    count = sum(p.numel() for p in equivariant.model.net.parameters())
    plain = fit(
        (training, held_out),
        settings,
        net=plain_unet_of(count),
        progress=lambda s: say("plain U-Net", s),
    )
    say("turning the scenes", None)
    scores = {
        f"erlangen, {count:,} parameters": score_by_angle(equivariant.model, held_out, ANGLES),
        "plain U-Net, as many": score_by_angle(plain.model, held_out, ANGLES),
    }
    say("writing the page", None)
    return _write(folder, {"erlangen": equivariant, "plain U-Net": plain}, scores)


def _turned_scene(runs: dict[str, Run], scores: dict[str, dict[float, float]]) -> Any:
    """One scene that no network was shown, at three angles, with what each network finds."""
    held_out, model = runs["erlangen"].held_out, runs["erlangen"].model
    angles = (0, 120, 240)
    pairs = [turned_pair(model, held_out, 0, angle) for angle in angles]
    found = {
        name: [model.task.decide(answer(run.model, image))[0] for image, *_ in pairs]
        for name, run in runs.items()
    }
    images, truth = [image[0] for image, *_ in pairs], [mask for _, mask, _ in pairs]
    titles = [f"turned by {angle} degrees" if angle else "upright" for angle in angles]
    return figures.turned_camera(images, found, truth, titles, scores)


def _write(folder: Path, runs: dict[str, Run], scores: dict[str, dict[float, float]]) -> tuple[Path, Path]:
    polar, run = _turned_scene(runs, scores), runs["erlangen"]
    picture = figures.save(polar, folder / "demo.png")
    report = prove(run)
    lines = [
        f"<tr><td>{name}</td><td>upright {by[0.0]:.3f}</td><td>best {max(by.values()):.3f}</td>"
        f"<td>worst {min(by.values()):.3f}</td></tr>"
        for name, by in scores.items()
    ]
    sections = [
        "<p>Two networks learned to find apples in the same upright scenes, for the same time. Then the "
        "scenes they had not seen were turned.</p>",
        "<p>White: where the apples are. Red: where the network finds them.</p>",
        f'<img alt="Scenes at three angles, and IoU by angle" src="{figures.embedded(polar)}">',
        f"<table>{''.join(lines)}</table>",
        f'<h2>Scenes it was not shown</h2><img alt="" src="{figures.embedded(prediction_figure(run))}">',
    ]
    if report.square is not None:
        square = report.square.picture()
        sections.append(
            f'<h2>Turn, then segment; segment, then turn</h2><img alt="" src="{figures.embedded(square)}">'
        )
    sections.append(f"<h2>Equivariance, measured</h2><pre>{report}</pre>")
    return picture, figures.page(folder / "demo.html", "Erlangen: turn the camera", sections)
