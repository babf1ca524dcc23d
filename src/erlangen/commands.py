"""What `erlangen` can be asked to do: each command a class, its fields the flags."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from erlangen.legible import legible
from erlangen.train import Settings
from erlangen.train.settings import PRESETS, Preset

if TYPE_CHECKING:
    from torch import Tensor

    from erlangen.train import Run, Training
    from erlangen.train.predictor import Predictor

SEEN = 192  # pixels of the photograph that `check` looks at, at most
Folder = Positional[Annotated[Path, arg(metavar="DIR")]]
Model = Positional[Annotated[Path, arg(metavar="MODEL")]]
Images = Positional[Annotated[Path, arg(metavar="IMAGES")]]


@dataclass(frozen=True)
class Train:
    """Train a network on a folder of photographs or volumes, and prove its equivariance.

    DIR/images and DIR/masks with files of equal stems: segmentation. Other names by one rule (a_mask), masks
    beside their photographs, a folder for each, nnU-Net's data sets and COCO's JSON are read too.

    A mask is not zero where the thing is, or more than half of the range of all masks where compression or
    resampling left shades; with --classes 3 or more its values are the classes, whose names may stand in
    DIR/classes.txt, one in a line (then --classes is not needed). How the files are read stands in
    --out/reading.html before the first step.

    Files of several slices are volumes: NIfTI, stacks of TIFF, npz. The network has the cube's turns where
    voxels are cubes, else turns about the axis across the slices; --rotations, --axis, --degree and --spacing
    say otherwise.

    DIR/CLASS with the photographs of each class: classification.

    DIR/train and DIR/val with such folders: the latter are held out; otherwise a fifth of the photographs is.

    Says first what it will cost. Writes the network, its configuration, curves, pictures of predictions, the
    score when the camera is turned, the equivariance report, and a page of them all; --minutes are the time
    that all this takes. Stopped, it goes on with --resume. While it trains, --out holds the best network.

    erlangen train photos --minutes 20

    erlangen train photos --dry-run

    erlangen train photos --minutes 20 --resume

    erlangen train photos --classes 4 --ignore 255 --balance --out runs/four

    erlangen train large --size 4096 --epochs 50

    erlangen train scans --minutes 60 --crop 48
    """

    dir: Folder
    """Holds the photographs, or the volumes."""
    out: Path = Path("runs/network")
    """Where the network and the page go."""
    resume: bool = False
    """Go on with the training that was stopped in --out."""
    overwrite: bool = False
    """Replace the network, or the stopped training, that is in --out."""
    dry_run: bool = False
    """Say how the files are read, in --out/reading.html with a picture, and stop before the first step."""
    preset: Preset = "fast"
    """A network that goes by one name, whose options others here change: fast, or exact, whose answers turn
    with photographs between the angles of the pixel grid before it has learned anything, and whose steps take
    one and a half times as long."""
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)

    def run(self) -> int:
        from erlangen.train import prepare

        training = prepare(
            self.dir,
            self.settings,
            out=self.out,
            resume=self.resume,
            overwrite=self.overwrite,
            page=True,
            say=_tell,
        )
        with training.lock:
            return self._stop(training) if self.dry_run else self._train(training)

    def _stop(self, training: "Training") -> int:
        from erlangen.train.reading import NAMES

        for note in training.notes:
            _tell("note", note)
        _say(f"files     {self.out / NAMES[0]}\nnothing is trained, since this is a dry run")
        return 0

    def _train(self, training: "Training") -> int:
        from erlangen.train.loop import Diverged

        facts = training.facts()
        for name, text in facts.items():
            _tell(name, text)
        for note in training.notes:
            _tell("note", note)
        diverged = None
        try:
            with _bar(training.model.task.measure) as update:
                run = training.run(lambda step: update("training", step))
        except Diverged as error:
            if error.run is None:
                raise
            run, diverged = error.run, error
        except (KeyboardInterrupt, SystemExit) as stop:
            _complain(f"stopped; the same command with --resume goes on from {self.out}")
            return _code(stop)
        for note in run.notes[len(training.notes) :] if diverged is None else ():
            _tell("note", note)
        _say("now measuring it on turned photographs, and writing the page")
        try:
            self._write(run, facts, training.turned)
        except (KeyboardInterrupt, SystemExit) as stop:
            _complain(f"stopped; the network is in {self.out}, whole")
            return _code(stop)
        except Exception as error:  # whatever befalls the page, the network is there
            if diverged is not None:
                _complain(str(diverged))
            why = " ".join(str(error).split()) or type(error).__name__
            _complain(
                f"{why}; the network is in {self.out}, whole, and the page is not finished; the same command "
                "with --resume writes it"
            )
            return 1
        if diverged is not None:
            _complain(str(diverged))
            return 1
        return 0

    def _write(self, run: "Run", facts: dict[str, str], turned: int) -> None:
        from erlangen.train.run_page import says_equivariance, says_turned, write_run

        written = write_run(run, self.out, facts, turned)
        for note in written.notes:
            _tell("note", note)
        _say(says_equivariance(written.report))
        turned_too = says_turned(written.by_angle)
        _say(f"validation {run.model.task.measure} {run.score:.3f}; when turned {turned_too}")
        _say(f"network   {self.out}")
        if written.picture is not None:
            _say(f"picture   {written.picture}")
        _say(f"page      {written.page}")


@dataclass(frozen=True)
class Predict:
    """Segment photographs or volumes, or tell their classes.

    Segmentation: a mask for each image, PNG of its name and size, 255 where the thing is; of several classes
    their numbers. Of a volume a file like it, with its affine or its steps. Classification: the table
    classes.csv. Folders within are taken as well.

    What it wrote to --out before is replaced; files of others, or changed since, are not.

    erlangen predict runs/network new

    erlangen predict runs/network orchard.jpg --size 4096
    """

    model: Model
    """The folder that `erlangen train` wrote, or a .safetensors file that er.save did."""
    images: Images
    """A photograph or a volume, or a folder of them."""
    out: Path = Path("predictions")
    """Where the masks, or the table, go."""
    overwrite: bool = False
    """Lose what others wrote, or changed, in --out in the place of masks or the table."""
    size: int | None = None
    """Shrink photographs to this longer side, instead of the one of the training."""
    tile: int | None = None
    """What is larger goes through the network in tiles whose sides are about so long; as memory holds."""
    device: str = "cpu"
    """Where to compute, such as "cpu" or "cuda"."""

    def run(self) -> int:
        from erlangen.train import load
        from erlangen.train.device import as_device
        from erlangen.train.predict import predict_files

        def tell(text: str) -> None:
            print(f"erlangen: {text}", file=sys.stderr)  # noqa: T201

        model = load(self.model).to(as_device(self.device))
        total, answers = predict_files(
            model, self.images, self.out, self.size, self.tile, self.overwrite, tell
        )
        count = sum(1 for _ in _counted(answers, total))
        what = "masks" if model.task.dense else "classes, in classes.csv,"
        _say(f"{count} {what} in {self.out}")
        return 0


@dataclass(frozen=True)
class Check:
    """Measure the equivariance of a trained network, on a photograph or volume or on a drawn scene.

    Also what the defect between the pixel grid's angles comes from, in the middle of it.

    erlangen check runs/network --image new.jpg --html check.html
    """

    model: Model
    """The folder that `erlangen train` wrote, or a .safetensors file that er.save did."""
    image: Path | None = None
    """A photograph, or a volume; without one, a drawn scene."""
    layers: bool = False
    """Which layer loses how much."""
    sources: bool = True
    """What the defect comes from: taps, fibre, nonlinearity, strides, border, interpolation; no volumes."""
    html: Path | None = None
    """Write a page with the commuting square in pictures."""
    device: str = "cpu"
    """Where to compute, such as "cpu" or "cuda"."""

    def run(self) -> int:
        from erlangen.nn.freeze import freeze
        from erlangen.train import load
        from erlangen.train.angles import prove, split
        from erlangen.train.device import as_device
        from erlangen.train.writing import writing

        network = load(self.model).to(as_device(self.device))
        x = _looked_at(network, self.image)
        # what `predict` runs; which layer loses how much is asked of the layers themselves
        report = prove(network if self.layers else freeze(network), x, self.layers)  # type: ignore[arg-type]
        _say(str(report))
        found = split(network, x) if self.sources and network.dim == 2 else None
        if found is not None:
            _say(f"\n{found}")
        if not any(row.element.is_exact for row in report.rows):
            _say("no turn of the pixel grid is in this group: nothing is exact here; take rotations=4 or 8")
        if self.html is not None:
            with writing(self.html):
                _say(f"page      {report.html(self.html, found)}")
        return 0 if report.worst < 1e-3 else 1


@dataclass(frozen=True)
class Export:
    """Write a trained network as one file that runs without this library, on photographs of every size.

    Photographs as numbers in [0, 1], (batch, 3, height, width), come in; logits come out. The file says of
    itself, in "about.json": the classes, and the longer side that photographs were shrunk to.

    erlangen export runs/network --format onnx --out network.onnx
    """

    model: Model
    """The folder that `erlangen train` wrote, or a .safetensors file that er.save did."""
    out: Path | None = None
    """The file; network.onnx or network.pt2 unless told."""
    format: Literal["onnx", "torch"] = "onnx"
    """For ONNX Runtime and others, or for `torch.export.load`."""

    def run(self) -> int:
        from erlangen.nn.exported import export
        from erlangen.train import load

        ending = {"onnx": ".onnx", "torch": ".pt2"}[self.format]
        out = Path(f"network{ending}") if self.out is None else self.out
        if out.suffix != ending:
            raise ValueError(
                f"--out is {out} and --format {self.format}, expected a name that ends in {ending}"
            )
        model = load(self.model)
        what = "photographs" if model.dim == 2 else "volumes"
        space = "height, width" if model.dim == 2 else "*space"
        notes = {"takes": f"{what} in [0, 1], (batch, {model.channels}, {space})", "gives": "logits"}
        notes |= {"task": model.task.name, "classes": list(model.task.classes)}
        notes |= {name: getattr(model, name) for name in ("size", "shrinking", "values", "spacing")}
        _say(f"network   {export(model, out, notes=notes)}")
        return 0


@dataclass(frozen=True)
class Demo:
    """Three minutes: two networks learn to find apples, then the camera is turned.

    Needs no data: it draws its own.
    """

    out: Path = Path("runs/demo")
    """Where the picture and the page go."""
    steps: int = 320
    """Of the equivariant network; the plain one takes six times as many, in about the same time."""
    scenes: int = 72
    """How many to draw and learn from."""
    seed: int = 0
    """Of the scenes and the weights."""

    def run(self) -> int:
        from erlangen.train.demo import demonstrate
        from erlangen.train.run_page import says_turned

        with _bar() as update:
            done = demonstrate(
                self.out, steps=self.steps, scenes=self.scenes, seed=self.seed, progress=update
            )
        for name, by_angle in done.scores.items():
            _say(f"{name:<18} IoU upright {by_angle[0.0]:.3f}; when turned {says_turned(by_angle)}")
        _say(f"picture   {done.picture}\npage      {done.page}")
        return 0


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, what is missing, and which devices there are."""

    def run(self) -> int:
        from erlangen.doctor import examine

        return examine()


