"""What a training leaves on disc: curves, pictures, the equivariance report, one page that opens offline."""

import csv
import html
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from erlangen import figures, verify
from erlangen.train.angles import ANGLES, TURNED, middle, prove, score_by_angle, some, split, to_turn
from erlangen.train.cost import REPORTED, REPORTED_VOXELS, SHOWN
from erlangen.train.data import Data
from erlangen.train.images import as_batch
from erlangen.train.loop import Run
from erlangen.train.predictor import Predictor
from erlangen.train.scenes import example, example_volume
from erlangen.train.tiles import answer
from erlangen.train.writing import writing
from erlangen.version import __version__

PICTURES = ("predictions.png", "angles.png", "curves.png", "square.png")
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
SOURCES = (
    "The defect at a turn between the angles that the network knows, and at one of these, split: what each "
    "source makes, and what is left when it is taken away. What lies beyond the border is invented; a mirror "
    "image put around turns with the rest. What is left without all sources is not separated."
)
CONSTANT = (
    "the network answers the same everywhere, so there is nothing to turn: look at the masks, or train again "
    "at a smaller learning rate (--lr)"
)


@dataclass(frozen=True)
class Written:
    """The page, and what was measured for it: the score by angle, and the equivariance.

    There is no report of a network that answers the same everywhere, and there are no scores and no picture
    of predictions where no photograph can be read any more; `notes` say which are left out.
    """

    page: Path
    by_angle: dict[float, float]
    report: verify.Report | None
    notes: tuple[str, ...] = ()
    picture: Path | None = None


def write_run(
    run: Run, folder: str | Path, facts: Mapping[str, str] | None = None, turned: int = TURNED
) -> Written:
    """The network, its configuration, curves, predictions, equivariance, and a page of them all.

    Photographs that were held out and cannot be read any more are left out, and named on the page.

    Args:
        run: what `fit` returned.
        folder: made if it is missing.
        facts: more to write down, such as `Training.facts`.
        turned: how many photographs are turned, at most.

    Raises:
        OSError: if the disc is full; the network is written first.

    Example:
        >>> run = er.fit("photos", minutes=20)                     # doctest: +SKIP
        >>> er.train.write_run(run, "runs/photos").page            # doctest: +SKIP
    """
    folder, facts, still = run.save(folder), dict(facts or {}), _StillThere(run.held_out, run.model.size)
    configuration = {
        **facts,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "settings": run.settings.facts(),
        "versions": {"erlangen": __version__, "torch": torch.__version__},
    }
    with writing(folder, "the network is there, whole"):
        _write_csv(folder / "curves.csv", ["step", "minutes", "loss", "score"], run.history)
    by_angle = still.measured(lambda data: _by_angle(run.model, data, turned))
    report = still.measured(lambda d: report_of(replace(run, held_out=d)))
    sources = still.measured(lambda d: sources_of(replace(run, held_out=d)))
    seen = still.measured(lambda d: prediction_figure(replace(run, held_out=d))) if len(still.data) else None
    notes = still.notes
    with writing(folder, "the network is there, whole"):
        noted = configuration | {"notes": [*run.notes, *notes]}
        (folder / "config.json").write_text(json.dumps(noted, indent=2) + "\n", "utf-8")
        angles = [{"degrees": angle, "score": score} for angle, score in by_angle.items()]
        _write_csv(folder / "angles.csv", ["degrees", "score"], angles)
        said = [says_equivariance(report), *([] if sources is None else [str(sources)])]
        (folder / "equivariance.txt").write_text("\n\n".join(said) + "\n", "utf-8")
        sections = _summary(run, by_angle, facts, notes) + _pictures(run, seen, by_angle, report, folder)
        measured = f"<p>{TABLE}</p><pre>{html.escape(says_equivariance(report))}</pre>"
        sections.append(f"<h2>Equivariance, measured</h2>{measured}")
        sections += (
            [] if sources is None else [f"<h2>Where it comes from</h2><p>{SOURCES}</p>", *sources.html()]
        )
        sections.append(f"<h2>Settings</h2>{_table(configuration['settings'] | configuration['versions'])}")
        page = figures.page(folder / "index.html", f"A {run.model.task.name} network", sections)
    picture = None if seen is None else folder / PICTURES[0]
    return Written(page, by_angle, report, notes, picture)


def _by_angle(model: Predictor, data: Data, turned: int) -> dict[float, float]:
    """The score at each angle; none, of no photographs."""
    return score_by_angle(model, some(to_turn(data, model.size), turned), ANGLES) if len(data) else {}


