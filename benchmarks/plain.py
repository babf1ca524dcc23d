"""Beside plain torch: layers beside `Conv2d`, networks beside the plain U-Net."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

import erlangen as er
from benchmarks import memory, networks
from benchmarks.hot_paths import REGULAR, field
from benchmarks.networks import PLAIN
from benchmarks.timing import Effort, Ratio, Task, interleaved
from benchmarks.work import kept_for_gradient, work_of

Row = dict[str, Any]
THREADS = (1, 2)
PRECISIONS = {"float32": False, "bfloat16": True}


def layers(effort: Effort) -> list[Row]:
    """Full and separable, against the faster of torch's two memory formats."""
    return [beside_conv(channels, effort) for channels in effort((4, 16, 32), (1,))]


def beside_conv(channels: int, effort: Effort) -> Row:
    """Of so many regular fields."""
    plane, width, shape = er.Plane(rotations=8), 5, (effort(4, 1), channels, effort(64, 6), effort(64, 6))
    batch, _, *space = shape
    x = field(plane, "regular", batch, channels, shape=tuple(space))
    dense = torch.randn(batch, 8 * channels, *space)
    convs = [nn.Conv2d(8 * channels, 8 * channels, width, padding="same", bias=False) for _ in range(2)]
    full, separable = (
        er.nn.Correlation(plane, channels, channels, width, separable=s, bias=False, **REGULAR)
        for s in (False, True)
    )
    tasks = {
        "last": networks.differentiated(convs[0], dense.to(memory_format=torch.channels_last)),
        "first": networks.differentiated(convs[1], dense),
        "full": networks.differentiated(full, x),
        "separable": networks.differentiated(separable, x),
    }
    found = interleaved(tasks, effort)
    best = min(found["last"], found["first"], key=sum)
    return {
        "fields": channels,
        "input": " x ".join(map(str, x.shape)),
        "full / Conv2d": Ratio.of(found["full"], best)._asdict(),
        "separable / Conv2d": Ratio.of(found["separable"], best)._asdict(),
    }


def training(effort: Effort) -> list[Row]:
    """A line for each number of threads, precision and batch."""
    rows, nets = [], networks.compared(effort)
    for threads in THREADS:
        for precision, amp in PRECISIONS.items():
            for batch, side in effort(((8, 128), (2, 128)), ((1, 16),)):
                steps = {
                    name: networks.step(net, batch, side, amp, networks.consistency_of(name))
                    for name, net in nets.items()
                }
                shape = f"{batch} x 3 x {side} x {side}"
                rows.append(ratios(steps, shape, threads, precision, effort, seconds=20))
    return rows


def ratios(
    tasks: dict[str, Task], shape: str, threads: int, precision: str, effort: Effort, seconds: float
) -> Row:
    """All in turns, each over the plain one."""
    torch.set_num_threads(threads)
    found = interleaved(tasks, effort, seconds)
    torch.set_num_threads(1)
    names = [name for name in tasks if not name.startswith(PLAIN)]
    each = {name: Ratio.of(found[name], found[PLAIN])._asdict() for name in names}
    if FOLDED in found:
        each |= {f"{n} / folded": Ratio.of(found[n], found[FOLDED])._asdict() for n in names[:1]}
    return {"input": shape, "threads": threads, "precision": precision, **each}


FOLDED = f"{PLAIN}, folded"
SHAPES = ((8, 128), (8, 48), (1, 32), (1, 512))


