"""The memory that a training takes, from the heads of its files: before any photograph is loaded."""

import copy
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from erlangen.models import Classifier, UNet
from erlangen.train.cost import COPIES, LEARNING, Kept
from erlangen.train.data import Data
from erlangen.train.decoding import examine
from erlangen.train.plain import PlainUNet
from erlangen.train.room import FIELDS, TRIED, Largest, machine_memory
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
    task, size = learned.task, settings.size_for(learned.task)
    whole = [found for path in (*learned.images, *held_out.images) if (found := _size(path)) is not None]
    sizes = [_shrunk(*found, size) for found in whole] or [(1, 1)]
    channels = 4 if task.dense else 3
    bounds = [torch.empty(3, height, width, device="meta") for width, height in sizes]
    crop = settings.for_photographs(task, bounds).crop or size
    free, most = machine_memory()
    return Memory(
        count=len(learned) + len(held_out),
        photographs=channels * sum(width * height for width, height in sizes),
        reading=DECODED * max((width * height for width, height in whole), default=0),
        computing=_computing(net, settings, crop, max(width * height for width, height in sizes)),
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


def _size(path: Path) -> tuple[int, int] | None:
    with suppress(ValueError, OSError):
        return examine(path).size
    return None


def _shrunk(width: int, height: int, size: int) -> tuple[int, int]:
    part = min(1.0, size / max(width, height))
    return max(1, round(part * width)), max(1, round(part * height))


def _computing(net: nn.Module, settings: Settings, crop: int, largest: int) -> int:
    """Measured on a small crop of nothing, by a copy; 0 for networks that may not take one."""
    if not isinstance(net, UNet | Classifier | PlainUNet):
        return 0
    side, trial, bytes_of = min(crop, TRIED), copy.deepcopy(net).train(), []
    for batch in (1, 2):  # filters are kept as well, and they do not grow
        with torch.random.fork_rng([]), Kept() as kept, Largest(trial) as field:
            trial(torch.zeros(batch, 3, side, side))
        bytes_of.append(kept.bytes)
    each = bytes_of[1] - bytes_of[0]
    learning = LEARNING * (bytes_of[0] - each + each * settings.batch * (crop / side) ** 2)
    answering = FIELDS * field.bytes / 2 * min(largest, TILE**2) / side**2
    weights = COPIES * sum(p.numel() * p.element_size() for p in net.parameters())
    return round(weights + max(learning, answering))


def _amount(size: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if size >= unit:
            return f"{size / unit:.2g} {name}" if size < 100 * unit else f"{size / unit:.0f} {name}"
    return f"{size / 2**10:.2g} KiB" if size < 100 * 2**10 else f"{size / 2**10:.0f} KiB"