class _StillThere:
    """The photographs held out that can still be read: files change while a training takes its time."""

    def __init__(self, data: Data, size: int | None) -> None:
        self.data, self.size, self.gone = data, size, list[str]()

    def measured(self, measure: Callable[[Data], Any]) -> Any:
        """What it gives, of those that are left when it fails."""
        try:
            return measure(self.data)
        except (ValueError, OSError):
            left = [i for i in range(len(self.data)) if self._reads(i)]
            if len(left) == len(self.data):
                raise
            self.data = self.data.subset(left)
        return self.measured(measure)

    def _reads(self, i: int) -> bool:
        try:
            self.data.load_one(i, self.size)
        except (ValueError, OSError) as error:
            self.gone.append(str(error))
            return False
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence that names what is left out; none, if nothing is."""
        if not self.gone:
            return ()
        what = f"{len(self.gone)} of the photographs held out changed while it trained and are left out here"
        return (f"{what}: {'; '.join(self.gone)}",)


def _summary(
    run: Run, by_angle: Mapping[float, float], facts: Mapping[str, str], notes: tuple[str, ...]
) -> list[str]:
    """What came out, from what, and what to know of the photographs."""
    score = f"{run.score:.3f}" if math.isfinite(run.score) else "not measured"
    rows = {f"validation {run.model.task.measure}": score, "when turned": says_turned(by_angle), **facts}
    return [
        _table(rows),
        *(f"<p>{html.escape(note[0].upper() + note[1:])}.</p>" for note in (*run.notes, *notes)),
    ]


def _pictures(
    run: Run, seen: Any, by_angle: dict[float, float], report: verify.Report | None, folder: Path
) -> list[str]:
    """Written to the folder, in the place of those of an earlier network, and as sections of the page."""
    task, pictures = run.model.task, []
    if seen is not None:
        words = OUTLINES if task.dense else ""
        pictures.append(("Photographs it was not shown", words, "predictions.png", seen))
    if by_angle:
        turned = figures.angles({"this network": by_angle}, label=task.measure)
        pictures.append(("When the camera is turned", TURNS, "angles.png", turned))
    curves = figures.history(run.history, label=f"validation {task.measure}")
    pictures.append(("Curves", "", "curves.png", curves))
    if report is not None and report.square and task.dense:
        title, square = "Turn, then segment; segment, then turn", report.square.picture()
        pictures.append((title, SQUARE, "square.png", square))
    for name in PICTURES:
        (folder / name).unlink(missing_ok=True)
    for _, _, name, picture in pictures:
        figures.save(picture, folder / name)
    return [
        f'<h2>{title}</h2><p>{words}</p><img alt="{title}" src="{figures.embedded(picture)}">'
        for title, words, _, picture in pictures
    ]


def says_turned(by_angle: Mapping[float, float]) -> str:
    """The range of scores, in words."""
    if not by_angle:
        return "not measured"
    low, high = min(by_angle.values()), max(by_angle.values())
    return f"{low:.3f} to {high:.3f} at {len(by_angle)} angles all around"


def says_equivariance(report: verify.Report | None) -> str:
    """The report in words."""
    return CONSTANT if report is None else str(report)


def prediction_figure(run: Run, count: int = SHOWN) -> Any:
    """Held-out photographs with what is predicted and true: outlines, or the names of classes."""
    images, truths = some(run.held_out, count).load(run.model.size, run.model.shrinking)
    task = run.model.task
    predicted = [task.decide(answer(run.model, as_batch([image])))[0] for image in images]
    if task.dense:
        found = zip(images, truths, predicted, strict=True)
        pictures = [run.held_out.pictured(image, truth, guess) for image, truth, guess in found]
        shown = [as_batch([picture])[0] for picture, _ in pictures]
        masks = [guess for _, (_, guess) in pictures], [truth for _, (truth, _) in pictures]
        return figures.predictions(shown, *masks, columns=4 if run.held_out.dim == 2 else 1)
    shown = [as_batch([run.held_out.pictured(image)[0]])[0] for image in images]
    named = [(task.classes[int(p)], task.classes[int(t)]) for p, t in zip(predicted, truths, strict=True)]
    titles = [p if p == t else f"{p} (is {t})" for p, t in named]
    return figures.photographs(shown, titles, columns=4 if run.held_out.dim == 2 else 1)


def report_of(run: Run) -> verify.Report | None:
    """The equivariance of the trained network on a photograph it was not shown, or on a drawn scene.

    None for a network that answers the same everywhere on both.
    """
    return _measured(run, lambda x: prove(run.model, x))


def sources_of(run: Run) -> verify.Budget | None:
    """Where its defect comes from, on the same photograph; not asked of volumes, where it takes minutes."""
    if run.model.dim == 3:
        return None
    return _measured(run, lambda x: split(run.model, x, only=False))


def _measured(run: Run, measure: Callable[[Any], Any]) -> Any:
    model = run.model
    size = min(run.settings.size_for(model.task), REPORTED)
    images, _ = some(run.held_out, 1).load(size, model.shrinking)
    few = middle(as_batch(images), REPORTED_VOXELS) if images and model.dim == 3 else None
    shown = [few] if few is not None else []
    shown += [as_batch(images)] if images and few is None and min(images[0].shape[-2:]) >= 32 else []
    for x in [*shown, example() if model.dim == 2 else example_volume(model.channels)]:
        with suppress(verify.Constant):
            return measure(x)
    return None


def _table(rows: Mapping[str, Any]) -> str:
    lines = (f"<tr><td>{name}</td><td>{html.escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(lines)}</table>"


def _write_csv(path: Path, names: list[str], rows: list[dict[str, float]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