COMMANDS: dict[str, Callable[..., Any]] = {
    "train": Train,
    "predict": Predict,
    "check": Check,
    "export": Export,
    "demo": Demo,
    "doctor": Doctor,
}


def commands(arguments: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """All, by their names; `train` with the options of the preset that is named, for others to change."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    told = [after for before, after in pairwise(words) if before == "--preset"]
    if not told or told[-1] not in PRESETS:
        return COMMANDS  # whose parser refuses what is no preset
    named = {"preset": told[-1]}
    return {**COMMANDS, "train": partial(Train, **named, settings=Settings().changed(**named))}


class _bar:
    """A progress bar that shows loss and score, as a context that gives its update function."""

    def __init__(self, measure: str = "IoU") -> None:
        self.measure = measure

    def __enter__(self) -> Any:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.tasks: dict[str, Any] = {}
        self.scores: dict[str, float] = {}
        self.progress.start()
        return self.update

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, name: str, step: Any) -> None:
        from erlangen.train.cost import in_words

        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=1.0, text="", left="")
        if step is None:
            self.progress.update(self.tasks[name], completed=1.0, left="")
            return
        if step.score is not None:
            self.scores[name] = step.score
        text = f"loss {step.loss:.3f}"
        if name in self.scores:
            text += f"  {self.measure} {self.scores[name]:.3f}"
        left = f"{in_words(step.remaining)} left"
        self.progress.update(self.tasks[name], completed=step.fraction, text=text, left=left)


def _looked_at(network: "Predictor", image: Path | None) -> "Tensor":
    """What `check` looks at: a file, or a drawn scene; of volumes their middle."""
    from erlangen.train.angles import middle
    from erlangen.train.cost import REPORTED_VOXELS
    from erlangen.train.images import numbers, read_image, shrink
    from erlangen.train.predict import as_numbers
    from erlangen.train.scenes import example, example_volume

    if network.dim == 3:
        if image is None:
            return example_volume(network.channels)
        return middle(as_numbers(network, image)[0], REPORTED_VOXELS)
    if image is None:
        return example()
    side = min(network.size or SEEN, SEEN)
    return numbers(shrink(read_image(image, network.values), side, network.shrinking))


def _counted(answers: Iterable[Any], total: int) -> Iterator[Any]:
    """The same, with a bar of how many are done."""
    from rich.progress import track

    yield from track(answers, "predicting", total)


def _say(text: str) -> None:
    print(legible(text))  # noqa: T201


def _tell(name: str, text: str) -> None:
    _say(f"{name:<12} {text}")


def _complain(text: str) -> None:
    print(legible(f"erlangen: {text}"), file=sys.stderr)  # noqa: T201


def _code(stop: BaseException) -> int:
    """What shells take a stop for: 130 for Ctrl-C, 143 for SIGTERM."""
    return stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else 130
