"""What the machine reaches in plain torch: the roof that a path's speed is held to."""

import math
from functools import partial
from typing import NamedTuple

import torch

from benchmarks.networks import answer
from benchmarks.timing import Effort, Task, median
from benchmarks.work import Work, work_of

KIB = 1024


class Ceiling(NamedTuple):
    """GFLOP/s of a convolution and of a product of matrices; GB/s of copies, by how many KiB are copied."""

    convolution: float
    matmul: float
    copies: dict[int, float]

    def copy(self, size: float) -> float:
        """GB/s of the copy that is nearest to so many bytes: small tensors stay in a cache."""
        return self.copies[min(self.copies, key=lambda kib: abs(math.log(kib * KIB / max(size, 1))))]

    def least(self, work: Work) -> float:
        """Seconds under the roofline: each operation computes at the better of both products, or copies.

        Operations that were joined to one could take less.
        """
        roof = 1e9 * max(self.convolution, self.matmul)
        each = work.each.items()
        return sum(n * max(flops / roof, size / (1e9 * self.copy(size))) for (flops, size), n in each)


class Roof:
    """What to time beside a path, in the same rounds: a convolution, a product of matrices, copies."""

    def __init__(self, effort: Effort, dtype: torch.dtype = torch.float32) -> None:
        side, channels, n = effort((96, 64, 1024), (8, 4, 16))
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False, dtype=dtype)
        conv = conv.to(memory_format=torch.channels_last)
        image = torch.randn(4, channels, side, side, dtype=dtype).to(memory_format=torch.channels_last)
        a = torch.randn(n, n, dtype=dtype)
        self.tasks: dict[str, Task] = {
            "conv2d": answer(conv, image),
            "matmul": lambda: a @ a,
        }
        self.sizes = effort((256, 4 * KIB, 64 * KIB), (4,))  # KiB
        for size in self.sizes:
            x, y = torch.zeros(2, size * KIB // 4)
            self.tasks[f"{size} KiB"] = partial(y.copy_, x)
        self.flops = {name: work_of(self.tasks[name]).flops for name in ("conv2d", "matmul")}

    def reached(self, seconds: dict[str, list[float]]) -> Ceiling:
        """The speeds, of the median times."""
        conv, matmul = (self.flops[name] / median(seconds[name]) / 1e9 for name in ("conv2d", "matmul"))
        copies = {size: 2 * size * KIB / median(seconds[f"{size} KiB"]) / 1e9 for size in self.sizes}
        return Ceiling(conv, matmul, copies)