def inference(effort: Effort) -> list[Row]:
    """Frozen where there is `er.freeze`, and through `predict`."""
    nets = {name: networks.settled(net) for name, net in networks.compared(effort).items()}
    cast = {name: net if name == PLAIN else networks.frozen(net) for name, net in nets.items()}
    cast[FOLDED] = networks.folded(nets[PLAIN])
    rows = []
    for threads in THREADS:
        for precision, amp in PRECISIONS.items():
            for batch, side in effort(SHAPES, ((1, 16),)):
                x, shape = torch.rand(batch, 3, side, side), f"{batch} x 3 x {side} x {side}"
                tasks = {name: networks.answer(net, x, amp) for name, net in cast.items()}
                rows.append(ratios(tasks, shape, threads, precision, effort, seconds=8))
        x = torch.rand(1, 3, *effort((768, 768), (16, 16)))
        tasks = {name: predicted(net, x) for name, net in nets.items()}
        shape = f"`predict`, {' x '.join(map(str, x.shape))}"
        rows.append(ratios(tasks, shape, threads, "float32", effort, seconds=10))
    return rows


def predicted(net: nn.Module, x: Tensor) -> Callable[[], list[Tensor]]:
    """As people call it."""
    model = er.train.Predictor(net)
    return lambda: er.predict(model, x)


def counts(effort: Effort) -> list[Row]:
    """Of a forward and its gradient, counted; the peak of a training step by the process."""
    batch, side = effort((8, 128), (1, 16))
    x = torch.rand(batch, 3, side, side)
    return [
        {
            "network": name,
            **counted(net, x),
            "MiB, peak of a step": memory.peak(networks.step_of, name, batch, side, here=effort.small),
        }
        for name, net in networks.compared(effort).items()
    ]


def counted(net: nn.Module, x: Tensor) -> Row:
    """What needs no clock."""
    weights = list(net.parameters())
    both = work_of(lambda: torch.autograd.grad(net(x).sum(), weights))
    row = {
        "parameters": networks.parameters_of(net),
        "operations, training": both.operations,
        "GFLOP": both.flops / 1e9,
        "GB moved": both.bytes / 1e9,
        "MB kept": kept_for_gradient(lambda: net(x), weights) / 1e6,
        "MB alive": both.peak / 1e6,
    }
    alone = work_of(networks.answer(networks.frozen(net.eval()), x))
    return row | {"operations, inference": alone.operations}


def lifted(effort: Effort) -> list[Row]:
    """Of networks of the same options on two planes, and of a layer at inference."""
    side, channels = effort((128, 16), (16, 2))
    options: dict[str, Any] = {"width": channels, "kernel_size": 3, "separable": False, "depth": 2}
    planes = {"scalar": er.Plane(), "8 angles": er.Plane(rotations=8)}
    kept = {name: kept_by(er.models.UNet(p, 3, 1, **options), side) for name, p in planes.items()}
    if "recompute" in {field.name for field in fields(er.models.Options)}:
        again = er.models.UNet(planes["8 angles"], 3, 1, recompute=True, **options)
        kept["8 angles, recompute=True"] = kept_by(again, side)
    rows = [
        {"what": f"kept, {name}", "MB": size / 1e6, "ratio": size / kept["scalar"]}
        for name, size in kept.items()
    ]
    peaks = {
        name: memory.peak(lifting, name, effort(1024, 16), here=effort.small)
        for name in ("plain", "16 angles")
    }
    return rows + [
        {"what": f"peak at inference, {name}", "MB": size * memory.MIB / 1e6, "ratio": size / peaks["plain"]}
        for name, size in peaks.items()
    ]


def kept_by(net: nn.Module, side: int) -> int:
    x = torch.rand(2, 3, side, side)
    return kept_for_gradient(lambda: net(x), list(net.parameters()))


def lifting(name: str, side: int) -> Callable[[], Tensor]:
    """32 channels of an image, by a convolution and ReLU or by lift, ReLU and projection."""
    if name == "plain":
        net = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(inplace=True))
    else:
        plane = er.Plane(rotations=16)
        net = nn.Sequential(
            er.nn.Lift(plane, 3, 32, 5), er.nn.ReLU(plane, oversampling=1), er.nn.Project(plane, "mean")
        )
    return networks.answer(networks.frozen(net.eval()), torch.rand(1, 3, side, side))
