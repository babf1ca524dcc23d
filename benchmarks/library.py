"""The library by itself: hot paths under the roofline, how they grow, what comes before the first call."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

import erlangen as er
from benchmarks import networks
from benchmarks.ceiling import Roof
from benchmarks.hot_paths import PLANE, REGULAR, SPACES, Case, Make, ball, field
from benchmarks.timing import Effort, Task, interleaved, median
from benchmarks.work import work_of

Row = dict[str, Any]


def plane(effort: Effort) -> list[Row]:
    """Layers, and the whole default network."""
    rows = paths(PLANE, effort)
    name, (batch, side) = "fast", effort((8, 128), (1, 16))
    net = networks.frozen(networks.settled(networks.network(name)))
    tasks = {
        "forward": networks.answer(net, torch.rand(batch, 3, side, side)),
        "gradient": networks.step_of(name, batch, side),
    }
    return [
        *rows,
        line(f"{name}: inference / training step", f"{batch} x 3 x {side} x {side}", tasks, effort),
    ]


def spaces(effort: Effort) -> list[Row]:
    """The same layers' kin everywhere else."""
    return paths(SPACES, effort)


def paths(makes: Mapping[str, Make], effort: Effort) -> list[Row]:
    """A line for each."""
    rows = []
    for name, make in makes.items():
        layer, x = make(effort)
        tasks = {
            "forward": networks.answer(layer, x),
            "gradient": networks.differentiated(layer, x),
        }
        rows.append(line(name, " x ".join(map(str, x.shape)), tasks, effort))
    return rows


def line(name: str, shape: str, tasks: dict[str, Task], effort: Effort) -> Row:
    """Times beside the roof's, in the same rounds; pairs are a forward's and its gradient's."""
    roof = Roof(effort)
    found = interleaved(tasks | roof.tasks, effort, seconds=4.0)
    ceiling = roof.reached(found)
    work = [work_of(task) for task in tasks.values()]
    seconds = [median(found[task]) for task in tasks]
    speed = [w.flops / s / 1e9 for w, s in zip(work, seconds, strict=True)]
    return {
        "path": name,
        "input": shape,
        "operations": [w.operations for w in work],
        "GFLOP": [w.flops / 1e9 for w in work],
        "MB moved": [w.bytes / 1e6 for w in work],
        "ms": [1000 * s for s in seconds],
        "GFLOP/s": speed,
        "of conv2d": [s / ceiling.convolution for s in speed],
        "of the roofline": [ceiling.least(w) / s for w, s in zip(work, seconds, strict=True)],
        "MB alive": [w.peak / 1e6 for w in work],
        "ceiling": {"conv2d": ceiling.convolution, "matmul": ceiling.matmul, "copy": ceiling.copies},
    }


# growth


def growth(effort: Effort) -> list[Row]:
    """One size at a time."""
    return [grown(name, sizes(effort), make, effort) for name, (sizes, make) in GROWTH.items()]


def grown(name: str, sizes: list[int], make: Callable[[int], Case], effort: Effort) -> Row:
    """The exponents of one size."""
    cases = {size: make(size) for size in sizes}
    tasks = {str(size): networks.differentiated(*case) for size, case in cases.items()}
    found = interleaved(tasks, effort, seconds=5.0)
    seconds = [median(found[task]) for task in tasks]
    flops = [work_of(task).flops for task in tasks.values()]
    return {
        "of": name,
        "sizes": sizes,
        "ms": [1000 * s for s in seconds],
        "exponent of time": slope(sizes, seconds),
        "its last step": slope(sizes[-2:], seconds[-2:]),
        "exponent of flops": slope(sizes, flops),
    }


def slope(sizes: list[int], values: list[float]) -> float:
    """Of the straight line through the logarithms, by least squares."""
    x, y = [math.log(size) for size in sizes], [math.log(max(value, 1e-12)) for value in values]
    a, b = sum(x) / len(x), sum(y) / len(y)
    return sum((s - a) * (t - b) for s, t in zip(x, y, strict=True)) / sum((s - a) ** 2 for s in x)


