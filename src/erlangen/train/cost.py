"""What a training will take, measured before it begins."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from erlangen.train.angles import ANGLES, to_turn, turned_pair
from erlangen.train.gradient import WARM
from erlangen.train.images import as_batch
from erlangen.train.tiles import answer

if TYPE_CHECKING:
    from erlangen.train.loop import Training

TRIALS = 3
FIELDS = 7  # at once as a network answers: a convolution's two, copies of both in its own order, skips, a sum
REPORT, REPORTED = 60, 192  # answers that a report takes, and the pixels of the photograph in it


@dataclass(frozen=True)
class Cost:
    """Of what is left of a training.

    Attributes:
        seconds: of a step.
        steps: that are left.
        looking: seconds for scoring the photographs held out, all times that are left.
        proving: seconds for turning some of them, and the report, at the end.
        bytes: of memory: weights, gradients and the optimizer's moments, all photographs, and either what a
            step keeps for its backward pass and makes on the way, or what the answer to a whole photograph
            takes, whichever is more; on a GPU, where a step is recorded, both.
    """

    seconds: float
    steps: int
    looking: float
    proving: float
    bytes: int

    @property
    def minutes(self) -> float:
        """All together."""
        return (self.steps * self.seconds + self.looking + self.proving) / 60

    def __str__(self) -> str:
        return (
            f"{in_words(60 * self.minutes)}: {self.steps} steps of {in_words(self.seconds)}, "
            f"{in_words(self.looking)} of scoring, {in_words(self.proving)} of turning photographs for the "
            f"report; about {self.bytes / 2**30:.2g} GiB of memory"
        )


def in_words(seconds: float) -> str:
    """A length of time, in the unit that people would take."""
    for limit, unit, name in ((120.0, 1.0, "s"), (7200.0, 60.0, "minutes")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}" if seconds / unit < 10 else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 3600:.1f} hours"


def measure_cost(trial: "Training") -> Cost:
    """Time and memory of a training, from a few steps of a copy of it, which are lost."""
    settings, images, step = trial.settings, trial.crops.images, trial.step
    left = 1 - trial.fraction
    kept, times = 0, []
    for _ in range(TRIALS + (WARM if trial.gradient.recordable else 0)):
        start = time.perf_counter()
        with _Kept() as saved:
            trial.advance()
        times.append(time.perf_counter() - start)
        kept = max(kept, saved.bytes)
    with _Largest(trial.model) as field:
        look = _seconds(lambda: answer(trial.model, as_batch(images[:1])))
    small = [image[:, :REPORTED, :REPORTED] for image in images[:1]]
    reporting = REPORT * _seconds(lambda: answer(trial.model, as_batch(small)))
    turned = to_turn(trial.held_out, settings.size)
    turning = look + _seconds(lambda: turned_pair(trial.model, turned, 0, ANGLES[1]))
    weights = sum(p.numel() * p.element_size() for p in trial.model.parameters())
    photographs = sum(x.numel() for x in [*images, *trial.crops.truths])
    photographs += round(photographs / len(images) * len(trial.held_out))
    seconds = min(times[1:])
    steps = trial.total - step if trial.total else round(60 * settings.minutes * left / seconds)
    looking = look * len(trial.held_out) * (settings.looks - trial.checked)
    proving = reporting + turning * len(ANGLES) * len(turned)
    learning, answering = 1.5 * kept, FIELDS * field.bytes
    at_once = sum if trial.gradient.recordable else max  # a recorded step keeps its memory
    memory = 4 * weights + photographs + at_once((learning, answering))
    return Cost(seconds, max(steps, 1), looking, proving, round(memory))


def _seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


class _Largest:
    """The bytes of the largest field that a layer of a network gives."""

    def __init__(self, model: nn.Module) -> None:
        self.layers, self.bytes = [m for m in model.modules() if not list(m.children())], 0

    def __enter__(self) -> "_Largest":
        self.hooks = [layer.register_forward_hook(self._look) for layer in self.layers]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _look(self, _layer: nn.Module, _inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor):
            self.bytes = max(self.bytes, output.numel() * output.element_size())


class _Kept:
    """The bytes of the tensors that a forward pass keeps, each storage once."""

    def __enter__(self) -> "_Kept":
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
