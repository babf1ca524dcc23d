"""Beside escnn: the same U-Net, as its authors would write it."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from escnn import gspaces
from escnn import nn as enn
from torch import Tensor, nn

from benchmarks import memory, networks
from benchmarks.plain import PRECISIONS, counted
from benchmarks.timing import Effort, Ratio, Task, interleaved

Row = dict[str, Any]
ESCNN = "escnn"
SIGMA = 0.66  # of the blur before a stride, as in escnn's examples


class EscnnUNet(nn.Module):
    """C_N, regular fields, two blocks at each level each way, blurred before strides.

    Shapes: ``(batch, 3, height, width)`` to ``(batch, 1, height, width)``, sizes divisible by 2^depth.
    """

    def __init__(self, width: int = 5, depth: int = 3, rotations: int = 8, blocks: int = 2) -> None:
        super().__init__()
        space = gspaces.rot2dOnR2(rotations)
        self.colours = enn.FieldType(space, 3 * [space.trivial_repr])
        types = [enn.FieldType(space, width * 2**level * [space.regular_repr]) for level in range(depth + 1)]
        before = [self.colours, *types]
        self.encoder = nn.ModuleList(_blocks(*pair, blocks) for pair in itertools.pairwise(before))
        self.decoder = nn.ModuleList(
            _blocks(fine + coarse, fine, blocks) for fine, coarse in itertools.pairwise(types)
        )
        self.down = nn.ModuleList(
            enn.PointwiseAvgPoolAntialiased(one, sigma=SIGMA, stride=2) for one in types[:-1]
        )
        self.up = nn.ModuleList(enn.R2Upsampling(one, scale_factor=2) for one in types[1:])
        self.pool = enn.GroupPooling(types[0])
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x, skips = enn.GeometricTensor(image, self.colours), []
        for level, block in enumerate(self.encoder):
            x = block(x)
            if level < len(self.down):
                skips.append(x)
                x = self.down[level](x)
        for level in reversed(range(len(skips))):
            x = self.decoder[level](enn.tensor_directsum([skips[level], self.up[level](x)]))
        return self.head(self.pool(x).tensor)


def _blocks(before: enn.FieldType, after: enn.FieldType, count: int) -> enn.SequentialModule:
    parts = []
    for _ in range(count):
        parts += [
            enn.R2Conv(before, after, kernel_size=3, padding=1, bias=False),
            enn.InnerBatchNorm(after),
            enn.ReLU(after, inplace=True),
        ]
        before = after
    return enn.SequentialModule(*parts)


def network(name: str) -> nn.Module:
    """Theirs, or one of ours."""
    return EscnnUNet() if name == ESCNN else networks.network(name)


def step_of(name: str, batch: int, side: int, amp: bool = False) -> Callable[[], object]:
    return networks.step(network(name), batch, side, amp)


def answer_of(name: str, batch: int, side: int, amp: bool = False) -> Callable[[], object]:
    """Escnn caches its filters in eval mode; ours are frozen."""
    net = networks.settled(network(name))
    net = net if name == ESCNN else networks.frozen(net)
    return networks.answer(net, torch.rand(batch, 3, side, side), amp)


def training(effort: Effort) -> list[Row]:
    """By precision."""
    shapes = effort(((8, 128),), ((1, 16),))
    return [compared(step_of, *shape, precision, effort) for shape in shapes for precision in PRECISIONS]


def inference(effort: Effort) -> list[Row]:
    """By shape and precision."""
    shapes = effort(((8, 128), (1, 512)), ((1, 16),))
    return [compared(answer_of, *shape, precision, effort) for shape in shapes for precision in PRECISIONS]


def compared(make: Callable[..., Task], batch: int, side: int, precision: str, effort: Effort) -> Row:
    """All of ours in turns with theirs."""
    ours = networks.ours(effort)
    tasks = {name: make(name, batch, side, PRECISIONS[precision]) for name in (ESCNN, *ours)}
    found = interleaved(tasks, effort, seconds=60)
    shape = {"input": f"{batch} x 3 x {side} x {side}", "precision": precision}
    return shape | {name: Ratio.of(found[name], found[ESCNN])._asdict() for name in ours}


def peaks(effort: Effort) -> list[Row]:
    """A line for each network."""
    large, wide = effort(((8, 128), (1, 512)), ((1, 16), (1, 24)))
    x = torch.rand(large[0], 3, large[1], large[1])
    return [
        {
            "network": name,
            **counted(network(name), x),
            "MiB, peak of a step": memory.peak(step_of, name, *large, here=effort.small),
            "MiB, peak of inference": memory.peak(answer_of, name, *wide, here=effort.small),
        }
        for name in (ESCNN, *networks.ours(effort))
    ]
