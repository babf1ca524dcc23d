"""What a training will take, measured before it begins."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from erlangen import figures
from erlangen.train.angles import ANGLES, to_turn, turned_pair
from erlangen.train.clock import Clock
from erlangen.train.crops import Crops
from erlangen.train.data import Data
from erlangen.train.gradient import WARM
from erlangen.train.images import as_batch
from erlangen.train.predictor import Predictor
from erlangen.train.room import FIELDS, Largest
from erlangen.train.tiles import answer

TRIALS = 3
LEARNING = 1.5  # times what a step keeps for its backward pass: what it makes on the way as well
REPORT = 140  # answers that a report and sources take
REPORTED, REPORTED_VOXELS = 192, 32  # the side of the photograph, or of the volume, that they look at
SHOWN = 8  # photographs on the page
PICTURES = 8  # as many as a page takes the time of: four, each for the folder and for the page
COPIES = 5  # of the weights: themselves, their gradients, two moments, the best so far
LOOKS = 3  # with so many left the page is cut down first


@dataclass(frozen=True, eq=False)
class Trial:
    """A copy of a training, whose steps are lost, and what is left of the training itself.

    Attributes:
        model: of the copy.
        advance: makes a step of it.
        recorded: whether steps are recorded on a GPU, sooner or later.
        crops, held_out: what it learns from and is scored on.
        clock: has run since the training was prepared.
        steps: that are left; None if time decides.
        looks: that are left.
        turned: how many photographs the page would turn.
        page: whether there is one.
    """

    model: Predictor
    advance: Callable[[], None]
    recorded: bool
    crops: Crops
    held_out: Data
    clock: Clock
    steps: int | None
    looks: int
    turned: int
    page: bool


@dataclass(frozen=True)
class Cost:
    """Of what is left of a training.

    Attributes:
        seconds: of a step.
        steps: that are left.
        looking: seconds for scoring the photographs held out, all times that are left.
        proving: seconds for the page: turning some of them, the report, pictures; 0 without one.
        bytes: of memory: weights, gradients, the optimizer's moments and the best weights so far, all
            photographs, and either what a step keeps for its backward pass and makes on the way, or what the
            answer to a whole photograph takes, whichever is more; on a GPU, where a step is recorded, both.
        looks: how many there will be; where time decides, looks and the page take at most half of it.
        turned: how many photographs the page will turn; fewer for the same reason.
        notes: a sentence, if they were cut down.
    """

    seconds: float
    steps: int
    looking: float
    proving: float
    bytes: int
    looks: int
    turned: int
    notes: tuple[str, ...] = ()

    @property
    def minutes(self) -> float:
        """All together."""
        return (self.steps * self.seconds + self.looking + self.proving) / 60

    def __str__(self) -> str:
        page = f", {in_words(self.proving)} of turning photographs for the page" if self.proving else ""
        return (
            f"{in_words(60 * self.minutes)}: {self.steps} steps of {in_words(self.seconds)}, "
            f"{in_words(self.looking)} of scoring{page}; about {self.bytes / 2**30:.2g} GiB of memory"
        )


def in_words(seconds: float) -> str:
    """A length of time, in the unit that people would take."""
    for limit, unit, name in ((120.0, 1.0, "s"), (7200.0, 60.0, "minutes")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}" if seconds / unit < 10 else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 3600:.1f} hours"


def measure_cost(trial: Trial) -> Cost:
    """Time and memory of a training, from a few steps of a copy of it."""
    settings, images, left, looks = trial.crops.settings, trial.crops.images, trial.steps, trial.looks
    seconds, kept = _of_a_step(trial)
    with Largest(trial.model) as field:
        one = _seconds(lambda: answer(trial.model, as_batch(images[:1])))
    look = one * len(trial.held_out)
    turned, turning, report = _page(trial, one) if trial.page else (trial.turned, 0.0, 0.0)
    notes: tuple[str, ...] = ()
    if left is None:
        whole = 60 * settings.minutes - trial.clock.seconds
        wished = looks, turned
        looks, turned = that_fit(whole / 2, looks, look, turned, turning, report)
        fixed = looks * look + report + turned * turning
        left = round((whole - fixed) / seconds)
        notes = _says_cut(settings.minutes, wished, (looks, turned), fixed, whole)
    memory = _memory(trial, kept, field.bytes)
    return Cost(seconds, max(left, 1), looks * look, report + turned * turning, memory, looks, turned, notes)


def _of_a_step(trial: Trial) -> tuple[float, int]:
    """Seconds of a step, and bytes that it keeps for its backward pass."""
    kept, times = 0, []
    for _ in range(TRIALS + (WARM if trial.recorded else 0)):
        with Kept() as saved:
            times.append(_seconds(trial.advance))
        kept = max(kept, saved.bytes)
    return min(times[1:]), kept


def _memory(trial: Trial, kept: int, field: int) -> int:
    """Bytes of all, of what a step keeps and of the largest field of an answer."""
    weights = sum(p.numel() * p.element_size() for p in trial.model.parameters())
    images = trial.crops.images
    photographs = sum(x.numel() for x in [*images, *trial.crops.truths])
    photographs += round(photographs / len(images) * len(trial.held_out))
    at_once = sum if trial.recorded else max  # a recorded step keeps its memory
    return round(COPIES * weights + photographs + at_once((LEARNING * kept, FIELDS * field)))


def _page(trial: Trial, one: float) -> tuple[int, float, float]:
    """The photographs that a page turns, the seconds for each, and those for all else on it."""
    images, size = trial.crops.images, trial.crops.settings.size
    small = [
        image[(slice(None), *[slice(reported(image.dim() - 1))] * (image.dim() - 1))] for image in images[:1]
    ]
    report = REPORT * _seconds(lambda: answer(trial.model, as_batch(small)))
    turned = to_turn(trial.held_out, size)
    turning = one + _seconds(lambda: turned_pair(trial.model, turned, 0, ANGLES[1]))
    drawing = 0.0
    with suppress(ImportError):  # which the page will say, when the network is written
        figures.history([])  # what is imported for the first one is
        drawing = _seconds(lambda: figures.embedded(figures.history([])))
    return (
        len(turned),
        turning * len(ANGLES),
        report + one * min(SHOWN, len(trial.held_out)) + PICTURES * drawing,
    )


def reported(dim: int) -> int:
    """The side of what a report looks at, in the plane or in space, where it takes cubes of about as many."""
    return REPORTED if dim == 2 else REPORTED_VOXELS


def that_fit(
    seconds: float, looks: int, look: float, turned: int, turning: float, report: float
) -> tuple[int, int]:
    """How many looks, and turned photographs, fit into that time: one of each at least."""
    while looks * look + turned * turning + report > seconds:
        if looks > LOOKS:
            looks -= 1
        elif turned > 1 and turning:
            turned -= 1
        elif looks > 1:
            looks -= 1
        else:
            break
    return looks, turned


def _says_cut(
    minutes: float, wished: tuple[int, int], held: tuple[int, int], fixed: float, whole: float
) -> tuple[str, ...]:
    """A sentence, if looks or the page had to be cut down."""
    says = []
    if held[0] < wished[0]:
        says.append(f"the photographs held out are scored {held[0]} times instead of {wished[0]}")
    if held[1] < wished[1]:
        says.append(f"the page turns {held[1]} photographs instead of {wished[1]}")
    if fixed > whole / 2:
        says.append(
            f"scoring and the page take {in_words(fixed)} as they are, which leaves "
            f"{in_words(max(whole - fixed, 0.0))} to learn in: give more minutes, a smaller size, or fewer "
            "photographs to score on"
        )
    return (f"so that all is done in {minutes:g} minutes, {'; '.join(says)}",) if says else ()


def _seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


class Kept:
    """The bytes of the tensors that a forward pass keeps, each storage once."""

    def __enter__(self) -> "Kept":
        self.storages: dict[int, int] = {}
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda tensor: tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.hooks.__exit__(*error)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self) -> int:
        return sum(self.storages.values())
