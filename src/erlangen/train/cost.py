"""What a training will take, measured before it begins."""

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from erlangen.train.losses import Loss
from erlangen.train.settings import Settings

TRIALS = 3


@dataclass(frozen=True)
class Cost:
    """Measured on a copy of the network, whose weights and random numbers the training never sees.

    Attributes:
        seconds: of a step.
        bytes: of memory: weights, gradients and the optimizer's moments, what a step keeps for its backward
            pass and makes on the way, and the photographs.
        steps: of the training.
        minutes: it will take, without looking at the photographs held out.
    """

    seconds: float
    bytes: int
    steps: int
    minutes: float

    def __str__(self) -> str:
        return (
            f"{self.minutes:.3g} minutes: {self.steps} steps of {self.seconds:.2g} s; "
            f"about {self.bytes / 2**30:.2g} GiB of memory"
        )


def measure_cost(
    model: nn.Module, loss: Loss, settings: Settings, images: list[Tensor], total: int | None
) -> Cost:
    """Time and memory of a training, from a few steps on noise.

    Args:
        model: left as it is.
        loss: of its logits.
        settings: how it will be trained.
        images: that it will be trained on, in memory.
        total: the number of steps; None if time decides.
    """
    trial = copy.deepcopy(model).train()
    device = next(trial.parameters()).device
    generator = torch.Generator().manual_seed(0)
    side = settings.crop or settings.size
    x = torch.rand(settings.batch, 3, side, side, generator=generator).to(device)
    target_shape = (settings.batch, side, side) if loss.task.dense else (settings.batch,)
    target = torch.zeros(target_shape, dtype=torch.uint8, device=device)
    kept, times = 0, []
    for trial_number in range(TRIALS):
        start = time.perf_counter()
        with _Kept() as saved, torch.autocast(device.type, torch.bfloat16, enabled=settings.amp):
            value = loss(trial(x).float(), target)
        value.backward()
        value.item()  # waits for the device
        if trial_number:
            times.append(time.perf_counter() - start)
        kept = max(kept, saved.bytes)
    weights = sum(p.numel() * p.element_size() for p in trial.parameters())
    photographs = sum(image.numel() for image in images)
    seconds = min(times)
    steps = total or max(1, round(60 * settings.minutes / seconds))
    return Cost(seconds, round(4 * weights + 1.5 * kept + photographs), steps, steps * seconds / 60)


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
