"""What the experiments on MNIST share: the digits, and a training that goes on where it stopped.

Digits are those of `ERLANGEN_DATA` (default: ../shared/data).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("ERLANGEN_DATA", ROOT.parent / "shared" / "data"))
Digits = tuple[Tensor, Tensor]  # pictures and labels


def load(split: str) -> Digits:
    """The pictures ``(n, 28, 28)`` within [0, 1], in the original order, and what they are."""
    file = DATA / "mnist" / "mnist.npz"
    if not file.exists():
        raise SystemExit(f"{file} is not there; set ERLANGEN_DATA to the folder that holds mnist/mnist.npz")
    arrays = np.load(file)
    pictures = torch.from_numpy(arrays[f"x_{split}"]).float() / 255
    return pictures, torch.from_numpy(arrays[f"y_{split}"]).long()


def train(
    net: nn.Module,
    digits: Digits,
    settings: dict,
    seed: int,
    kept: Path,
    seen: Callable[[Tensor, torch.Generator], Tensor],
) -> list[dict]:
    """AdamW with one cycle of the learning rate; an epoch's chances follow from seed and epoch.

    Args:
        net: what is trained, from signals to logits.
        digits: pictures and labels.
        settings: epochs, batch, lr, weight decay, label smoothing.
        seed: of the order of the digits, and of what `seen` draws.
        kept: a file for the state after each epoch; a training that was stopped goes on from there.
        seen: pictures to the signals that a step sees.

    Returns:
        Loss and seconds of each epoch.
    """
    (x, y), batch = digits, settings["batch"]
    steps = len(x) // batch
    # one-dimensional parameters are scales and biases: no decay
    groups = [
        {"params": [p for p in net.parameters() if p.dim() > 1], "weight_decay": settings["weight decay"]},
        {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings["lr"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["lr"], total_steps=settings["epochs"] * steps, pct_start=0.2
    )
    parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
    history: list[dict] = []
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        for key, part in parts.items():
            part.load_state_dict(state[key])
        history = state["history"]
    for epoch in range(len(history), settings["epochs"]):
        start, losses = time.time(), []
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        torch.manual_seed(1000 * seed + epoch)  # dropout
        order = torch.randperm(len(x), generator=generator)
        net.train()
        for step in range(steps):
            chosen = order[step * batch : (step + 1) * batch]
            optimizer.zero_grad()
            logits = net(seen(x[chosen], generator))
            loss = F.cross_entropy(logits, y[chosen], label_smoothing=settings["label smoothing"])
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        history.append({"epoch": epoch + 1, "loss": mean(losses), "seconds": time.time() - start})
        print(f"{kept.stem}: {history[-1]}", flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        state = {key: part.state_dict() for key, part in parts.items()} | {"history": history}
        torch.save(state, kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return history
