"""What an answer takes of memory, and what there is."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

FIELDS = 7  # at once as a network answers: a convolution's two, copies of both in its own order, skips, a sum
TRIED = 64  # pixels of the side of an image that stands for all: what fields take grows with their number
SHARE = 0.2  # of what is free, to an answer: others live here too
GROUPS = Path("/sys/fs/cgroup")  # limits of containers, on Linux


class Largest:
    """The bytes of the largest field that a layer of a network gives."""

    def __init__(self, model: nn.Module) -> None:
        self.layers, self.bytes = [m for m in model.modules() if not list(m.children())], 0

    def __enter__(self) -> "Largest":
        self.hooks = [layer.register_forward_hook(self._look) for layer in self.layers]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def _look(self, _layer: nn.Module, _inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor):
            self.bytes = max(self.bytes, output.numel() * output.element_size())


def machine_memory() -> tuple[int | None, int | None]:
    """Bytes that are free, and all, with those that can be swapped out; None where that is not known."""
    if not sys.platform.startswith("linux"):
        return None, None
    with suppress(OSError, ValueError, KeyError):
        lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        has = {words[0]: 1024 * int(words[1]) for words in lines if len(words) > 1}
        free, most = has["MemAvailable:"], has["MemTotal:"] + has["SwapTotal:"]
        for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", None)):
            with suppress(OSError, ValueError):  # no container, or no limit
                allowed = int((GROUPS / limit).read_text())
                most = min(most, allowed)
                free = min(free, allowed - int((GROUPS / used).read_text()) if used else allowed)
        return free, most
    return None, None


class _Arenas(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [(f"field{i}", ctypes.c_size_t) for i in range(10)]


def kept_memory() -> int:
    """Bytes that this process freed and kept for itself, which the system calls used."""
    with suppress(OSError, AttributeError):
        asked = ctypes.CDLL("libc.so.6").mallinfo2
        asked.restype = _Arenas
        return int(asked().field8)  # fordblks
    return 0


def samples_that_fit(model: nn.Module, channels: int, dim: int, device: torch.device) -> int | None:
    """Pixels or voxels whose answer takes a `SHARE` of what is free; None where that is not known.

    Args:
        model: from so many channels to logits, on the device, in eval mode.
        dim: axes of space.
        device: where it computes.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + kept
    else:
        found = machine_memory()[0]
        if found is None or device.type != "cpu":
            return None
        free = found + kept_memory()
    side = tried(dim)
    with torch.no_grad(), Largest(model) as field:
        model(torch.zeros(1, channels, *[side] * dim, device=device))
    return int(SHARE * free / (FIELDS * field.bytes / side**dim)) if field.bytes else None


def tried(dim: int) -> int:
    """The side of the square or cube that stands for all."""
    return round(TRIED ** (2 / dim))
