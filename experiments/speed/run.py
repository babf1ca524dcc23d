"""How fast, as ratios: both sides in one process, interleaved, after warm-up, median of many.

python experiments/speed/run.py          writes result.json and figure.png
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent))
from records import interleaved, keep

import erlangen as er
from erlangen import figures
from erlangen.figures.canvas import ACCENT, MUTED, figure
from erlangen.train.device import keep_freed_memory
from erlangen.train.plain import PlainUNet

HERE = Path(__file__).parent
CONFIG = json.loads((HERE / "config.json").read_text())


def main() -> None:
    torch.set_num_threads(CONFIG["threads"])
    keep_freed_memory()
    torch.manual_seed(0)
    result = {
        "layers, forward and backward": {str(c): layers(c) for c in CONFIG["layers"]["channels"]},
        "training step": step(),
        "building the default UNet, seconds": build(),
        "import beyond torch and numpy, seconds": importing(),
        "config": CONFIG,
        "dtype": "float32",
    }
    keep(HERE / "result.json", result)
    print(json.dumps(result, indent=1))
    draw(result)


def layers(channels: int) -> dict[str, float]:
    """Regular correlation, full and separable, against the dense convolution of as many values."""
    c = CONFIG["layers"]
    plane, N = er.Plane(rotations=c["rotations"]), c["rotations"]
    regular = {"in_field": "regular", "out_field": "regular", "bias": False}
    conv = nn.Conv2d(channels * N, channels * N, c["kernel_size"], padding="same", bias=False)
    full = er.nn.Correlation(plane, channels, channels, c["kernel_size"], **regular)
    separable = er.nn.Correlation(plane, channels, channels, c["kernel_size"], separable=True, **regular)
    shape = (c["batch"], channels * N, c["size"], c["size"])
    dense = torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()
    last = torch.randn(c["batch"], c["size"], c["size"], N, channels)
    field = last.movedim(-1, 1).movedim(-1, 2).requires_grad_()  # as a correlation leaves it

    def train(layer: nn.Module, x: torch.Tensor):
        weights = list(layer.parameters())
        return lambda: torch.autograd.grad(layer(x).sum(), [x, *weights])

    plain_format = nn.Conv2d(channels * N, channels * N, c["kernel_size"], padding="same", bias=False)
    contiguous = torch.randn(shape).requires_grad_()
    seconds = interleaved(
        {
            "Conv2d": train(conv, dense),
            "Conv2d, contiguous": train(plain_format, contiguous),
            "full": train(full, field),
            "separable": train(separable, field),
        },
        CONFIG["repeats"],
        time.perf_counter,
    )
    best = min(seconds["Conv2d"], seconds["Conv2d, contiguous"])
    return {
        "full / Conv2d": seconds["full"] / best,
        "Conv2d / separable": best / seconds["separable"],
        "seconds": seconds,
    }


def step() -> dict[str, float]:
    """One step of training: the default UNet, and a plain one of width 16."""
    batch, size = CONFIG["step"]["batch"], CONFIG["step"]["size"]
    image, mask = torch.rand(batch, 3, size, size), (torch.rand(batch, 1, size, size) > 0.9).float()

    def train(net: nn.Module):
        optimizer = torch.optim.AdamW(net.parameters())

        def one() -> None:
            optimizer.zero_grad(set_to_none=True)
            loss(net(image), mask).backward()
            optimizer.step()

        return one

    ours, plain = er.models.UNet(er.Plane(rotations=8), 3, 1), PlainUNet(width=16)
    seconds = interleaved({"erlangen": train(ours), "plain": train(plain)}, 7, time.perf_counter)
    return {"seconds": seconds, "erlangen / plain": seconds["erlangen"] / seconds["plain"]}


def build() -> float:
    """In a process of its own, the first network that it makes."""
    code = (
        "import time, torch, erlangen as er; torch.zeros(2) @ torch.zeros(2); start = time.perf_counter();"
        "er.models.UNet(er.Plane(rotations=8), 3, 1); print(time.perf_counter() - start)"
    )
    return elsewhere(code)


def importing() -> float:
    code = (
        "import time, torch, numpy; start = time.perf_counter(); import erlangen;"
        "print(time.perf_counter() - start)"
    )
    return elsewhere(code)


def elsewhere(code: str) -> float:
    """The median of five fresh processes."""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def draw(result: dict) -> None:
    canvas, ((axis,),) = figure(1, 1, 6.4, 2.6)
    names, values = [], []
    for channels, row in result["layers, forward and backward"].items():
        best = min(row["seconds"]["Conv2d"], row["seconds"]["Conv2d, contiguous"])
        for name in ("full", "separable"):
            names.append(f"{name}, {channels} channels")
            values.append(row["seconds"][name] / best)
    axis.barh(names[::-1], values[::-1], color=ACCENT)
    axis.axvline(1.0, color=MUTED)
    axis.set_xlabel("time of a 5x5 regular correlation, N = 8; Conv2d of as many values = 1")
    axis.spines[["top", "right"]].set_visible(False)
    figures.save(canvas, HERE / "figure.png")


if __name__ == "__main__":
    main()
