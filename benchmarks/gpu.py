"""A training step on a GPU: recorded as one CUDA graph, and launched kernel by kernel."""

import time
from typing import Any

import torch
from torch import nn

from benchmarks.networks import PLAIN, network, ours
from benchmarks.timing import Effort
from erlangen.train import Loss, Predictor
from erlangen.train.gradient import WARM, Gradient

Row = dict[str, Any]


def training(effort: Effort) -> list[Row]:
    """By network and precision; steps of all in turns.

    Raises:
        RuntimeError: without a GPU, or where a step was not recorded as it should be.
    """
    if not torch.cuda.is_available():
        raise RuntimeError("there is no GPU, which this part needs")
    torch.backends.cudnn.allow_tf32 = False
    batch, side = effort((8, 128), (1, 32))
    steps = {
        (name, precision, how): Step(network(name), precision == "bfloat16", how == "recorded", batch, side)
        for name in (PLAIN, *ours(effort))
        for precision in ("float32", "bfloat16")
        for how in ("launched", "recorded")
    }
    for (name, _, how), step in steps.items():
        for _ in range(WARM + 1):
            step()
        if step.gradient.recorded != (how == "recorded"):
            raise RuntimeError(f"the step of {name} was expected to be {how}, and was not")
    found: dict[tuple, list[float]] = {key: [] for key in steps}
    for _ in range(3 * effort.rounds):
        for key, step in steps.items():
            start = time.perf_counter()
            step()
            found[key].append(time.perf_counter() - start)
    shape = f"{batch} x 3 x {side} x {side}"
    return [
        {
            "network": name,
            "precision": precision,
            "input": shape,
            **{
                how: 1000 * sorted(found[name, precision, how])[len(found[name, precision, how]) // 2]
                for how in hows
            },
        }
        for name, precision in dict.fromkeys((key[0], key[1]) for key in steps)
        if (hows := ("launched", "recorded"))
    ]


class Launched(Gradient):
    """Kernel by kernel."""

    recordable = False


class Step:
    """A gradient and AdamW, on one batch that comes from the CPU each time."""

    def __init__(self, net: nn.Module, amp: bool, recorded: bool, batch: int, side: int) -> None:
        model = Predictor(net).cuda().train()
        self.gradient = (Gradient if recorded else Launched)(model, Loss(model.task).cuda(), amp)
        self.optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        self.image = torch.rand(batch, 3, side, side)
        self.truth = (torch.rand(batch, side, side) > 0.9).to(torch.uint8)

    def __call__(self) -> None:
        self.gradient(self.image, self.truth)
        self.optimizer.step()
        torch.cuda.synchronize()
