"""The memory that a training takes, from the heads of its files: before any photograph is loaded."""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from erlangen.models import Classifier, UNet
from erlangen.train.cost import COPIES, LEARNING, Kept
from erlangen.train.data import Data
from erlangen.train.plain import PlainUNet
from erlangen.train.room import FIELDS, Largest, machine_memory, tried
from erlangen.train.settings import Settings
from erlangen.train.tiles import TILE

DECODED = (
    12  # bytes for each pixel of a file while it is read: colours, a copy of them, the mask and its shares
)


@dataclass(frozen=True)
class Memory:
    """Bytes that a training takes, about.

    Attributes:
        count: of the photographs.
        photographs: of all of them, shrunk, with what is true of them.
        reading: of the largest file while it is read.
        computing: of a step, or of the answer to the largest photograph; 0 where it is not known.
        device: where it computes.
        free: what this machine has free; None where that is not known.
        most: what it has at all.
    """

    count: int
    photographs: int
    reading: int
    computing: int
    device: str
    free: int | None
    most: int | None

    @property
    def here(self) -> int:
        """What this machine must hold at once."""
        computing = self.computing if torch.device(self.device).type == "cpu" else 0
        return self.photographs + max(self.reading, computing)

    @property
    def lacks(self) -> bool:
        """Whether that is more than is free."""
        return self.free is not None and self.here > self.free

    def __str__(self) -> str:
        parts = [f"{_amount(self.photographs)} for {self.count} photographs"]
        parts.append(f"{_amount(self.reading)} while the largest is read")
        if self.computing:
            where = "" if torch.device(self.device).type == "cpu" else f" on {self.device}"
            parts.append(f"{_amount(self.computing)} for a step{where}")
        free = "" if self.free is None else f"; {_amount(self.free)} are free"
        lacks = ", which is less: take a smaller --size, --batch or --crop, or fewer photographs"
        return f"about {_amount(self.here)}: {', '.join(parts)}{free}{lacks if self.lacks else ''}"


def foresee(learned: Data, held_out: Data, settings: Settings, net: nn.Module) -> Memory:
    """What training this network on these photographs will take.

    Files that cannot be read are left out: reading them will say why.
    """
    task, size = learned.task, settings.size
    whole, sizes = learned.sizes(None), learned.sizes(size) + held_out.sizes(size)
    whole = whole + held_out.sizes(None)
    sizes = sizes or [(1,) * learned.dim]
    bounds = [torch.empty(learned.channels, *shape, device="meta") for shape in sizes]
    crop = settings.for_images(task, bounds).crop or max(map(max, sizes))
    number = 1 if learned.dim == 2 else 4  # bytes
    free, most = machine_memory()
    return Memory(
        count=len(learned) + len(held_out),
        photographs=(number * learned.channels + task.dense) * sum(map(math.prod, sizes)),
        reading=DECODED * max(map(math.prod, whole), default=0),
        computing=_computing(net, settings, crop, learned, max(map(math.prod, sizes))),
        device=settings.device,
        free=free,
        most=most,
    )


def say_memory(memory: Memory, say: Callable[[str, str], None] | None) -> None:
    """Tell it, or warn where it lacks and nobody listens.

    Raises:
        ValueError: if the photographs by themselves are more than the machine holds.
    """
    if say is not None:
        say("memory", str(memory))
    elif memory.lacks:
        warnings.warn(f"this training takes {memory}", stacklevel=5)
    if memory.most is not None and memory.photographs > memory.most:
        raise ValueError(
            f"the {memory.count} photographs take {_amount(memory.photographs)} of memory, expected at most "
            f"the {_amount(memory.most)} that this machine has; take a smaller --size, or fewer photographs"
        )


def _computing(net: nn.Module, settings: Settings, crop: int, data: Data, largest: int) -> int:
    """Measured on a small crop of nothing, by a copy; 0 for networks that may not take one."""
    if not isinstance(net, UNet | Classifier | PlainUNet):
        return 0
    side, trial, bytes_of = min(crop, tried(data.dim)), copy.deepcopy(net).train(), []
    for batch in (1, 2):  # filters are kept as well, and they do not grow
        with torch.random.fork_rng([]), Kept() as kept, Largest(trial) as field:
            trial(torch.zeros(batch, data.channels, *[side] * data.dim))
        bytes_of.append(kept.bytes)
    each = bytes_of[1] - bytes_of[0]
    learning = LEARNING * (bytes_of[0] - each + each * settings.batch * (crop / side) ** data.dim)
    answering = FIELDS * field.bytes / 2 * min(largest, TILE**2) / side**data.dim
    weights = COPIES * sum(p.numel() * p.element_size() for p in net.parameters())
    return round(weights + max(learning, answering))


def _amount(size: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if size >= unit:
            return f"{size / unit:.2g} {name}" if size < 100 * unit else f"{size / unit:.0f} {name}"
    return f"{size / 2**10:.2g} KiB" if size < 100 * 2**10 else f"{size / 2**10:.0f} KiB"
