"""Beside torch-harmonics: transforms, global and local layers on the sphere."""

from collections.abc import Callable
from typing import Any

import torch
import torch_harmonics as th
from torch import Tensor, nn

import erlangen as er
from benchmarks.networks import answer, differentiated
from benchmarks.timing import Effort, Ratio, Task, interleaved
from benchmarks.work import Work

Row = dict[str, Any]
GRID = "legendre-gauss"
CHANNELS = 16


class Of(nn.Module):
    """A function of a field as a layer without parameters."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def transforms(effort: Effort) -> list[Row]:
    """By bandwidth and batch."""
    cases = effort(((128, 1), (256, 1), (128, 4)), ((8, 1),))
    return [row for degrees, batch in cases for row in beside(degrees, batch, effort)]


def beside(L: int, batch: int, effort: Effort) -> list[Row]:
    """Analysis, synthesis, and the layer that multiplies by a number for each degree."""
    channels = effort(CHANNELS, 2)
    ball, size = er.Sphere().grid(L), (L, 2 * L)
    there, back = (
        one(*size, lmax=L, mmax=L, grid=GRID, norm="ortho") for one in (th.RealSHT, th.InverseRealSHT)
    )
    # without a radius, a coefficient for every degree, as theirs
    ours = er.nn.Correlation(ball, channels, channels, rings=L, bias=False)
    theirs = th.SpectralConvS2(size, size, channels, channels, grid_in=GRID, grid_out=GRID)
    f = torch.randn(batch, channels, *size)
    c = ball.analyze(f)
    pairs = {
        "analysis": (Of(ball.analyze), there, f),
        "synthesis": (Of(ball.synthesize), back, c),
        "zonal layer": (ours, theirs, f),
    }
    facts = {"L": L, "batch": batch, "difference": float((there(f) - c).norm() / c.norm())}
    return [{"what": name, **facts, **raced(*pair, effort)} for name, pair in pairs.items()]


def raced(ours: nn.Module, theirs: nn.Module, x: Tensor, effort: Effort) -> Row:
    """Theirs / ours: forward, with the gradient, and the most bytes of tensors alive."""
    row: Row = {}
    sides = {"ours": ours, "theirs": theirs}
    forward: dict[str, Task] = {name: answer(side, x) for name, side in sides.items()}
    both: dict[str, Task] = {name: differentiated(side, x) for name, side in sides.items()}
    for name, tasks in (("forward", forward), ("with gradient", both)):
        found = interleaved(tasks, effort, seconds=8)
        row[name] = Ratio.of(found["theirs"], found["ours"])._asdict()
    alive = []
    for task in both.values():
        with Work() as work:
            task()
        alive.append(work.peak)
    return row | {"MB alive, theirs / ours": alive[1] / alive[0]}


def local(effort: Effort) -> list[Row]:
    """By size; the same radius, as many free rings."""
    rows = []
    for L in effort((32, 64), (8,)):
        ball, size, radius, channels = er.Sphere().grid(L), (L, 2 * L), 9.6 / L, effort(CHANNELS, 2)
        ours = er.nn.Correlation(ball, channels, channels, radius=radius, rings=3, bias=False)
        for how in (False, True):
            theirs = th.DiscreteContinuousConvS2(
                channels,
                channels,
                size,
                size,
                kernel_shape=(3,),
                theta_cutoff=radius,
                grid_in=GRID,
                grid_out=GRID,
                bias=False,
                optimized_kernel=how,
            )
            if how and not theirs.optimized_kernel:
                continue  # it was not built for this torch
            x, kind = torch.randn(effort(2, 1), channels, *size), "their operator" if how else "in torch"
            rows.append({"L": L, "DISCO": kind, "radius": radius, **raced(ours, theirs, x, effort)})
    return rows
