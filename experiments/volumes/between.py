"""Turns of volumes between those of the voxels: how much answers of fresh networks change.

    python experiments/volumes/between.py          writes result.json, row by row; what is there is kept

Networks of three correlations of 5 x 5 x 5 voxels, with random biases and statistics, in float64. They are
shown sums of plane waves of all directions, from the shortest length to twice that, in voxels. In the ball
inside, an answer to a turned volume is compared with the turned answer: the root mean square, relative to
that of the answer less its mean. Beside it stands what turning the answer there and back changes it by.
"""

import json
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

import erlangen as er

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from records import keep  # noqa: E402

CONFIG = json.loads((HERE / "config.json").read_text())
FILE = HERE / "result.json"


def main() -> None:
    torch.set_num_threads(1)
    rows = json.loads(FILE.read_text())["rows"] if FILE.exists() else {}
    for name, (told, options) in CONFIG["rows"].items():
        if name not in rows:
            rows[name] = row(told, options)
            keep(FILE, {"rows": rows, "config": CONFIG})
            print(name, rows[name], flush=True)
    print(table(rows))


def row(told: dict, options: dict) -> dict:
    """The worst and the mean over seeds and turns, and what turning there and back costs at the worst."""
    volume = er.Volume(**{name: tuple(v) if isinstance(v, list) else v for name, v in told.items()})
    turned = volume.axis is not None
    shape = (CONFIG["slices"] if turned else CONFIG["size"], CONFIG["size"], CONFIG["size"])
    turns = [(a, volume.axis) for a in CONFIG["angles"]] if turned else CONFIG["turns"]
    x, found, floors, parameters = waves(shape, volume.voxel), [], [], 0
    for seed in CONFIG["seeds"]:
        torch.manual_seed(seed)
        options = {"kernel_size": 5, **options}
        net = er.models.UNet(volume, 1, 1, width=2, depth=0, blocks=2, separable=False, **options)
        net = er.verify.randomized(net.double(), x)
        parameters = sum(p.numel() for p in net.parameters())
        for angle, axis in turns:
            off, floor = off_by(net, volume, x, volume.turn(angle, axis))
            found.append(off)
            floors.append(floor)
    mean = sum(found) / len(found)
    return {"worst": max(found), "mean": mean, "there and back": max(floors), "parameters": parameters}


def waves(shape: tuple[int, ...], spacing: tuple[float, ...]) -> Tensor:
    """Sums of plane waves, of variance one."""
    generator = torch.Generator().manual_seed(0)
    axes = [(torch.arange(n).double() - (n - 1) / 2) * d for n, d in zip(shape, spacing, strict=True)]
    x = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    count = CONFIG["waves"]
    n = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    length = CONFIG["shortest"] * (1 + torch.rand(count, 1, generator=generator, dtype=torch.float64))
    k = 2 * math.pi * n / n.norm(dim=1, keepdim=True) / length
    k = k / torch.tensor(spacing, dtype=torch.float64) * min(spacing)  # in voxels on every axis
    phase = 2 * math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
    f = torch.cos(x @ k.T + phase).sum(-1)
    return (f / f.std())[None, None]


@torch.no_grad()
def off_by(net: torch.nn.Module, volume: er.Volume, x: Tensor, g: Tensor) -> tuple[float, float]:
    """What a turn changes answers by, and turning there and back."""
    here = volume.centre(x)
    y = net(x)
    moved = volume.act(g, y)
    back = volume.act(torch.linalg.inv(g), moved)
    varying = (y - y[..., here].mean())[..., here].norm()
    first, second = ((a - b)[..., here].norm() for a, b in ((net(volume.act(g, x)), moved), (back, y)))
    return float(first / varying), float(second / varying)


def table(rows: dict) -> str:
    """As the page has it."""
    lines = ["| network | parameters | changed by, worst (mean) | there and back |", "|---|---|---|---|"]
    for name, r in rows.items():
        changed = f"{100 * r['worst']:.2g} ({100 * r['mean']:.2g}) %"
        lines.append(f"| {name} | {r['parameters']:,} | {changed} | {100 * r['there and back']:.2g} % |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
