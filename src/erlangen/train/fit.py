"""Training: photographs in, a network out."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from erlangen.arguments import checked
from erlangen.models import Classifier, UNet
from erlangen.train.checkpoint import NAME, PAIRED
from erlangen.train.clock import Clock
from erlangen.train.counts import balanced, class_counts, says_absent
from erlangen.train.crops import Crops
from erlangen.train.data import Data, Photographs
from erlangen.train.device import as_device, keep_freed_memory
from erlangen.train.held_out import learned_and_held_out
from erlangen.train.lock import FolderLock
from erlangen.train.loop import Progress, Run, Training
from erlangen.train.losses import Loss
from erlangen.train.memory import foresee, say_memory
from erlangen.train.predictor import Predictor, statistics
from erlangen.train.reading import how_files_are_read
from erlangen.train.scale import says_values
from erlangen.train.settings import Settings
from erlangen.train.state import NAME as STATE
from erlangen.train.task import Task
from erlangen.train.upright import says_upright


@checked
def fit(
    data: str | Path | tuple,  # of two `Data`
    settings: Settings | None = None,
    *,
    net: nn.Module | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> Run:
    r"""Train a network on a folder of photographs or of volumes.

    Minimizes cross-entropy plus ``1 - Dice`` (see `Settings.loss`) with AdamW, the learning rate rising
    over the first tenth and falling as a cosine, on random crops that are flipped at random. Minutes are the
    whole time of this call, reading the photographs and scoring included.

    Args:
        data: a folder with ``images`` and ``masks`` (files of equal stems: photographs, or volumes as NIfTI,
            stacks of TIFF or npz; or another layout that `find_data` reads), or with a folder of photographs
            for each class; or a folder with such folders in ``train`` and ``val``; or both sets themselves.
        settings: see `Settings`; `changes` replace some of them, or of the network's `Options`, or name a
            ``preset=``, "fast" or "exact", as of `Settings.changed`.
        net: another network to train, from colours or channels to logits; None builds the `UNet`, or the
            `Classifier`. On a GPU a step of these is recorded as one graph of kernels; of others they are
            launched singly.
        out: a folder for the state, every half minute, which a training that is stopped goes on from, and for
            the network: the best one so far after each look, in the end the last one. One training at a time.
        resume: go on from there. With steps or epochs the weights end the same, bit for bit, as if it had
            not been stopped; with minutes it goes on for the time that is left.
        overwrite: lose the network and the training that are in `out`.
        progress: called after every step.

    Returns:
        A `Run`; its `model`, the network at the end, is in eval mode.

    Raises:
        ValueError: for photographs that cannot be used, naming the file; for an `out` that holds a network or
            a training, unless told to go on or to lose it, or that another training is at work in.
        OSError: if the disc is full; what was saved before is there, to go on from.
        Diverged: a ValueError too, for a training that ran away; its `run` has the best network until then.

    Example:
        >>> run = er.fit("photos", minutes=20)        # doctest: +SKIP
        >>> er.save(run.model, "runs/photos")         # doctest: +SKIP
    """
    settings = (settings or Settings()).changed(**changes)
    return prepare(data, settings, net=net, out=out, resume=resume, overwrite=overwrite).run(progress)


@checked
def prepare(
    data: str | Path | tuple,  # of two `Data`
    settings: Settings,
    *,
    net: nn.Module | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    page: bool = False,
    say: Callable[[str, str], None] | None = None,
) -> "Training":
    """All that `fit` does before the first step; its arguments, and others.

    The folder `out` is locked until `Training.run` ends, or the training is forgotten.

    Args:
        page: whether `write_run` follows, whose time then is part of ``settings.minutes``.
        say: called with a name and a sentence as soon as there is something to say: the memory that the
            training takes, before the photographs are loaded, and how they are read, which stands in `out`
            as well. Without it, a warning where memory lacks.
    """
    if resume and out is None:
        raise ValueError("resume=True without out=, expected the folder that the stopped training wrote to")
    if resume and overwrite:
        raise ValueError("both resume and overwrite, expected one of them: go on, or lose what is there")
    with Clock() as clock, ExitStack() as undo:
        lock = None
        if out is not None:
            lock = FolderLock(out)
            undo.callback(lock.release)
            if not resume and not overwrite:
                expect_unused(Path(out), NAME, PAIRED, STATE)
        training = _prepared(data, settings, net, out, lock, clock, page, say)
        if resume and out is not None:
            training.restore(out)
        undo.pop_all()
    return training


def _prepared(
    data: str | Path | tuple,  # of two `Data`
    settings: Settings,
    net: nn.Module | None,
    out: str | Path | None,
    lock: FolderLock | None,
    clock: Clock,
    page: bool,
    say: Callable[[str, str], None] | None,
) -> Training:
    learned, held_out = learned_and_held_out(
        data, settings.classes, settings.ignore, settings.validation, settings.seed
    )
    task = learned.task
    if net is not None and settings.consistency is None:
        settings = replace(settings, consistency=0.0)  # whether it is to turn, its maker knows
    learned, held_out = learned.at_steps(settings.spacing), held_out.at_steps(settings.spacing)
    settings = settings.for_data(learned)
    network = net or default_network(task, settings, learned.channels)
    say_memory(foresee(learned, held_out, settings, network), say)
    learned, held_out = learned.on_one_scale(held_out)
    images, truths = learned.load(settings.size, settings.shrinking)
    settings = settings.for_images(task, images)
    if not class_counts(task, truths).any():
        raise ValueError(
            f"no pixel of the {len(learned)} masks counts, expected some that are not {settings.ignore}, "
            "the value to --ignore"
        )
    model = _untrained(net, learned, settings, images)
    weights = balanced(task, truths) if settings.balance else settings.class_weights
    loss = Loss(task, settings.loss, weights, settings.consistency_for(task)).to(model.mean.device)
    turns = isinstance(model.net, UNet | Classifier) and settings.rotations != 1
    scale = says_values(learned.values) if learned.values else None
    unlocked = None if lock is None else lock.note
    said = [scale, *notes_on(learned, images, truths, turns), unlocked]
    notes = tuple(note for note in said if note)
    reading = how_files_are_read(learned, held_out, images, truths, settings.size, notes)
    if say is not None:
        for name, text in reading.rows.items():
            say(name, text)
    if out is not None:
        reading.write(out)
    crops = Crops(images, truths, settings, learned.spacing)
    return Training(model, loss, crops, settings, held_out, out, notes, lock=lock, clock=clock, page=page)


def _untrained(net: nn.Module | None, data: Data, settings: Settings, images: list[Tensor]) -> Predictor:
    """The network before the first step, where it will be trained."""
    torch.manual_seed(settings.seed)
    keep_freed_memory()
    net = default_network(data.task, settings, data.channels) if net is None else net
    known = (settings.size, data.task, data.values, settings.shrinking, data.spacing)
    return Predictor(net, *statistics(images), *known).to(as_device(settings.device))


def notes_on(data: Data, images: list[Tensor], truths: list[Tensor], turns: bool) -> tuple[str, ...]:
    """What to know of photographs before a network learns from them; nothing, if all is well.

    Args:
        data: what is learned from.
        images, truths: the same, loaded as bytes.
        turns: whether the network will treat all turns alike.
    """
    says = [says_upright(images) if turns and data.dim == 2 else None, says_absent(data.task, truths)]
    masks = data.how.notes if isinstance(data, Photographs) else ()
    return (*(sentence for sentence in says if sentence), *masks)


def expect_unused(out: Path, *names: str) -> None:
    """ValueError if the folder holds one of these files of an earlier training."""
    there = [name for name in names if (out / name).exists()]
    if there:
        raise ValueError(
            f"{out} holds {there[0]} of an earlier training, expected a folder of its own; give another "
            "--out, or --resume to go on with it, or --overwrite to lose it"
        )


def default_network(task: Task, settings: Settings, channels: int = 3) -> nn.Module:
    """The `UNet` or `Classifier` that the settings describe, filled in, of so many channels."""
    options = replace(settings.network, width=settings.width_for(task))
    return (UNet if task.dense else Classifier)(settings.domain, channels, task.logits, **vars(options))