def _regular(channels: int = 8, rotations: int = 8, width: int = 5, side: int = 48, **options: Any) -> Case:
    domain = er.Plane(rotations=rotations)
    layer = er.nn.Correlation(domain, channels, channels, width, **REGULAR, **options)
    return Case(layer, field(domain, "regular", 1, channels, shape=(side, side)))


def _lattice(dim: int, side: int) -> Case:
    domain = er.Euclidean(dim, "isometries").grid(*[side] * dim)
    return Case(er.nn.Correlation(domain, 8, 8, 5), field(domain, "scalar", 1, 8))


def _sphere(degrees: int, rotations: int | None) -> Case:
    domain, kind = ball(Effort(), degrees, rotations=rotations), "regular" if rotations else "scalar"
    layer = er.nn.Correlation(domain, 8, 8, in_field=kind, out_field=kind)
    return Case(layer, field(domain, kind, 1, 8))


def _sizes(full: list[int], tiny: list[int]) -> Callable[[Effort], list[int]]:
    return lambda effort: effort(full, tiny)


GROWTH: dict[str, tuple[Callable[[Effort], list[int]], Callable[[int], Case]]] = {
    "channels, regular": (_sizes([2, 4, 8, 16, 32], [1, 2]), lambda n: _regular(channels=n)),
    "channels, separable": (
        _sizes([2, 4, 8, 16, 32], [1, 2]),
        lambda n: _regular(channels=n, separable=True),
    ),
    "angles N": (_sizes([4, 8, 16, 32], [3, 4]), lambda n: _regular(rotations=n)),
    "kernel width": (_sizes([3, 5, 7, 9, 11], [3, 5]), lambda n: _regular(width=n)),
    "kernel width, separable": (
        _sizes([3, 5, 7, 9, 11], [3, 5]),
        lambda n: _regular(width=n, separable=True),
    ),
    "side of a square": (_sizes([32, 64, 128, 256], [8, 9]), lambda n: _regular(side=n, channels=4)),
    "samples of a line": (_sizes([1000, 10000, 100000], [8, 9]), lambda n: _lattice(1, n)),
    "side of a cube": (_sizes([8, 16, 32, 48], [5, 6]), lambda n: _lattice(3, n)),
    "bandwidth L, zonal": (_sizes([16, 32, 64, 128], [4, 5]), lambda n: _sphere(n, None)),
    "bandwidth L, SO(3)": (_sizes([8, 16, 32, 64], [4, 5]), lambda n: _sphere(n, 9)),
}


# before the first call

STARTS = {
    "import beyond torch and numpy": ("import torch, numpy", "import erlangen"),
    "the network of train": (
        "import torch, erlangen as er; from erlangen.train.fit import default_network",
        "default_network(er.train.Task(), er.train.Settings())",
    ),
    "a layer on a torus of revolution": (
        "from benchmarks.hot_paths import SPACES; from benchmarks.timing import Effort",
        "SPACES['torus of revolution, regular'](Effort())",
    ),
    "a layer on HEALPix 16, local": (
        "from benchmarks.hot_paths import SPACES; from benchmarks.timing import Effort",
        "SPACES['HEALPix 16, local'](Effort())",
    ),
}


def start(effort: Effort) -> list[Row]:
    """In fresh processes."""
    rows = []
    for name in effort(list(STARTS), list(STARTS)[:1]):
        seconds = [fresh(*STARTS[name]) for _ in range(effort.rounds)]
        rows.append({"what": name, "seconds": median(seconds)})
    return rows


def fresh(before: str, what: str) -> float:
    """Processor seconds of a statement, the first in its process."""
    code = f"{before}\nimport time; a = time.process_time()\n{what}\nprint(time.process_time() - a)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout)
